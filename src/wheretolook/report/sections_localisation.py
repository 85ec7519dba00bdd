"""The page's figures of where a model's maps lie: in the evidence, on the foreground, by split, group and test set."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wheretolook.analysis.statistics.classification import difference_interval
from wheretolook.base.prepared import SPLITS
from wheretolook.report.loaded import PAGE, Results, in_order, shown_classes
from wheretolook.report.plots import estimated_of, localisation_of
from wheretolook.report.words import (
    NOTHING,
    count,
    listed,
    number,
    number_with_interval,
    percent,
    percent_with_interval,
    span,
)

FIGURES = {
    "images": "images with an evidence mask",
    "area": "share of the area: chance level of the energy",
    "energy": "positive energy inside the evidence (95 %)",
    "ceiling": "highest energy possible on this grid",
    "centre": "energy of a blob at the centre",
    "negative": "negative energy inside the evidence",
    "pointing": "maximum inside the evidence (pointing game)",
    "chance": "pointing game of a random cell",
    "centre_points": "pointing game of the centre",
    "iou": "IoU with the evidence, at one threshold chosen on val",
    "auroc": "pixel AUROC",
    "precision": "average precision",
    "foreground": "positive energy on the foreground, evidence included",
    "mark": "positive energy on the mark",
}


def located_section(results: Results) -> dict[str, Any]:
    """`classes`, `foreground`, `splits`, `groups` and `attributes`, each empty where nothing was measured."""
    parts = {name: part for name in results.class_names if (part := _of_class(results, name))}
    estimated = {name for result in results.models.values() for name in estimated_of(result, results.split)}
    shown, on_foreground = (shown_classes(results, PAGE, among) for among in (parts, estimated))
    return {
        "split": results.split,
        "classes": [parts[name] for name in shown.names],
        "note": f"{shown.note} reports/plots/localisation.csv has all." if shown.note else "",
        "foreground": list(_foreground(results, on_foreground.names)),
        "foreground_note": f"{on_foreground.note} reports/metrics.json has all." if on_foreground.note else "",
        "splits": [_splits(results, name) for name in results.names],
        "groups": [row for name in results.names for row in _groups(results, name)],
        "attributes": list(_attributes(results)),
    }


def _of_class(results: Results, class_name: str) -> dict[str, Any] | None:
    """All localisation figures of the primary maps of one class."""
    columns = [
        _figures(name, row, known_foreground=not results.models[name].get("foreground_estimated"))
        for name in results.names
        if (row := localisation_of(results.models[name], results.split).get(class_name)) and row["evidence_images"]
    ]
    lines = [(label, [column[key] for column in columns]) for key, label in FIGURES.items()]
    return (
        {
            "class_name": class_name,
            "names": [column["name"] for column in columns],
            "lines": [(label, cells) for label, cells in lines if any(cell != NOTHING for cell in cells)],
        }
        if columns
        else None
    )


def _figures(name: str, row: dict[str, Any], known_foreground: bool) -> dict[str, str]:
    at = row["iou_threshold"]
    return {
        "name": name,
        "images": str(row["evidence_images"]),
        "area": percent(row["area_share"]),
        "energy": _with_ends(row, "energy"),
        "ceiling": percent(row["energy_ceiling"]),
        "centre": percent(row["centre_energy"]),
        "negative": percent(row["negative_energy"]),
        "pointing": percent(row["pointing"], 0),
        "chance": percent(row["pointing_by_area"], 0),
        "centre_points": percent(row["centre_pointing"], 0),
        "iou": number(row["iou"]) + ("" if at is None else f" (threshold {at:.2f})"),
        "auroc": number(row["pixel_auroc"], 3),
        "precision": number(row["average_precision"], 3),
        "foreground": _with_area(row["foreground_energy"] if known_foreground else None, row["foreground_area_share"]),
        "mark": _with_area(row["mark_energy"], row["mark_area_share"]),
    }


def _foreground(results: Results, class_names: Sequence[str]) -> Iterable[dict[str, str]]:
    """Energy of the primary maps on the estimated foreground, where no mask names one."""
    for name in results.names:
        by_class = estimated_of(results.models[name], results.split)
        for class_name, row in in_order(by_class.items(), class_names, lambda row: row[0]):
            if not row["images"]:  # no image has a plain border: there is nothing to estimate
                continue
            yield {
                "name": name,
                "class_name": class_name,
                "images": f"{row['images']} of {_images(results, name, class_name)}",
                "area": percent(row["area_share"]),
                "energy": _with_ends(row, "energy"),
                "ratio": number(row["ratio"]),
            }


def _images(results: Results, name: str, class_name: str) -> int:
    """Images of a class in the compared split."""
    figures = results.models[name]["splits"].get(results.split) or {}
    return figures.get("classes", {}).get(class_name, {}).get("images", 0)


def _splits(results: Results, name: str) -> dict[str, Any]:
    """A model on each split: accuracy, calibration, energy inside the evidence."""
    result = results.models[name]
    cells = []
    for split in SPLITS:
        figures = result["splits"].get(split) or {}
        rows = [row for row in localisation_of(result, split).values() if row["energy"] is not None]
        images = sum(row["evidence_images"] for row in rows)
        energy = sum(row["energy"] * row["evidence_images"] for row in rows) / images if images else None
        cells.append(
            {
                "accuracy": percent(figures.get("accuracy")),
                "ece": number(figures.get("ece"), 3),
                "brier": number(figures.get("brier"), 3),
                "energy": percent(energy),
            }
        )
    return {"name": name, "cells": cells}


def _groups(results: Results, name: str) -> Iterable[dict[str, str]]:
    """Accuracy and energy by group: their spread, and the worst groups."""
    result = results.models[name]
    found = (result.get("groups") or {}).get(results.split)
    if not found:
        return
    for figure, summed in (("accuracy", found), ("energy", found.get("energy"))):
        if not summed:  # no image of the split has the region
            continue
        estimated = summed.get("region") == "foreground" and estimated_of(result, results.split)
        where = f" in the {'estimated ' if estimated else ''}{summed['region']}" if "region" in summed else ""
        worst = (
            f"{each['group'] or 'no group'} {percent(each[figure], 0)} of {each['images']}" for each in summed["worst"]
        )
        yield {
            "name": name,
            "figure": figure + where,
            "groups": str(summed["groups"]),
            "mean": _with_ends(summed, figure),
            "lowest": percent(summed["lowest"]),
            "highest": percent(summed["highest"]),
            "spread": NOTHING if summed["spread"] is None else percent(summed["spread"]),
            "worst": ", ".join(worst),
        }


def _attributes(results: Results) -> Iterable[dict[str, str]]:
    """Accuracy and energy by value of each attribute of the table of labels, on the compared split."""
    found = {name: results.models[name].get("attributes") or {} for name in results.names}
    for attribute in dict.fromkeys(each for own in found.values() for each in own):
        for name in results.names:
            for value, row in found[name].get(attribute, {}).get(results.split, {}).items():
                estimated = row["region"] == "foreground" and estimated_of(results.models[name], results.split)
                where = f"in the {'estimated ' if estimated else ''}{row['region']}"
                yield {
                    "attribute": attribute,
                    "value": value,
                    "name": name,
                    "images": f"{row['images']:,}",
                    "accuracy": _with_ends(row, "accuracy"),
                    "energy": NOTHING if row["energy"] is None else f"{_with_ends(row, 'energy')} {where}",
                }


def _with_ends(row: dict[str, Any], figure: str) -> str:
    """A share with its interval, in percent."""
    return percent_with_interval(row[figure], row[f"{figure}_low"], row[f"{figure}_high"])


def _with_area(energy: float | None, area: float | None) -> str:
    return NOTHING if energy is None else f"{percent(energy)} (area {percent(area)})"


def test_sets_section(results: Results) -> dict[str, Any]:
    """`test_sets`: each further test set in sentences, and a table of the models."""
    return {"test_sets": [_test_set(results, name, found) for name, found in results.shifts.items()]}


def _test_set(results: Results, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    models = [model for model in results.names if model in found["models"]]
    changes = {model: _balanced_change(results, model, found) for model in models}
    copies = found["training_copies"]
    them = "is a copy of a training image" if copies == 1 else "are copies of training images"
    shows = f"{copies:,} of them {them}" if copies else "no copy of a training image was found"
    lines = [f"{count(found['images'], 'image')} of {listed(found['class_names'])}; {shows}."]
    if absent := [each for each in results.class_names if each not in found["class_names"]]:
        changes = dict.fromkeys(models)
        accuracy = f"Without {listed(absent)}, so that balanced accuracy is not compared."
    else:
        accuracy = _accuracy_words(results, [each for each in changes.values() if each is not None])
    lower = sum(1 for each in changes.values() if each is not None and each[2] < 0)
    lines += [accuracy, *_agreement_lines(results, found)]
    rows = [_test_set_row(results, model, found["models"][model], changes[model]) for model in models]
    state = {"accuracy": accuracy, "lower": lower, "compared": any(changes.values())}
    return {"name": name, "lines": lines, "rows": rows, "split": results.split, **state}


def _home(results: Results, model: str) -> Mapping[str, Any]:
    return results.models[model]["splits"].get(results.split) or {}


def _balanced(figures: Mapping[str, Any]) -> tuple[float, float, float] | None:
    found = tuple(figures.get(f"balanced_accuracy{end}") for end in ("", "_low", "_high"))
    return None if None in found else found  # type: ignore[return-value]


def _balanced_change(results: Results, model: str, found: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Balanced accuracy on the test set less that on the compared split, with its interval; None without intervals."""
    there, here = _balanced(found["models"][model]["scores"]), _balanced(_home(results, model))
    return None if there is None or here is None else difference_interval(there, here)


