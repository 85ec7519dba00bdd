"""reports/metrics.json: the figures that `dvc metrics` shows, nested by model; tables and charts read them here."""

from typing import Any

from wheretolook.report.results import Results, primary_key

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
    """Accuracy of calling every image by the most frequent class."""
    images = [sum(row) for row in figures["confusion"]]
    return max(images) / sum(images)


def _floats(figures: dict[str, Any], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: float(figures[key]) for key in keys if figures.get(key) is not None}
