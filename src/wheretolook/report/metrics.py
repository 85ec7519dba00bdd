"""reports/metrics.json: the figures that `dvc metrics` shows, nested by model."""

from typing import Any

from wheretolook.report.results import Results

CLASSIFICATION = ("accuracy", "balanced_accuracy", "auroc", "ece", "brier", "log_loss")
EVIDENCE = ("energy", "energy_ratio", "pointing", "mark_energy", "mark_ratio", "foreground_ratio")


def metrics_of(results: Results) -> dict[str, Any]:
    """NAME: SPLIT: figures; `localisation` and `agreement` by class, on the split that models are compared on.

    Every leaf is a float, since DVC takes 1 and 1.0 for a change of type; a figure that does not exist is left out.
    """
    return {name: _model(results, name) for name in results.names}


def _model(results: Results, name: str) -> dict[str, Any]:
    result = results.models[name]
    figures: dict[str, Any] = {
        split: _floats(figures, CLASSIFICATION) for split, figures in result["splits"].items() if figures
    }
    located = localisation_of(result, results.split)
    if located:
        figures["localisation"] = {class_name: _floats(row, EVIDENCE) for class_name, row in located.items()}
    agreement = agreement_with_others(results, name)
    if agreement:
        figures["agreement"] = agreement
    estimated = (result.get("foreground_estimated") or {}).get(f"cam.{result['layers'][-1]}", {}).get(results.split)
    if estimated:
        figures["foreground_estimated"] = {k: _floats(row, ("energy", "ratio")) for k, row in estimated.items()}
    faithfulness = faithfulness_of(result)
    if faithfulness:
        figures["faithfulness"] = faithfulness
    return figures


def localisation_of(result: dict[str, Any], split: str) -> dict[str, dict[str, Any]]:
    """Localisation by class of a model's own maps: CAM of the last layer, on one split; empty without masks."""
    by_map = result["localisation"] or {}
    return by_map.get(f"cam.{result['layers'][-1]}", {}).get(split, {})


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


def _floats(figures: dict[str, Any], keys: tuple[str, ...]) -> dict[str, float]:
    return {key: float(figures[key]) for key in keys if figures.get(key) is not None}
