"""The outline of a region of pixels, as an SVG path along the pixels' edges."""

import numpy as np


def outline(inside: np.ndarray) -> str:
    """Every edge between a pixel inside and one outside; edges in a row are one stroke.

    Args:
        inside: (H, W) bool.

    Returns:
        Strokes such as "M3 5h2" (two edges to the right from column 3 under row 4) and "M3 5v1"; empty for no region.
    """
    padded = np.pad(inside, 1).astype(np.int8)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # (H + 1, W): an edge above pixel (row, column)
    down = np.diff(padded, axis=1)[1:-1] != 0  # (H, W + 1): an edge left of it
    lines = [f"M{start} {row}h{end - start}" for row, start, end in _runs(across)]
    lines += [f"M{column} {start}v{end - start}" for column, start, end in _runs(down.T)]
    return "".join(lines)


def _runs(marked: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, start, end) of each run of True along the rows."""
    steps = np.diff(np.pad(marked, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(row), int(start), int(end)) for row, start, end in zip(rows, starts, ends, strict=True)]
