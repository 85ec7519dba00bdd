"""reports/comparison/statements.json: the statements of a study, and what they are about."""

from dataclasses import dataclass

from wheretolook.results.schema import STRICT
from wheretolook.results.statement import Statement, Twin


@dataclass(frozen=True, kw_only=True)
class Primary:
    """The one confirmatory analysis, fixed before any data; everything else is exploratory.

    Attributes:
        method, layer: of the maps.
        figure: of agreement.
        target: what the maps explain.
    """

    __pydantic_config__ = STRICT
    method: str
    layer: str
    figure: str
    target: str


@dataclass(frozen=True, kw_only=True)
class ThresholdsUsed:
    """Thresholds of the conditions; docs/method.md gives their reasons.

    Attributes:
        margin: of agreement beyond each baseline (`compare.margin`).
        images, groups: fewest of a class, images and effective groups.
        seeds: fewest of one recipe.
        odds_ratio: of energy inside a region to its area.
        auroc: of the map's height inside against outside.
        flips: share of predictions that change beyond the control.
        kept: share of predictions that a region without room for controls keeps by itself.
        cue_flips: share of predictions that change with a property of the whole image.
        alpha: familywise error rate of all confirmatory statements.
    """

    __pydantic_config__ = STRICT
    margin: float
    images: int
    groups: int
    seeds: int
    odds_ratio: float
    auroc: float
    flips: float
    kept: float
    cue_flips: float
    alpha: float


@dataclass(frozen=True, kw_only=True)
class RecognitionResult:
    """How well one model recognises one class.

    Attributes:
        recall: estimate and both ends of the 95 % interval.
        chance: 1 / K.
        discrimination: by other class, AUROC of the difference of the two logits, likewise.
    """

    __pydantic_config__ = STRICT
    recall: tuple[float, float, float]
    chance: float
    discrimination: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class ClassResult:
    """Figures of one class that belong to no single statement.

    Attributes:
        images: of the class in the split.
        recognition: by model.
        without: by model, the smallest lower confidence bound of (agreement - baseline) among the others, or null.
        untested: why classes could not be compared by place: "no_places", "no_maps_of_every_class" or "".
    """

    __pydantic_config__ = STRICT
    images: int
    recognition: dict[str, RecognitionResult]
    without: dict[str, float | None]
    untested: str


@dataclass(frozen=True, kw_only=True)
class StatementsResult:
    """reports/comparison/statements.json.

    Attributes:
        format: 2.
        split: of the images.
        models: names, each training once.
        twins: models that repeat another, and are not counted.
        recipes: models trained here by one recipe, one for each seed.
        primary: the confirmatory analysis.
        thresholds: of the conditions.
        classes: by class.
        statements: of all classes, adjusted for their number.
    """

    __pydantic_config__ = STRICT
    format: int
    split: str
    models: list[str]
    twins: list[Twin]
    recipes: list[list[str]]
    primary: Primary
    thresholds: ThresholdsUsed
    classes: dict[str, ClassResult]
    statements: list[Statement]
