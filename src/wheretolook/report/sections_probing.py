"""The page's experiments on images: infilled regions, look-alike places, cues of the whole image, occlusion maps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wheretolook.report.charts import IntervalChart, Measured, interval_chart
from wheretolook.report.guessing import judged_classes, judged_models
from wheretolook.report.loaded import PAGE, Results, shown_classes
from wheretolook.report.statement_words import CUES, REGIONS
from wheretolook.report.words import (
    NOTHING,
    capitalised,
    count,
    listed,
    number_with_interval,
    percent,
    percent_span,
    span,
)

ALIKE = 0.5  # correlation of CAM and occlusion maps from which they are called similar
SUMMARISED = 3  # classes whose first finding the closed section shows
SHAPES = {"control": "M-4 -4H4V4H-4Z", "same": "M-4 -4L4 4M-4 4L4 -4"}
INFILLS = {"imputation": "linear imputation", "patches": "patches of the same image", "blur": "blur"}


def regions_section(results: Results) -> dict[str, Any] | None:
    """Necessity, sufficiency and look-alikes of each class and region; None where nothing was measured."""
    rows = {name: results.models[name].get("necessity") or () for name in results.names}
    if not any(rows.values()):
        return None
    shown = shown_classes(results, PAGE, {row["class_name"] for each in rows.values() for row in each})
    parts = [_regions_of_class(results, class_name) for class_name in shown.names]
    return {
        "note": f"{shown.note} reports/models/ has all." if shown.note else "",
        "see": _of_classes(results, {part["class_name"]: part["regions"][0]["see"] for part in parts}),
        "classes": parts,
        "shapes": {"control": SHAPES["control"]},
    }


def _of_classes(results: Results, findings: Mapping[str, str]) -> str:
    """The findings about a few classes, those that are judged, as one text; empty where there are more."""
    judged = judged_classes(results) if judged_models(results) else ()
    own = [f"{name}: {finding}" for name, finding in findings.items() if name in judged]
    return " ".join(own) if len(own) <= SUMMARISED else ""


def _regions_of_class(results: Results, class_name: str) -> dict[str, Any]:
    regions = [_region(results, class_name, region) for region in _regions(results, class_name)]
    return {"class_name": class_name, "regions": regions, "look_alikes": _look_alikes(results, class_name)}


def _regions(results: Results, class_name: str) -> list[str]:
    """Regions of a class, in the order in which they were measured."""
    rows = _of_class(results, "necessity", class_name)
    return list(dict.fromkeys(row["region"] for _, row in rows))


def _of_class(results: Results, figure: str, class_name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """(model, row) of one figure of all models, about one class."""
    return [
        (name, row)
        for name in results.names
        for row in results.models[name].get(figure) or ()
        if row["class_name"] == class_name
    ]


def _region(results: Results, class_name: str, region: str) -> dict[str, Any]:
    needed = [(n, row) for n, row in _of_class(results, "necessity", class_name) if row["region"] == region]
    alone = [(n, row) for n, row in _of_class(results, "sufficiency", class_name) if row["region"] == region]
    words = REGIONS.get(region, region)
    return {
        "name": words,
        "see": _necessity_finding(words, [row for _, row in needed]),
        "chart": _necessity_chart(class_name, words, needed),
        "rows": [_necessity_row(name, row) for name, row in needed],
        "sufficiency": [_sufficiency_row(name, row) for name, row in alone],
        "alone": _sufficiency_finding(words, [row for _, row in alone]),
    }


def _necessity_finding(region: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """How many predictions change when a region is infilled, beside control places, in one sentence."""
    flips = percent_span((row["flips"] for row in rows), 0)
    controls = [row["control_flips"] for row in rows if row["control_flips"] is not None]
    if controls:
        beside = f"; infilling a control place of the same size changes {percent_span(controls, 0)}"
    else:
        beside = "; no control place of the same size fits beside it"
    return f"Infilling {region} changes {flips} of the predictions{beside}."


def _sufficiency_finding(region: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """How many predictions a region keeps by itself; empty where it was not measured."""
    kept = [row["kept"] for row in rows if row.get("kept") is not None]
    if not kept:
        return ""
    controls = [row["control_kept"] for row in rows if row.get("control_kept") is not None]
    beside = f"; a control place keeps {percent_span(controls, 0)}" if controls else ""
    return f"With everything but {region} infilled, {percent_span(kept, 0)} of the predictions stay{beside}."


def _necessity_chart(
    class_name: str, region: str, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> IntervalChart | None:
    measured = [
        Measured(
            f"{name}, {row['infill']}",
            "",
            row["flips"],
            row["flips_low"],
            row["flips_high"],
            (("control", row["control_flips"]),) if row["control_flips"] is not None else (),
            f"{name}, {row['infill']}: {percent(row['flips'], 0)}, control {percent(row['control_flips'], 0)}",
        )
        for name, row in rows
    ]
    return interval_chart(f"Predictions of {class_name} changed by infilling {region}", measured) if measured else None


def _necessity_row(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "model": name,
        "infill": INFILLS.get(row["infill"], row["infill"]),
        "images": str(row["images"]),
        "flips": _share(row, "flips"),
        "control": percent(row["control_flips"], 0),
        "log_odds": number_with_interval(row["excess"], row["excess_low"], row["excess_high"]),
    }


def _sufficiency_row(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "model": name,
        "infill": INFILLS.get(row["infill"], row["infill"]),
        "kept": _share(row, "kept"),
        "control": percent(row["control_kept"], 0),
    }


def _look_alikes(results: Results, class_name: str) -> dict[str, Any] | None:
    """Log-odds lost at a region beside the most that any place like it costs in images of another class."""
    rows = _of_class(results, "look_alikes", class_name)
    if not rows:
        return None
    more = sum(1 for _, row in rows if row["difference_low"] is not None and row["difference_low"] > 0)
    return {
        "see": (
            "Infilling the region costs more log-odds than infilling the best look-alike in images of another class in "
            f"{more} of {count(len(rows), 'comparison')} (95 % interval above 0)."
        ),
        "rows": [
            {
                "model": name,
                "region": REGIONS.get(row["region"], row["region"]),
                "other": row["other_class"],
                "own": number_with_interval(row["own"], row["own_low"], row["own_high"]),
                "elsewhere": number_with_interval(
                    row["best_elsewhere"], row["best_elsewhere_low"], row["best_elsewhere_high"]
                ),
                "difference": number_with_interval(row["difference"], row["difference_low"], row["difference_high"]),
            }
            for name, row in rows
        ],
    }


def _share(row: Mapping[str, Any], figure: str) -> str:
    """A share in percent with its interval."""
    low, high = row[f"{figure}_low"], row[f"{figure}_high"]
    ends = "" if low is None or high is None else f" ({100 * low:.0f} to {100 * high:.0f})"
    return percent(row[figure], 0) + ends


def cues_section(results: Results) -> dict[str, Any] | None:
    """For each class and cue, how many predictions change when the cue comes from an image of another class.

    None where nothing was measured.
    """
    rows = {
        (name, row["cue"], row["class_name"]): row
        for name in results.names
        for row in results.models[name].get("global_cues") or ()
        if row["exchanged"]
    }
    if not rows:
        return None
    shown = shown_classes(results, PAGE, {class_name for *_, class_name in rows})
    names = [name for name in results.names if any(key[0] == name for key in rows)]
    cues = list(dict.fromkeys(cue for _, cue, _ in rows))
    return {
        "note": f"{shown.note} reports/models/ has all." if shown.note else "",
        "names": names,
        "see": _cue_finding({key: row for key, row in rows.items() if _judged(results, *key)}),
        "classes": [
            {
                "class_name": class_name,
                "rows": [
                    {
                        "cue": capitalised(CUES.get(cue, cue)),
                        "cells": [_cue_cell(rows.get((name, cue, class_name))) for name in names],
                    }
                    for cue in cues
                ],
            }
            for class_name in shown.names
        ],
    }


def _judged(results: Results, name: str, cue: str, class_name: str) -> bool:
    """Whether findings are about a model and class."""
    return name in judged_models(results) and class_name in judged_classes(results)


def _cue_cell(row: Mapping[str, Any] | None) -> dict[str, str]:
    if row is None:
        return {"flips": NOTHING, "same": "", "share": "0"}
    return {"flips": _share(row, "flips"), "same": percent(row["floor_flips"], 0), "share": f"{row['flips']:.3f}"}


def _cue_finding(rows: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> str:
    """The cue whose exchange changes most predictions beyond an exchange within the class; empty without rows.

    An effect counts where its interval excludes the exchange within the class: the largest of many is always above 0.
    """
    compared = {key: row for key, row in rows.items() if row["floor_flips"] is not None}
    if not compared:
        return ""
    if not any(row["flips"] for row in rows.values()):
        return "No cue changes any prediction."
    clear = {key: row for key, row in compared.items() if _is_clear(row)}
    if not clear:
        known = any(row["flips_low"] is not None for row in compared.values())
        no_interval = "" if known else ": there are too few images for an interval"
        return f"No cue is shown to change more predictions than the same exchange within the class{no_interval}."
    (name, cue, class_name), most = max(
        clear.items(), key=lambda each: (each[1]["flips"] - each[1]["floor_flips"], each[0])
    )
    return (
        f"The largest effect: {CUES.get(cue, cue)}, taken from another class, changes {percent(most['flips'], 0)} of "
        f"the predictions of {class_name} in {name}; taken from the same class, {percent(most['floor_flips'], 0)}."
    )


def _is_clear(row: Mapping[str, Any]) -> bool:
    """Whether the share that a cue of another class changes exceeds that of the same class by its interval."""
    excess = row.get("excess_flips_low")
    if excess is None:
        return row["flips_low"] is not None and row["flips_low"] > row["floor_flips"]
    return excess > 0


def occlusion_section(results: Results) -> dict[str, Any] | None:
    """How well CAMs agree with occlusion maps, which need outputs only; None where nothing was measured."""
    rows = {name: results.models[name].get("occlusion") or () for name in results.names}
    if not any(rows.values()):
        return None
    shown = shown_classes(results, PAGE, {row["class_name"] for each in rows.values() for row in each})
    parts = [_occlusion_of_class(results, class_name) for class_name in shown.names]
    return {
        "note": f"{shown.note} reports/models/ has all." if shown.note else "",
        "see": _of_classes(results, {part["class_name"]: part["see"] for part in parts}),
        "classes": parts,
    }


def _occlusion_of_class(results: Results, class_name: str) -> dict[str, Any]:
    rows = [(name, row) for name, row in _of_class(results, "occlusion", class_name) if row["r"] is not None]
    ends = {name: (row["r"], row["r_low"], row["r_high"]) for name, row in rows}
    measured = [Measured(n, "", *own, (), f"{n}: {number_with_interval(*own)}") for n, own in ends.items()]
    return {
        "class_name": class_name,
        "see": _occlusion_finding(rows),
        "chart": interval_chart(f"CAM and occlusion maps of {class_name}", measured) if measured else None,
    }


def _occlusion_finding(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Whether both methods agree, by the intervals."""
    rows = list(rows)
    if not rows:
        return "No correlation exists: maps do not vary, or there are too few images."
    above = [name for name, row in rows if row["r_low"] is not None and row["r_low"] > 0]
    r, least = span(row["r"] for _, row in rows), min(row["r"] for _, row in rows)
    if len(above) == len(rows):
        how = "point at similar places" if least >= ALIKE else "agree, but weakly"
        return f"CAM and occlusion maps correlate by {r}: the two methods {how}."
    if all(row["r_low"] is None for _, row in rows):
        return f"CAM and occlusion maps correlate by {r}; there are too few images for an interval."
    if not above:
        none = f"CAM and occlusion maps correlate by {r}, in no model above 0 (95 % interval)"
        return f"{none}: these CAMs are not confirmed."
    rest = [name for name, _ in rows if name not in above]
    return (
        f"CAM and occlusion maps correlate by {r}; above 0 (95 % interval) in {listed(above)}, not in {listed(rest)}."
    )