def _accuracy_words(results: Results, changes: Sequence[tuple[float, float, float]]) -> str:
    if not changes:
        return "Too few images or groups of a class for an interval of balanced accuracy."
    kinds = {
        "lower": [each for each, _, high in changes if high < 0],
        "higher": [each for each, low, _ in changes if low > 0],
    }
    parts = [
        f"{word} than on the {results.split} split in {len(values)} of {count(len(changes), 'model')}, by "
        f"{span((100 * abs(each) for each in values), 1)} points"
        for word, values in kinds.items()
        if values
    ]
    if parts:
        return f"Balanced accuracy is {', and '.join(parts)}."
    return f"No model's balanced accuracy is shown to differ from that on the {results.split} split (95 % intervals)."


def _agreement_lines(results: Results, found: Mapping[str, Any]) -> Iterable[str]:
    """By class, the agreement of the models' maps there and on the compared split, over the same pairs."""
    rows = results.primary()
    here = {(row.model_a, row.model_b, row.class_name): row.mean for row in rows.itertuples() if row.mean == row.mean}
    for class_name in found["class_names"]:
        own = [row for row in found["agreement"] if row["class_name"] == class_name and row["mean"] is not None]
        pairs = [
            (row["mean"], here[key]) for row in own if (key := (row["model_a"], row["model_b"], class_name)) in here
        ]
        if pairs:
            there, before = zip(*pairs, strict=True)
            yield (
                f"Agreement of the models' maps of {class_name}: r = {span(there)}; "
                f"{span(before)} on the {results.split} split."
            )


