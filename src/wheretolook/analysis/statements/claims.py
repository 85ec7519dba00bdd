"""What might be said about a class, each claim with the rule that allows or forbids it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.classes.differences import ALPHA
from wheretolook.analysis.classes.differing import Differing
from wheretolook.analysis.located.places import Place, common_place
from wheretolook.analysis.statements import rules
from wheretolook.analysis.statements.statement_text import signed
from wheretolook.analysis.statistics.enough import FEWEST_GROUPS, FEWEST_IMAGES

Row = Mapping[str, Any]
Obstacle = tuple[str, str]  # a rule, and why it forbids


@dataclass(frozen=True)
class Findings:
    """What the statements about one class are made from.

    Attributes:
        class_name: the class.
        images: of the class in the split.
        rows: primary rows of Pearson's r over all images of the class, one for each pair of models.
        places: by model, the regions of its maps of the class; empty where there are no masks.
        rest: images of the other classes in the split.
        differing: places where the class differs from the rest, by the models that were asked.
        untested: why no places were tested, or empty; None where the class is the other one of two.
    """

    class_name: str
    images: int
    rows: Sequence[Row]
    places: Mapping[str, list[Place]]
    rest: int = 0
    differing: Mapping[tuple[str, ...], Sequence[Differing]] = field(default_factory=dict)
    untested: str | None = None

    def of(self, models: Sequence[str]) -> "Findings":
        """The same of some of the models."""
        rows = [row for row in self.rows if row["model_a"] in models and row["model_b"] in models]
        places = {name: own for name, own in self.places.items() if name in models}
        return Findings(self.class_name, self.images, rows, places, self.rest, self.differing, self.untested)


@dataclass(frozen=True)
class Claim:
    """One sentence's end ("look at the evidence"), and whether it may be said.

    Attributes:
        words: what the networks do.
        kind: "agreement", "place" or "difference".
        allowed: whether it holds.
        rule: which allows it or forbids it.
        because: the figures.
        region: that the claim is about: a region's name, or a place's words.
    """

    words: str
    kind: str
    allowed: bool
    rule: str
    because: str
    region: str = ""


def claims_of(models: Sequence[str], found: Findings, obstacle: Obstacle | None, margin: float) -> list[Claim]:
    """Claims about one class.

    Args:
        models: names.
        found: of these models.
        obstacle: what forbids any statement about the class, if anything does.
        margin: by which the agreement must exceed each null.
    """
    few = obstacle or _mapless(models, found) or _few_images(found)
    disagreed = few or _disagreement(found, margin)
    agreed = Claim("look at the same places of an image", "agreement", True, rules.AGREEMENT, "")
    first = _forbidden(agreed, disagreed) if disagreed else _because(agreed, weakest(found.rows))
    return [first, *_regions(found, disagreed), *_differences(models, found, obstacle)]


def _forbidden(claim: Claim, obstacle: Obstacle) -> Claim:
    return Claim(claim.words, claim.kind, False, *obstacle, claim.region)


def _because(claim: Claim, because: str) -> Claim:
    return Claim(claim.words, claim.kind, claim.allowed, claim.rule, because, claim.region)


def _mapless(models: Sequence[str], found: Findings) -> Obstacle | None:
    """Models that no pair is of: what the others agree on is not said of them."""
    there = {row[key] for row in found.rows for key in ("model_a", "model_b")}
    missing = [name for name in models if name not in there]
    return (rules.MAPS, f"none of {', '.join(missing)}") if missing else None


def _few_images(found: Findings) -> Obstacle | None:
    if found.images < FEWEST_IMAGES:
        return rules.ENOUGH, too_few(found.images)
    if None in [lowest(found.rows, null) for null in ("other", "mean_map")]:
        less = f"fewer than {FEWEST_IMAGES} of them, or of fewer than {FEWEST_GROUPS} groups"
        return rules.ENOUGH, f"found {found.images} images, but {less}, with maps that can be correlated"
    return None


def too_few(images: int) -> str:
    """Words for the images of a class that are too few for a statement."""
    return f"found {images} images of the {FEWEST_IMAGES} that it takes"


def _disagreement(found: Findings, margin: float) -> Obstacle | None:
    """The rule that the models' agreement breaks, if it breaks one."""
    if lowest(found.rows, "centre") is None:
        return rules.EVERY_NULL, "not held against a blob at the centre: the last layer has too few cells to show one"
    if lowest(found.rows, "random") is None:
        return rules.EVERY_NULL, "not held against random weights: no such maps of this split, or too few draws"
    if min(each for null in NULLS if (each := lowest(found.rows, null)) is not None) < margin:
        return rules.AGREEMENT, weakest(found.rows)
    return None


