"""Tables of the page about the models: what each section's template shows, as text that is ready to print."""

from collections.abc import Sequence
from math import log
from typing import Any

from wheretolook.base.prepared import SPLITS
from wheretolook.mapstore.store import cam_first
from wheretolook.report.charts import LineChart, line_chart, round_up
from wheretolook.report.guessing import baseline_of, below_majority, no_better
from wheretolook.report.loaded import MARK, PAGE, Results, fails_sanity, loss_of, primary_key, seed_of, shown_classes
from wheretolook.report.plots import evidence_of, localisation_of, shared_evidence_of
from wheretolook.report.words import (
    NOTHING,
    listed,
    number,
    number_with_interval,
    percent,
    percent_span,
    percent_with_interval,
)

# The learning rate falls to 0 by the end of a training, so that the last epoch is nearly always the lowest by a little.
# Only a fall of this share of the loss of guessing (the logarithm of the number of classes) counts.
LEAST_FALL = 0.01
ERRORS = 10  # pairs of classes that are shown of each model, where there are too many for a matrix


def model_rows(results: Results) -> list[dict[str, Any]]:
    """The table of the models, on the compared split."""
    return [_model_row(results, name) for name in results.names]


def split_baselines(results: Results) -> list[str]:
    """The baselines of the accuracy on each split."""
    found = {split: baseline.words for split in SPLITS if (baseline := baseline_of(results, split))}
    if len(found) > 1 and len(set(found.values())) == 1:
        return [f"on every split, {next(iter(found.values()))}"]
    return [f"{split}: {words}" for split, words in found.items()]


def _model_row(results: Results, name: str) -> dict[str, Any]:
    result = results.models[name]
    figures = result["splits"].get(results.split) or {}
    balanced, low, high = (figures.get(f"balanced_accuracy{end}") for end in ("", "_low", "_high"))
    confusion = figures.get("confusion") or []
    evidence = evidence_of(result, results.split)
    return {
        "name": name,
        "loss": {"last": "last head", "every": "every head"}.get(loss_of(result), loss_of(result)),
        "seed": seed_of(result),
        "accuracy": percent(figures.get("accuracy")),
        "balanced": percent_with_interval(balanced, low, high),
        "auroc": number(figures.get("auroc"), 3),
        "ece": number(figures.get("ece"), 3),
        "wrong": sum(map(sum, confusion)) - sum(row[k] for k, row in enumerate(confusion)),
        "energy": percent(evidence.get("energy")),
        "ratio": number(evidence.get("ratio"), 1),
        "pointing": percent(evidence.get("pointing"), 0),
    }


def label_rows(results: Results) -> list[dict[str, str]]:
    """Figures of each label, by model, on the compared split; empty where no model learned labels of their own."""
    return [
        {
            "model": name,
            "label": label,
            "images": f"{row['images']:,}",
            "positive": f"{row['positive']:,}",
            "auroc": number(row["auroc"], 3),
            "precision": number(row["average_precision"], 3),
            "f1": number(row["f1"], 3),
        }
        for name in results.names
        for label, row in ((results.models[name].get("labels") or {}).get(results.split) or {}).items()
    ]


def label_agreement_rows(results: Results) -> list[dict[str, str]]:
    """Agreement of every two models on the maps of each label, with its baselines; empty without such models."""
    return [
        {
            "label": row["class_name"],
            "models": f"{row['model_a']}, {row['model_b']}",
            "images": f"{row['images']:,}",
            "r": number_with_interval(row["mean"], row["low"], row["high"]),
            **{null: number(row[null]) for null in ("other", "centre", "mean_map")},
        }
        for row in results.by_label
        if {row["model_a"], row["model_b"]} <= set(results.names)
    ]


def value_rows(results: Results) -> list[dict[str, str]]:
    """Figures of the number that a model predicts, on the compared split; empty where no model predicts one."""
    return [
        {
            "model": name,
            "value": results.models[name]["model"]["outputs"]["name"],
            "images": f"{row['images']:,}",
            "rmse": f"{row['mse'] ** 0.5:.4g}",
            "constant": f"{row['constant_mse'] ** 0.5:.4g}",
            "mae": f"{row['mae']:.4g}",
            "r2": number(row["r2"], 3),
            "spearman": number(row["spearman"], 3),
        }
        for name in results.names
        if (row := (results.models[name].get("value") or {}).get(results.split))
    ]


def confusions(results: Results) -> list[dict[str, Any]]:
    """A confusion matrix for each model; shade is the share of its row. Of many classes, the most frequent errors."""
    many = len(results.class_names) > PAGE
    return [
        {
            "name": name,
            "rows": [] if many else _confusion(results, figures["confusion"]),
            "errors": _errors(results, figures["confusion"]) if many else [],
        }
        for name in results.names
        if (figures := results.models[name]["splits"].get(results.split))
    ]


def _confusion(results: Results, counts: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "cells": [
                {"text": f"{n:,}", "share": f"{n / max(1, sum(row)):.3f}", "right": k == i} for k, n in enumerate(row)
            ],
        }
        for i, (name, row) in enumerate(zip(results.class_names, counts, strict=True))
    ]