def _test_set_row(
    results: Results, model: str, found: Mapping[str, Any], change: tuple[float, float, float] | None
) -> dict[str, str]:
    there, here = found["scores"], _home(results, model)
    return {
        "name": model,
        "accuracy": f"{percent(there['accuracy'])} ({percent(here.get('accuracy'))})",
        "balanced": percent_with_interval(*(there[f"balanced_accuracy{end}"] for end in ("", "_low", "_high"))),
        "change": NOTHING if change is None else number_with_interval(*(100 * each for each in change)),
        "ece": f"{number(there['ece'], 3)} ({number(here.get('ece'), 3)})",
        "energy": _energy_change(results, model, found),
    }


def _beside_area(row: Mapping[str, Any]) -> str:
    energy, area = row.get("energy"), row.get("area_share")
    return NOTHING if energy is None else f"{percent(energy, 0)} on {percent(area, 0)} of the area"


def _energy_change(results: Results, model: str, found: Mapping[str, Any]) -> str:
    """Energy by class inside the evidence, or on the estimated foreground, beside its share of the area."""
    for key in ("localisation", "foreground_estimated"):
        before = ((results.models[model].get(key) or {}).get(found["maps"]) or {}).get(results.split) or {}
        parts = [
            f"{class_name} {_beside_area(row)} ({_beside_area(before.get(class_name) or {})})"
            for class_name, row in (found[key] or {}).items()
            if row["energy"] is not None
        ]
        if parts:
            return ", ".join(parts) + (" of the estimated foreground" if key == "foreground_estimated" else "")
    return NOTHING
