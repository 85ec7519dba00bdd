"""The page's sanity: how alike maps stay when weights are randomised from the top layer down."""

from typing import Any

from wheretolook.cams.method_order import cam_first
from wheretolook.report.charts import LineChart, line_chart
from wheretolook.report.results import Results, primary_key
from wheretolook.report.words import count, number, number_with_interval


def sanity_section(results: Results, layers: list[str]) -> dict[str, Any] | None:
    """A table of all methods and layers, and a chart for each model; None where no model was asked.

    Args:
        results: finished results.
        layers: labels of the layers' columns, first to last; models with fewer stand at the last.
    """
    asked = {name: results.models[name]["sanity"] for name in results.names if results.models[name].get("sanity")}
    if not asked:
        return None
    methods = {key.split(".", 1)[0] for found in asked.values() for key in found}
    rows = [
        _row(results, name, method, len(layers))
        for method in cam_first(methods)
        for name in asked
        if any(key.split(".", 1)[0] == method for key in asked[name])
    ]
    first = next(iter(next(iter(asked.values())).values()))
    return {
        "layers": layers,
        "rows": rows,
        "draws": count(first["draws"], "draw"),
        "failing": any(cell and cell["fails"] for row in rows for cell in row["cells"]),
        "charts": [chart for name, found in asked.items() if (chart := _chart(results, name, found))],
    }


def _row(results: Results, name: str, method: str, columns: int) -> dict[str, Any]:
    result = results.models[name]
    cells = [_cell(result["sanity"].get(f"{method}.{layer}")) for layer in result["layers"][-columns:]]
    cells = [None] * (columns - len(cells)) + cells
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


def _chart(results: Results, name: str, found: dict[str, Any]) -> LineChart | None:
    """The cascade of the model's primary maps, from the trained network on, beside their baseline."""
    key = primary_key(results.models[name])
    if key not in found:
        return None
    steps = [1.0, *(step["spearman"] for step in found[key]["steps"])]
    places = [float(i) for i in range(len(steps))]
    series = [("val", key, places, steps)]
    if found[key]["baseline"] is not None:
        series.append(("train", "another image", places, [found[key]["baseline"]] * len(steps)))
    return line_chart(f"{name}: {key}", ("layers randomised", "mean |Spearman|"), series, 1.0)
