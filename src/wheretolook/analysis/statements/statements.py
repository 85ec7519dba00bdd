"""What may be said about each class, what must not, and by which rule."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.statements import rules
from wheretolook.analysis.statements.claims import Claim, Findings, Obstacle, Row, claims_of, lowest, too_few
from wheretolook.analysis.statements.recipes import over_seeds
from wheretolook.analysis.statistics.enough import FEWEST_GROUPS, FEWEST_IMAGES, FEWEST_SEEDS

FORMAT = 1
NAMED = 3  # classes that a reason names; of more it gives the number


@dataclass(frozen=True)
class Witnesses:
    """The models that statements are about.

    Attributes:
        models: names, in order, each file once.
        accuracy_low: lower end of each model's balanced accuracy on the split; None where a class has too few groups.
        recipes: models of one recipe, one for each seed, recipe by recipe.
        same: models that are left out, since they are the same file as another, with that one's name.
        scarce: classes with too few groups for an accuracy to have an interval, with how many they have in the split.
        grouped: whether images are in groups at all; else each is its own.
    """

    models: Sequence[str]
    accuracy_low: Mapping[str, float | None]
    recipes: Sequence[tuple[str, ...]] = ()
    same: Mapping[str, str] | None = None
    scarce: Mapping[str, int] = field(default_factory=dict)
    grouped: bool = False

    @property
    def enough(self) -> list[tuple[str, ...]]:
        """Recipes with seeds enough to speak of networks trained so."""
        return [recipe for recipe in self.recipes if len(recipe) >= FEWEST_SEEDS]


def statements(witnesses: Witnesses, split: str, classes: Sequence[Findings], margin: float) -> dict[str, Any]:
    """The content of `statements.json`.

    Args:
        witnesses: the models.
        split: whose images were compared.
        classes: K of them, in class order.
        margin: by which the agreement must exceed each null.
    """
    chance = 1 / len(classes)
    return {
        "format": FORMAT,
        "split": split,
        "models": list(witnesses.models),
        "same": dict(witnesses.same or {}),
        "recipes": [list(recipe) for recipe in witnesses.recipes],
        "margin": margin,
        "rules": rules.WORDS,
        "accuracy": {name: {"low": low, "chance": chance} for name, low in witnesses.accuracy_low.items()},
        "must_not": _general(witnesses),
        "classes": {each.class_name: _of_class(witnesses, split, each, chance, margin) for each in classes},
    }


def _general(witnesses: Witnesses) -> list[dict[str, str]]:
    """What the study as a whole must not be taken to say."""
    counts = [str(len(recipe)) for recipe in witnesses.recipes] or ["0"]
    why = f"the study is of these {len(witnesses.models)} models, over images; seeds of one recipe: {', '.join(counts)}"
    cause = _said("The class is recognised by what the maps mark.", rules.CAUSE, "maps locate a network's evidence")
    return ([] if witnesses.enough else [_said("Networks trained so look there.", rules.RECIPE, why)]) + [cause]


def _of_class(witnesses: Witnesses, split: str, found: Findings, chance: float, margin: float) -> dict[str, Any]:
    models = witnesses.models
    agreed = f"In these {len(models)} models, over {found.images} {split} images of {found.class_name}, the networks"
    told = f"In these {len(models)} models, over {found.images} {split} images of {found.class_name} and {found.rest} "
    opening = {"agreement": agreed, "place": agreed, "difference": f"{told}of the rest, the networks"}
    said: dict[bool, list[dict[str, str]]] = {True: [], False: []}
    for claim in claims_of(models, found, _obstacle(witnesses, models, split, found, chance), margin):
        said[claim.allowed].append(_said(f"{opening[claim.kind]} {claim.words}.", claim.rule, claim.because))
    for recipe in witnesses.enough:
        for claim in _of_recipe(witnesses, recipe, split, found.of(recipe), chance, margin):
            named = f"Networks trained like {recipe[0]} ({len(recipe)} seeds) {claim.words}"
            named += f", in images of {found.class_name}." if claim.kind != "difference" else "."
            said[claim.allowed].append(_said(named, claim.rule, claim.because))
    return {
        "images": found.images,
        "holds": said[True],
        "must_not": said[False],
        "excess_low": {null: lowest(found.rows, null) for null in NULLS},
        "vetoes": vetoes_of(models, found.rows),
        "places": {name: [asdict(place) for place in own] for name, own in found.places.items()},
    }


def _of_recipe(
    witnesses: Witnesses, recipe: tuple[str, ...], split: str, found: Findings, chance: float, margin: float
) -> list[Claim]:
    """Claims about networks trained so: those that hold in each of the recipe's models, tested over its seeds."""
    out = []
    for claim in claims_of(recipe, found, _obstacle(witnesses, recipe, split, found, chance), margin):
        if claim.allowed:
            passed, figures = over_seeds(claim, recipe, found, margin)
            claim = Claim(claim.words, claim.kind, passed, rules.SEEDS, figures, claim.region)
        out.append(claim)
    return out


def _said(statement: str, rule: str, because: str) -> dict[str, str]:
    return {"statement": statement, "rule": rule, "because": because}


def _obstacle(
    witnesses: Witnesses, models: Sequence[str], split: str, found: Findings, chance: float
) -> Obstacle | None:
    """The first rule that forbids to speak of any class, and why; None where none does."""
    if len(models) < 2:
        return rules.ALONE, f"found {len(models)}"
    if split == "train":
        return rules.HELD_OUT, "the split is train"
    lows = {name: witnesses.accuracy_low[name] for name in models}
    if at_chance := [name for name, low in lows.items() if low is not None and low <= chance]:
        return rules.CHANCE, f"not shown for {', '.join(at_chance)}"
    if None in lows.values():
        own = f"{too_few(found.images)}; " if found.images < FEWEST_IMAGES else ""
        return rules.ENOUGH, own + _no_interval(witnesses, split)
    return None


def _no_interval(witnesses: Witnesses, split: str) -> str:
    """Why no accuracy has an interval: the classes that are too small for one, those with the least first."""
    scarce = sorted(witnesses.scarce.items(), key=lambda item: item[1])
    named = [f"{count} of {name}" for name, count in scarce[:NAMED]]
    more = f" and fewer than {FEWEST_GROUPS} of {len(scarce) - NAMED} more" if len(scarce) > NAMED else ""
    unit, them = "groups" if witnesses.grouped else "images", "it" if len(scarce) == 1 else "them"
    return (
        f"no accuracy has an interval: it takes {FEWEST_GROUPS} {unit} of every class in the {split} split, found "
        f"{', '.join(named)}{more}; add images of {them}, raise prepare.{split}_share, or leave {them} out"
    )


def vetoes_of(models: Sequence[str], rows: Sequence[Row]) -> dict[str, float | None]:
    """Leave one model out: the lowest lower end of any excess among the pairs of the others, by the model left out.

    A model without whom the margin is reached, and with whom it is not, vetoes the statement.
    """
    out: dict[str, float | None] = {}
    for name in models:
        rest = [row for row in rows if name not in (row["model_a"], row["model_b"])]
        lows = [lowest(rest, null) for null in NULLS]
        out[name] = None if None in lows else min(low for low in lows if low is not None)
    return out
