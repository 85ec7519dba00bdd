"""What may be said about each class, what must not, and by which rule."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wheretolook.analysis import rules
from wheretolook.analysis.agreement import NULLS
from wheretolook.analysis.places import Place, common_place

FORMAT = 1
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Findings:
    """What the statements about one class are made from.

    Attributes:
        class_name: the class.
        images: of the class in the split.
        rows: primary rows of Pearson's r over all images of the class, one for each pair of models.
        places: by model, the regions of its maps of the class; empty where there are no masks.
    """

    class_name: str
    images: int
    rows: Sequence[Row]
    places: Mapping[str, list[Place]]


def statements(
    models: Sequence[str],
    split: str,
    accuracy_low: Mapping[str, float | None],
    classes: Sequence[Findings],
    margin: float,
) -> dict[str, Any]:
    """The content of `statements.json`.

    Args:
        models: names, in order.
        split: whose images were compared.
        accuracy_low: lower end of each model's balanced accuracy on the split; None where there is no interval.
        classes: K of them, in class order.
        margin: by which the agreement must exceed each null.
    """
    chance = 1 / len(classes)
    at_chance = [name for name in models if (low := accuracy_low[name]) is None or low <= chance]
    return {
        "format": FORMAT,
        "split": split,
        "models": list(models),
        "margin": margin,
        "rules": rules.WORDS,
        "accuracy": {name: {"low": accuracy_low[name], "chance": chance} for name in models},
        "must_not": _general(models),
        "classes": {each.class_name: _of_class(models, split, each, at_chance, margin) for each in classes},
    }


def _general(models: Sequence[str]) -> list[dict[str, str]]:
    """What the study as a whole must not be taken to say."""
    return [
        _said(
            "Networks trained so look there.", rules.RECIPE, f"the study is of these {len(models)} models, over images"
        ),
        _said("The class is recognised by what the maps mark.", rules.CAUSE, "maps locate a network's evidence"),
    ]


def _of_class(
    models: Sequence[str], split: str, found: Findings, at_chance: Sequence[str], margin: float
) -> dict[str, Any]:
    agreed = f"In these {len(models)} models, over {found.images} {split} images of {found.class_name}, the networks"
    look_alike = f"{agreed} look at the same places of an image."
    vetoes = vetoes_of(models, found.rows, margin)
    why = _first_obstacle(models, found, at_chance, margin)
    holds, must_not = [], []
    if why is None:
        holds.append(_said(look_alike, rules.AGREEMENT, _weakest(found.rows)))
    else:
        must_not.append(_said(look_alike, *why))
    for region, allowed, rule, reason in _regions(found, why):
        (holds if allowed else must_not).append(_said(f"{agreed} look at the {region}.", rule, reason))
    return {
        "images": found.images,
        "holds": holds,
        "must_not": must_not,
        "excess_low": {null: _lowest(found.rows, null) for null in NULLS},
        "vetoes": vetoes,
        "places": {name: [asdict(place) for place in own] for name, own in found.places.items()},
    }


def _said(statement: str, rule: str, because: str) -> dict[str, str]:
    return {"statement": statement, "rule": rule, "because": because}


def _first_obstacle(
    models: Sequence[str], found: Findings, at_chance: Sequence[str], margin: float
) -> tuple[str, str] | None:
    """The first rule that forbids to speak of agreement, and why; None where none does."""
    if len(models) < 2:
        return rules.ALONE, f"found {len(models)}"
    if at_chance:
        return rules.CHANCE, f"not shown for {', '.join(at_chance)}"
    lows = [_lowest(found.rows, null) for null in NULLS if _tested(found.rows, null)]
    if found.images < rules.FEWEST_IMAGES or not lows or None in lows:
        return rules.ENOUGH, f"found {found.images} images"
    if min(lows) < margin:
        return rules.AGREEMENT, _weakest(found.rows)
    return None


def _tested(rows: Sequence[Row], null: str) -> bool:
    """Whether any pair was held against a null: random weights only where such maps were exported."""
    return null != "random" or any(row["random"] is not None for row in rows)


def _lowest(rows: Sequence[Row], null: str) -> float | None:
    """The lowest of the pairs' lower ends of the excess over a null; None where one of them is missing."""
    lows = [row[f"excess_{null}_low"] for row in rows]
    return None if not lows or None in lows else min(lows)


def _weakest(rows: Sequence[Row]) -> str:
    """Words for the pair and null with the lowest lower end, and for a null that was not tested."""
    tested = [null for null in NULLS if _tested(rows, null)]
    ends = [(row[f"excess_{null}_low"], row["model_a"], row["model_b"], null) for row in rows for null in tested]
    low, a, b, null = min(end for end in ends if end[0] is not None)
    left_out = "" if len(tested) == len(NULLS) else "; not held against random weights: no such maps were exported"
    return f"the lowest lower end of the excess is {low:+.2f}, of {a} and {b} over the null '{null}'{left_out}"


def vetoes_of(models: Sequence[str], rows: Sequence[Row], margin: float) -> dict[str, float | None]:
    """Leave one model out: the lowest lower end of any excess among the pairs of the others, by the model left out.

    A model without whom the margin is reached, and with whom it is not, vetoes the statement.
    """
    out: dict[str, float | None] = {}
    for name in models:
        rest = [row for row in rows if name not in (row["model_a"], row["model_b"])]
        lows = [_lowest(rest, null) for null in NULLS if _tested(rest, null)]
        out[name] = None if not lows or None in lows else min(low for low in lows if low is not None)
    return out


def _regions(found: Findings, obstacle: tuple[str, str] | None) -> list[tuple[str, bool, str, str]]:
    """For each region of the masks: its name, whether it may be named, by which rule, and why."""
    untrained = obstacle is not None and obstacle[0] != rules.AGREEMENT
    common = None if untrained else common_place(found.places)
    out = []
    for region in dict.fromkeys(place.region for own in found.places.values() for place in own):
        own = {name: place for name, places in found.places.items() for place in places if place.region == region}
        ratios = [place.ratio for place in own.values()]
        reason = f"energy over area share {min(ratios):.1f} to {max(ratios):.1f}"
        missing = [name for name, place in own.items() if not place.pointed_out]
        if region == common and (obstacle is None or region == "mark"):
            out.append((region, True, rules.MARK if region == "mark" else rules.PLACE, reason))
        elif untrained or region == common:
            out.append((region, False, *obstacle))
        else:
            why = f"not in {', '.join(missing)}" if missing else f"{common or 'another region'} comes before it"
            out.append((region, False, rules.PLACE, f"{reason}; {why}"))
    return out
