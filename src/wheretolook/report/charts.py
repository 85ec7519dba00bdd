"""Geometry of the page's line charts and interval charts; templates write it as SVG."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scale:
    """A straight line from figures to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixel of a figure, to a tenth."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One series: path, kind (a class of the style sheet), name, where it ends, whether it is a single point; and its
    figures as text, for screen readers.
    """

    path: str
    kind: str
    label: str
    end: tuple[float, float]
    point: bool
    said: str


@dataclass(frozen=True)
class LineChart:
    """A chart of lines over a common axis."""

    title: str
    x_label: str
    y_label: str
    width: int
    height: int
    left: int
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


def line_chart(
    title: str,
    axes: tuple[str, str],
    series: Sequence[tuple[str, str, Sequence[float], Sequence[float]]],
    y_high: float,
    y_digits: int = 1,
) -> LineChart:
    """Lay out lines.

    Args:
        title: what a screen reader calls it.
        axes: what lies along, and what upwards.
        series: (kind, label, xs, ys) each.
        y_high: the top of the vertical axis, which starts at 0 (so that charts side by side share it).
        y_digits: digits of its labels.
    """
    width, height, left, right, top, bottom = 260, 150, 48, 8, 8, 24
    every_x = [x for _, _, xs, _ in series for x in xs]
    low, high = min(every_x), max(every_x)
    across = Scale(low, high if high > low else low + 1, left, width - right)
    up = Scale(0, y_high, height - bottom, top)
    return LineChart(
        title=title,
        x_label=axes[0],
        y_label=axes[1],
        width=width,
        height=height,
        left=left,
        bottom=height - bottom,
        x_ticks=tuple(Tick(across(x), f"{x:g}") for x in sorted({low, high})),
        y_ticks=tuple(Tick(up(y), f"{y:.{y_digits}f}") for y in (0, y_high / 2, y_high)),
        lines=tuple(_line(kind, label, xs, ys, across, up) for kind, label, xs, ys in series),
    )


def _line(kind: str, label: str, xs: Sequence[float], ys: Sequence[float], across: Scale, up: Scale) -> Line:
    places = [(across(x), up(y)) for x, y in zip(xs, ys, strict=True)]
    points = " L".join(f"{x:g} {y:g}" for x, y in places)
    said = ", ".join(f"{y:.2f} at {x:g}" for x, y in zip(xs, ys, strict=True))
    return Line(f"M{points}", kind, label, places[-1], len(xs) == 1, f"{label}: {said}")


def round_up(value: float) -> float:
    """The next round number for the top of an axis: 1, 2, 2.5, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if step * power >= value * (1 - 1e-9)))


@dataclass(frozen=True)
class IntervalRow:
    """One figure with its interval, and its baselines."""

    label: str
    note: str
    y: float
    at: float
    low: float | None
    high: float | None
    nulls: tuple[tuple[str, float], ...]
    said: str


@dataclass(frozen=True)
class IntervalChart:
    """Figures with intervals below each other, over one axis."""

    title: str
    width: int
    height: int
    left: int
    middle: float
    zero: float
    x_ticks: tuple[Tick, ...]
    rows: tuple[IntervalRow, ...]


@dataclass(frozen=True)
class Measured:
    """A figure before it is laid out."""

    label: str
    note: str
    mean: float
    low: float | None
    high: float | None
    nulls: tuple[tuple[str, float], ...]
    said: str


def interval_chart(title: str, measured: Sequence[Measured]) -> IntervalChart:
    """Lay out figures with their intervals and baselines from -1 (or 0, where nothing is below) to 1."""
    width, right, step, top = 560, 14, 34, 14
    # Room for the longest label, also in the larger letters of a narrow window.
    left = min(300, max(178, 12 + 10 * max(len(row.label) for row in measured)))
    every = [x for row in measured for x in (row.mean, row.low, *(value for _, value in row.nulls)) if x is not None]
    low = 0.0 if min(every) >= 0 else -0.5 if min(every) >= -0.5 else -1.0
    across = Scale(low, 1, left, width - right)
    rows = tuple(
        IntervalRow(
            label=row.label,
            note=row.note,
            y=top + step * (i + 0.5),
            at=across(row.mean),
            low=None if row.low is None else across(row.low),
            high=None if row.high is None else across(row.high),
            nulls=tuple((kind, across(value)) for kind, value in row.nulls),
            said=row.said,
        )
        for i, row in enumerate(measured)
    )
    ticks = tuple(Tick(across(x), f"{x:g}".replace("-", "−")) for x in np.arange(low, 1.01, 0.25 if low == 0 else 0.5))
    return IntervalChart(title, width, top + step * len(rows) + 46, left, across((low + 1) / 2), across(0), ticks, rows)


def clustered(names: Sequence[str], alike: Mapping[tuple[str, str], float]) -> list[str]:
    """The names in an order in which those that are alike are neighbours (average linkage, the most alike first)."""
    groups = [[name] for name in names]
    table = np.array([[alike.get((a, b), 0.0) for b in names] for a in names])
    table = np.where(np.isnan(table), 0.0, table)
    np.fill_diagonal(table, -np.inf)
    while len(groups) > 1:
        a, b = sorted(divmod(int(table.argmax()), len(groups)))
        table[a] = table[:, a] = np.average(table[[a, b]], axis=0, weights=[len(groups[a]), len(groups[b])])
        table[a, a] = -np.inf
        table = np.delete(np.delete(table, b, axis=0), b, axis=1)
        groups[a] += groups.pop(b)
    return groups[0]


MANY_MODELS = 20  # from this number on, charts compare families of models


def families(recipes: Mapping[str, str]) -> dict[str, str]:
    """Family (recipe, named after its first model) of each model, where there are many models; else empty."""
    if len(recipes) < MANY_MODELS:
        return {}
    found: dict[str, list[str]] = {}
    for name, recipe in recipes.items():
        found.setdefault(recipe, []).append(name)
    called = {recipe: own[0] + (f" and {len(own) - 1} more" if own[1:] else "") for recipe, own in found.items()}
    return {name: called[recipe] for name, recipe in recipes.items()}


def families_note(models: int) -> str:
    """What the charts show of so many models, where they compare families; else empty."""
    if models < MANY_MODELS:
        return ""
    return (
        f"With {models} models, the charts compare families, which are the models of one recipe: a dot is the mean "
        "over the pairs of two families, and its line goes from the lowest to the highest pair. The matrix is sorted "
        "so that models that agree are neighbours, and reports/comparison/agreement.csv has every pair."
    )


def by_family(
    rows: Iterable[Mapping[str, Any]], family: Mapping[str, str], nulls: Iterable[str]
) -> list[dict[str, Any]]:
    """Rows of pairs of models as rows of pairs of families: means over the pairs, and the lowest and highest pair."""
    pairs: dict[frozenset[str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["mean"] == row["mean"]:
            pairs.setdefault(frozenset((family[row["model_a"]], family[row["model_b"]])), []).append(row)
    found = []
    for own in pairs.values():
        means = [float(row["mean"]) for row in own]
        names = {"model_a": family[own[0]["model_a"]], "model_b": family[own[0]["model_b"]], "kind": own[0]["kind"]}
        known = {null: [float(row[null]) for row in own if row[null] == row[null]] for null in nulls}
        baselines = {null: float(np.mean(values)) if values else float("nan") for null, values in known.items()}
        found.append(names | {"mean": float(np.mean(means)), "low": min(means), "high": max(means)} | baselines)
    return found
