"""reports/models/NAME.json: what `score` writes about one model."""

from dataclasses import dataclass
from typing import Any

from wheretolook.analysis.results import changed_images
from wheretolook.analysis.results.schema import STRICT


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """One class in one split.

    Attributes:
        images: of the class.
        recall, precision: null where undefined.
    """

    __pydantic_config__ = STRICT
    images: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, kw_only=True)
class HeadScores:
    """One trained head in one split.

    Attributes:
        accuracy, log_loss: of the head; log_loss (natural logarithm) null for a network that learned a number.
    """

    __pydantic_config__ = STRICT
    accuracy: float
    log_loss: float | None


@dataclass(frozen=True, kw_only=True)
class SplitScores:
    """Classification scores of one split.

    Attributes:
        images: in the split.
        accuracy: of the last head.
        balanced_accuracy, balanced_accuracy_low, balanced_accuracy_high: mean recall of the classes that the split has;
            its 95 % interval combines Wilson's limits of the recalls (MOVER), with groups as the unit. Null where a
            class has fewer than ten effective groups.
        auroc: two classes: of the second class; more: one against the rest, mean over classes. Null where a class is
            missing.
        ece, ece_floor, ece_floor_high: expected calibration error of the winning class (15 bins of equal width), and
            that of a perfectly calibrated model with these scores on as many images: mean, and 97.5 % quantile.
        brier: half the squared distance of scores and truth, 0 to 1.
        log_loss: natural logarithm; this and the four before null for a network that learned a number.
        confusion: K × K counts, row: actual, column: predicted.
        classes, heads: by class; by layer.
    """

    __pydantic_config__ = STRICT
    images: int
    accuracy: float
    balanced_accuracy: float
    balanced_accuracy_low: float | None
    balanced_accuracy_high: float | None
    auroc: float | None
    ece: float | None
    ece_floor: float | None
    ece_floor_high: float | None
    brier: float | None
    log_loss: float | None
    confusion: list[list[int]]
    classes: dict[str, ClassScores]
    heads: dict[str, HeadScores]


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """One label of a network that learned labels of their own, in one split.

    Attributes:
        images, positive: images whose label is known, and those that have it.
        auroc, average_precision: null where no image, or every image, has the label.
        f1: at a score of one half; null where no image has the label, truly or as predicted.
    """

    __pydantic_config__ = STRICT
    images: int
    positive: int
    auroc: float | None
    average_precision: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class ValueScores:
    """The number that a network learned, in one split.

    Attributes:
        images: in the split.
        mse, mae: mean squared and mean absolute error, in the units of the number.
        constant_mse: mean squared error of the training images' mean, for every image.
        r2: coefficient of determination; null where all images have one number.
        spearman: rank correlation of predictions and numbers; null where one of them is constant.
    """

    __pydantic_config__ = STRICT
    images: int
    mse: float
    mae: float
    constant_mse: float
    r2: float | None
    spearman: float | None


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """How maps of one method and layer fit the masks: means over the images of a class that have the region.

    Pixels of unknown label count nowhere. Figures are null where no image has the region.

    Attributes:
        images: of the class in the split.
        no_positive: images whose map has no positive part, which are left out.
        evidence_images, mark_images, foreground_images: images that have the region, and a map with a positive part.
        area_share, energy, energy_low, energy_high, energy_ratio: evidence: its share of the area; the share of the
            positive map energy inside, with its 95 % interval; mean energy over mean area share.
        energy_ceiling: the largest energy that any map of this grid could have inside the evidence.
        negative_energy: share of the negative map energy inside the evidence.
        pointing, pointing_by_area: share of maps whose highest cell touches the evidence (half a cell of tolerance);
            the same of a cell drawn at random.
        centre_energy, centre_pointing: energy and pointing of a centre prior (Gaussian, SD a quarter of the width).
        iou, iou_threshold: intersection over union with the evidence at one threshold (share of the map's largest
            value), chosen on val for all classes together; null for train.
        pixel_auroc, average_precision: of the cells, weighted by area, mean over images.
        mark_area_share, mark_energy, mark_energy_low, mark_energy_high, mark_ratio: of the mark, likewise.
        foreground_area_share, foreground_energy, foreground_energy_low, foreground_energy_high, foreground_ratio: of
            the foreground, the evidence included, likewise.
        shared_images, shared_energy, shared_area_share, shared_ceiling: energy, area share and ceiling over the images
            on which the maps of every layer of the method have a positive part, so that layers can be compared.
    """

    __pydantic_config__ = STRICT
    images: int
    no_positive: int
    evidence_images: int
    mark_images: int
    foreground_images: int
    area_share: float | None
    energy: float | None
    energy_low: float | None
    energy_high: float | None
    energy_ratio: float | None
    energy_ceiling: float | None
    negative_energy: float | None
    pointing: float | None
    pointing_by_area: float | None
    centre_energy: float | None
    centre_pointing: float | None
    iou: float | None
    iou_threshold: float | None
    pixel_auroc: float | None
    average_precision: float | None
    mark_area_share: float | None
    mark_energy: float | None
    mark_energy_low: float | None
    mark_energy_high: float | None
    mark_ratio: float | None
    foreground_area_share: float | None
    foreground_energy: float | None
    foreground_energy_low: float | None
    foreground_energy_high: float | None
    foreground_ratio: float | None
    shared_images: int
    shared_energy: float | None
    shared_area_share: float | None
    shared_ceiling: float | None


