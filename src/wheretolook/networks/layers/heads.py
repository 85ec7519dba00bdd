"""A layer, ready to be captured, and pooled linear heads: where a logit is linear in a layer, found by trying."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from wheretolook.networks.layered import hooked
from wheretolook.networks.layers.layout import TOLERANCE, Layout, Order, same_but_for_rounding


@dataclass(frozen=True)
class PooledHead:
    """A linear head on the spatial mean of a layer's feature maps.

    Attributes:
        weight: (K, C) float32.
        bias: (K,) float32, zeros where the head has none.
        rectified: the head pools the positive part of the feature maps (a ReLU that is no module, as in densenet).
        final: its logits are the network's own.
        certain: for every image, by the network's making, and not only for those of a trial.
    """

    weight: Tensor
    bias: Tensor
    rectified: bool
    final: bool
    certain: bool = False

    def pooled(self, feature_maps: Tensor) -> Tensor:
        """The feature maps (N, C, h, w) that the head pools: the layer's own, or their positive part."""
        return feature_maps.relu() if self.rectified else feature_maps

    def logits(self, feature_maps: Tensor) -> Tensor:
        """Logits (N, K) of the layer's feature maps (N, C, h, w), at least float32."""
        means = self.means(feature_maps)
        return torch.nn.functional.linear(means, self.weight.to(means), self.bias.to(means))

    def means(self, feature_maps: Tensor) -> Tensor:
        """Spatial means (N, C) of what the head pools, at least float32."""
        dtype = torch.promote_types(feature_maps.dtype, torch.float32)
        return self.pooled(feature_maps).mean((2, 3), dtype=dtype)

    def holds(self, feature_maps: Tensor, logits: Tensor, tolerance: float = TOLERANCE) -> bool:
        """Whether the network's own logits (N, K) are those of the head. What is not finite is none of its matter.

        Args:
            feature_maps: (N, C, h, w), of a head that is final.
            logits: (N, K).
            tolerance: as a part of what is summed up to each logit: rounding goes by it, not by what is left of it.
        """
        means = self.means(feature_maps)
        summands = torch.nn.functional.linear(means.abs(), self.weight.abs().to(means), self.bias.abs().to(means))
        return not bool(((self.logits(feature_maps) - logits).abs() > tolerance * summands).any())

    def class_weights(self, class_index: Tensor | None, count: int) -> Tensor:
        """Weights (N, C) of a class of each of `count` images (N,); None: the mean over all classes."""
        if class_index is None:
            return self.weight.mean(0).expand(count, -1)
        return self.weight[class_index]

    def gradients(self, feature_maps: Tensor, class_index: Tensor | None) -> Tensor:
        """Gradient of the explained logits by the feature maps, without a backward pass: (N, C, h, w), a view.

        Args:
            feature_maps: (N, C, h, w), of a head that is not rectified.
            class_index: (N,); None: of the mean of all logits.
        """
        h, w = feature_maps.shape[2:]
        gradients = self.class_weights(class_index, len(feature_maps)) / (h * w)  # (N, C)
        return gradients[:, :, None, None].expand(-1, -1, h, w)


@dataclass(frozen=True)
class Layer:
    """One layer of one network, ready to be captured.

    Attributes:
        name: as users write it.
        module: its output is the layer's.
        layout: how that output lies in memory.
        altered: a later layer writes over the output, so that it must be given a copy.
        places: (h, w) of its feature maps, for images of the size that was tried.
        head: the trained pooled linear head on it, if there is one.
        locality: share of its response to a small patch of the image that lies at the patch, 0 to 1; None for a network
            of the project, whose layers are known.
        tokens: how a transformer's tokens (N, tokens, C) make up its feature maps, if they do: its layout, or, in a
            network of the project, the layout of what the layer converts to feature maps.
    """

    name: str
    module: nn.Module
    layout: Layout
    altered: bool
    places: tuple[int, int]
    head: PooledHead | None
    locality: float | None = None
    tokens: Layout | None = None

    @property
    def linear(self) -> bool:
        """Whether the network's logits are linear in the layer, so that their gradients are known beforehand."""
        return self.head is not None and self.head.final and not self.head.rectified

    @property
    def token_layout(self) -> Layout:
        """Layout of values (N, tokens, C) of its tokens.

        Raises:
            RuntimeError: its feature maps are no tokens.
        """
        if self.tokens is None:
            raise RuntimeError(f"{self.name} is no layer of tokens")
        return replace(self.tokens, order=Order.TOKENS)


def linear_head(linear: nn.Linear, rectified: bool, final: bool) -> PooledHead:
    """The head that a linear layer is."""
    weight = linear.weight.detach()
    weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach().to(weight)
    return PooledHead(weight, bias, rectified, final)


@contextmanager
def noting_linear(network: nn.Module) -> Iterator[list[tuple[nn.Linear, Tensor, Tensor]]]:
    """Note each linear layer that runs inside the `with` on (N, C), with its input and its output."""
    noted: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Linear) and inputs and inputs[0].ndim == 2:
            # Copies: a network may write over both, as with `logits /= temperature`.
            noted.append((module, inputs[0].clone(), output.clone()))

    with hooked((module, note) for module in network.modules() if isinstance(module, nn.Linear)):
        yield noted


def ends_in(linears: list[tuple[nn.Linear, Tensor, Tensor]], logits: Tensor) -> list[tuple[nn.Linear, Tensor]]:
    """The linear layers, as noted, whose output the logits are, each with its input (N, C)."""
    same = partial(torch.allclose, logits, rtol=0, atol=0, equal_nan=True)  # NaN is reported later, with its image
    return [(linear, given.detach()) for linear, given, found in linears if found.shape == logits.shape and same(found)]


def find_head(linears: list[tuple[nn.Linear, Tensor]], feature_maps: Tensor) -> PooledHead | None:
    """The head that pools these feature maps, if one does: then mean of the CAM + bias = logit, tried on these.

    Args:
        linears: those that end in the network's logits, with what they were given.
        feature_maps: (N, C, h, w) of the layer, from the same images.
    """
    for linear, given in linears:
        for rectified in (False, True):
            head = linear_head(linear, rectified, final=True)
            means = head.means(feature_maps)
            # The logits alone would not do: a classifier that starts at zero fits any feature maps.
            if (
                means.shape == given.shape
                and same_but_for_rounding(means, given)
                and head.holds(feature_maps, linear(given))
            ):
                return head
    return None
