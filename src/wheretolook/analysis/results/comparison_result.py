"""Results of `compare`: rows of agreement, and the statements of a study; results of `shift`: a further test set."""

from dataclasses import dataclass, field, fields

from wheretolook.analysis.results.schema import STRICT
from wheretolook.analysis.results.scored_model import EstimatedForeground, Localisation, SplitScores
from wheretolook.analysis.results.statement import Basins, Statement, Twin

ALL_CLASSES = "/"  # no class is called that, since no folder can be
# Baselines of agreement, by their name in the tables, in words.
NULLS = {
    "other": "maps of other images of the class",
    "centre": "a blob at the centre",
    "mean_map": "each model's own mean map",
    "random": "networks of random weights",
}


@dataclass(frozen=True, kw_only=True)
class AgreementRow:
    """One row of agreement.csv: a pair of models, method and layer, class, subset of images, and figure.

    Attributes:
        model_a, model_b: the pair, in the order of reports/names.json.
        kind: "seeds" (one recipe, other seeds), "recipes", or "drive" (a model from Drive with one trained here or both
            from Drive).
        primary: 1 for the primary method (`compare.primary`) at the last layer, from which alone statements are made;
            0: exploratory.
        method: of the maps.
        layer_a, layer_b: the layer's name in each model.
        contrast: 1 where maps are contrasts with the other classes; 0 where the true class's own map is used.
        split: of the images.
        class_name: the class, or "/" for all images.
        subset: "all", "both_right", "one_wrong" or "both_wrong".
        figure: "pearson", "spearman", "iou" (of the top fifth), "ssim" or "distance" (of the centres of the positive
            part, in widths of the image; small is alike). Exploratory maps have "pearson" alone.
        images, groups, left_out: images counted, groups among them, and images left out (a constant map, or no positive
            part).
        mean, sd, low, high: over images; the interval draws groups. Null below 20 images.
        other: baseline: maps of other images of the class, of another group (of SSIM, and of
            IoU and distance in classes of more than 5,000 images, four others for each image).
        centre: baseline: the better of the two models with a Gaussian at the centre.
        mean_map: baseline: each model with its own mean map of other images.
        random: baseline: networks of random weights, the draw that comes nearest to either model. Null below ten draws
            or 20 images.
        excess_other, excess_other_low, excess_other_high: the figure less the baseline, paired by image, with its
            interval. An image counts twice, with its own maps and as the partner of others; the interval has both. Of
            `distance`, here and below, the baseline less the figure, so that more is always better.
        excess_centre, excess_centre_low, excess_centre_high: likewise.
        excess_mean_map, excess_mean_map_low, excess_mean_map_high: likewise.
        excess_random, excess_random_low, excess_random_high: likewise; the baseline is one figure for all images.
        group_lowest, group_highest, group_sd: of the groups' means, where groups have several images.
    """

    __pydantic_config__ = STRICT
    model_a: str
    model_b: str
    kind: str
    primary: int
    method: str
    layer_a: str
    layer_b: str
    contrast: int
    split: str
    class_name: str
    subset: str
    figure: str
    images: int
    groups: int
    left_out: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    other: float | None
    centre: float | None
    mean_map: float | None
    random: float | None
    excess_other: float | None
    excess_other_low: float | None
    excess_other_high: float | None
    excess_centre: float | None
    excess_centre_low: float | None
    excess_centre_high: float | None
    excess_mean_map: float | None
    excess_mean_map_low: float | None
    excess_mean_map_high: float | None
    excess_random: float | None
    excess_random_low: float | None
    excess_random_high: float | None
    group_lowest: float | None
    group_highest: float | None
    group_sd: float | None


COLUMNS = tuple(field.name for field in fields(AgreementRow))
KEYS = COLUMNS[: COLUMNS.index("figure")]  # what a row is about
FIGURE_COLUMNS = COLUMNS[COLUMNS.index("figure") :]


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """Two models.

    Attributes:
        model_a, model_b: names.
        kind: as in AgreementRow.
    """

    __pydantic_config__ = STRICT
    model_a: str
    model_b: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class AgreementResult:
    """reports/comparison/agreement.json.

    Attributes:
        format: 1.
        split: of the images.
        models: names, in the order of reports/names.json.
        pairs: of models.
        rows: primary rows of subset "all", rounded to six significant digits.
        rows_train: the same on the images that the models were trained on, Pearson's r alone.
        rows_labels: the same of each label's own maps, on the images that have it, of models that learned labels.
    """

    __pydantic_config__ = STRICT
    format: int
    split: str
    models: list[str]
    pairs: list[ModelPair]
    rows: list[AgreementRow]
    rows_train: list[AgreementRow]
    rows_labels: list[AgreementRow]


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
        untested: why classes could not be compared by place: "no_places", "no_maps_of_every_class", "not_additive" or
            "".
        basins: of each recipe with six models or more.
    """

    __pydantic_config__ = STRICT
    images: int
    recognition: dict[str, RecognitionResult]
    without: dict[str, float | None]
    untested: str
    basins: list[Basins] = field(default_factory=list)


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


@dataclass(frozen=True, kw_only=True)
class ShiftedModel:
    """One model on a further test set.

    Attributes:
        sha256: of the model file.
        scores: of all images of the test set.
        maps: METHOD.LAYER of the maps behind the next two; null where no stored map knows classes.
        localisation: by class; null without masks.
        foreground_estimated: by class; null where masks name a foreground.
    """

    __pydantic_config__ = STRICT
    sha256: str
    scores: SplitScores
    maps: str | None
    localisation: dict[str, Localisation] | None
    foreground_estimated: dict[str, EstimatedForeground] | None


@dataclass(frozen=True, kw_only=True)
class ShiftResult:
    """reports/tests/NAME.json.

    Attributes:
        format: 1.
        name: of the test set.
        data: SHA-256 of the prepared images and their index.
        images: of the test set.
        class_names: classes that have images, in class order.
        training_copies: images whose picture is among the training images of the models.
        models: by name.
        agreement: Pearson's r of the last layers' CAMs by pair of models and class; empty for one model.
    """

    __pydantic_config__ = STRICT
    format: int
    name: str
    data: str
    images: int
    class_names: list[str]
    training_copies: int
    models: dict[str, ShiftedModel]
    agreement: list[AgreementRow]
