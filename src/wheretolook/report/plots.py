"""reports/metrics.json and the tables of reports/plots/, which `dvc metrics` and `dvc plots` show."""

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from wheretolook.analysis.results.changed_images import StabilityRow
from wheretolook.analysis.results.comparison_result import ALL_CLASSES
from wheretolook.networks.card import EPOCH_FIGURES
from wheretolook.report.loaded import Results, primary_key

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


CLASSIFICATION = ("accuracy", "majority_share", "balanced_accuracy", "auroc", "ece", "brier", "log_loss")
EVIDENCE = ("energy", "energy_ratio", "pointing", "mark_energy", "mark_ratio", "foreground_ratio")


def metrics_of(results: Results) -> dict[str, Any]:
    """NAME: SPLIT: figures; `localisation` and `agreement` by class, on the split that models are compared on.

    Every leaf is a float, since DVC takes 1 and 1.0 for a change of type; a figure that does not exist is left out.
    """
    return {name: _model(results, name) for name in results.names}


def _model(results: Results, name: str) -> dict[str, Any]:
    result = results.models[name]
    figures: dict[str, Any] = {
        split: _floats({**figures, "majority_share": _majority_share(figures)}, CLASSIFICATION)
        for split, figures in result["splits"].items()
        if figures
    }
    located = localisation_of(result, results.split)
    if located:
        figures["localisation"] = {class_name: _floats(row, EVIDENCE) for class_name, row in located.items()}
    agreement = agreement_with_others(results, name)
    if agreement:
        figures["agreement"] = agreement
    estimated = estimated_of(result, results.split)
    if estimated:
        figures["foreground_estimated"] = {k: _floats(row, ("energy", "ratio")) for k, row in estimated.items()}
    faithfulness = faithfulness_of(result)
    if faithfulness:
        figures["faithfulness"] = faithfulness
    if labels := (result.get("labels") or {}).get(results.split):
        figures["labels"] = {label: _floats(row, ("auroc", "average_precision", "f1")) for label, row in labels.items()}
    if value := (result.get("value") or {}).get(results.split):
        figures["value"] = _floats(value, ("mse", "mae", "r2", "spearman"))
    return figures


