"""How each family of torchvision's classification networks is split into layers: a new family is one entry at the end.

Modules are looked up by name at each use, so that replaced modules (folded, quantised) take effect.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.networks.layered import pool

# Side in pixels of the image whose resolution in each module shows where the stages of a network end.
PROBE = 64
# A network of torchvision. Not `nn.Module`, whose attributes have the type `Tensor | Module`.
Body = Any


@dataclass(frozen=True)
class Family:
    """The forward pass of a family, from images through its layers to logits.

    Attributes:
        cut: names of the modules that lead to each layer, first to last.
        classify: logits from the output of the last layer.
        classifier: name of the module that follows global average pooling; empty if there is none.
        start: input of the first module, from images; None for the images themselves.
        view: creates the module that converts a layer's output to feature maps (N, C, h, w).
        rejoin: converts feature maps back to the layer's output, given that output.
        last_view: `view` of the last layer, if it differs.
    """

    cut: Callable[[Body], dict[str, list[str]]]
    classify: Callable[[Body, Tensor], Tensor]
    classifier: str = ""
    start: Callable[[Body, Tensor], Tensor] | None = None
    view: Callable[[], nn.Module] = nn.Identity
    rejoin: Callable[[Tensor, Tensor], Tensor] = lambda maps, flow: maps
    last_view: Callable[[], nn.Module] | None = None

    def final_head(self, body: Body) -> nn.Linear | None:
        """The linear layer on pooled feature maps, with only dropout in between; None if there is none."""
        if not self.classifier:
            return None
        module = body.get_submodule(self.classifier)
        *before, last = module if isinstance(module, nn.Sequential) else [module]
        return last if isinstance(last, nn.Linear) and all(isinstance(m, nn.Dropout) for m in before) else None


class ChannelsFirst(nn.Module):
    """Feature maps (N, h, w, C) as (N, C, h, w)."""

    def forward(self, flow: Tensor) -> Tensor:
        """Move the channels to the front."""
        return flow.permute(0, 3, 1, 2)


class TokenGrid(nn.Module):
    """Tokens (N, 1 + h w, C), the class token first, as feature maps (N, C, h, w) without it."""

    def forward(self, flow: Tensor) -> Tensor:
        """Remove the class token and arrange the others in a grid; the image is square."""
        count, tokens, channels = flow.shape
        side = math.isqrt(tokens - 1)
        return flow[:, 1:].transpose(1, 2).reshape(count, channels, side, side)


def _listed(layers: dict[str, str]) -> Callable[[Body], dict[str, list[str]]]:
    """Layers with fixed module names, separated by spaces."""
    return lambda body: {layer: names.split() for layer, names in layers.items()}


def _by_resolution(to_side: int, after: str = "") -> Callable[[Body], dict[str, list[str]]]:
    """Stages of `features`, each of one resolution, found with an image of 64 pixels.

    Args:
        to_side: the dimension of the output that is a side of the maps.
        after: a module after `features` that belongs to the last stage.
    """

    def cut(body: Body) -> dict[str, list[str]]:
        names, sides, flow = [], [], torch.empty(1, 3, PROBE, PROBE, device=next(body.parameters()).device)
        for name, module in body.features.named_children():
            flow = module(flow)
            names.append(f"features.{name}")
            sides.append(flow.shape[to_side])
        ends = [i + 1 for i in range(len(sides)) if i + 1 == len(sides) or sides[i + 1] != sides[i]]
        starts = [0, *ends]
        stages = {f"stage{n + 1}": names[starts[n] : end] for n, end in enumerate(ends)}
        stages[f"stage{len(ends)}"] += after.split()
        return stages

    return cut


def _before_pools(body: Body) -> dict[str, list[str]]:
    """Blocks of `features`, each up to the next max pooling, which belongs to the following block."""
    blocks: list[list[str]] = [[]]
    for name, module in body.features.named_children():
        if isinstance(module, nn.MaxPool2d):
            blocks.append([])
        blocks[-1].append(f"features.{name}")
    # The last block is only the last pooling, which belongs to the classifier.
    return {f"block{n + 1}": names for n, names in enumerate(blocks[:-1])}


def _encoder_blocks(body: Body) -> dict[str, list[str]]:
    """Blocks of the encoder, without the last: no logit depends on its patch tokens, only on its class token."""
    names = [name for name, _ in body.encoder.layers.named_children()]
    return {name: [f"encoder.layers.{name}"] for name in names[:-1]}


def _pooled(classifier: str) -> Callable[[Body, Tensor], Tensor]:
    return lambda body, maps: body.get_submodule(classifier)(pool(maps))


def _classify_squeezenet(body: Body, maps: Tensor) -> Tensor:
    # A convolution to one map per class, ReLU, and the mean: deterministic, since pooling to 1 x 1 is a plain mean.
    return body.classifier(maps).flatten(1)


def _classify_vgg(body: Body, maps: Tensor) -> Tensor:
    pooled = body.features[-1](maps)
    return body.classifier(_adaptive_average(pooled, body.avgpool.output_size[0]).flatten(1))


def _classify_convnext(body: Body, maps: Tensor) -> Tensor:
    return body.classifier(pool(maps)[:, :, None, None])


def _classify_swin(body: Body, flow: Tensor) -> Tensor:
    return body.head(flow.mean((1, 2)))


def _classify_vit(body: Body, tokens: Tensor) -> Tensor:
    return body.heads(body.encoder.ln(body.encoder.layers[-1](tokens))[:, 0])


def _embed_patches(body: Body, images: Tensor) -> Tensor:
    patches = body.conv_proj(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([body.class_token.expand(len(patches), -1, -1), patches], dim=1)
    return body.encoder.dropout(tokens + body.encoder.pos_embedding)


def _rejoin_class_token(maps: Tensor, tokens: Tensor) -> Tensor:
    return torch.cat([tokens[:, :1], maps.flatten(2).transpose(1, 2)], dim=1)


def _adaptive_average(maps: Tensor, side: int) -> Tensor:
    """Adaptive average pooling to side x side, as matrix products: PyTorch's is not deterministic on CUDA."""
    if maps.shape[2:] == (side, side):
        return maps
    down, across = (_averages(size, side).to(maps) for size in maps.shape[2:])
    return down @ maps @ across.T


