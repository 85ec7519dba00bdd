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
from wheretolook.base.prepared import SPLITS, TEST, Prepared
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
            split: split_scores(logits[rows], maps.manifest["heads"], labels[rows], prepared.class_names, groups[rows])
            for split, rows in splits.items()
        },
        "groups": by_group(right, of_foremost or on_foreground, sample, names, resamples, seed)
        if has_groups(names)
        else None,
        "attributes": by_attribute(prepared.index, right, of_foremost or on_foreground, sample, resamples, seed),
        "localisation": localisation,
        "foreground_estimated": estimated,
        **probed,
    }
    return checked(ModelResult, found)


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
    logits, heads = maps.head_logits(), maps.manifest["heads"]
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
        "scores": split_scores(logits, heads, data.labels, data.class_names, sample.groups),
        "maps": ".".join(known) if known else None,
        "localisation": localisation,
        "foreground_estimated": estimated,
    }