def _errors(results: Results, counts: Sequence[Sequence[int]]) -> list[dict[str, str]]:
    """The most frequent confusions of two classes, the most frequent first."""
    names = results.class_names
    found = [(n, i, k) for i, row in enumerate(counts) for k, n in enumerate(row) if n and i != k]
    return [
        {"actual": names[i], "predicted": names[k], "images": f"{n:,}", "share": percent(n / sum(counts[i]), 0)}
        for n, i, k in sorted(found, key=lambda each: (-each[0], each[1:]))[:ERRORS]
    ]


def located(results: Results, layers: Sequence[str]) -> dict[str, Any] | None:
    """Energy inside the evidence by method, model and layer; layers are aligned at the last."""
    rows = [
        {"method": method, "model": name, "cells": cells}
        for method in _methods(results)
        for name in results.names
        if any(cells := _energy_cells(results, name, method, len(layers)))
    ]
    areas = [
        row["area_share"]
        for name in results.names
        for row in localisation_of(results.models[name], results.split).values()
        if row["evidence_images"]
    ]
    return {"layers": layers, "rows": rows, "area": percent_span(areas)} if rows and areas else None


def _methods(results: Results) -> list[str]:
    methods = {key.split(".", 1)[0] for name in results.names for key in results.models[name]["localisation"] or {}}
    return cam_first(methods)


def _energy_cells(results: Results, name: str, method: str, count: int) -> list[dict[str, str] | None]:
    result = results.models[name]
    cells = [
        _energy_cell(
            shared_evidence_of(result, results.split, f"{method}.{layer}"), fails_sanity(results, name, method, layer)
        )
        for layer in result["layers"][-count:]
    ]
    return [None] * (count - len(cells)) + cells


def _energy_cell(evidence: dict[str, float], fails: bool) -> dict[str, str] | None:
    if not evidence:
        return None
    return {
        "text": percent(evidence["energy"]),
        "share": f"{evidence['energy']:.3f}",
        "ceiling": percent(evidence["ceiling"], 0),
        "mark": MARK if fails else "",
    }


def training_charts(results: Results) -> list[LineChart]:
    """Loss by epoch on train and val, a chart for each model that carries its history."""
    histories = {name: results.models[name]["history"] for name in results.names if results.models[name]["history"]}
    losses = [epoch[key] for history in histories.values() for epoch in history for key in ("train_loss", "val_loss")]
    top = round_up(max(losses)) if losses else 1.0
    return [
        line_chart(name, ("epoch", "loss"), _series(history), top, 2 if top < 1 else 1)
        for name, history in histories.items()
    ]


def _series(history: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[float], list[float]]]:
    epochs = [epoch["epoch"] for epoch in history]
    return [(kind, kind, epochs, [epoch[f"{kind}_loss"] for epoch in history]) for kind in ("train", "val")]


def constant_models(results: Results) -> int:
    """Models trained here that do no better than one answer for every image."""
    here = [name for name in results.names if name not in results.drive]
    return sum(1 for name in here if no_better(results, name) and below_majority(results, name))


def falling(results: Results) -> tuple[int, int]:
    """Models trained here whose validation loss fell markedly in the last epoch, and all of more than one epoch."""
    histories = [results.models[name]["history"] for name in results.names if name not in results.drive]
    losses = [[epoch["val_loss"] for epoch in history] for history in histories if len(history) > 1]
    least = LEAST_FALL * log(len(results.class_names))
    return sum(1 for each in losses if min(each[:-1]) - each[-1] > least), len(losses)


def head_rows(results: Results, layers: Sequence[str]) -> dict[str, Any] | None:
    """Accuracy of each trained head on the compared split, where some model has more than one."""
    if all(len(results.models[name]["heads"]) < 2 for name in results.names):
        return None
    baseline = baseline_of(results)
    rows = [_head_row(results, name, len(layers)) for name in results.names]
    return {"layers": layers, "rows": rows, "baseline": baseline.words if baseline else ""}


def _head_row(results: Results, name: str, count: int) -> dict[str, Any]:
    result = results.models[name]
    heads = (result["splits"].get(results.split) or {}).get("heads", {})
    cells = [percent(heads[layer]["accuracy"]) if layer in heads else NOTHING for layer in result["layers"][-count:]]
    return {"name": name, "loss": loss_of(result), "cells": [NOTHING] * (count - len(cells)) + cells}


def curves_section(results: Results) -> dict[str, Any] | None:
    """By class: a chart of the primary map's curves for each model, and a table of all maps; None without any."""
    measured = {name: found for name in results.names if (found := results.models[name].get("curves"))}
    if not measured:
        return None
    first = next(iter(measured.values()))
    classes = {name for found in measured.values() for by_class in found["maps"].values() for name in by_class}
    shown = shown_classes(results, PAGE, classes)
    parts = [_of_class(results, class_name, measured) for class_name in shown.names]
    return {
        "images": first["images"],
        "split": first["split"],
        "classes": [part for part in parts if part],
        "note": f"{shown.note} reports/plots/curves.csv has all." if shown.note else "",
    }


def _of_class(results: Results, class_name: str, measured: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    rows, charts, undefined = [], [], []
    for name, found in measured.items():
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
