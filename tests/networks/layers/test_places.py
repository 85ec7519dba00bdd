"""A layer is offered or taken only where its places lie where the map says."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.layers.places_networks import (
    ClassAttention,
    Encoder,
    Mixed,
    Mixer,
    Pooler,
    SequenceFirst,
    SideBranch,
    Tokens,
    Unrolled,
    Views,
    Windows,
)
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.networks.layers import trial
from wheretolook.networks.layers.default_layers import default_layers
from wheretolook.networks.layers.recording import Patches
from wheretolook.networks.layers.steadiness import steady


def images(size: tuple[int, int] = (32, 32), channels: int = 3) -> Tensor:
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(1))


def offered(network: nn.Module, size: tuple[int, int] = (32, 32)) -> dict[str, tuple[int, int]]:
    found = explain(network.eval(), images(size), ["activation"])
    return {layer: maps.shape[2:] for (_, layer), maps in found.items()}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Tokens(), {"norm": (4, 4)}),
        (Windows(), {"norm": (8, 8)}),
        (Mixer(), {"norm": (4, 4)}),
        (ClassAttention(), {"norm": (4, 4)}),
        (Pooler(), {"norm": (4, 4)}),
        (SequenceFirst(), {"norm": (4, 4)}),
        (Encoder(), {"encoder.stages.0": (8, 8), "encoder.stages.1": (4, 4)}),
        (SideBranch(), {"encoder.1": (16, 16), "encoder": (8, 8)}),
        (Unrolled(), {"patch": (8, 8)}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_default_layers_are_the_last_with_places_that_lead_to_the_logits(network, expected):
    assert offered(network) == expected


@pytest.mark.parametrize(("strength", "layer"), [(0.5, "mix"), (24.0, "patch"), (28.0, "patch")])
def test_a_layer_that_shows_each_patch_but_mixes_places_is_no_default(strength, layer):
    network = Mixed(strength)
    assert offered(network, (64, 64)) == {layer: (8, 8)}
    named = explain(network, images((64, 64)), ["activation"], ["mix"])
    assert named["activation", "mix"].shape[2:] == (8, 8)
    assert (named.locality["mix"] > 0.5) == (layer == "mix")


@pytest.mark.parametrize("network", [Tokens(), Windows(), SequenceFirst(), Encoder(), Mixed(0.5)])
def test_more_patches_of_another_image_show_the_same_layers(network, monkeypatch):
    expected = offered(network, (64, 64))
    counts = []
    monkeypatch.setattr(trial, "default_layers", lambda results, modules, level: [level])  # in doubt
    monkeypatch.setattr(trial, "Patches", lambda boxes, size: counts.append(len(boxes)) or Patches(boxes, size))
    with steady(network, "float32", gradients=False):
        found = trial.try_network(network, (3, 64, 64))
    assert counts[-1] == 11
    assert list(default_layers(found.results, dict(network.named_modules()))) == list(expected)


def test_with_as_many_channels_as_patches_a_pooled_vector_is_still_no_layer():
    assert offered(Pooler(), (64, 64)) == {"norm": (8, 8)}


@pytest.mark.parametrize(
    ("patch", "others", "size"),
    [
        ((8, 8), {"before": 1}, (32, 32)),
        ((8, 8), {"before": 60}, (32, 32)),
        ((8, 8), {"behind": 4}, (32, 32)),
        ((8, 8), {"amid": 1}, (32, 32)),
        ((8, 8), {"before": 9}, (32, 32)),
        ((8, 8), {"before": 1, "behind": 3}, (32, 32)),
        ((16, 8), {"before": 1}, (32, 32)),
        ((8, 8), {"before": 1}, (32, 64)),
        ((8, 8), {"behind": 2}, (64, 24)),
    ],
)
def test_tokens_lie_where_the_patches_do(patch, others, size):
    network = Tokens(patch, **others).eval()
    x = images(size)
    grid = (size[0] // patch[0], size[1] // patch[1])
    found = explain(network, x, ["activation"], ["drop"])["activation", "drop"][:, 0]
    np.testing.assert_allclose(found, network.patch(x).mean(1).detach(), atol=1e-5)
    assert found.shape[1:] == grid


def test_tokens_before_images_give_the_same_maps():
    network = SequenceFirst().eval()
    found = explain(network, images(), ["activation", "ablationcam", "gradcam"], ["norm"], [1])
    expected = network.norm(network.patch(images()).flatten(2).transpose(1, 2)).mean(2).detach()
    np.testing.assert_allclose(found["activation", "norm"][:, 0].reshape(2, 16), expected, atol=1e-6)
    assert found["ablationcam", "norm"].shape == (2, 1, 4, 4)


@pytest.mark.parametrize("size", [(64, 64), (128, 256), (64, 96)])
@pytest.mark.parametrize("channels", [16, 64])
def test_a_convolution_that_pools_one_axis_has_channels_first(size, channels):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, channels, 3, 1, 1), nn.ReLU(), nn.MaxPool2d((1, 4)))
    network = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)).eval()
    x = images(size, channels=1)
    found = explain(network, x, ["activation"], ["0"])["activation", "0"][:, 0]
    np.testing.assert_allclose(found, body(x).mean(1).detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("network", "layer", "found"),
    [
        (Tokens(), "attention.drop", "an attention matrix, 16 x 16 of a 4 x 4 window"),
        (Tokens(), "attention.k_norm", "rows and columns are not those of the image"),
        (Windows(), "softmax", "an attention matrix, 16 x 16 of a 4 x 4 window"),
        (Windows(), "q", "windows of 16 tokens of a 4 x 4 window in the batch"),
        (Mixer(), "act", "tokens are not rows of the image"),
        (Unrolled(), "block", "tokens are not rows of the image"),
        (Pooler(), "pooler", "shape (1, 64, 1)"),
        (Tokens(), "fc", "shape (1, 4)"),
    ],
)
def test_a_named_layer_without_places_is_refused_with_what_it_looks_like(network, layer, found):
    with pytest.raises(InputError) as raised:
        explain(network.eval(), images(), ["activation"], [layer])
    assert raised.value.subject == f"layer {layer}"
    assert found in raised.value.found
    assert "layers with places: " in raised.value.hint


def test_views_in_the_batch_are_refused_with_their_number():
    for methods in (["gradcam"], ["scorecam"]):
        with pytest.raises(InputError) as raised:
            explain(Views().eval(), images(channels=9), methods, ["body"])
        assert raised.value.expected == "one output for each image"
        assert raised.value.found.startswith("3 for each image")


def test_tokens_of_an_unknown_order_are_refused_with_the_grids_that_would_fit():
    with pytest.raises(InputError) as raised:
        explain(Unrolled().eval(), images(), ["activation"], ["block"])
    assert "64 tokens could be 8 x 8 (0 other)" in raised.value.hint


def test_grid_prefix_and_layout_are_taken_by_hand():
    network = Unrolled().eval()
    found = explain(network, images(), ["activation"], ["block"], grid=(4, 16))["activation", "block"]
    assert found.shape == (2, 1, 4, 16)
    network = Tokens(before=1).eval()
    by_hand = explain(network, images(), ["activation"], ["drop"], grid=(4, 4), prefix_tokens=1)
    np.testing.assert_array_equal(
        by_hand["activation", "drop"], explain(network, images(), ["activation"], ["drop"])["activation", "drop"]
    )
    last = explain(Windows().eval(), images(), ["activation"], ["norm"], layout="channels_last")
    assert last["activation", "norm"].shape == (2, 1, 8, 8)


@pytest.mark.parametrize("grid", [(2, 4), (2, 8)])
def test_a_grid_that_leaves_tokens_at_unknown_positions_is_refused(grid):
    with pytest.raises(InputError) as raised:
        explain(Tokens(before=1).eval(), images(), ["activation"], ["norm"], grid=grid)
    assert raised.value.found.startswith(f"{17 - grid[0] * grid[1]} tokens outside")
    assert "4 x 4 (1 other)" in raised.value.hint


@pytest.mark.parametrize("layout", ["tokens_first", "channels_first"])
def test_a_layout_that_the_output_does_not_have_is_refused(layout):
    with pytest.raises(InputError) as raised:
        explain(Tokens(before=1).eval(), images(), ["activation"], ["norm"], layout=layout)
    assert raised.value.subject == "layer norm"


def test_logits_that_are_not_finite_are_refused():
    network = Tokens().eval()
    torch.nn.init.constant_(network.fc.bias, float("nan"))
    with pytest.raises(InputError) as raised:
        explain(network, images(), ["activation"], ["norm"])
    assert raised.value.found == "NaN or infinity"


@pytest.mark.parametrize(
    ("given", "subject"),
    [({"grid": (4,)}, "grid"), ({"prefix_tokens": -1}, "prefix_tokens"), ({"layout": "NHWC"}, "layout")],
)
def test_hints_that_are_none_are_refused(given, subject):
    with pytest.raises(InputError) as raised:
        explain(Tokens().eval(), images(), ["activation"], ["drop"], **given)
    assert raised.value.subject == subject


def test_an_explanation_says_how_local_its_places_are():
    network = Tokens().eval()
    found = explain(network, images(), ["activation"], ["drop", "norm"])
    assert found.locality["drop"] == pytest.approx(1)
    assert 0.5 < found.locality["norm"] < 0.9999
