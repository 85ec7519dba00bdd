"""Whether two ways to the same tensor gave the same: what is found out by trying rests on it."""

import torch
from torch import Tensor

TOLERANCE = 1e-4  # of the largest value: float32 through a whole network


def same_but_for_rounding(found: Tensor, expected: Tensor, scale: float | None = None) -> bool:
    """Whether two tensors of one shape differ by no more than rounding does.

    Args:
        found: any shape.
        expected: the same shape.
        scale: of what was summed up to them, where it may cancel; None: the largest expected value.
    """
    largest = float(expected.abs().max()) if scale is None else scale
    return bool(torch.allclose(found.to(expected), expected, rtol=0, atol=TOLERANCE * largest))
