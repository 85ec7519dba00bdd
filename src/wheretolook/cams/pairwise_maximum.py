"""The maximum over 2 x 2 without the places of the maxima, which only a backward pass asks for."""

import torch
from torch import Tensor, nn


class PairwiseMaximum(nn.Module):
    """The values of `MaxPool2d(2)`, in half the time or less on a CPU with channels last.

    PyTorch's pooling looks for each maximum's place too, one place after the other; the larger of two rows, and then of
    two columns, are whole vectors. Where a graph is recorded it pools as PyTorch does: in a backward pass each of two
    equal values would get a part of the gradient.
    """

    @staticmethod
    def serves(module: nn.Module) -> bool:
        """Whether a module is a maximum over 2 x 2, side by side, and no more than that."""
        if type(module) is not nn.MaxPool2d or module._forward_hooks or module._forward_pre_hooks:
            return False
        steps = (module.kernel_size, module.stride, module.padding, module.dilation)
        return [_both(step) for step in steps] == [(2, 2), (2, 2), (0, 0), (1, 1)] and not (
            module.ceil_mode or module.return_indices
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., H, W) to (..., H // 2, W // 2)."""
        if torch.is_grad_enabled():
            return nn.functional.max_pool2d(x, 2)
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        x = torch.maximum(x[..., 0:height:2, :], x[..., 1:height:2, :])
        return torch.maximum(x[..., 0:width:2], x[..., 1:width:2])


def _both(step: int | tuple[int, int]) -> tuple[int, int]:
    return (step, step) if isinstance(step, int) else tuple(step)
