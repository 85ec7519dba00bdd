"""Figures for print: matplotlib without pyplot, the same bytes for the same inputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wheretolook.data.atomic import replacing
from wheretolook.report.colours import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, ACCENT = "#1d1b19", "#5f5a54", "#8a1c5e"
MODELS = ("#0b62a8", "#3d93d8", "#b4460f", "#e08a2b", "#1d7a55", "#7b4fa0", "#8f8a1a", "#6b6560")
DOTS = 160
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator["Figure"]:
    """Give an empty figure of a size in inches; write it to `path` as PNG at the end.

    No date, no version and nothing of the machine's own settings goes into the file.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **STYLE}):
        figure = Figure(figsize=(width, height), dpi=DOTS, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as scratch:
            figure.savefig(scratch, format="png", metadata={"Software": None})


def show_overlay(
    axes: "Axes", image: np.ndarray, values: np.ndarray | None, limit: float, opacity: float = 0.65
) -> None:
    """Draw a signed map over its image: red for, blue against, full colour at `limit`; cells as computed.

    Args:
        axes: an empty panel.
        image: (H, W, 3) uint8.
        values: (h, w), or None for the image alone.
        limit: positive, in the units of the map.
        opacity: of the map.
    """
    size = image.shape[0]
    axes.imshow(image, extent=(0, size, size, 0), interpolation="bilinear")
    if values is not None:
        drawn = colour(np.clip(values / limit, -1, 1), signed=True)
        axes.imshow(drawn, extent=(0, size, size, 0), interpolation="bicubic", alpha=opacity)
    bare(axes)


def bare(axes: "Axes") -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def strength(values: np.ndarray) -> float:
    """Full colour for a set of maps, as the page has it: 99 of 100 cells stay below; 1 where all are zero."""
    return float(np.quantile(np.abs(values), 0.99)) or 1.0
