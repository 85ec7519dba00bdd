import pytest
import torch
from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.layered import LookNet


def small(depth: int = 3) -> LookNet:
    torch.manual_seed(0)
    return LookNet(3, width=4, depth=depth).eval()


def test_the_full_size_ends_in_256_maps_of_14_by_14_for_224_pixels():
    with torch.inference_mode():
        logits, maps = LookNet(2, width=32, depth=4).eval()(torch.zeros(1, 3, 224, 224), return_cam=True)
    assert logits.shape == (1, 2)
    assert maps.shape == (1, 256, 14, 14)


def test_each_block_halves_the_resolution_and_doubles_the_channels():
    maps = small().feature_maps(torch.zeros(2, 3, 32, 32))
    assert {layer: tuple(x.shape) for layer, x in maps.items()} == {
        "block1": (2, 4, 16, 16),
        "block2": (2, 8, 8, 8),
        "block3": (2, 16, 4, 4),
    }


def test_the_logits_are_the_classifier_on_the_maps_mean():
    network = small()
    logits, maps = network(torch.randn(2, 3, 32, 32), return_cam=True)
    weight, bias = network.classifier[-1].weight, network.classifier[-1].bias
    assert torch.allclose(logits, maps.mean((2, 3)) @ weight.T + bias)


def test_hooks_on_the_layer_modules_see_the_feature_maps():
    network, seen, images = small(), {}, torch.randn(2, 3, 32, 32)
    for layer, module in network.layer_modules().items():
        module.register_forward_hook(lambda _, __, output, layer=layer: seen.update({layer: output.clone()}))
    maps = network.feature_maps(images)
    assert list(seen) == list(network.layer_names)
    assert all(torch.equal(seen[layer], maps[layer]) for layer in maps)


def test_an_untrained_side_head_has_zero_logits():
    logits = small().layer_logits(torch.randn(2, 3, 32, 32))
    assert list(logits) == ["block1", "block2", "block3"]
    assert not logits["block1"].any()
    assert not logits["block2"].any()


def test_each_layers_logits_are_those_of_its_own_head():
    network, images = small(), torch.randn(2, 3, 32, 32)
    for head in network.heads.values():
        nn.init.normal_(head.weight)
    maps, logits = network.feature_maps(images), network.layer_logits(images)
    for layer, head in network.heads.items():
        assert torch.allclose(logits[layer], head(maps[layer].mean((2, 3))))


def test_only_the_requested_layers_give_logits():
    assert list(small().layer_logits(torch.zeros(1, 3, 16, 16), ("block2",))) == ["block2"]


def test_a_map_cell_is_centred_on_its_receptive_field():
    """A mirrored image gives mirrored maps, if the convolutions are mirrored too: nothing is set off."""
    network, images = small(), torch.randn(1, 3, 32, 32)
    mirrored = small()
    for module in mirrored.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    _, maps = network(images, return_cam=True)
    _, others = mirrored(images.flip(3), return_cam=True)
    assert torch.allclose(maps, others.flip(3), atol=1e-6)


def test_away_from_the_border_maps_move_with_the_image_by_whole_strides():
    network, images = small(), torch.randn(1, 3, 96, 96)
    _, maps = network(images, return_cam=True)
    _, moved = network(images.roll(16, dims=3), return_cam=True)
    assert torch.allclose(moved[..., 5:-3], maps[..., 3:-5], atol=1e-6)


@pytest.mark.parametrize("arguments", [{}, {"width": 4}, {"width": 4, "depth": 0}, {"width": 4, "depth": 2, "x": 1}])
def test_looknet_refuses_other_arguments(arguments: dict):
    with pytest.raises(InputError, match="expected positive integers width and depth"):
        build_network("looknet", 2, arguments)


def test_no_output_is_refused():
    with pytest.raises(InputError, match="expected at least one output, found 0"):
        build_network("looknet", 0, {"width": 4, "depth": 2})
