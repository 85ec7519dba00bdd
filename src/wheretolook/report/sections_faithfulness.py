"""The page's checks of the maps: the score after removal of what a map marks, and maps of random weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from wheretolook.mapstore.store import cam_first
from wheretolook.report.charts import IntervalChart, LineChart, Measured, interval_chart, line_chart
from wheretolook.report.guessing import no_better
from wheretolook.report.loaded import PAGE, Results, primary_key, shown_classes
from wheretolook.report.words import count, listed, number, number_with_interval, percent, span

KINDS = {
    "evidence": "the evidence itself",
    "centre": "the centre",
    "other": "another image's map",
    "random": "a random map",
}
# Each has its own shape, because not everybody can tell colours.
SHAPES = {
    "evidence": "M0 -5L5 0L0 5L-5 0Z",
    "centre": "M0 -5V5M-5 0H5",
    "other": "M-4 -4L4 4M-4 4L4 -4",
    "random": "M0 -5L5 4H-5Z",
}


def faithfulness_section(results: Results) -> dict[str, Any] | None:
    """By class: a chart and a table of the scores left; None where nothing was measured."""
    found = {name: results.models[name]["faithfulness"] for name in results.names}
    measured = {name: each for name, each in found.items() if each}
    if not measured:
        return None
    first = next(iter(measured.values()))
    shown = shown_classes(results, PAGE, {name for each in measured.values() for name in each["classes"]})
    parts = [_of_class(results, class_name, measured) for class_name in shown.names]
    drawn = {kind for each in measured.values() for figures in each["classes"].values() for kind in figures["removed"]}
    return {
        "share": percent(first["fraction"], 0),
        "split": first["split"],
        "method": first["method"],
        "note": f"{shown.note} reports/plots/faithfulness.csv has all." if shown.note else "",
        "classes": [part for part in parts if part],
        "kinds": [(kind, label) for kind, label in KINDS.items() if kind in drawn],
        "shapes": SHAPES,
    }


def _of_class(results: Results, class_name: str, measured: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    own = {name: each["classes"][class_name] for name, each in measured.items() if class_name in each["classes"]}
    if not own:
        return None
    undefined = [name for name, figures in own.items() if figures["undefined"]]
    constant = [name for name in undefined if no_better(results, name)]
    depending = [name for name in undefined if name not in constant]
    return {
        "class_name": class_name,
        "images": count(max(figures["images"] for figures in own.values()), "image"),
        "undefined": listed(depending) if depending else "",
        "constant": listed(constant) if constant else "",
        "see": _finding([figures for figures in own.values() if not figures["undefined"]]),
        "chart": _chart(class_name, own),
        "rows": [_row(name, figures) for name, figures in own.items()],
    }


def _finding(figures: Sequence[Mapping[str, Any]]) -> str:
    """The scores left after removal by the own and by a random map; empty where no model has a defined figure."""
    if not figures:
        return ""
    whole, own = (
        span(row["score"] for row in rows)
        for rows in ([each["whole"] for each in figures], [each["removed"]["cam"] for each in figures])
    )
    random = [each["removed"]["random"]["score"] for each in figures if "random" in each["removed"]]
    beside = f", by a random map {span(random)}" if random else ""
    return f"The score of the whole image is {whole}; after removal by the model's own map it is {own}{beside}."


def _chart(class_name: str, own: Mapping[str, dict[str, Any]]) -> IntervalChart:
    return interval_chart(f"Score left for {class_name}", [_measured(name, each) for name, each in own.items()])


def _measured(name: str, figures: dict[str, Any]) -> Measured:
    removed = figures["removed"]
    left = float(removed["cam"]["score"])
    others = tuple((kind, float(removed[kind]["score"])) for kind in KINDS if kind in removed)
    beside = ", ".join(f"{KINDS[kind]} {number(value)}" for kind, value in others)
    return Measured(name, "", left, None, None, others, f"{name}: its own map {number(left)}; {beside}")


def _row(name: str, figures: dict[str, Any]) -> dict[str, Any]:
    gaps = figures["gaps"]
    return {
        "name": name,
        "whole": number(figures["whole"]["score"]),
        "left": number(figures["removed"]["cam"]["score"]),
        "gaps": [_gap(gaps[kind]["score"]) if kind in gaps else "" for kind in KINDS],
    }


def _gap(gap: dict[str, float | None]) -> str:
    return number_with_interval(gap["mean"], gap["low"], gap["high"])


def sanity_section(results: Results, layers: list[str]) -> dict[str, Any] | None:
    """A table of all methods and layers, and a chart for each model; None where nothing was measured.

    Args:
        results: finished results.
        layers: labels of the layers' columns, first to last; models with fewer stand at the last.
    """
    measured = {name: results.models[name]["sanity"] for name in results.names if results.models[name].get("sanity")}
    if not measured:
        return None
    methods = {key.split(".", 1)[0] for found in measured.values() for key in found}
    rows = [
        _sanity_row(results, name, method, len(layers))
        for method in cam_first(methods)
        for name in measured
        if any(key.split(".", 1)[0] == method for key in measured[name])
    ]
    first = next(iter(next(iter(measured.values())).values()))
    return {
        "layers": layers,
        "rows": rows,
        "draws": count(first["draws"], "draw"),
        "failing": any(cell and cell["fails"] for row in rows for cell in row["cells"]),
        "charts": [chart for name, found in measured.items() if (chart := _sanity_chart(results, name, found))],
    }


def _sanity_row(results: Results, name: str, method: str, columns: int) -> dict[str, Any]:
    result = results.models[name]
    own = [_cell(result["sanity"].get(f"{method}.{layer}")) for layer in result["layers"][-columns:]]
    cells = [*[None] * (columns - len(own)), *own]
    return {"method": method, "model": name, "cells": cells}


def _cell(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    last = found["steps"][-1]["spearman"]
    return {
        "text": number(last),
        "share": f"{last:.3f}",
        "baseline": number(found["baseline"]),
        "excess": number_with_interval(found["excess"], found["excess_low"], found["excess_high"]),
        "verdict": found["verdict"],
        "fails": found["verdict"] == "fail",
    }


def _sanity_chart(results: Results, name: str, found: dict[str, Any]) -> LineChart | None:
    """The cascade of the model's primary maps, from the trained network on, and their baseline."""
    key = primary_key(results.models[name])
    if key not in found:
        return None
    steps = [1.0, *(step["spearman"] for step in found[key]["steps"])]
    places = [float(i) for i in range(len(steps))]
    series = [("val", key, places, steps)]
    if found[key]["baseline"] is not None:
        series.append(("train", "another image", places, [found[key]["baseline"]] * len(steps)))
    return line_chart(f"{name}: {key}", ("layers randomised", "mean |Spearman|"), series, 1.0)
