"""Networks that a short cut would misread: what was found out by trying is held against each batch, or refused."""

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from tests.cams.small import small_network
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import check_images, explain
from wheretolook.networks.layered import LookNet
from wheretolook.networks.layers.layout import NotFinite

GRADIENT_METHODS = ["gradcam", "gradcam++", "layercam", "hirescam", "xgradcam"]


class Pooled(nn.Module):
    """A convolution, its mean over places, a linear layer; and something odd before, between or behind them."""

    def __init__(self, before=None, between=None, behind=None, classes=4):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.fc = nn.Linear(8, classes)
        self.before, self.between, self.behind = before, between, behind

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x) if self.before else x
        x = self.body(x)
        x = self.between(x) if self.between else x.mean((2, 3))
        x = self.fc(x)
        return self.behind(x) if self.behind else x


def images(count: int = 3, scale: float = 1.0, size: int = 32) -> Tensor:
    return scale * torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def by_autograd(network: nn.Module, x: Tensor, layer: str, class_index: int) -> tuple[Tensor, Tensor]:
    """HiResCAM of each image, and the logits, straight from their definitions."""
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(lambda m, i, output: kept.append(output))
    logits = network(x.clone())
    handle.remove()
    gradient = torch.autograd.grad(logits[:, class_index].sum(), kept[0])[0]
    return (gradient * kept[0]).sum(1).detach(), logits.detach()


def in_place(z: Tensor) -> Tensor:
    z /= 0.1
    return z


@pytest.mark.parametrize(
    "network",
    [
        Pooled(behind=in_place),
        Pooled(behind=lambda z: z.sigmoid_()),
        Pooled(behind=lambda z: functional.relu(z, inplace=True)),
        Pooled(between=lambda f: functional.relu6(f).mean((2, 3))),
        Pooled(between=lambda f: f.clamp(max=1.5).mean((2, 3))),
        Pooled(between=lambda f: f.amax((2, 3))),
    ],
    ids=["logits / T", "sigmoid_", "relu_", "relu6", "clip", "max"],
)
@pytest.mark.parametrize("scale", [1.0, 40.0, 1e-5])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.filterwarnings("ignore::wheretolook.networks.layers.outputs.NotLogitsWarning")
def test_maps_and_logits_are_the_networks_own(network, scale, fast):
    x = images(scale=scale)
    expected, logits = by_autograd(network, x, "body", 1)
    found = explain(network, x, ["hirescam"], ["body"], [1], fast=fast)
    np.testing.assert_allclose(found["hirescam", "body"][:, 0], expected, atol=1e-5 * float(expected.abs().max()))
    np.testing.assert_allclose(found.logits, logits, atol=1e-5 * float(logits.abs().max()))


def test_cam_is_refused_where_its_identity_does_not_hold_for_these_images():
    network = Pooled(between=lambda f: functional.relu6(f).mean((2, 3)))
    assert ("cam", "body") in explain(network, images(), layers=["body"])
    with pytest.raises(InputError) as error:
        explain(network, images(scale=40.0), layers=["body"])
    assert error.value.subject == "cam.body" and "gradcam" in error.value.hint


def test_a_normalisation_behind_an_activation_in_place_is_not_folded():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).append(nn.Linear(8, 4))
    nn.init.uniform_(network[2].running_mean, 0.2, 0.5)
    nn.init.zeros_(network[5].weight)
    network.eval()
    slow, fast = (explain(network, images(), ["activation"], ["2"], fast=fast) for fast in (False, True))
    np.testing.assert_allclose(fast["activation", "2"], slow["activation", "2"], atol=1e-6)


class Viewed(nn.Module):
    """Rows out of maps by `view`, which needs PyTorch's own layout."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1)


def old_norm(network: nn.Module) -> nn.Module:
    """A stage's convolution with a weight that a hook sets before each pass."""
    prune.random_unstructured(network.stage2[0], "weight", 0.5)
    return network


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(4), Viewed(), nn.Linear(8 * 9, 4)),
        old_norm(small_network()),
    ],
    ids=["view", "pruned"],
)
def test_a_folded_copy_of_any_network_runs(network):
    layer = "0" if isinstance(network[0], nn.Conv2d) else "stage2"
    slow, fast = (explain(network.eval(), images(), GRADIENT_METHODS, [layer], fast=fast) for fast in (False, True))
    for pair in slow:
        np.testing.assert_allclose(fast[pair], slow[pair], atol=1e-5 * np.abs(slow[pair]).max())


def test_a_network_that_writes_over_its_images_changes_neither_maps_nor_images():
    def normalise(x: Tensor) -> Tensor:
        return x.sub_(0.5).div_(0.2)

    methods, x = ["scorecam", "ablationcam", "gradcam"], images()
    before = x.clone()
    found = explain(Pooled(before=normalise), x, methods, ["body"], [1])
    expected = explain(Pooled(before=lambda x: (x - 0.5) / 0.2), x, methods, ["body"], [1])
    assert torch.equal(x, before)
    for pair in expected:
        np.testing.assert_allclose(found[pair], expected[pair], atol=1e-6)


