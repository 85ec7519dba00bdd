"""Figures for print: matplotlib without pyplot, the same bytes for the same inputs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.analysis.maps.enlarge import enlarge
from wheretolook.data.atomic import replacing
from wheretolook.report.colours import colour, opacity
from wheretolook.report.fonts import drawable, font_families
from wheretolook.report.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, ACCENT, WRONG = "#1d1b19", "#5f5a54", "#8a1c5e", "#b3261e"
MODELS = ("#0b62a8", "#3d93d8", "#b4460f", "#e08a2b", "#1d7a55", "#7b4fa0", "#8f8a1a", "#6b6560")
# Charts are sharp at 160 dots an inch; pictures of maps hold no finer detail than 120 show, and are kept small.
CHART, PICTURE = 160, 120
CAPTION = 6  # points
LETTER = 0.6  # of DejaVu Sans, a letter is so much of its size wide, on average
STRONGEST = 0.75  # opacity of a map over its image where it is strong; what is near zero is clear
STYLE = {
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
    "text.parse_math": False,  # "$" in a name is a letter
    "figure.facecolor": "white",
}


@contextmanager
def drawing(path: Path, width: float, height: float, dots: int = CHART) -> Iterator["Figure"]:
    """Give an empty figure of a size in inches; write it to `path` as PNG at the end.

    No date, no version and nothing of the machine's own settings goes into the file.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {**matplotlib.rcParamsDefault, "backend": "agg", "font.family": font_families(), **STYLE}
    ):
        figure = Figure(figsize=(width, height), dpi=dots, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as scratch:
            figure.savefig(scratch, format="png", metadata={"Software": None})


def caption(figure: "Figure", text: str) -> None:
    """Write text below a figure, in as many lines as its width asks for: matplotlib cuts a longer line at both ends."""
    letters = figure.get_figwidth() * 72 / (LETTER * CAPTION)
    figure.supxlabel(fill(text, int(letters)), fontsize=CAPTION)


def legend_below(figure: "Figure", handles: Mapping[str, Any]) -> None:
    """Put a legend below a figure, in as many columns as fit into its width; the figure grows by the lines it takes.

    Args:
        figure: with its panels drawn.
        handles: what is explained, by label.
    """
    # A handle, its gap and the gap between columns take 6 letters' height.
    widest = max(len(label) for label in handles) * LETTER * CAPTION + 6 * CAPTION
    columns = max(1, min(len(handles), int((figure.get_figwidth() * 72 - 12) / widest)))
    figure.set_figheight(figure.get_figheight() + 1.6 * CAPTION / 72 * -(-len(handles) // columns))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns, fontsize=CAPTION)


def title(text: str, most: int) -> str:
    """A foreign name as it stands in a picture: at most `most` letters, each of which the fonts can draw."""
    return shortened(drawable(text), most)


def show_overlay(axes: "Axes", image: np.ndarray, values: np.ndarray | None, limit: float) -> None:
    """Draw a signed map over its image: red for, blue against, full colour at `limit`.

    Args:
        axes: an empty panel.
        image: (H, W, 3) uint8.
        values: (h, w), or None for the image alone.
        limit: positive, in the units of the map.
    """
    drawn = image / 255
    if values is not None:
        unit = enlarge(values[None] / limit, image.shape[0])[0]
        cover = STRONGEST * opacity(unit)[..., None]
        drawn = drawn * (1 - cover) + colour(unit, signed=True) / 255 * cover
    axes.imshow(drawn, interpolation="bilinear")
    bare(axes)


def bare(axes: "Axes") -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def strength(values: np.ndarray) -> float:
    """Full colour for a set of maps, as the page has it: 99 of 100 cells stay below; 1 where all are zero."""
    return float(np.quantile(np.abs(values), 0.99, method="lower")) or 1.0
