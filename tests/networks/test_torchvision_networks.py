from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.networks.small import ALONE, OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import build_network, load_model, save_model
from wheretolook.networks.torchvision_families import _adaptive_average
from wheretolook.networks.torchvision_networks import TorchvisionNetwork

# Of an image of 64 pixels: the layers, and what the last one is.
EXPECTED = {
    "resnet18": (["layer1", "layer2", "layer3", "layer4"], (512, 2, 2)),
    "vgg11": (["block1", "block2", "block3", "block4", "block5"], (512, 4, 4)),
    "mobilenet_v2": (["stage1", "stage2", "stage3", "stage4", "stage5"], (1280, 2, 2)),
    "mobilenet_v3_small": (["stage1", "stage2", "stage3", "stage4", "stage5"], (576, 2, 2)),
    "efficientnet_b0": (["stage1", "stage2", "stage3", "stage4", "stage5"], (1280, 2, 2)),
    "convnext_tiny": (["stage1", "stage2", "stage3", "stage4"], (768, 2, 2)),
    "densenet121": (["denseblock1", "denseblock2", "denseblock3", "denseblock4"], (1024, 2, 2)),
    "regnet_y_400mf": (["block1", "block2", "block3", "block4"], (440, 2, 2)),
    "swin_t": (["stage1", "stage2", "stage3", "stage4"], (768, 2, 2)),
    "alexnet": (["block1", "block2", "block3"], (256, 3, 3)),
    "squeezenet1_1": (["stage1", "stage2", "stage3", "stage4"], (512, 3, 3)),
    "shufflenet_v2_x0_5": (["stage2", "stage3", "stage4"], (1024, 2, 2)),
    "vit_b_32": ([f"encoder_layer_{n}" for n in range(11)], (768, 2, 2)),
}
WITHOUT_POOLED_LINEAR_HEAD = {"vgg11", "alexnet", "squeezenet1_1", "mobilenet_v3_small", "convnext_tiny", "vit_b_32"}
# Their own first weights take seconds to draw; they have nothing in their state but weights.
LARGE = {"vgg11", "alexnet", "vit_b_32", "convnext_tiny"}
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=EXPECTED)
def named(request: pytest.FixtureRequest) -> tuple[str, TorchvisionNetwork]:
    name = request.param
    arguments = {"image_size": 64} if name.startswith("vit") else {}
    torch.manual_seed(0)
    if name in LARGE:
        with torch.device("meta"):
            network = build_network(name, 3, arguments)
        network.to_empty(device="cpu")
        for parameter in network.parameters():
            nn.init.uniform_(parameter, -0.05, 0.05)
    else:
        network = build_network(name, 3, arguments)
    return name, network.eval()


def test_a_network_of_each_family_is_run_layer_by_layer(named: tuple[str, TorchvisionNetwork]):
    """One pass shows it all: torchvision's own logits, the named layers, hooks that see them, gradients at each."""
    name, network = named
    seen: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, layer=layer: seen.update({layer: output}))
        for layer, module in network.layer_modules().items()
    ]
    maps, logits = network.trace(IMAGES)
    for hook in hooks:
        hook.remove()
    layers, last = EXPECTED[name]
    assert list(network.layer_names) == list(maps) == layers
    assert tuple(maps[layers[-1]].shape[1:]) == last
    assert all(seen[layer] is maps[layer] for layer in layers)
    with torch.no_grad():
        assert torch.allclose(logits, network.body(IMAGES), atol=1e-6)
    gradients = torch.autograd.grad(logits[:, 0].sum(), list(maps.values()))
    assert all(gradient.any() for gradient in gradients)


def test_every_layer_but_the_last_has_a_head_that_fits(named: tuple[str, TorchvisionNetwork]):
    name, network = named
    with torch.inference_mode():
        logits = network.layer_logits(IMAGES)
    assert {layer: tuple(x.shape) for layer, x in logits.items()} == dict.fromkeys(EXPECTED[name][0], (2, 3))


def test_a_final_head_is_given_only_where_it_is_linear_on_pooled_maps(named: tuple[str, TorchvisionNetwork]):
    name, network = named
    head = network.final_head()
    assert (head is None) == (name in WITHOUT_POOLED_LINEAR_HEAD)
    assert (network.layer_names[-1] in network.heads) == (head is not None)
    if head is not None:
        with torch.inference_mode():
            logits, maps = network(IMAGES, return_cam=True)
            assert torch.allclose(head(maps.mean((2, 3))), logits, atol=1e-6)


@pytest.mark.parametrize("size", [3, 7, 10, 14])
def test_adaptive_averages_are_pytorchs(size: int):
    maps = torch.randn(2, 3, size, size)
    assert torch.allclose(_adaptive_average(maps, 7), functional.adaptive_avg_pool2d(maps, 7), atol=1e-6)


@pytest.mark.parametrize("architecture", ["resnet18", "regnet_y_400mf"])
def test_a_training_gives_a_file_that_comes_back(architecture: str, tmp_path: Path):
    options = replace(OPTIONS, architecture=architecture, loss="every", epochs=1)
    network, card = train(prepared(16, size=32), options)
    save_model(tmp_path / "x.safetensors", network, card)
    loaded, _ = load_model(tmp_path / "x.safetensors", ALONE.device)
    assert card.trained_heads == network.layer_names
    assert all(head.weight.any() for head in network.heads.values())
    with torch.inference_mode():
        # Trained in channels-last memory, loaded in PyTorch's own: convolutions round in another order.
        assert torch.allclose(loaded(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet19", "googlenet", "", "fcn_resnet50"])
def test_an_unknown_network_is_refused_with_those_that_are_known(name: str):
    with pytest.raises(InputError, match=f'architecture "{name}": expected looknet, or .* resnet18, '):
        build_network(name, 2, {})


@pytest.mark.parametrize(("name", "arguments"), [("resnet18", {"width": 4}), ("vit_b_32", {"image_size": 112})])
def test_arguments_that_torchvision_refuses_are_refused(name: str, arguments: dict):
    with pytest.raises(InputError, match=f"{name}: expected arguments that torchvision accepts"):
        build_network(name, 2, arguments)
