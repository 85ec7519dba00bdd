"""No network gives a map of other places in silence: what a moved patch changes lies where the patch is."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.layers.odd_networks import EXPLAINED, REFUSED, SIZE, quantised
from wheretolook.base.errors import InputError
from wheretolook.cams.engine import build_engine
from wheretolook.cams.explain import explain
from wheretolook.networks.layers.layout import to_maps

# Corners of a patch of PATCH pixels, on a grid of three by three that no cell's border divides.
PATCH, CORNERS = 8, [(y, x) for y in (8, 32, 48) for x in (8, 24, 48)]


def moved_patch(channels: int) -> Tensor:
    """An image of noise, and copies of it with a patch at each corner, (1 + 9, C, H, W)."""
    generator = torch.Generator().manual_seed(21)
    images = torch.randn(1, channels, SIZE, SIZE, generator=generator).repeat(1 + len(CORNERS), 1, 1, 1)
    patch = 4 * torch.randn(channels, PATCH, PATCH, generator=generator)
    for image, (y, x) in zip(images[1:], CORNERS, strict=True):
        image[:, y : y + PATCH, x : x + PATCH] = patch
    return images


def changes(network: nn.Module) -> dict[str, np.ndarray]:
    """How much each cell of each default layer changes with each patch, (9, h, w)."""
    engine = build_engine(network, ["activation"], None, (SIZE, SIZE))
    kept: dict[str, Tensor] = {}
    hooks = [
        layer.module.register_forward_hook(lambda m, i, output, layer=layer: kept.update({layer.name: output.clone()}))
        for layer in engine.layers
    ]
    with torch.no_grad():
        engine.network(moved_patch(3))
    for hook in hooks:
        hook.remove()
    maps = {layer.name: to_maps(kept[layer.name], layer.layout) for layer in engine.layers}
    return {name: (each[1:] - each[:1]).square().sum(1).sqrt().numpy() for name, each in maps.items()}


def hits(change: np.ndarray) -> int:
    """Patches whose largest change (9, h, w), beyond the mean change, lies within a cell of the patch."""
    change = change - change.mean(0)
    h, w = change.shape[1:]
    found = 0
    for (y, x), each in zip(CORNERS, change, strict=True):
        row, column = divmod(int(each.argmax()), w)
        away_y = abs((row + 0.5) / h - (y + PATCH / 2) / SIZE) - PATCH / 2 / SIZE
        away_x = abs((column + 0.5) / w - (x + PATCH / 2) / SIZE) - PATCH / 2 / SIZE
        found += away_y <= 1 / h + 1e-6 and away_x <= 1 / w + 1e-6
    return found


@pytest.mark.parametrize("name", EXPLAINED)
@pytest.mark.filterwarnings("ignore::wheretolook.networks.layers.outputs.NotLogitsWarning")
def test_default_layers_show_a_patch_where_it_is(name: str) -> None:
    found = changes(EXPLAINED[name]().eval())
    assert found
    assert [layer for layer, change in found.items() if hits(change) < 7] == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_network_without_such_layers_is_refused(name: str) -> None:
    network = REFUSED[name]().eval()
    with pytest.raises(InputError) as raised:
        explain(network, moved_patch(9 if name == "views in the batch" else 3), ["activation"], classes=[0])
    assert raised.value.hint


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamic_quantisation_is_explained_or_refused() -> None:
    network: nn.Module = quantised()
    try:
        found = changes(network)
    except InputError as error:
        assert error.hint
    else:
        assert all(hits(change) >= 7 for change in found.values())


@pytest.mark.parametrize("name", ["transpose", "flip", "crop", "warp, enlarged", "halves as channels", "jigsaw"])
def test_a_named_layer_whose_places_are_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InputError) as raised:
        explain(EXPLAINED[name]().eval(), moved_patch(3), ["activation"], ["stage"], [0])
    assert raised.value.subject == "layer stage"
    assert "layers with places: " in raised.value.hint
