"""The library's way in: what it takes, what it gives, what it refuses."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.cams.small import noise, small_network
from wheretolook.base.errors import InputError
from wheretolook.cams import batching as parts
from wheretolook.cams import engine as engine_module
from wheretolook.cams.explain import explain

NAMES = ("cat", "dog", "hen", "cow")


def test_arrays_have_names_and_the_layers_own_resolution():
    found = explain(small_network(), noise(5), ["gradcam", "activation"], ["stage1", "stage3"], batch_size=2)
    assert {pair: maps.shape for pair, maps in found.maps.items()} == {
        ("gradcam", "stage1"): (5, 4, 8, 8),
        ("gradcam", "stage3"): (5, 4, 4, 4),
        ("activation", "stage1"): (5, 1, 8, 8),
        ("activation", "stage3"): (5, 1, 4, 4),
    }
    assert {maps.dtype for maps in found.maps.values()} == {np.dtype("float32")}
    assert found.logits.shape == (5, 4)
    assert found.class_index.tolist() == [[0, 1, 2, 3]] * 5


def test_a_pair_that_was_left_out_is_an_error_that_lists_the_existing_ones():
    found = explain(small_network(), noise(), ["cam", "gradcam"], ["stage1", "stage3"])
    there = r"\('cam', 'stage3'\), \('gradcam', 'stage1'\), \('gradcam', 'stage3'\)"
    with pytest.raises(KeyError, match=rf"expected one of {there}; found \('cam', 'stage1'\)"):
        found["cam", "stage1"]
    assert ("cam", "stage1") not in found and found.get(("cam", "stage1")) is None


def test_classes_are_named_or_numbered():
    every = explain(small_network(), noise(), ["gradcam"], ["stage2"])["gradcam", "stage2"]
    named = explain(small_network(), noise(), ["gradcam"], ["stage2"], ["hen", 0], class_names=NAMES)
    assert named.class_index.tolist() == [[2, 0]] * 3
    np.testing.assert_array_equal(named["gradcam", "stage2"], every[:, [2, 0]])


def test_each_image_may_have_targets_of_its_own():
    every = explain(small_network(), noise(), ["gradcam"], ["stage2"])["gradcam", "stage2"]
    for targets in ([3, 0, 1], np.array([3, 0, 1]), torch.tensor([[3], [0], [1]])):
        found = explain(small_network(), noise(), ["gradcam"], ["stage2"], targets=targets, batch_size=2)
        np.testing.assert_allclose(found["gradcam", "stage2"][:, 0], every[range(3), [3, 0, 1]], atol=1e-6)


LINEAR = ["cam", "gradcam", "hirescam"]


def test_a_difference_of_two_logits_has_the_difference_of_their_maps():
    every = explain(small_network(), noise(), LINEAR)
    found = explain(small_network(), noise(), LINEAR, None, [("hen", "cat"), 1, (3, 2)], class_names=NAMES)
    assert found.class_index.tolist() == [[4, 1, 5]] * 3
    np.testing.assert_array_equal(found.logits, every.logits)
    for pair, maps in found.items():
        of_all = every[pair]
        expected = np.stack([of_all[:, 2] - of_all[:, 0], of_all[:, 1], of_all[:, 3] - of_all[:, 2]], 1)
        np.testing.assert_allclose(maps, expected, atol=1e-5)


@pytest.mark.parametrize("method", ["gradcam++", "layercam", "scorecam", "ablationcam"])
def test_a_method_that_is_not_linear_explains_the_difference_itself(method: str):
    class Difference(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            logits = self.network(images)
            return logits[:, 2:3] - logits[:, :1]

    own = explain(Difference(small_network()), noise(), [method], ["network.stage2"], [0])
    found = explain(small_network(), noise(), [method], ["stage2"], [(2, 0)])
    np.testing.assert_allclose(found[method, "stage2"], own[method, "network.stage2"], atol=1e-5)


def test_a_function_of_the_logits_is_explained_by_its_gradient():
    def squares(logits):
        return logits[:, :2].square()

    every = explain(small_network(), noise(), ["gradcam"])
    found = explain(small_network(), noise(), targets=squares)
    assert found.class_index.tolist() == [[4, 5]] * 3
    for pair, maps in found.items():
        expected = 2 * every.logits[:, :2, None, None] * every[pair][:, :2]
        np.testing.assert_allclose(maps, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "subject", "found"),
    [
        ({"targets": lambda logits: logits.sum()}, "targets", "() of torch.float32 for 2 images"),
        ({"targets": lambda logits: logits.argmax(1)}, "targets", "(2,) of torch.int64 for 2 images"),
        ({"targets": lambda logits: logits.detach()}, "targets", "values without a gradient"),
        ({"targets": lambda logits: logits[:, 0], "methods": ["cam"]}, "cam.stage3", "a function"),
        ({"targets": lambda logits: logits, "classes": [0]}, "classes, targets", "both"),
        ({"classes": [(0, 1, 2)]}, "classes", "(0, 1, 2)"),
        ({"classes": [(0, 7)]}, "classes", "7"),
        ({"classes": [(0, 1)], "with_mean": True}, "with_mean", "a difference of logits or a function"),
    ],
)
def test_targets_that_cannot_be_explained_are_refused(arguments, subject, found):
    with pytest.raises(InputError) as caught:
        explain(small_network(), noise(), **arguments)
    assert (caught.value.subject, caught.value.found) == (subject, found)


def test_beyond_ten_classes_the_predicted_one_is_explained():
    found = explain(small_network(classes=11), noise(), ["cam"], ["stage3"])
    assert found.class_index.tolist() == found.logits.argmax(1)[:, None].tolist()
    predicted = explain(small_network(), noise(), ["cam"], ["stage3"], targets="predicted")
    assert predicted.class_index.tolist() == predicted.logits.argmax(1)[:, None].tolist()


def test_images_may_be_a_numpy_array():
    from_numpy = explain(small_network(), noise().numpy(), ["cam"], ["stage3"])
    np.testing.assert_array_equal(
        from_numpy["cam", "stage3"], explain(small_network(), noise(), ["cam"])["cam", "stage3"]
    )


@pytest.mark.parametrize(
    ("arguments", "subject", "expected", "found"),
    [
        ({"classes": ["pig"], "class_names": NAMES}, "classes", "one of cat, dog, hen, cow", "'pig'"),
        ({"classes": ["pig"]}, "classes", "one of 0 to 3 (class_names is empty)", "'pig'"),
        ({"classes": [4]}, "classes", "one of 0 to 3", "4"),
        ({"classes": [-1]}, "classes", "one of 0 to 3", "-1"),
        ({"classes": []}, "classes", "at least one", "none"),
        ({"targets": [0, 1]}, "targets", "(3,) or (3, K) class indices", "(2,) of int64"),
        ({"targets": [0, 1, 4]}, "targets", "class indices from 0 to 3", "[0, 1, 4]"),
        ({"targets": [0.0, 1.0, 1.0]}, "targets", "class indices", "(3,) of float32"),
        ({"targets": "best"}, "targets", 'class indices or "predicted"', '"best"'),
        ({"classes": [0], "targets": [0, 1, 2]}, "classes, targets", "at most one of them", "both"),
        ({"methods": ["cam", "gradcam2"]}, "methods", "one of cam, gradcam", '"gradcam2"'),
        ({"methods": []}, "methods", "a list of names", "[]"),
        ({"layers": [1]}, "layers", "names", "1"),
        ({"precision": "float16"}, "precision", "one of float32, bfloat16", '"float16"'),
    ],
)
def test_invalid_arguments_are_refused(arguments, subject, expected, found):
    with pytest.raises(InputError) as error:
        explain(small_network(), noise(), **arguments)
    assert (error.value.subject, error.value.found) == (subject, found)
    assert expected in error.value.expected


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(0, 3, 8, 8),
        torch.zeros(3, 8, 8),
        torch.zeros(2, 8, 8, 3),
        torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
    ],
    ids=["none", "one", "channels last", "uint8"],
)
def test_images_of_the_wrong_shape_or_type_are_refused(images):
    with pytest.raises(InputError) as error:
        explain(small_network(), images)
    assert error.value.subject == "images" and error.value.found.startswith(f"{tuple(images.shape)} of ")
    assert "to_input" in error.value.hint


class Grey(nn.Module):
    """A network on images of one channel, with one logit or two, perhaps closed to gradients."""

    def __init__(self, squeezed=False, closed=False):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 1 if squeezed else 2)
        self.squeezed, self.closed = squeezed, closed

    def forward(self, images):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.closed):
            logits = self.head(self.layer(images).relu().mean((2, 3)))
        return logits[:, 0] if self.squeezed else logits


@pytest.mark.parametrize("fast", [False, True])
def test_images_of_one_channel(fast):
    network, images = Grey(), noise()[:, :1]
    found = explain(network, images, ["gradcam"], ["layer"], [1], fast=fast)["gradcam", "layer"]
    features = network.layer(images)
    seen = (network.head.weight[1][:, None, None] * (features > 0)).mean((2, 3))[:, :, None, None] / 256
    np.testing.assert_allclose(found[:, 0], (seen * features).sum(1).detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "images", "message"),
    [
        (Grey(), noise(), r"Grey: expected to run on images \(N, 3, 16, 16\), found an error: Given groups=1, weight"),
        (
            Grey(squeezed=True),
            noise()[:, :1],
            r"Grey: expected logits \(N, classes\), found \(1,\) for one image\. Wrap it in",
        ),
        (
            Grey(closed=True),
            noise()[:, :1],
            r"network: expected logits that require gradients, .*no_grad",
        ),
    ],
    ids=["channels", "one logit", "no graph"],
)
def test_a_network_that_cannot_be_explained_is_refused_with_the_way_out(network, images, message):
    with pytest.raises(InputError, match=message):
        explain(network, images, ["gradcam"], ["layer"])


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_torchscript_is_refused():
    with pytest.raises(InputError, match=r"expected an nn.Module, found TorchScript"):
        explain(torch.jit.trace(small_network(), noise()), noise())


def test_a_batch_too_large_for_the_device_is_done_in_halves(monkeypatch):
    done, whole = [], parts.compute

    def crowded(engine, images, choose):
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.append(len(images))
        return whole(engine, images, choose)

    expected = explain(small_network(), noise(7), ["gradcam"], targets=[0, 1, 2, 3, 0, 1, 2])
    monkeypatch.setattr(parts, "compute", crowded)
    found = explain(small_network(), noise(7), ["gradcam"], targets=[0, 1, 2, 3, 0, 1, 2])
    assert done == [1, 2, 2, 2]
    for pair, maps in expected.maps.items():
        np.testing.assert_allclose(found[pair], maps, atol=1e-6)


def test_one_image_too_large_for_the_device_is_refused(monkeypatch):
    def full(engine, images, choose):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(parts, "compute", full)
    with pytest.raises(InputError) as error:
        explain(small_network(), noise())
    assert error.value.subject == "device memory" and "(3, 16, 16)" in error.value.expected


def test_a_cpu_splits_a_large_batch_to_avoid_slow_allocations(monkeypatch):
    whole, done = parts.compute, []

    def counted(engine, images, choose):
        done.append(len(images))
        return whole(engine, images, choose)

    expected = explain(small_network(), noise(7), ["gradcam"], targets=[0, 1, 2, 3, 0, 1, 2])
    monkeypatch.setattr(parts, "compute", counted)
    # An image (3, 16, 16) is the largest tensor of this network: three of them.
    monkeypatch.setattr(engine_module, "LARGEST_FAST_ALLOCATION", 3 * 3 * 16 * 16 * 4)
    found = explain(small_network(), noise(7), ["gradcam"], targets=[0, 1, 2, 3, 0, 1, 2], fast=True)
    assert done == [3, 3, 1]
    for pair, maps in expected.maps.items():
        np.testing.assert_allclose(found[pair], maps, atol=1e-5)


def test_an_explanation_is_a_mapping_of_its_maps():
    found = explain(small_network(), noise(), ["gradcam", "activation"], ["stage1"])
    assert list(found) == [("gradcam", "stage1"), ("activation", "stage1")]
    assert len(found) == 2 and ("gradcam", "stage1") in found and ("cam", "stage1") not in found
    assert found.get(("cam", "stage1")) is None
    for pair, maps in found.items():
        assert maps is found[pair]


def test_an_explanation_equals_itself_alone():
    found, again = (explain(small_network(), noise(), ["gradcam"], ["stage1"]) for _ in range(2))
    assert found == found and found != again
    assert len({found, again}) == 2


def test_the_mean_of_all_classes_maps_is_stored_beside_them():
    methods = ["gradcam", "layercam", "activation"]
    every = explain(small_network(), noise(), methods, ["stage2"])
    found = explain(small_network(), noise(), methods, ["stage2"], [1], with_mean=True)
    assert every.means == {} and list(found.means) == [("gradcam", "stage2")]
    np.testing.assert_allclose(found.means["gradcam", "stage2"], every["gradcam", "stage2"].mean(1), atol=1e-6)
    for pair, maps in found.items():
        np.testing.assert_allclose(maps, every[pair][:, [1]] if pair[0] != "activation" else every[pair], atol=1e-6)
