"""The page's classic faithfulness, where it was asked for: insertion and deletion, average drop and increase."""

from typing import Any

from wheretolook.report.charts import line_chart
from wheretolook.report.results import Results, primary_key
from wheretolook.report.shown import PAGE, shown_classes
from wheretolook.report.words import listed, number, percent


def curves_section(results: Results) -> dict[str, Any] | None:
    """By class: a chart of the primary map's curves for each model, and a table of all maps; None where not asked."""
    asked = {name: found for name in results.names if (found := results.models[name].get("curves"))}
    if not asked:
        return None
    first = next(iter(asked.values()))
    measured = {name for found in asked.values() for by_class in found["maps"].values() for name in by_class}
    shown = shown_classes(results, PAGE, measured)
    parts = [_of_class(results, class_name, asked) for class_name in shown.names]
    return {
        "images": first["images"],
        "split": first["split"],
        "classes": [part for part in parts if part],
        "note": f"{shown.note} All stand in reports/plots/curves.csv." if shown.note else "",
    }


def _of_class(results: Results, class_name: str, asked: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    rows, charts, undefined = [], [], []
    for name, found in asked.items():
        own = {key: by_class[class_name] for key, by_class in found["maps"].items() if class_name in by_class}
        rows += [_row(name, key, figures) for key, figures in own.items()]
        if any(figures["undefined"] for figures in own.values()):
            undefined.append(name)
        primary = primary_key(results.models[name])
        if primary in own:
            lines = [
                (kind, curve, found["shares"], own[primary][curve])
                for kind, curve in (("val", "deletion"), ("train", "insertion"))
            ]
            charts.append(line_chart(f"{name}: {primary}", ("share of the pixels", "score"), lines, 1.0))
    return (
        {
            "class_name": class_name,
            "rows": rows,
            "charts": charts,
            "undefined": listed(undefined) if undefined else "",
        }
        if rows
        else None
    )


def _row(name: str, key: str, figures: dict[str, Any]) -> dict[str, str]:
    return {
        "model": name,
        "map": key,
        "deletion": number(figures["deletion_auc"], 3),
        "insertion": number(figures["insertion_auc"], 3),
        "drop": percent(figures["average_drop"]),
        "increase": percent(figures["average_increase"]),
    }
