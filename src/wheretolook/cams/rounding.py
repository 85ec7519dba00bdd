"""Whether two ways to the same tensor gave the same: what is found out by trying rests on it."""

import torch
from torch import Tensor

TOLERANCE = 1e-4  # of the largest value, or of 1: float32 through a whole network


def same_but_for_rounding(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors of one shape differ by no more than rounding does."""
    scale = max(1.0, float(expected.abs().max()))
    return bool(torch.allclose(found.to(expected), expected, rtol=0, atol=TOLERANCE * scale))