def test_a_layer_that_hands_on_what_is_written_over_is_refused():
    class Branches(Pooled):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, x):
            f = self.body(x) - 0.3
            return self.fc((f + functional.relu(self.drop(f), inplace=True)).mean((2, 3)))

    with pytest.raises(InputError, match="layer drop: expected an output of its own"):
        explain(Branches().eval(), images(), ["gradcam"], ["drop"])


def test_feature_maps_in_one_row_are_no_tokens():
    class Rows(nn.Module):
        def forward(self, x):
            return x.mean(2)

    network = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Flatten(2), Rows(), nn.Linear(16, 4))
    assert {layer for _, layer in explain(network, images())} == {"0"}
    with pytest.raises(InputError, match="layer 1: expected places in rows and columns"):
        explain(network, images(), ["gradcam"], ["1"])


def test_a_vision_transformer_is_looked_at_where_its_places_lead_on():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4).eval()
    nn.init.normal_(network.heads.head.weight)
    found = explain(network, images(), classes=[1])
    assert list(found) == [("gradcam", "encoder.layers.encoder_layer_1.ln_1")]
    assert np.abs(found["gradcam", "encoder.layers.encoder_layer_1.ln_1"]).max() > 0


def test_a_layer_that_runs_again_in_the_backward_pass_is_looked_at():
    class Checkpointed(Pooled):
        def forward(self, x):
            x = checkpoint(lambda x: self.body(x) * 2, x, use_reentrant=False)
            return self.fc(x.amax((2, 3)))

    x = images()
    expected, _ = by_autograd(Pooled(between=lambda f: (f * 2).amax((2, 3))), x, "body", 1)
    found = explain(Checkpointed(), x, ["hirescam"], ["body"], [1])
    np.testing.assert_allclose(found["hirescam", "body"][:, 0], expected, atol=1e-6)


def test_nan_that_breaks_a_decomposition_is_reported_as_nan():
    x = images()
    x[1] = np.nan
    with pytest.raises(NotFinite, match=r"eigencam\.stage3: .* image number 1"):
        explain(small_network(), x, ["eigencam"], ["stage3"])


def test_infinite_weights_are_reported_although_a_channel_is_dead():
    network = LookNet(2, width=4, depth=2).eval()
    nn.init.constant_(network.classifier[-1].weight, float("inf"))
    nn.init.constant_(network.blocks["block2"][1].bias, -99)
    with pytest.raises(NotFinite, match=r"cam\.block2: "):
        explain(network, images(), ["cam"], ["block2"])


def test_a_module_whose_train_does_more_than_set_a_flag_is_left_as_found():
    class Merged(nn.Conv2d):
        merged = False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

    network = nn.Sequential(Merged(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    explain(network, images(), ["gradcam"], ["1"])
    assert network[0].training and not network[0].merged


def test_a_network_without_places_is_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4))
    with pytest.raises(InputError, match="Sequential: expected a layer with places"):
        explain(network, images())


@pytest.mark.parametrize("classes", [np.array([0, 2]), [np.int64(0), 2], torch.tensor([0, 2])])
def test_indices_of_classes_may_be_of_numpy_or_torch(classes):
    assert explain(small_network(), images(), ["cam"], ["stage3"], classes).class_index.tolist() == [[0, 2]] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": 3}, "classes: expected a list of names or indices, found 3"),
        ({"classes": [True]}, "classes: expected one of 0 to 3.* found True"),
        ({"class_names": list("abcde")}, "class_names: expected one name for each of 4 logits, found 5"),
        ({"targets": ["a", "b", "c"]}, r"targets: expected \(3,\) or \(3, K\) class indices"),
        ({"targets": [[1], [1, 2], [0]]}, r"targets: expected \(3,\) or \(3, K\) class indices"),
        ({"targets": np.eye(4, dtype=bool)[:3]}, "targets: expected .* of bool"),
        ({"batch_size": 0}, "batch_size: .* found 0"),
        ({"batch_size": 2.5}, "batch_size: .* found 2.5"),
    ],
)
def test_other_arguments_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        explain(small_network(), images(), ["cam"], ["stage3"], **given)


def test_images_may_be_flipped_foreign_or_a_list():
    x = images().numpy()
    for given in (x[..., ::-1][..., ::-1], x.astype(">f4"), list(torch.from_numpy(x))):
        np.testing.assert_array_equal(check_images(given).numpy(), x)
    assert check_images(x[..., ::-1]).numpy()[0, 0, 0, 0] == x[0, 0, 0, -1]
