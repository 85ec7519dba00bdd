"""Recipes: models that differ in nothing but the seed, and what holds of networks trained so."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.classes.differences import ALPHA
from wheretolook.analysis.statements.claims import Claim, Findings
from wheretolook.analysis.statements.statement_text import signed
from wheretolook.analysis.statistics.enough import TWICE
from wheretolook.analysis.statistics.over_seeds import mean_over_seeds, pairs_over_seeds


def same_models(models: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Models whose file is that of one before them, with its name: they are no second witness.

    Args:
        models: "model" of each manifest, by name, in order.
    """
    first: dict[str, str] = {}
    same = {}
    for name, about in models.items():
        if about["sha256"] in first:
            same[name] = first[about["sha256"]]
        first.setdefault(about["sha256"], name)
    return same


def recipes_of(models: Mapping[str, Mapping[str, Any]], drive: Sequence[str]) -> list[tuple[str, ...]]:
    """Models trained here by one recipe, a model for each seed, recipe by recipe.

    Args:
        models: "model" of each manifest, by name, in order.
        drive: names of the models that came from Drive: how they were trained is not known for sure.
    """
    found: dict[str, dict[Any, str]] = {}
    for name, about in models.items():
        if name not in drive and about.get("seed") is not None:
            found.setdefault(about["recipe"], {}).setdefault(about["seed"], name)
    return [tuple(seeds.values()) for seeds in found.values()]


def over_seeds(claim: Claim, models: Sequence[str], found: Findings, margin: float) -> tuple[bool, str]:
    """Whether a claim that holds in each model of a recipe holds over its seeds, and the figures.

    Args:
        claim: about these models.
        models: of one recipe, six or more.
        found: of these models.
        margin: by which the agreement must exceed each null.
    """
    if claim.kind == "agreement":
        low, null = min((_excess(found, null), null) for null in NULLS)
        return low >= margin, f"lower end over seeds of the excess {signed(low)}, over {NULLS[null]}"
    if claim.kind == "place":
        places = [next(p for p in found.places[name] if p.region == claim.region) for name in models]
        low = min(mean_over_seeds(np.array(values))[1] for values in _beyond(places))
        return low > 0, f"lower end over seeds of energy beyond twice its share {signed(low)}"
    place = next(each for each in found.differing[tuple(models)] if each.place == claim.region)
    shares = np.array([place.shares[name] for name in models])
    low = mean_over_seeds(shares)[1] - TWICE * place.area
    sure = place.p_seeds is not None and place.p_seeds <= ALPHA
    figures = f"p over seeds {place.p_seeds:.3f}; lower end of the share beyond twice its area {signed(low)}"
    return sure and low > 0, figures


def _excess(found: Findings, null: str) -> float:
    return pairs_over_seeds({(r["model_a"], r["model_b"]): r[f"excess_{null}"] for r in found.rows})[1]


def _beyond(places: Sequence[Any]) -> list[list[float]]:
    """Energy beyond twice the share of area, and beyond twice that of a centre prior, of each model."""
    return [[p.energy - TWICE * getattr(p, key) for p in places] for key in ("area_share", "centre_energy")]