def localisation_of(result: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """Localisation by class of a model's own maps: CAM of the last layer, on one split; empty without masks."""
    return (result["localisation"] or {}).get(primary_key(result), {}).get(split, {})


def estimated_of(result: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """By class: energy of a model's own maps on the estimated foreground; empty where masks name a foreground."""
    return (result.get("foreground_estimated") or {}).get(primary_key(result), {}).get(split, {})


def evidence_of(result: dict[str, Any], split: str, key: str = "") -> dict[str, float]:
    """Energy inside the evidence over all classes that have any, each class by its number of images.

    Args:
        result: reports/models/NAME.json.
        split: which split.
        key: METHOD.LAYER; empty: CAM of the last layer.

    Returns:
        energy, area_share, ratio, ceiling and pointing; empty where there is no evidence.
    """
    by_map = result["localisation"] or {}
    by_class = by_map.get(key, {}).get(split, {}) if key else localisation_of(result, split)
    rows = [row for row in by_class.values() if row["evidence_images"] and row["energy"] is not None]
    if not rows:
        return {}
    images = sum(row["evidence_images"] for row in rows)
    mean = {
        name: sum(row[name] * row["evidence_images"] for row in rows) / images
        for name in ("energy", "area_share", "energy_ceiling", "pointing")
    }
    return {**mean, "ceiling": mean["energy_ceiling"], "ratio": mean["energy"] / mean["area_share"]}


def shared_evidence_of(result: dict[str, Any], split: str, key: str) -> dict[str, float]:
    """Energy, area share and ceiling over images that all layers of the method have in common; empty without any.

    Args:
        result: reports/models/NAME.json.
        split: which split.
        key: METHOD.LAYER.
    """
    rows = [row for row in (result["localisation"] or {}).get(key, {}).get(split, {}).values() if row["shared_images"]]
    images = sum(row["shared_images"] for row in rows)
    return {
        name: sum(row[f"shared_{name}"] * row["shared_images"] for row in rows) / images
        for name in ("energy", "area_share", "ceiling")
        if images
    }


def faithfulness_of(result: dict[str, Any]) -> dict[str, Any]:
    """By class: the score left after removal by the model's own map, and its gaps; none where it is undefined."""
    by_class = (result["faithfulness"] or {}).get("classes", {})
    return {
        class_name: {
            "score_left": float(figures["removed"]["cam"]["score"]),
            **{f"gap_{kind}": float(gap["score"]["mean"]) for kind, gap in figures["gaps"].items()},
        }
        for class_name, figures in by_class.items()
        if not figures["undefined"]
    }


def agreement_with_others(results: Results, name: str) -> dict[str, float]:
    """By class, the mean over all other models of the mean correlation with this one's maps."""
    rows = results.primary()
    rows = rows[((rows["model_a"] == name) | (rows["model_b"] == name)) & rows["mean"].notna()]
    means = rows.groupby("class_name", sort=False)["mean"].mean()
    return {class_name: float(means[class_name]) for class_name in results.class_names if class_name in means}


def _majority_share(figures: dict[str, Any]) -> float:
    """Accuracy of always answering the most frequent class."""
    images = [sum(row) for row in figures["confusion"]]
    return max(images) / sum(images)


def _floats(figures: dict[str, Any], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: float(figures[key]) for key in keys if figures.get(key) is not None}


def sanity_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map and step: mean |Spearman| with the trained network's maps; place orders the steps."""
    import pandas as pd

    columns = ["model", "map", "randomised", "place", "spearman", "least", "most", "baseline"]
    rows = [
        {"model": name, "map": key, "place": place, "baseline": found["baseline"], **step}
        for name in results.names
        for key, found in (results.models[name].get("sanity") or {}).items()
        for place, step in enumerate(found["steps"])
    ]
    return pd.DataFrame(rows, columns=columns)


def stability_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map, class and change: how alike the map stays, with its baselines."""
    import pandas as pd

    columns = ["model", *(field.name for field in fields(StabilityRow))]
    rows = [{"model": name} | row for name in results.names for row in results.models[name].get("stability") or ()]
    return pd.DataFrame(rows, columns=columns)


def curves_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map, class, curve and point: score of the class at that share of the pixels."""
    import pandas as pd

    rows = [
        {"model": name, "map": key, "class_name": class_name, "curve": curve, "share": share, "score": score}
        for name in results.names
        if (found := results.models[name].get("curves"))
        for key, by_class in found["maps"].items()
        for class_name, figures in by_class.items()
        for curve in ("deletion", "insertion")
        for share, score in zip(found["shares"], figures[curve], strict=True)
    ]
    return pd.DataFrame(rows, columns=["model", "map", "class_name", "curve", "share", "score"])


def training_table(results: Results) -> "pd.DataFrame":
    """One row for each model and epoch: model, epoch, and loss and accuracy on train and val."""
    import pandas as pd

    rows = [
        {"model": name, "epoch": epoch["epoch"], **{key: epoch[key] for key in EPOCH_FIGURES}}
        for name in results.names
        for epoch in results.models[name]["history"]
    ]
    return pd.DataFrame(rows, columns=["model", "epoch", *EPOCH_FIGURES])


def layers_table(results: Results) -> "pd.DataFrame":
    """One row for each model, epoch and trained head: model, layer, epoch, val_loss, val_accuracy."""
    import pandas as pd

    rows = [
        {"model": name, "layer": layer, "epoch": epoch["epoch"], **figures}
        for name in results.names
        for epoch in results.models[name]["history"]
        for layer, figures in epoch.get("layers", {}).items()
    ]
    return pd.DataFrame(rows, columns=["model", "layer", "epoch", "val_loss", "val_accuracy"])


def confusion_table(labels: "np.ndarray", predicted: "np.ndarray", class_names: tuple[str, ...]) -> "pd.DataFrame":
    """One row for each image, for DVC's template: actual, predicted (class names)."""
    import numpy as np
    import pandas as pd

    names = np.asarray(class_names)
    return pd.DataFrame({"actual": names[labels], "predicted": names[predicted]})


def agreement_table(results: Results) -> "pd.DataFrame":
    """The primary agreement by class, in both orders of each pair, so that it draws as a full matrix.

    Columns: model_a, model_b, kind, class_name, images, pearson, low, high, and the models' places among the names.
    """
    import pandas as pd

    columns = ["model_a", "model_b", "kind", "class_name", "images", "mean", "low", "high"]
    rows = results.primary()[columns].rename(columns={"mean": "pearson"})
    rows = rows[rows["class_name"] != ALL_CLASSES]
    mirrored = rows.rename(columns={"model_a": "model_b", "model_b": "model_a"})[rows.columns]
    both = pd.concat([rows, mirrored], ignore_index=True)
    places = {name: place for place, name in enumerate(results.names)}
    for side in ("a", "b"):
        both[f"place_{side}"] = both[f"model_{side}"].map(places)
    return both.sort_values(["place_a", "place_b"], kind="stable", ignore_index=True)


def localisation_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map and class of the compared split: energy inside the evidence; depth 0 is the last."""
    import pandas as pd

    columns = ["area_share", "energy", "energy_low", "energy_high", "energy_ratio", "energy_ceiling", "pointing"]
    return pd.DataFrame(
        _located(results, columns),
        columns=["model", "method", "layer", "depth", "class_name", "evidence_images", *columns],
    )


def faithfulness_table(results: Results) -> "pd.DataFrame":
    """One row for each model, class and way of removal: what is left of the class's score; place orders the ways."""
    import pandas as pd

    ways = ("cam", "evidence", "centre", "other", "random")
    rows = [
        {"model": name, "class_name": class_name, "removed_by": way, "place": place, **figures["removed"][way]}
        for name in results.names
        for class_name, figures in (results.models[name]["faithfulness"] or {}).get("classes", {}).items()
        for place, way in enumerate(ways)
        if way in figures["removed"]
    ]
    return pd.DataFrame(rows, columns=["model", "class_name", "removed_by", "place", "score", "log_odds"])


def _located(results: Results, columns: list[str]) -> Iterable[dict[str, Any]]:
    for name in results.names:
        layers = results.models[name]["layers"]
        for key, by_split in (results.models[name]["localisation"] or {}).items():
            method, layer = key.split(".", 1)
            depth = layers.index(layer) - len(layers) + 1
            for class_name, row in by_split.get(results.split, {}).items():
                if row["evidence_images"]:
                    kept = {column: row[column] for column in ("evidence_images", *columns)}
                    yield {
                        "model": name,
                        "method": method,
                        "layer": layer,
                        "depth": depth,
                        "class_name": class_name,
                        **kept,
                    }