def _averages(size: int, side: int) -> Tensor:
    """(side, size): row i averages positions floor(i size / side) to ceil((i + 1) size / side) - 1."""
    weights = torch.zeros(side, size)
    for i in range(side):
        first, end = i * size // side, -(-(i + 1) * size // side)
        weights[i, first:end] = 1 / (end - first)
    return weights


_RESNET = Family(
    _listed({"layer1": "conv1 bn1 relu maxpool layer1", "layer2": "layer2", "layer3": "layer3", "layer4": "layer4"}),
    _pooled("fc"),
    classifier="fc",
)
_REGNET = Family(
    _listed({"block1": "stem trunk_output.block1"} | {f"block{n}": f"trunk_output.block{n}" for n in (2, 3, 4)}),
    _pooled("fc"),
    classifier="fc",
)
_DENSENET = Family(
    _listed(
        {
            "denseblock1": "features.conv0 features.norm0 features.relu0 features.pool0 features.denseblock1",
            "denseblock2": "features.transition1 features.denseblock2",
            "denseblock3": "features.transition2 features.denseblock3",
            "denseblock4": "features.transition3 features.denseblock4 features.norm5",
        }
    ),
    _pooled("classifier"),
    classifier="classifier",
    # The last ReLU is a function, not a module.
    last_view=nn.ReLU,
)
_SHUFFLENET = Family(
    _listed({"stage2": "conv1 maxpool stage2", "stage3": "stage3", "stage4": "stage4 conv5"}),
    _pooled("fc"),
    classifier="fc",
)
_VGG = Family(_before_pools, _classify_vgg)
_FEATURES = Family(_by_resolution(to_side=2), _pooled("classifier"), classifier="classifier")

# By prefix of the network's name.
FAMILIES = {
    "resnet": _RESNET,
    "resnext": _RESNET,
    "wide_resnet": _RESNET,
    "regnet": _REGNET,
    "densenet": _DENSENET,
    "mobilenet": _FEATURES,
    "efficientnet": _FEATURES,
    "convnext": Family(_by_resolution(to_side=2), _classify_convnext),
    "vgg": _VGG,
    "alexnet": _VGG,
    "squeezenet": Family(_by_resolution(to_side=2), _classify_squeezenet),
    "shufflenet": _SHUFFLENET,
    "swin": Family(
        _by_resolution(to_side=1, after="norm"),
        _classify_swin,
        classifier="head",
        view=ChannelsFirst,
        rejoin=lambda maps, flow: maps.permute(0, 2, 3, 1),
    ),
    "vit": Family(_encoder_blocks, _classify_vit, start=_embed_patches, view=TokenGrid, rejoin=_rejoin_class_token),
}
