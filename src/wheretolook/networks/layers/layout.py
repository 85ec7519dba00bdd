"""Order of a layer's dimensions and grid of its tokens, conversion to maps (N, C, h, w), and the check for NaN."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import log

import torch
from torch import Tensor

from wheretolook.base.errors import InputError

SHOWN = 5


class NotFinite(InputError):
    """Maps or logits with NaN or infinity.

    Attributes:
        what: METHOD.LAYER, or "logits".
        places: the images in question, by their place among those that were given.
        names: of the first of them; None: their places stand for them.
    """

    def __init__(self, what: str, places: list[int], names: list[str] | None = None):
        self.what, self.places, self.names = what, places, names
        shown = names or [f"number {place}" for place in places[:SHOWN]]
        more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
        super().__init__(
            f"{what}: expected finite maps, found NaN or infinity in image {', '.join(shown)}{more}; the network or an "
            "image has it: train again, or look at these images"
        )

    def __reduce__(self) -> tuple[type, tuple[str, list[int], list[str] | None]]:
        """How it is handed on from another process."""
        return type(self), (self.what, self.places, self.names)


def check_finite(found: Mapping[str, Tensor]) -> None:
    """Refuse tensors (n, ...) that hold NaN or infinity.

    Raises:
        NotFinite: the first of them.
    """
    for what, values in found.items():
        if not bool(torch.isfinite(values).all()):
            bad = ~torch.isfinite(values).flatten(1).all(1)
            raise NotFinite(what, bad.nonzero().flatten().tolist())


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


# Tokens [start, stop) that are places of the image, in the order of the places.
Segment = tuple[int, int]


class Order(StrEnum):
    """The order of the dimensions of a layer's output."""

    CHANNELS_FIRST = "channels_first"
    """(N, C, h, w)."""
    CHANNELS_LAST = "channels_last"
    """(N, h, w, C)."""
    TOKENS = "tokens"
    """(N, tokens, C)."""
    TOKENS_FIRST = "tokens_first"
    """(tokens, N, C), as `nn.TransformerEncoder` has it by default."""


_SHAPES = {
    Order.CHANNELS_FIRST: "(N, C, h, w)",
    Order.CHANNELS_LAST: "(N, h, w, C)",
    Order.TOKENS: "(N, tokens, C)",
    Order.TOKENS_FIRST: "(tokens, N, C)",
}


@dataclass(frozen=True)
class Layout:
    """How a layer's output becomes feature maps.

    Attributes:
        order: of its dimensions.
        grid: (h, w) of tokens, read row by row; None where the output has rows and columns itself.
        segments: the tokens that are places, h * w in all; the others (a class token, registers) are left out.
    """

    order: Order
    grid: tuple[int, int] | None = None
    segments: tuple[Segment, ...] = ()

    @property
    def has_tokens(self) -> bool:
        """Whether places are tokens in one row."""
        return self.order in (Order.TOKENS, Order.TOKENS_FIRST)

    @property
    def batch_dimension(self) -> int:
        """Which dimension of the output counts images."""
        return 1 if self.order is Order.TOKENS_FIRST else 0

    @property
    def channel_dimension(self) -> int:
        """Which dimension of the output counts channels."""
        return {Order.CHANNELS_FIRST: 1, Order.CHANNELS_LAST: 3}.get(self.order, 2)

    def __str__(self) -> str:
        """`(N, C, h, w)`, or `(N, tokens, C), 14 x 14 from token 1`."""
        if self.grid is None:
            return _SHAPES[self.order]
        where = ", ".join(f"{start} to {stop - 1}" for start, stop in self.segments)
        return f"{_SHAPES[self.order]}, {self.grid[0]} x {self.grid[1]} of tokens {where}"


@dataclass(frozen=True)
class Hints:
    """Layout of a network's layers as given by the user, used instead of what a trial would find.

    Attributes:
        grid: (h, w) of tokens; None: found.
        prefix_tokens: tokens before the places; None: found.
        layout: of outputs with places; None: found.
    """

    grid: tuple[int, int] | None = None
    prefix_tokens: int | None = None
    layout: Order | None = None

    @property
    def given(self) -> bool:
        """Whether anything is said."""
        return any(value is not None for value in (self.grid, self.prefix_tokens, self.layout))

    def others(self, count: int, places: int) -> frozenset[int] | None:
        """Tokens that are no places, of `count`; None where nothing is said of them, or it does not fit."""
        if self.prefix_tokens is None or self.prefix_tokens + places > count:
            return None
        return frozenset(range(self.prefix_tokens)) | frozenset(range(self.prefix_tokens + places, count))


