"""Assemble `reports/models/NAME.json` from a model's card, its maps and the data."""

from typing import Any

from wheretolook.analysis.explained import check_data
from wheretolook.analysis.localisation.common_place import by_group
from wheretolook.analysis.localisation.foreground import estimate
from wheretolook.analysis.localisation.localise import Sample, locate
from wheretolook.analysis.results.schema import checked
from wheretolook.analysis.results.scored_model import ModelResult
from wheretolook.analysis.statistics.bootstrap import group_codes, has_groups
from wheretolook.analysis.statistics.classification import split_scores
from wheretolook.base.prepared import SPLITS, Prepared
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
        "localisation": localisation,
        "foreground_estimated": estimated,
        **probed,
    }
    return checked(ModelResult, found)


def describe(card: Card, maps: Maps) -> dict[str, Any]:
    """What the model is, for those who read the result alone."""
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
