"""The page's agreement of models: a matrix and an interval chart for each class."""

from typing import TYPE_CHECKING, Any

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.statistics.enough import FEWEST_IMAGES
from wheretolook.report.charts import IntervalChart, Measured, interval_chart
from wheretolook.report.results import KINDS, Results
from wheretolook.report.shown import PAGE, Shown, shown_classes
from wheretolook.report.words import NOTHING, count, number, number_with_interval

if TYPE_CHECKING:
    import pandas as pd

KIND_WORDS = {"seeds": "one recipe, other seeds", "recipes": "different recipes", "drive": "with an imported model"}
# Each null has its own shape, since colour alone would not be read by everybody.
SHAPES = {
    "other": "M-4 -4L4 4M-4 4L4 -4",
    "centre": "M0 -5V5M-5 0H5",
    "mean_map": "M-4 -4H4V4H-4Z",
    "random": "M0 -5L5 4H-5Z",
}


def agreement_note(results: Results) -> str:
    """Which classes have a part, where there are too many for each; else empty."""
    note = _shown(results).note
    return f"{note} All stand in reports/plots/agreement.csv." if note else ""


def _shown(results: Results) -> Shown:
    return shown_classes(results, PAGE, set(results.primary()["class_name"]))


def agreements(results: Results) -> list[dict[str, Any]]:
    """For each class with a pair of models: matrix rows and a chart; empty where there is one model."""
    rows = results.primary()
    parts = []
    for class_name in _shown(results).names:
        of_class = rows[rows["class_name"] == class_name]
        if len(of_class):
            most = int(of_class["images"].max())
            parts.append(
                {
                    "class_name": class_name,
                    "images": count(most, "image"),
                    "rows": _matrix(results, of_class),
                    "charts": [
                        (KIND_WORDS[kind], _chart(class_name, kind, own), _missing(own))
                        for kind in KINDS
                        if len(own := of_class[of_class["kind"] == kind])
                    ],
                    "beside": _beside(results, class_name, of_class),
                }
            )
    return parts


def _missing(rows: "pd.DataFrame") -> str:
    """Why no pair has a correlation, where none has one."""
    few = (rows["images"] + rows["left_out"]).max() < FEWEST_IMAGES
    return f"it takes {FEWEST_IMAGES} images" if few else "maps do not vary"


def nothing_compared(results: Results) -> str:
    """Why no two models are compared."""
    if len(results.names) == 1:
        return "One model: there is nothing to compare."
    return "No two models have CAMs of their last layer: there is nothing to compare."


def _matrix(results: Results, rows: "pd.DataFrame") -> list[dict[str, Any]]:
    known = {(row.model_a, row.model_b): row.mean for row in rows[["model_a", "model_b", "mean"]].itertuples()}
    known |= {(b, a): mean for (a, b), mean in known.items()}
    return [{"name": a, "cells": [_cell(a == b, known.get((a, b))) for b in results.names]} for a in results.names]


def _beside(results: Results, class_name: str, rows: "pd.DataFrame") -> dict[str, Any] | None:
    """Each pair's agreement on the train split, and by group; None where there is neither."""
    train = {(r["model_a"], r["model_b"]): r for r in results.train if r["class_name"] == class_name}
    by_group = "group_lowest" in rows and bool(rows["group_lowest"].notna().any())
    if not train and not by_group:
        return None
    pairs = []
    for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        known = train.get((row["model_a"], row["model_b"]), {})
        pairs.append(
            {
                "pair": f"{row['model_a']}, {row['model_b']}",
                "kind": KIND_WORDS[row["kind"]],
                "held_out": number(row["mean"]),
                "train": number(known.get("mean")),
                "groups": _by_group(row) if by_group else "",
            }
        )
    return {"pairs": pairs, "by_group": by_group, "train": bool(train)}


def _by_group(row: dict[str, Any]) -> str:
    """How far the groups (patients) are apart."""
    if row["group_lowest"] is None:
        return NOTHING
    lowest, highest, spread = (number(row[f"group_{key}"]) for key in ("lowest", "highest", "sd"))
    return f"{row['groups']} groups: {lowest} to {highest}, SD {spread}"


def _cell(same: bool, mean: float | None) -> dict[str, str]:
    if same or mean is None or mean != mean:
        return {"text": "" if same else NOTHING, "share": "0"}
    return {"text": number(mean), "share": f"{max(0.0, mean):.3f}"}


def _chart(class_name: str, kind: str, rows: "pd.DataFrame") -> IntervalChart | None:
    measured = [_measured(row) for row in rows.to_dict("records") if row["mean"] == row["mean"]]
    return interval_chart(f"Agreement for {class_name}, {KIND_WORDS[kind]}", measured) if measured else None


def _measured(row: dict[str, Any]) -> Measured:
    low, high = (None if row[key] != row[key] else float(row[key]) for key in ("low", "high"))
    nulls = tuple((kind, float(row[kind])) for kind in NULLS if row[kind] == row[kind])
    label = f"{row['model_a']}, {row['model_b']}"
    beside = ", ".join(f"{NULLS[kind]} {number(value)}" for kind, value in nulls)
    said = f"{label}: {number_with_interval(row['mean'], low, high)}; {beside}"
    return Measured(label, row["kind"], float(row["mean"]), low, high, nulls, said)
