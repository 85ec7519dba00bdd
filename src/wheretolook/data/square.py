"""How a rectangle is fitted into a square, the same for an image and its mask."""

from dataclasses import dataclass

FITS = ("stretch", "pad", "crop")


@dataclass(frozen=True)
class Placement:
    """What is cut from a source, and where its resized copy stands in the square."""

    box: tuple[float, float, float, float]  # left, upper, right, lower in pixels of the source
    size: tuple[int, int]  # width and height that the box is resized to
    rows: slice  # of the square
    columns: slice


def place(width: int, height: int, size: int, fit: str) -> Placement:
    """Fit a source of `width` × `height` pixels into a square of `size` × `size`.

    Args:
        width, height: of the source, pixels.
        size: of the square, pixels.
        fit: "stretch", "pad" or "crop".

    Raises:
        ValueError: another `fit`.
    """
    whole = slice(0, size)
    if fit == "stretch":
        return Placement((0, 0, width, height), (size, size), whole, whole)
    if fit == "crop":
        side = min(width, height)
        left, upper = (width - side) / 2, (height - side) / 2
        return Placement((left, upper, left + side, upper + side), (size, size), whole, whole)
    if fit == "pad":
        longest = max(width, height)
        wide, high = max(1, round(width * size / longest)), max(1, round(height * size / longest))
        left, upper = (size - wide) // 2, (size - high) // 2
        return Placement((0, 0, width, height), (wide, high), slice(upper, upper + high), slice(left, left + wide))
    raise ValueError(f"fit {fit!r}; expected one of {FITS}")
