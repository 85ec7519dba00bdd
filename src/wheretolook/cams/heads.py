"""Pooled linear heads: where a logit is linear in a layer's feature maps, found out by trying."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PooledHead:
    """A linear head on the spatial mean of a layer's feature maps.

    Attributes:
        weight: (K, C) float32.
        bias: (K,) float32, zeros where the head has none.
        rectified: the head pools the positive part of the feature maps (a ReLU that is no module, as in densenet).
        final: its logits are the network's own.
    """

    weight: Tensor
    bias: Tensor
    rectified: bool
    final: bool

    def pooled(self, feature_maps: Tensor) -> Tensor:
        """The feature maps (N, C, h, w) that the head pools: the layer's own, or their positive part."""
        return feature_maps.relu() if self.rectified else feature_maps

    def logits(self, feature_maps: Tensor) -> Tensor:
        """Logits (N, K) of the layer's feature maps (N, C, h, w), at least float32."""
        dtype = torch.promote_types(feature_maps.dtype, torch.float32)
        pooled = self.pooled(feature_maps).mean((2, 3), dtype=dtype)
        return torch.nn.functional.linear(pooled, self.weight.to(dtype), self.bias.to(dtype))

    def gradients(self, feature_maps: Tensor, class_index: Tensor) -> Tensor:
        """Gradient of the explained logits by the feature maps, without a backward pass: (N, C, h, w), a view.

        Args:
            feature_maps: (N, C, h, w), of a head that is not rectified.
            class_index: (N,).
        """
        h, w = feature_maps.shape[2:]
        gradients = self.weight[class_index] / (h * w)  # (N, C)
        return gradients[:, :, None, None].expand(-1, -1, h, w)


def linear_head(linear: nn.Linear, rectified: bool, final: bool) -> PooledHead:
    """The head that a linear layer is."""
    weight = linear.weight.detach()
    weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    bias = weight.new_zeros(len(weight)) if linear.bias is None else linear.bias.detach().to(weight)
    return PooledHead(weight, bias, rectified, final)


def find_head(linears: list[nn.Linear], feature_maps: Tensor, logits: Tensor) -> PooledHead | None:
    """The pooled linear head whose logits these are, if one of `linears` is: so that mean of the CAM + bias = logit.

    Args:
        linears: the candidates.
        feature_maps: (N, C, h, w) of the layer, from a random input.
        logits: (N, K) of the network, from the same.
    """
    for linear in linears:
        if (linear.in_features, linear.out_features) != (feature_maps.shape[1], logits.shape[1]):
            continue
        for rectified in (False, True):
            head = linear_head(linear, rectified, final=True)
            if holds(head, feature_maps, logits):
                return head
    return None


def holds(head: PooledHead, feature_maps: Tensor, logits: Tensor) -> bool:
    """Whether the head gives these logits, to float32's accuracy."""
    found = head.logits(feature_maps)
    scale = max(1.0, float(logits.abs().max()))
    return bool(torch.allclose(found, logits.to(found), rtol=0, atol=1e-4 * scale))
