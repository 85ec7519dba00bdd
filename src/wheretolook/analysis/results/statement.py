"""A statement as data: what it is about, its verdict, the reason, and the figures. Prose is made in `report` alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from wheretolook.analysis.results.schema import STRICT


class Verdict(StrEnum):
    """What the data say about a statement.

    Attributes:
        supported: every condition's lower bound is above its threshold.
        shown_not: some condition's upper bound is below its threshold: the opposite is supported.
        cannot_tell: neither.
    """

    SUPPORTED = "supported"
    SHOWN_NOT = "shown_not"
    CANNOT_TELL = "cannot_tell"


class Kind(StrEnum):
    """What a statement says of the networks.

    Attributes:
        agreement: they look at the same places of an image.
        place: they look at a region, and need it.
        difference: they distinguish two classes by a region.
        global_cue: they decide by a property of the whole image.
    """

    AGREEMENT = "agreement"
    PLACE = "place"
    DIFFERENCE = "difference"
    GLOBAL_CUE = "global_cue"


class Scope(StrEnum):
    """Which networks a statement is about.

    Attributes:
        models: these models.
        recipe: networks trained by one recipe, of which these are a sample of six seeds or more.
    """

    MODELS = "models"
    RECIPE = "recipe"


class Reason(StrEnum):
    """The condition that decided.

    Attributes:
        all_met: every condition is met.
        one_model: fewer than two independent models.
        trained_on: the models were trained on these images.
        no_maps: a model has no primary maps.
        few_images: too few images, or too few effective groups.
        not_recognised: a model is not shown to recognise the class above chance.
        baseline_missing: agreement was not compared with some baseline.
        below_margin: agreement does not exceed a baseline by the margin.
        models_differ: the verdict on the mean over models would be false of one of them, or of one pair.
        families_disagree: occlusion, a method of another family, contradicts the maps.
        not_located: the maps do not lie on the region.
        measures_disagree: energy and AUROC of the maps contradict each other.
        unreachable: no map on this grid could reach the threshold.
        necessity_missing: whether the predictions need the region was not measured.
        infills_disagree: the two infills contradict each other.
        not_needed: the predictions stay when the region is infilled.
        not_different: no difference of the classes was shown there.
        not_concentrated: the region holds too little of the difference for its area.
        no_test: the classes could not be compared by place.
        not_additive: primary maps do not add up to the logits, so that a place's share of a difference is not known.
        look_alikes_missing: the region was not compared with look-alike places of the other classes.
        look_alikes: look-alike places of another class count as much or more.
        place_not_supported: that the models look at the region and need it is not supported.
        no_cue: most predictions stay when the property is changed.
        imprecise: the interval includes the threshold.
        adjusted: not significant once adjusted for the number of statements.
        seeds: varies too much from seed to seed.
    """

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
    NOT_ADDITIVE = "not_additive"
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

    __pydantic_config__ = STRICT
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
        verdict: supported, shown not to hold, or undecided.
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
        images_measured: images behind the figure that decided, where these are fewer than `images`: those that `score`
            changes (`score.faithfulness_images`). `images_needed` counts these.
    """

    __pydantic_config__ = STRICT
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
    images_measured: int | None = None

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
        model: its name.
        of: name of the other model.
        how: "same file", "same weights" (logits and maps correlate by 0.9999 or more) or "same seed" (of one
            architecture).
        figures: correlations that show it, by name.
    """

    __pydantic_config__ = STRICT

    model: str
    of: str
    how: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Basins:
    """Whether networks of one recipe form one group or two, judged by their maps of a class (basins of explanations).

    Attributes:
        models: of the recipe, six or more.
        images: of the class on which all their maps vary.
        within, between: mean r of pairs of models in one basin, and in two, for the best division into two.
        gap_low, gap_high: 95 % interval of within - between over images; the division was chosen on the same images.
        p_shuffled: of the division, if each model kept its mean agreement and the rest of each pair's were shuffled.
        p_unimodal: of the division, if the models were drawn from one Gaussian with the same principal variances.
        several: whether both are at most 0.01 over the number of classes and recipes tested.
        basins: the models of each basin; one basin unless `several`.
        recall: of the class in each basin, mean over its models.
        examples: up to five images on which the basins differ most.
    """

    __pydantic_config__ = STRICT
    models: list[str]
    images: int
    within: float
    between: float
    gap_low: float | None
    gap_high: float | None
    p_shuffled: float
    p_unimodal: float
    several: bool
    basins: list[list[str]]
    recall: list[float]
    examples: list[str]
