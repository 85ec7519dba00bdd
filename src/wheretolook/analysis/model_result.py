"""Assemble results of models from their maps and the data: `reports/models/NAME.json`, `reports/tests/NAME.json`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.agreement_table import agreement_on, rounded
from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.explained import check_data, foremost, open_target
from wheretolook.analysis.localisation.common_place import by_attribute, by_group
from wheretolook.analysis.localisation.foreground import (
    estimate,
    has_foreground,
    stream_foreground,
    summarise_foreground,
)
from wheretolook.analysis.localisation.localise import Sample, locate, over_shared_images, stream_figures, summarise
from wheretolook.analysis.results.comparison_result import ShiftResult
from wheretolook.analysis.results.schema import checked
from wheretolook.analysis.results.scored_model import ModelResult
from wheretolook.analysis.statistics.bootstrap import group_codes, has_groups
from wheretolook.analysis.statistics.classification import split_scores
from wheretolook.base.prepared import SPLITS, TEST, Prepared, class_names_of
from wheretolook.mapstore.store import Maps
from wheretolook.networks.card import Card

FORMAT = 1


def model_result(
    name: str,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    probed: dict[str, Any],
    resamples: int,
    seed: int,
) -> ModelResult:
    """Every figure of one model.

    Args:
        name: of the model.
        card: of the model.
        maps: of the model.
        prepared: the data that the maps were made from.
        probed: what running the network found (`probe_model`).
        resamples: of each interval.
        seed: of each interval.

    Raises:
        InputError: the maps belong to other data.
    """
    check_data(maps, prepared)
    splits = {split: rows for split in SPLITS if len(rows := prepared.rows(split))}
    names = prepared.index["group"].to_numpy(dtype=str)
    groups = group_codes(names, prepared.index["sha256"].to_numpy(dtype=str), prepared.copies)
    labels, logits = prepared.labels, maps.head_logits()
    sample = Sample(labels, groups, splits, prepared.class_names)
    localisation, of_foremost = locate(maps, prepared, sample, resamples, seed)
    estimated, on_foreground = estimate(maps, prepared, sample, resamples, seed) or (None, None)
    right = logits[:, -1].argmax(axis=1) == labels
    found = {
        "format": FORMAT,
        "name": name,
        "model": describe(card, maps),
        "class_names": list(prepared.class_names),
        "layers": list(card.layers),
        "heads": list(maps.manifest["heads"]),
        "history": card.history,
        "splits": {
            split: scores_of(maps, logits[rows], labels[rows], prepared.class_names, groups[rows])
            for split, rows in splits.items()
        },
        "groups": by_group(right, of_foremost or on_foreground, sample, names, resamples, seed)
        if has_groups(names)
        else None,
        "attributes": by_attribute(prepared.index, right, of_foremost or on_foreground, sample, resamples, seed),
        "localisation": localisation,
        "foreground_estimated": estimated,
        **probed,
        "labels": label_table(maps, prepared),
        "value": value_table(card, maps, prepared),
    }
    return checked(ModelResult, found)


PROBABILITIES = ("ece", "ece_floor", "ece_floor_high", "brier", "log_loss")


def scores_of(
    maps: Maps, logits: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], groups: np.ndarray
) -> dict[str, Any]:
    """`split_scores` of a model; of one that learned a number, without those that take scores for probabilities."""
    figures = split_scores(logits, maps.manifest["heads"], labels, class_names, groups)
    if (maps.manifest["model"].get("outputs") or {}).get("kind") != "value":
        return figures
    heads = {layer: each | {"log_loss": None} for layer, each in figures["heads"].items()}
    return figures | dict.fromkeys(PROBABILITIES) | {"heads": heads}


def label_table(maps: Maps, prepared: Prepared) -> dict[str, dict[str, dict[str, Any]]] | None:
    """Figures by split and label of a network that learned labels; None for another, or for data without them."""
    labels = maps.labels()
    if labels is None or not set(labels[0]) <= set(prepared.label_names):
        return None
    names, logits, _ = labels
    truth = prepared.label_table()[:, [prepared.label_names.index(name) for name in names]]
    return {
        split: {name: label_scores(logits[rows, k], truth[rows, k]) for k, name in enumerate(names)}
        for split in SPLITS
        if len(rows := prepared.rows(split))
    }


def value_table(card: Card, maps: Maps, prepared: Prepared) -> dict[str, dict[str, Any]] | None:
    """Figures by split of a network that learned a number; None for another, or for data without the number."""
    outputs = card.outputs
    if outputs is None or outputs["kind"] != "value" or prepared.value is None:
        return None
    values, logits = prepared.values(), maps.logits().astype(np.float64)
    high = maps.class_names.index(class_names_of(outputs, ())[1])
    predicted = outputs["threshold"] + outputs["scale"] * (logits[:, high] - logits[:, 1 - high])
    train = prepared.rows("train")
    mean = float(values[train].mean()) if len(train) else outputs["threshold"]
    return {
        split: value_scores(predicted[rows], values[rows], mean)
        for split in SPLITS
        if len(rows := prepared.rows(split))
    }


def label_scores(logits: np.ndarray, table: np.ndarray) -> dict[str, Any]:
    """Figures of one label in one split (`LabelScores`).

    Args:
        logits: (n,) float32.
        table: (n,) float32, 1, 0, or NaN for unknown.
    """
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    known = ~np.isnan(table)
    logits, truth = logits[known], table[known] > 0
    both = 0 < truth.sum() < len(truth)
    return {
        "images": len(truth),
        "positive": int(truth.sum()),
        "auroc": float(roc_auc_score(truth, logits)) if both else None,
        "average_precision": float(average_precision_score(truth, logits)) if both else None,
        "f1": float(f1_score(truth, logits > 0)) if truth.any() or (logits > 0).any() else None,
    }


def value_scores(predicted: np.ndarray, values: np.ndarray, constant: float) -> dict[str, Any]:
    """Figures of a number in one split (`ValueScores`).

    Args:
        predicted, values: (n,) float64.
        constant: mean over the training images.
    """
    from scipy.stats import spearmanr
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    varied = np.ptp(values) > 0
    return {
        "images": len(values),
        "mse": float(mean_squared_error(values, predicted)),
        "mae": float(mean_absolute_error(values, predicted)),
        "constant_mse": float(((values - constant) ** 2).mean()),
        "r2": float(r2_score(values, predicted)) if varied else None,
        "spearman": float(spearmanr(predicted, values).statistic) if varied and np.ptp(predicted) > 0 else None,
    }


def describe(card: Card, maps: Maps) -> dict[str, Any]:
    """Identity of the model, so that the result can be read by itself."""
    return {
        "architecture": card.architecture,
        "arguments": card.arguments,
        "loss": card.loss,
        "seed": card.training.get("seed"),
        "sha256": maps.manifest["model"]["sha256"],
        "layers": list(card.layers),
        "heads": list(card.trained_heads),
        "trained_on": card.data.get("sha256"),
        "training": card.training,
        "outputs": card.outputs,
    }


def shift_result(name: str, study: Study, prepared: Path, resamples: int, seed: int) -> ShiftResult:
    """Every model on a further test set, whose images are all in the split test.

    Args:
        name: of the test set.
        study: the models and the images.
        prepared: the folder of the images, for their audit.
        resamples: of each interval.
        seed: of each interval.
    """
    data = study.prepared
    audit = json.loads((prepared / "audit.json").read_text(encoding="utf-8"))
    sample = Sample(data.labels, study.groups, {TEST: study.rows}, data.class_names)
    found = {
        "format": FORMAT,
        "name": name,
        "data": data.sha256,
        "images": len(study.rows),
        "class_names": [each for k, each in enumerate(data.class_names) if (data.labels == k).any()],
        "training_copies": audit["copies_of_training"]["count"],
        "models": {model: _shifted(maps, data, sample, resamples, seed) for model, maps in study.maps.items()},
        "agreement": [rounded(row) for row in agreement_on(study, TEST, resamples, seed)],
    }
    return checked(ShiftResult, found)


def _shifted(maps: Maps, data: Prepared, sample: Sample, resamples: int, seed: int) -> dict[str, Any]:
    known = foremost(maps)
    localisation = estimated = None
    if known is not None:
        targets = {"maps": open_target(maps, *known, data.labels)}
        if data.masks is not None:
            ((_, figures),) = stream_figures(targets, data.masks, np.arange(len(data.masks)))
            shared = over_shared_images({"maps": figures}, sample)["maps"][TEST]
            located = summarise(figures, sample, resamples, seed)[TEST]
            localisation = {each: row | shared[each] for each, row in located.items()}
        if not has_foreground(data.masks):
            on_foreground = stream_foreground(targets, data.images)["maps"]
            estimated = summarise_foreground(on_foreground, sample, resamples, seed)[TEST]
    return {
        "sha256": maps.manifest["model"]["sha256"],
        "scores": scores_of(maps, maps.head_logits(), data.labels, data.class_names, sample.groups),
        "maps": ".".join(known) if known else None,
        "localisation": localisation,
        "foreground_estimated": estimated,
    }