def lowest(rows: Sequence[Row], null: str) -> float | None:
    """The lowest of the pairs' lower ends of the excess over a null; None where one of them is missing."""
    lows = [row[f"excess_{null}_low"] for row in rows]
    return None if not lows or None in lows else min(lows)


def weakest(rows: Sequence[Row]) -> str:
    """Words for the pair and null with the lowest lower end."""
    ends = [(row[f"excess_{null}_low"], row["model_a"], row["model_b"], null) for row in rows for null in NULLS]
    low, a, b, null = min(end for end in ends if end[0] is not None)
    return f"smallest excess {signed(low)} at the lower end of its 95 % interval, of {a} and {b} over {NULLS[null]}"


def _regions(found: Findings, obstacle: Obstacle | None) -> list[Claim]:
    """A claim for each region of the masks: whether the maps of all models point it out."""
    untrained = obstacle is not None and obstacle[0] not in (rules.AGREEMENT, rules.EVERY_NULL)
    common = None if untrained else common_place(found.places)
    out = []
    for region in dict.fromkeys(place.region for own in found.places.values() for place in own):
        own = {name: place for name, places in found.places.items() for place in places if place.region == region}
        times, of_centre = (_span(getattr(place, key) for place in own.values()) for key in ("ratio", "centre_ratio"))
        reason = f"{times} times the energy that its area has by chance, {of_centre} times that of a blob at the centre"
        missing = [name for name, place in own.items() if not place.pointed_out]
        rule = rules.MARK if region == "mark" else rules.PLACE
        claim = Claim(f"look at the {region}", "place", True, rule, reason, region)
        if region == common and (obstacle is None or region == "mark"):
            out.append(claim)
        elif obstacle is not None and (untrained or region == common):
            out.append(_forbidden(claim, obstacle))
        else:
            where = "in any model" if len(missing) == len(own) else f"in {', '.join(missing)}"
            why = f"not enough {where}" if missing else f"{common or 'another region'} comes before it"
            out.append(_forbidden(claim, (rules.PLACE, f"{reason}; {why}")))
    return out


def _span(values: Iterable[float]) -> str:
    """ "1.5 to 1.6", or "1.5" where both ends read the same."""
    ordered = sorted(values)
    return " to ".join(dict.fromkeys((f"{ordered[0]:.1f}", f"{ordered[-1]:.1f}")))


def _differences(models: Sequence[str], found: Findings, obstacle: Obstacle | None) -> list[Claim]:
    """A claim for each place where the class differs from the rest; one that there is none, where there is none."""
    if found.untested is None:
        return []
    tell = f"tell {found.class_name} from the rest"
    places = found.differing.get(tuple(models), ())
    if obstacle is None and min(found.images, found.rest) < FEWEST_IMAGES:
        counted = f"found {found.images} images and {found.rest} of the rest"
        obstacle = rules.ENOUGH, f"{counted}; it takes {FEWEST_IMAGES} of each"
    if not places:
        why = found.untested or "no cell has p up to 0.05 and twice its area's share in all models"
        return [Claim(f"{tell} at one place", "difference", False, *(obstacle or (rules.DIFFERENCE, why)))]
    # In one model is enough: where a network looks at a mark, the evidence has not been shown to be needed.
    marked = any(low and low > 0 for place in places if place.region == "mark" for low in place.surplus_low.values())
    out = []
    for place in places:
        claim = Claim(f"{tell} at {place.place}", "difference", True, rules.DIFFERENCE, _shares(place), place.place)
        if obstacle is not None:
            claim = _forbidden(claim, obstacle)
        elif not _differs(place):
            why = "not at least twice its area's share" if place.p <= ALPHA else "not in all models"
            claim = _forbidden(claim, (rules.DIFFERENCE, f"{claim.because}; {why}"))
        elif marked and place.region != "mark":
            claim = _forbidden(claim, (rules.DIFFERENCE, f"{claim.because}; the mark comes before it"))
        out.append(claim)
    return out


def _differs(place: Differing) -> bool:
    return place.p <= ALPHA and place.beyond_its_area


def _shares(place: Differing) -> str:
    shares = [share for share in place.shares.values() if share is not None]
    spread = f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %" if shares else "no share"
    area = f"{100 * place.area:.0f} %" if place.area >= 0.01 else f"{100 * place.area:.1g} %"
    return f"{spread} of the difference of mean logits on {area} of the area; largest p of the models {place.p:.2g}"
