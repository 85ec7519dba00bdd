"""How a layer's output lies in memory, and how it becomes feature maps (N, C, h, w)."""

from enum import StrEnum
from math import isqrt, log

from torch import Tensor

from wheretolook.data.refusal import Refusal


class Layout(StrEnum):
    """The order of a layer's output."""

    CHANNELS_FIRST = "(N, C, h, w)"
    CHANNELS_LAST = "(N, h, w, C)"
    TOKENS = "(N, tokens, C)"


def guess_layout(output: object, size: tuple[int, int], layer: str) -> Layout:
    """The layout of a layer's output, from which of its dimensions have the proportion of the image.

    Where both orders fit (as many channels as rows and columns), channels come first.

    Args:
        output: what the layer gave.
        size: (H, W) of the images.
        layer: for the message.

    Raises:
        Refusal: the output has no places: it is no tensor, or neither maps nor tokens of a square image.
    """
    shape = tuple(output.shape) if isinstance(output, Tensor) else ()
    if len(shape) == 4:
        proportion = log(size[0] / size[1])
        first, last = abs(log(shape[2] / shape[3]) - proportion), abs(log(shape[1] / shape[2]) - proportion)
        return Layout.CHANNELS_FIRST if first <= last else Layout.CHANNELS_LAST
    if len(shape) == 3 and shape[1] > 1 and size[0] == size[1]:
        return Layout.TOKENS
    found = f"shape {shape}" if shape else type(output).__name__
    kinds = ", ".join(layout.value for layout in Layout)
    raise Refusal(f"layer {layer}: expected an output with places, {kinds}; found {found}; name an earlier layer")


def to_maps(output: Tensor, layout: Layout) -> Tensor:
    """View a layer's output, or its gradient, as feature maps (N, C, h, w).

    Tokens are read row by row; those before the last whole square (a class token, registers) have no place and are
    left out.
    """
    if layout is Layout.CHANNELS_FIRST:
        return output
    if layout is Layout.CHANNELS_LAST:
        return output.permute(0, 3, 1, 2)
    side = isqrt(output.shape[1])
    return output[:, output.shape[1] - side * side :].transpose(1, 2).unflatten(2, (side, side))


def channel_dimension(layout: Layout) -> int:
    """Which dimension of the layer's own output counts channels."""
    return {Layout.CHANNELS_FIRST: 1, Layout.CHANNELS_LAST: 3, Layout.TOKENS: 2}[layout]
