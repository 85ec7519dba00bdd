"""LeGrad and attention rollout: by hand, against torchcam, and on networks that hide their attention weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchcam.methods import LeGrad
from torchvision.models import VisionTransformer

from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.cams.methods.attention import capture_attention, find_blocks, legrad, rollout
from wheretolook.networks.layered import Network
from wheretolook.networks.module_network import LayerSpec, ModuleNetwork
from wheretolook.networks.torchvision_families import FAMILIES
from wheretolook.networks.torchvision_networks import TorchvisionNetwork

BOTH = ["legrad", "rollout"]


def torchvision_vit(**options: int) -> nn.Module:
    torch.manual_seed(0)
    network = VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=3, **options).eval()
    nn.init.normal_(network.heads.head.weight)  # zero at first
    return network


def images() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def only(found: dict[tuple[str, str], np.ndarray], method: str) -> np.ndarray:
    """The maps of a method, which has one layer."""
    (maps,) = [values for (name, _), values in found.items() if name == method]
    return maps


class Small(nn.Module):
    """A transformer of two blocks with attention written out or fused; one 2 x 2 grid of patches and a class token."""

    class Block(nn.Module):
        def __init__(self, fused: bool, class_token: bool):
            super().__init__()
            self.qkv, self.mlp, self.fused = nn.Linear(8, 24), nn.Linear(8, 8), fused

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = (part.unflatten(2, (2, 4)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            if self.fused:
                mixed = functional.scaled_dot_product_attention(q, k, v)
            else:
                mixed = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
            x = x + mixed.transpose(1, 2).flatten(2)
            return x + self.mlp(x).tanh()

    def __init__(self, fused: bool, class_token: bool = True):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 8)) if class_token else None
        self.place = nn.Parameter(torch.randn(1, 16, 8))
        self.blocks = nn.Sequential(*(self.Block(fused, class_token) for _ in range(2)))
        self.head = nn.Linear(8, 3)

    def tokens(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.place
        return tokens if self.token is None else torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)

    def read(self, tokens: Tensor) -> Tensor:
        return self.head(tokens.mean(1) if self.token is None else tokens[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.blocks(self.tokens(x)))


def by_hand(network: Small, x: Tensor, explained: int) -> tuple[np.ndarray, np.ndarray]:
    """LeGrad and rollout of a `Small`, each block run by itself with a free attention matrix."""
    tokens, maps, product = network.tokens(x).detach(), [], torch.eye(16 + (network.token is not None))
    for block in network.blocks:
        q, k, v = (part.unflatten(2, (2, 4)).transpose(1, 2) for part in block.qkv(tokens).chunk(3, -1))
        weights = (q @ k.transpose(-2, -1) / 2).softmax(-1).detach().requires_grad_()
        after = tokens + (weights @ v).transpose(1, 2).flatten(2)
        after = after + block.mlp(after).tanh()
        (gradient,) = torch.autograd.grad(network.read(after)[:, explained].sum(), weights)
        maps.append(gradient.clamp(min=0).mean((1, 2)))
        product = (weights.mean(1) / 2 + torch.eye(len(product[-1])) / 2).detach() @ product
        tokens = after.detach()
    shares = product.mean(1) if network.token is None else product[:, 0]
    return tuple(each[:, -16:].reshape(-1, 4, 4).numpy() for each in (sum(maps) / 2, shares))


def test_legrad_is_the_mean_positive_gradient_over_blocks_heads_and_queries():
    first = torch.tensor([[[[1.0, -1.0], [3.0, 2.0]], [[0.0, 4.0], [-2.0, 0.0]]]])  # two heads, two tokens
    assert legrad([first, -first]).tolist() == [[(4 / 4 + 2 / 4) / 2, (6 / 4 + 1 / 4) / 2]]


def test_rollout_multiplies_attention_with_the_skipped_part():
    first, second = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]]), torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    # A' are [[3/4, 1/4], [0, 1]] and [[1/2, 1/2], [1/2, 1/2]]: both rows of the product are [3/8, 5/8].
    assert rollout([first, second]).tolist() == [[0.375, 0.625]]
    assert rollout([first], class_token=False).tolist() == [[0.375, 0.625]]


@pytest.mark.parametrize("class_token", [True, False], ids=["class token", "pooled"])
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "written out"])
def test_both_methods_are_those_of_blocks_run_one_by_one(fused: bool, class_token: bool):
    network, x = Small(fused, class_token).eval(), images()
    found = explain(network, x, BOTH, classes=[0, 2])
    for k, explained in enumerate((0, 2)):
        expected = by_hand(network, x, explained)
        np.testing.assert_allclose(only(found, "legrad")[:, k], expected[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(only(found, "rollout")[:, 0], expected[1], rtol=1e-5)


@pytest.mark.parametrize("read", ["class token", "mean"])
def test_legrad_is_torchcams_with_the_networks_own_readout(read: str):
    network, x = torchvision_vit(), images()
    project: Callable[[Tensor], Tensor] = lambda tokens: network.heads(network.encoder.ln(tokens)[:, 0])  # noqa: E731
    with LeGrad(
        network, [*network.encoder.layers], score_projection=project if read == "class token" else None
    ) as peer:
        logits = network(x)
        expected = peer([1, 2], logits, normalized=False)[0].detach().numpy()
    found = explain(network, x, ["legrad"], targets=[1, 2])
    maps = only(found, "legrad")[:, 0]
    same = np.allclose(maps, expected, rtol=1e-3, atol=1e-6 * float(expected.max()))
    assert same == (read == "class token")


def test_other_maps_and_logits_stay_the_same_beside_attention_methods():
    network, x = torchvision_vit(), images()
    layers = [f"encoder.layers.encoder_layer_{number}" for number in range(2)] + ["encoder.layers.encoder_layer_2.ln_1"]
    alone = explain(network, x, ["gradcam", "activation"], layers)
    beside = explain(network, x, ["gradcam", "activation", *BOTH], layers)
    np.testing.assert_allclose(beside.logits, alone.logits, rtol=1e-5, atol=1e-6)
    for pair, maps in alone.items():
        np.testing.assert_allclose(beside[pair], maps, rtol=1e-4, atol=1e-6)
    again = explain(network, x, ["gradcam", "activation"], layers)
    for pair, maps in alone.items():
        np.testing.assert_array_equal(again[pair], maps)  # neither hook nor mode is left


def test_shares_of_a_row_are_at_most_one_and_the_same_for_every_class():
    found = only(explain(torchvision_vit(), images(), ["rollout"]), "rollout")
    assert found.shape == (2, 1, 4, 4)
    assert (found > 0).all() and (found.sum((1, 2, 3)) < 1).all()


@pytest.mark.parametrize("method", BOTH)
def test_a_network_without_attention_is_refused_by_name(method: str):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(InputError) as error:
        explain(network, images(), [method])
    assert error.value.subject == method


def test_hooks_are_removed_after_an_error():
    network = torchvision_vit()
    blocks = find_blocks(network, (3, 32, 32))
    with pytest.raises(AssertionError), capture_attention(network, blocks, read_each=True):
        network(torch.zeros(1, 3, 16, 16))
    assert len(network(images())) == 2
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit3_small_patch16_224", "vit_small_patch16_rope_224"])
def test_timms_transformers_have_maps_of_finite_values(name: str):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    options = {"depth": 2, "embed_dim": 48, "num_heads": 3, "num_classes": 3, "img_size": 64}
    network = timm.create_model(name, **options).eval()
    found = explain(network, torch.randn(1, 3, 64, 64), BOTH)
    assert only(found, "legrad").shape == (1, 3, 4, 4)
    assert (only(found, "rollout") > 0).all()


def of_torchvision(body: nn.Module) -> Network:
    cut = FAMILIES["vit"].cut(body)
    return TorchvisionNetwork(body, FAMILIES["vit"], cut, dict.fromkeys(cut, 16), 3).eval()


def wrapped(body: nn.Module) -> Network:
    return ModuleNetwork(body, [LayerSpec("blocks.0", 8, "1+4x4" if body.token is not None else "0+4x4", False)], "", 3)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("body", "wrap"),
    [
        (torchvision_vit(), of_torchvision),
        (Small(fused=True), wrapped),
        (Small(fused=False, class_token=False), wrapped),
    ],
    ids=["torchvision", "own, fused", "own, pooled"],
)
def test_a_trained_transformer_has_the_maps_of_the_bare_one(body: nn.Module, wrap: Callable, fast: bool):
    """Networks of model files show their layers as (N, C, h, w), and no longer as tokens."""
    bare = explain(body.eval(), images(), BOTH)
    found = explain(wrap(body).eval(), images(), [*BOTH, "gradcam"], fast=fast)
    for method in BOTH:
        np.testing.assert_allclose(only(found, method), only(bare, method), rtol=1e-4, atol=1e-7)
    assert [layer for method, layer in found if method == "legrad"] == [list(found)[-1][1]]
