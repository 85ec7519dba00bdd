"""The page's checks of the maps: removal of what a map marks, maps of random weights, and slightly changed images."""

from collections.abc import Mapping, Sequence
from typing import Any

from wheretolook.mapstore.store import cam_first
from wheretolook.report.charts import IntervalChart, LineChart, Measured, interval_chart, line_chart
from wheretolook.report.guessing import judged_classes, judged_models, no_better
from wheretolook.report.loaded import PAGE, Results, primary_key, shown_classes
from wheretolook.report.words import (
    NOTHING,
    capitalised,
    change_words,
    count,
    listed,
    number,
    number_with_interval,
    percent,
    span,
)

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


def stability_section(results: Results) -> dict[str, Any] | None:
    """How far the primary maps of each class move under small changes of the image; None where it was not measured."""
    rows = stability_rows(results)
    if not rows:
        return None
    shown = shown_classes(results, PAGE, {row["class_name"] for _, row in rows})
    names = [name for name in results.names if any(name == own for own, _ in rows)]
    changes = list(dict.fromkeys(row["change"] for _, row in rows))
    known = {(name, row["change"], row["class_name"]): row for name, row in rows}
    return {
        "note": f"{shown.note} reports/plots/stability.csv has all." if shown.note else "",
        "names": names,
        "see": " ".join(stability_findings(results)[:2]),
        "classes": [
            {
                "class_name": class_name,
                "seeds": span(r) if (r := [mean for _, mean, _ in _seed_pairs(results, class_name)]) else "",
                "rows": [
                    {
                        "change": capitalised(change_words(change)),
                        "cells": [_stability_cell(known.get((name, change, class_name))) for name in names],
                    }
                    for change in changes
                ],
            }
            for class_name in shown.names
        ],
    }


def stability_rows(results: Results) -> list[tuple[str, Mapping[str, Any]]]:
    """(model, row) of the primary maps of every model."""
    return [
        (name, row)
        for name in results.names
        for row in results.models[name].get("stability") or ()
        if row["maps"] == primary_key(results.models[name])
    ]


def _stability_cell(row: Mapping[str, Any] | None) -> dict[str, Any]:
    if row is None or row["consistency"] is None:
        return {
            "text": NOTHING,
            "share": "0",
            "kept": "" if row is None else percent(row["kept"], 0),
            "unstable": False,
        }
    ends = row["consistency_low"], row["consistency_high"]
    return {
        "text": number_with_interval(row["consistency"], *ends),
        "share": f"{max(0.0, row['consistency']):.3f}",
        "kept": percent(row["kept"], 0),
        "unstable": row["verdict"] == "unstable",
    }


def _seed_pairs(results: Results, class_name: str) -> list[tuple[float, float, float]]:
    """Interval of the agreement of every pair of models that differ in the seed alone: low, mean, high."""
    rows = results.primary()
    own = rows[(rows["class_name"] == class_name) & (rows["kind"] == "seeds") & rows["low"].notna()]
    return [(float(row["low"]), float(row["mean"]), float(row["high"])) for row in own.to_dict("records")]


def stability_findings(results: Results) -> list[str]:
    """A sentence for each class that findings are about: which changes move its maps, and more than a seed or less.

    A change moves maps more, or less, than another seed where the intervals of all models lie on one side of those of
    all pairs of seeds.
    """
    rows = [(name, row) for name, row in stability_rows(results) if name in judged_models(results)]
    found = (
        _stability_finding(results, class_name, [each for each in rows if each[1]["class_name"] == class_name])
        for class_name in judged_classes(results)
    )
    return [sentence for sentence in found if sentence]


def _stability_finding(results: Results, class_name: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    known = [(name, row) for name, row in rows if row["consistency_low"] is not None]
    if not known:
        return ""
    changes = list(dict.fromkeys(row["change"] for _, row in known))
    unstable = {
        change: names
        for change in changes
        if (names := [name for name, row in known if row["change"] == change and row["verdict"] == "unstable"])
    }
    r = span(row["consistency"] for _, row in known)
    parts = [
        f"{change_words(change)} moves the maps of {class_name} more than half as far as another image of the class "
        f"would, in {listed(names)}"
        for change, names in unstable.items()
    ]
    if not unstable and all(row["verdict"] == "stable" for _, row in known):
        parts = [f"small changes of the image leave the maps of {class_name} alike (r {r})"]
    elif not unstable:
        parts = [f"how stable the maps of {class_name} are is undecided for some changes (r {r})"]
    parts += _beside_seeds(results, class_name, known, changes)
    return f"{capitalised('; '.join(parts))}."


def _beside_seeds(
    results: Results, class_name: str, known: Sequence[tuple[str, Mapping[str, Any]]], changes: Sequence[str]
) -> list[str]:
    """Which changes move the maps of a class less, and which more, than training with another seed does."""
    seeds = _seed_pairs(results, class_name)
    if not seeds:
        return []
    less, more = [], []
    for change in changes:
        own = [row for _, row in known if row["change"] == change]
        if min(row["consistency_low"] for row in own) > max(high for *_, high in seeds):
            less.append(change_words(change))
        elif max(row["consistency_high"] for row in own) < min(low for low, *_ in seeds):
            more.append(change_words(change))
    beside = f"(r {span(mean for _, mean, _ in seeds)})"
    found = []
    if less:
        what = "any of these changes" if len(less) == len(changes) > 1 else listed(less)
        found.append(f"training with another seed moves them more {beside} than {what}")
    if more:
        found.append(f"{listed(more)} moves them more than training with another seed {beside}")
    return found
