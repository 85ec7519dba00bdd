"""Which classes are shown where there are too many for each to have a panel, a row or a section of its own."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TypeVar

from wheretolook.report.results import Results
from wheretolook.report.words import count

Row = TypeVar("Row")
FIGURE = 10  # classes that have a panel, or rows, in a figure
PAGE = 20  # classes that have sections on the page, and rows in the summary
AGREEMENT = "those {least} on which the models' maps agree least, then the {most} on which they agree most"
RECALL = "those {least} whose images are called right least often, then the {most} with most often"


@dataclass(frozen=True)
class Shown:
    """Some classes.

    Attributes:
        names: in the order of the class index where all are shown; else from the lowest to the highest.
        note: which ones of how many, as a sentence; empty where all are shown.
    """

    names: tuple[str, ...]
    note: str


def in_order(rows: Iterable[Row], shown: Sequence[str], class_name_of: Callable[[Row], str]) -> list[Row]:
    """The rows of the classes that are shown, class by class in that order; within a class as they came."""
    place = {name: i for i, name in enumerate(shown)}
    return sorted((row for row in rows if class_name_of(row) in place), key=lambda row: place[class_name_of(row)])


def shown_classes(results: Results, most: int, among: Collection[str] | None = None) -> Shown:
    """All classes up to `most`; of more, as many from both ends of the models' agreement, or of recall without one.

    Args:
        results: finished results.
        most: an even number.
        among: classes to choose from; default: all.
    """
    names = tuple(name for name in results.class_names if among is None or name in among)
    if len(names) <= most:
        return Shown(names, "")
    half = most // 2
    for values, words in ((_agreement(results), AGREEMENT), (_recall(results), RECALL)):
        known = sorted((name for name in names if name in values), key=lambda name: values[name])
        if len(known) >= most:
            which = words.format(least=half, most=half)
            return Shown((*known[:half], *known[-half:]), f"Of {count(len(names), 'class')} {which}.")
    return Shown(names[:most], f"Of {count(len(names), 'class')} the first {most}.")


def _agreement(results: Results) -> Mapping[str, float]:
    """Mean correlation by class, over all pairs of models."""
    means = results.primary().groupby("class_name", sort=False)["mean"].mean()
    return {str(name): float(mean) for name, mean in means.items() if isfinite(mean)}


def _recall(results: Results) -> Mapping[str, float]:
    """Share of a class's images that are called right, mean over the models."""
    each = [(results.models[name]["splits"].get(results.split) or {}).get("confusion") or [] for name in results.names]
    shares: dict[str, list[float]] = {}
    for confusion in each:
        for place, (name, row) in enumerate(zip(results.class_names, confusion, strict=False)):
            if sum(row):
                shares.setdefault(name, []).append(row[place] / sum(row))
    return {name: sum(values) / len(values) for name, values in shares.items()}