def make_hints(grid: object, prefix_tokens: object, layout: str | None) -> Hints:
    """Hints as users give them.

    Args:
        grid: (h, w), or text such as "14x14"; None or "": found.
        prefix_tokens: a number of tokens; None: found.
        layout: a value of `Order`; None: found.

    Raises:
        InputError: a grid that is not two counts, a negative number of tokens, an unknown layout.
    """
    if isinstance(grid, str) and (match := re.fullmatch(r"(\d+)x(\d+)", grid)):
        grid = (int(match[1]), int(match[2]))
    if grid is not None and grid != "":
        sides = tuple(grid) if isinstance(grid, tuple | list) else ()
        if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
            raise InputError("grid", "two numbers of cells (h, w), like (14, 14) or 14x14", repr(grid))
        grid = sides
    else:
        grid = None
    if prefix_tokens is not None and (not isinstance(prefix_tokens, int) or prefix_tokens < 0):
        raise InputError("prefix_tokens", "a number of tokens from 0 on", repr(prefix_tokens))
    if layout is not None and layout not in list(Order):
        raise InputError("layout", f"one of {', '.join(Order)}", repr(layout))
    return Hints(grid, prefix_tokens, None if layout is None else Order(layout))


CHANNELS_FIRST = Layout(Order.CHANNELS_FIRST)
CHANNELS_LAST = Layout(Order.CHANNELS_LAST)


def tokens_layout(grid: tuple[int, int], others: frozenset[int] | int, first: bool = False) -> Layout:
    """The layout of tokens.

    Args:
        grid: (h, w).
        others: indices of the tokens that are no places; or how many of them come before the places.
        first: whether tokens come before images in the output's shape.
    """
    skipped = frozenset(range(others)) if isinstance(others, int) else others
    segments: list[list[int]] = []
    index, left = 0, grid[0] * grid[1]
    while left:
        if index in skipped:
            index += 1
            continue
        if segments and segments[-1][1] == index:
            segments[-1][1] += 1
        else:
            segments.append([index, index + 1])
        index, left = index + 1, left - 1
    order = Order.TOKENS_FIRST if first else Order.TOKENS
    return Layout(order, grid, tuple((start, stop) for start, stop in segments))


def to_maps(output: Tensor, layout: Layout) -> Tensor:
    """View a layer's output, or its gradient, as feature maps (N, C, h, w)."""
    if layout.order is Order.CHANNELS_FIRST:
        return output
    if layout.order is Order.CHANNELS_LAST:
        return output.permute(0, 3, 1, 2)
    if layout.order is Order.TOKENS_FIRST:
        output = output.transpose(0, 1)
    parts = [output[:, start:stop] for start, stop in layout.segments]
    places = parts[0] if len(parts) == 1 else torch.cat(parts, 1)  # (N, h * w, C)
    return places.transpose(1, 2).unflatten(2, layout.grid)


def possible_grids(
    count: int, size: tuple[int, int], known: Iterable[tuple[int, int]] = (), most: int = 64
) -> list[tuple[int, int]]:
    """Grids (h, w) that tokens may lie in: known ones, and those about as wide as the image that leave few tokens over.

    Args:
        count: of tokens.
        size: (H, W) of the images.
        known: grids of other layers of the network.
        most: tokens that may be no places.
    """
    found = [grid for grid in known if count - most <= grid[0] * grid[1] <= count]
    proportion = log(size[0] / size[1])
    for h in range(1, count + 1):
        for w in {round(h * size[1] / size[0]), *(_factor(count, h))}:
            if w >= 1 and count - most <= h * w <= count and abs(log(h / w) - proportion) <= log(2) + 1e-9:
                found.append((h, w))
    return list(dict.fromkeys(found))


def _factor(count: int, h: int) -> tuple[int, ...]:
    return (count // h,) if count % h == 0 else ()
