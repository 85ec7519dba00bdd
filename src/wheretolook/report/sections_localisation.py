"""The page's figures of where a model's own maps lie: in the evidence, on the foreground, by split and by group."""

from collections.abc import Iterable, Sequence
from typing import Any

from wheretolook.base.prepared import SPLITS
from wheretolook.report.loaded import PAGE, Results, in_order, shown_classes
from wheretolook.report.plots import estimated_of, localisation_of
from wheretolook.report.words import NOTHING, number, percent, percent_with_interval

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
    """`classes`, `foreground`, `splits` and `groups`, each empty where nothing was measured."""
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


def _with_ends(row: dict[str, Any], figure: str) -> str:
    """A share with its interval, in percent."""
    return percent_with_interval(row[figure], row[f"{figure}_low"], row[f"{figure}_high"])


def _with_area(energy: float | None, area: float | None) -> str:
    return NOTHING if energy is None else f"{percent(energy)} (area {percent(area)})"
