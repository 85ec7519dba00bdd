"""A map depends on weights and image alone; the network is left as it was found, also after an error."""

import copy
import gc

import numpy as np
import pytest
import torch
from torch import nn

from tests.cams.small import noise, small_network
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.networks.layers.steadiness import shielded

METHODS = ["cam", "gradcam", "layercam", "activation"]
LAYERS = ["stage1", "stage2", "stage3"]


@pytest.fixture
def network():
    return small_network()


@pytest.fixture
def expected(network):
    return explain(copy.deepcopy(network), noise(), METHODS, LAYERS)


def assert_same(found, expected, atol=0.0):
    for pair, maps in expected.maps.items():
        np.testing.assert_allclose(found[pair], maps, rtol=0, atol=atol)


def test_training_mode_changes_no_map_and_is_given_back(network, expected):
    network.train()
    network.stage2.eval()
    modes = [module.training for module in network.modules()]
    statistics = copy.deepcopy(dict(network.named_buffers()))
    assert_same(explain(network, noise(), METHODS, LAYERS), expected)
    assert [module.training for module in network.modules()] == modes
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, statistics[name])


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_gradients_switched_off_outside_change_no_map(network, expected, around):
    with around():
        assert_same(explain(network, noise(), METHODS, LAYERS), expected)


def test_a_network_and_images_made_in_inference_mode_give_the_same_maps(expected):
    with torch.inference_mode():
        made, images = copy.deepcopy(small_network()), noise()
    assert_same(explain(made, images, METHODS, LAYERS), expected)


def test_autocast_outside_changes_no_map(network, expected):
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(explain(network, noise(), METHODS, LAYERS), expected)


def test_frozen_layers_change_no_map_and_stay_as_they_were(network, expected):
    network.stage1.requires_grad_(False)
    before = [weight.requires_grad for weight in network.parameters()]
    assert_same(explain(network, noise(), METHODS, LAYERS), expected)
    assert [weight.requires_grad for weight in network.parameters()] == before
    assert all(weight.grad is None for weight in network.parameters())


def test_a_network_in_half_precision_is_computed_in_whole(network, expected):
    # The weights were rounded, and no more: the maps are those of the rounded weights in float32.
    halved = copy.deepcopy(network).half()
    found = explain(halved, noise(), METHODS, LAYERS)
    assert_same(found, explain(copy.deepcopy(halved).float(), noise(), METHODS, LAYERS))
    assert_same(found, expected, atol=2e-2)
    assert next(halved.parameters()).dtype is torch.float16


def test_in_place_activations_behind_a_layer_change_no_map(network):
    # Layer stage2.1 is a normalisation; the ReLU behind it writes over its output.
    found = explain(network, noise(), ["gradcam", "hirescam", "activation"], ["stage2.1", "stage2"])
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    expected = explain(network, noise(), ["gradcam", "hirescam", "activation"], ["stage2.1", "stage2"])
    assert_same(found, expected)
    assert (found["activation", "stage2.1"] < 0).any()


def hooks(network):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in network.modules())


def test_hooks_are_removed_after_use_and_after_an_error(network):
    explain(network, noise(), METHODS, LAYERS)
    assert hooks(network) == 0

    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken on purpose")

    network.head = Broken()
    network.train()
    with pytest.raises(ValueError, match="broken on purpose"):
        explain(network, noise(), ["gradcam"], LAYERS)
    assert hooks(network) == 0
    assert network.training and all(weight.requires_grad for weight in network.parameters())


def test_repeated_use_leaks_no_tensor(network):
    def tensors():
        gc.collect()
        return sum(type(thing) in (torch.Tensor, nn.Parameter) for thing in gc.get_objects())

    explain(network, noise(), [*METHODS, "scorecam", "ablationcam"], LAYERS)
    before = tensors()
    for _ in range(3):
        explain(network, noise(), [*METHODS, "scorecam", "ablationcam"], LAYERS, fast=True)
    assert tensors() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_in_an_image_is_refused(network, value):
    images = noise()
    images[1, 0, 3, 3] = value
    with pytest.raises(InputError, match=r"cam\.stage1: expected finite maps, found NaN or infinity"):
        explain(network, images, ["gradcam"], LAYERS)


def test_the_global_generator_is_left_alone(network):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    explain(network, noise(), METHODS, LAYERS, fast=True)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("before", [True, False])
def test_on_cuda_float32_is_no_tf32_inside_and_what_it_was_after(before, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
    with shielded("cpu", "float32", gradients=False):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 is before
