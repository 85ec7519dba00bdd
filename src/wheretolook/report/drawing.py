"""Drawing for print and page: the two colour maps of all pictures of maps, fonts, and figures as PNG and PDF.

The colour maps have equal steps in Oklab, a space where equal distances look equal (Ottosson 2020,
https://bottosson.github.io/posts/oklab/): no edge appears in a picture that is not in the map, and lightness alone, as
in a print without colour, keeps the order.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.analysis.grid import enlarge
from wheretolook.base.errors import visible
from wheretolook.base.files import replacing
from wheretolook.report.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_LMS_FROM_LAB = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def sequential() -> np.ndarray:
    """Colours of a positive map: row 0 none (near black), row 255 the most (pale yellow), lightness rising throughout.

    Returns:
        (256, 3) uint8 sRGB, read-only.
    """
    t = np.linspace(0, 1, 4096)
    lightness = 0.16 + 0.80 * t
    hue = np.interp(t, [0, 0.35, 0.7, 1], [285, 345, 405, 465])
    chroma = np.interp(t, [0, 0.15, 0.4, 0.7, 1], [0.03, 0.11, 0.175, 0.155, 0.09])
    return _table(lightness, chroma, hue)


@cache
def diverging() -> np.ndarray:
    """Colours of a signed map: row 0 the most negative (blue), the middle zero (near white), row 255 the most (red).

    Both arms have the same lightness at the same distance from zero, so that neither sign looks stronger. Zero is the
    two equal rows 127 and 128.

    Returns:
        (256, 3) uint8 sRGB, read-only.
    """
    t = np.linspace(0, 1, 2048)
    lightness = 0.97 - 0.55 * t
    negative = _table(lightness, np.interp(t, [0, 0.5, 1], [0.0, 0.10, 0.13]), np.full_like(t, 252.0), 128)
    positive = _table(lightness, np.interp(t, [0, 0.5, 1], [0.0, 0.14, 0.165]), np.interp(t, [0, 1], [45.0, 30.0]), 128)
    return _read_only(np.concatenate([negative[::-1], positive]))


def colour(values: np.ndarray, signed: bool) -> np.ndarray:
    """Colours of normalised values; what lies outside the range takes the colour of its end.

    Args:
        values: any shape, float: 0 to 1 for a positive map, -1 to 1 for a signed one.
        signed: draw with `diverging` rather than `sequential`.

    Returns:
        values.shape + (3,) uint8 sRGB.

    Raises:
        ValueError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("a map holds a value that is not finite, which has no colour")
    unit = (np.asarray(values) + 1) / 2 if signed else np.asarray(values)
    rows = np.floor(np.clip(unit, 0, 1) * 255 + 0.5).astype(np.intp)
    return (diverging() if signed else sequential())[rows]


def opacity(values: np.ndarray) -> np.ndarray:
    """How much of a map's colour covers its image: nothing at zero, three quarters at half strength, then all.

    Args:
        values: any shape, normalised as for `colour`.

    Returns:
        float, same shape, 0 to 1.
    """
    return 1.0 - (1.0 - np.minimum(1.0, np.abs(values))) ** 2


def _table(lightness: np.ndarray, chroma: np.ndarray, hue: np.ndarray, count: int = 256) -> np.ndarray:
    """`count` colours at equal distances along a path of Oklab given by lightness, chroma and hue (degrees)."""
    angle = np.deg2rad(hue)
    path = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1)
    walked = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    stops = np.linspace(0, walked[-1], count)
    even = np.stack([np.interp(stops, walked, path[:, axis]) for axis in range(3)], axis=-1)
    linear = np.clip((even @ _LMS_FROM_LAB.T) ** 3 @ _RGB_FROM_LMS.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return _read_only(np.rint(encoded * 255).astype(np.uint8))


def _read_only(table: np.ndarray) -> np.ndarray:
    table.setflags(write=False)
    return table


FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts of other scripts, one of which most systems have, by the names that matplotlib knows them by.
OTHERS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "IPAGothic",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
)


@cache
def font_families() -> list[str]:
    """Families that matplotlib may use, in the order in which it looks for a letter: those of OTHERS that are here."""
    return [FONT, *(name for name in OTHERS if name in _files())]


def drawable(text: str) -> str:
    """The text with an escape (`\\u8840`) for each letter without a font and each invisible character."""
    return "".join(letter if _has(letter) else letter.encode("unicode_escape").decode() for letter in visible(text))


def undrawable(names: Iterable[str]) -> list[str]:
    """Names with letters that no installed font has."""
    return [name for name in names if drawable(name) != visible(name)]


@cache
def _has(letter: str) -> bool:
    if letter.isascii():
        return True
    return any(ord(letter) in _letters(name) for name in font_families())


@cache
def _letters(family: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_files()[family]).get_charmap())


@cache
def _files() -> dict[str, str]:
    from matplotlib.font_manager import findfont, fontManager

    known = {font.name: font.fname for font in fontManager.ttflist if font.name in OTHERS}
    return {FONT: findfont(FONT), **known}


INK, SOFT, ACCENT, WRONG = "#1d1b19", "#5f5a54", "#8a1c5e", "#b3261e"
MODELS = ("#0b62a8", "#3d93d8", "#b4460f", "#e08a2b", "#1d7a55", "#7b4fa0", "#8f8a1a", "#6b6560")
# Charts are sharp at 160 dots an inch; pictures of maps hold no finer detail than 120 show, and are kept small.
CHART, PICTURE = 160, 120
IN_PRINT = 160  # of pictures inside a PDF, whose letters and lines are vectors; more takes seconds to compress
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
PDF: dict[str, Any] = {"pdf.fonttype": 42}  # TrueType: text that can be searched and edited, as journals ask for


@contextmanager
def drawing(path: Path, width: float, height: float, dots: int = CHART) -> Iterator["Figure"]:
    """Give an empty figure of a size in inches; write it to `path` as PNG at the end, and as PDF beside it.

    No date, no version and no setting of the machine goes into the files.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings: Any = {**matplotlib.rcParamsDefault, "backend": "agg", "font.family": font_families(), **STYLE, **PDF}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), dpi=dots, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as scratch:
            figure.savefig(scratch, format="png", metadata={"Software": None})
        save_vectors(figure, path.with_suffix(".pdf"))


def save_vectors(figure: "Figure", path: Path) -> None:
    """Write a figure as PDF, once its PNG is written."""
    figure.set_layout_engine("none")  # keep the layout of the PNG: computing it takes longer than drawing
    with replacing(path) as scratch:
        unnamed = dict.fromkeys(("Creator", "Producer", "CreationDate"))
        figure.savefig(scratch, format="pdf", dpi=IN_PRINT, metadata=unnamed)


def caption(figure: "Figure", text: str) -> None:
    """Write text below a figure, wrapped to its width: matplotlib cuts a longer line at both ends."""
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
    """A name as pictures show it: at most `most` letters, each of which the fonts can draw."""
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
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def strength(values: np.ndarray) -> float:
    """Full colour for a set of maps, as on the page: the 99th percentile of |value|; 1 where all are zero."""
    return float(np.quantile(np.abs(values), 0.99, method="lower")) or 1.0