@dataclass(frozen=True, kw_only=True)
class EstimatedForeground:
    """Map energy on the foreground that is estimated from each image, where no mask names one.

    The estimate is what is far in colour from the median of the border (Otsu's threshold, holes filled).

    Attributes:
        images: that have an estimated foreground, and a map with a positive part.
        area_share, energy, energy_low, energy_high, ratio: of the estimated foreground, as in Localisation.
    """

    __pydantic_config__ = STRICT
    images: int
    area_share: float | None
    energy: float | None
    energy_low: float | None
    energy_high: float | None
    ratio: float | None


@dataclass(frozen=True, kw_only=True)
class AttributeValue:
    """Images of one split that share the value of an attribute.

    Attributes:
        images, groups: images, and groups among them.
        accuracy, accuracy_low, accuracy_high: with its 95 % interval, null below ten effective groups.
        region: "evidence" or "foreground" (estimated where no mask names one); null without either.
        energy, energy_low, energy_high: of the foremost maps inside the region, likewise.
    """

    __pydantic_config__ = STRICT
    images: int
    groups: int
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    region: str | None
    energy: float | None
    energy_low: float | None
    energy_high: float | None


@dataclass(frozen=True, kw_only=True)
class AboutModel:
    """Identity of the model.

    Attributes:
        architecture, arguments: what builds the network.
        loss: "last" or "every" for looknet; null where it is not known.
        seed: of the training; null where it is not known.
        sha256: of the model file.
        layers, heads: layers first to last; and those whose head was trained.
        trained_on: SHA-256 of the training data, or null.
        training: options of the training, as the model file has them.
        outputs: as in the model file, of a network that learned labels of their own or a number; else null.
    """

    __pydantic_config__ = STRICT
    architecture: str
    arguments: dict[str, Any]
    loss: str | None
    seed: int | None
    sha256: str
    layers: list[str]
    heads: list[str]
    trained_on: str | None
    training: dict[str, Any]
    outputs: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """reports/models/NAME.json.

    Attributes:
        format: 1.
        name, model: of the model; and what it is.
        class_names: in class order.
        layers, heads: first to last; heads that were trained.
        history: an entry for each epoch, from the model file.
        splits: "train", "val", "test".
        groups: by split, see "groups"; null where the index has no groups.
        attributes: by attribute of the table of labels with 2 to 10 values, split and value; null without any.
        localisation: METHOD.LAYER, split, class; null without masks.
        foreground_estimated: the same keys; null where masks name a foreground.
        foreground_estimated: the same keys; null where masks name a foreground.
        faithfulness: see "faithfulness"; null where not measured.
        curves: see "curves"; null unless `score.curve_steps` is above 0.
        sanity: METHOD.LAYER; null where not measured.
        necessity: a region infilled, two infills each; null where not measured, empty without masks.
        sufficiency: all but a region infilled.
        look_alikes: a region against look-alike places.
        global_cues: properties of the whole image.
        occlusion, stability: maps of another family; maps of slightly changed images, null where not measured.
        labels: of a network that learned labels of their own, by split and label; else null.
        value: of a network that learned a number, by split; else null.
    """

    __pydantic_config__ = STRICT
    format: int
    name: str
    model: AboutModel
    class_names: list[str]
    layers: list[str]
    heads: list[str]
    history: list[dict[str, Any]]
    splits: dict[str, SplitScores]
    groups: dict[str, dict[str, Any]] | None
    attributes: dict[str, dict[str, dict[str, AttributeValue]]] | None
    localisation: dict[str, dict[str, dict[str, Localisation]]] | None
    foreground_estimated: dict[str, dict[str, dict[str, EstimatedForeground]]] | None
    faithfulness: dict[str, Any] | None
    curves: dict[str, Any] | None
    sanity: dict[str, changed_images.Sanity] | None
    necessity: list[changed_images.RegionCost] | None
    sufficiency: list[changed_images.RestCost] | None
    look_alikes: list[changed_images.LookAlike] | None
    global_cues: list[changed_images.CueCost] | None
    occlusion: list[changed_images.OcclusionRow] | None
    stability: list[changed_images.StabilityRow] | None
    labels: dict[str, dict[str, LabelScores]] | None = None
    value: dict[str, ValueScores] | None = None
