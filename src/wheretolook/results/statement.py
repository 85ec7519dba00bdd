"""A statement as data: what it is about, its verdict, the reason, and the figures. Prose is made in `report` alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What the data say about a statement."""

    SUPPORTED = "supported"
    SHOWN_NOT = "shown_not"  # the opposite is supported, by a bound on the other side
    CANNOT_TELL = "cannot_tell"


class Kind(StrEnum):
    """What a statement says of the networks."""

    AGREEMENT = "agreement"  # they look at the same places of an image
    PLACE = "place"  # they look at a region, and need it
    DIFFERENCE = "difference"  # they tell two classes apart by a region
    GLOBAL_CUE = "global_cue"  # they decide by a property of the whole image


class Scope(StrEnum):
    """Of which networks a statement speaks."""

    MODELS = "models"  # these models
    RECIPE = "recipe"  # networks trained by one recipe, of which these are a sample


class Reason(StrEnum):
    """Which condition decided; `report.statement_words` has the words."""

    ALL_MET = "all_met"
    ONE_MODEL = "one_model"
    TRAINED_ON = "trained_on"
    NO_MAPS = "no_maps"
    FEW_IMAGES = "few_images"
    NOT_RECOGNISED = "not_recognised"
    BASELINE_MISSING = "baseline_missing"
    BELOW_MARGIN = "below_margin"
    MODELS_DIFFER = "models_differ"
    FAMILIES_DISAGREE = "families_disagree"
    NOT_LOCATED = "not_located"
    MEASURES_DISAGREE = "measures_disagree"
    UNREACHABLE = "unreachable"
    NECESSITY_MISSING = "necessity_missing"
    INFILLS_DISAGREE = "infills_disagree"
    NOT_NEEDED = "not_needed"
    NOT_DIFFERENT = "not_different"
    NOT_CONCENTRATED = "not_concentrated"
    NO_TEST = "no_test"
    LOOK_ALIKES_MISSING = "look_alikes_missing"
    LOOK_ALIKES = "look_alikes"
    PLACE_NOT_SUPPORTED = "place_not_supported"
    NO_CUE = "no_cue"
    IMPRECISE = "imprecise"
    ADJUSTED = "adjusted"
    SEEDS = "seeds"


@dataclass(frozen=True)
class Figure:
    """A number behind a verdict.

    Attributes:
        name: which one ("odds ratio", "AUROC", ...); docs/method.md defines each.
        value: the estimate; None where it was not measured.
        low, high: ends of the 95 % interval; None without one.
        threshold: that it is compared with, if any.
        of: what it belongs to beside the class: a model, two models, another class, an infill; empty for none.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    of: str = ""


@dataclass(frozen=True)
class Statement:
    """One statement about one class.

    Attributes:
        kind: what it says.
        class_name: about which class.
        verdict: supported, shown not to hold, or cannot be told.
        reason: which condition decided.
        models: names of the models, each training once.
        images: images of the class.
        region: mask region, or cells, that it names; empty for none.
        others: the other classes that it compares with; `worst` is the one that decided.
        worst: a class, or a model, that decided; empty for none.
        cue: property of the whole image that it names; empty for none.
        figures: numbers, the one that decided first.
        scope: of which networks it speaks.
        exploratory: whether it is outside the primary analysis, and so not adjusted for.
        p: p-value of the verdict before adjustment; None where no test was possible.
        p_adjusted: adjusted over all confirmatory statements (Holm).
        minimum_detectable: smallest effect that this design detects with a power of 80 %, in units of the first figure.
        images_needed: images of the class that would tell, if the estimate is the truth; None where more do not help.
    """

    kind: Kind
    class_name: str
    verdict: Verdict
    reason: Reason
    models: tuple[str, ...]
    images: int
    region: str = ""
    others: tuple[str, ...] = ()
    worst: str = ""
    cue: str = ""
    figures: tuple[Figure, ...] = ()
    scope: Scope = Scope.MODELS
    exploratory: bool = False
    p: float | None = None
    p_adjusted: float | None = None
    minimum_detectable: float | None = None
    images_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The statement as JSON values."""
        return asdict(self) | {key: str(getattr(self, key)) for key in ("kind", "verdict", "reason", "scope")}


def statement_from_json(found: Mapping[str, Any]) -> Statement:
    """Read what `to_json` wrote."""
    known = {name: found[name] for name in Statement.__dataclass_fields__ if name in found}
    known |= {"kind": Kind(found["kind"]), "verdict": Verdict(found["verdict"]), "reason": Reason(found["reason"])}
    known |= {"scope": Scope(found.get("scope", Scope.MODELS))}
    known |= {key: tuple(found.get(key, ())) for key in ("models", "others")}
    known["figures"] = tuple(Figure(**figure) for figure in found.get("figures", ()))
    return Statement(**known)


@dataclass(frozen=True)
class Twin:
    """A model that is the same training as another before it, and is not counted again.

    Attributes:
        model: its name; `of` the other's.
        how: "same file", "same weights" or "same seed".
        figures: correlations that show it, by name.
    """

    model: str
    of: str
    how: str
    figures: Mapping[str, float] = field(default_factory=dict)
