"""What `score` finds by running the network on changed images, and by randomising its weights."""

from dataclasses import dataclass

from wheretolook.analysis.results.schema import STRICT


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a change of images costs one class, beside a control; intervals are null below 20 images or 10 groups.

    Attributes:
        class_name: true class of the images.
        images, groups: images of the class that can be changed so, and groups among them.
        flips, flips_low, flips_high: share of images whose prediction changes, and its 95 % interval (Wilson, with the
            design effect of the groups).
        log_odds, log_odds_low, log_odds_high: mean log-odds of the true class against all others that are lost.
        excess, excess_low, excess_high: log-odds lost beyond the control, paired by image, over images that have one.
        excess_flips, excess_flips_low, excess_flips_high: flips beyond the control, likewise.
    """

    __pydantic_config__ = STRICT
    class_name: str
    images: int
    groups: int
    flips: float
    flips_low: float | None
    flips_high: float | None
    log_odds: float
    log_odds_low: float | None
    log_odds_high: float | None
    excess: float | None
    excess_low: float | None
    excess_high: float | None
    excess_flips: float | None
    excess_flips_low: float | None
    excess_flips_high: float | None


@dataclass(frozen=True, kw_only=True)
class RegionCost(Cost):
    """A region infilled, beside control places of the same size and shape in the same images.

    Attributes:
        region: "evidence", "mark" or "foreground" (the evidence included).
        infill: "imputation" (noisy linear), "patches" (a place of the same shape of the same image is copied over it)
            or "blur" (Gaussian-weighted mean of what is left); two families for each region.
        control_images, control_flips, control_log_odds: images that have a control place, and the cost of infilling it,
            mean over up to three places.
        control_reason: why no image has a control place, or null. A region of half of the image has none.
    """

    region: str
    infill: str
    control_images: int
    control_flips: float | None
    control_log_odds: float | None
    control_reason: str | None


@dataclass(frozen=True, kw_only=True)
class RestCost(RegionCost):
    """Everything but a region infilled; `excess` is the control's cost less the region's.

    Attributes:
        kept, kept_low, kept_high: share of predictions that stay.
        control_kept: the same where one control place is kept in the region's stead.
    """

    kept: float
    kept_low: float | None
    kept_high: float | None
    control_kept: float | None


@dataclass(frozen=True, kw_only=True)
class CueCost(Cost):
    """A property of the whole image changed, beside a harmless change of the same kind (the floor).

    Attributes:
        cue: "hue", "saturation", "brightness", "frequency", "outside object", "blur" or "texture".
        exchanged: whether the property comes from another image; blur and texture are destroyed instead, and decide
            nothing, since the network was never shown such images.
        floor_images, floor_flips, floor_log_odds: the same of the floor: an exchange with an image of the same class, a
            slight blur, or a shift of two pixels.
    """

    cue: str
    exchanged: bool
    floor_images: int
    floor_flips: float | None
    floor_log_odds: float | None


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A region against its best look-alike places in images of another class.

    Attributes:
        class_name, other_class: the class with the region; and one of the three classes that are taken for it most.
        region: of the masks.
        images, other_images: images of each class.
        own, own_low, own_high: mean log-odds of the class lost when the region is imputed in its images.
        best_elsewhere, best_elsewhere_low, best_elsewhere_high: the same in images of the other class, at the place of
            the same size and shape with the highest mean of the class's map.
        difference, difference_low, difference_high: own less best elsewhere (MOVER interval).
    """

    __pydantic_config__ = STRICT
    class_name: str
    other_class: str
    region: str
    images: int
    other_images: int
    own: float
    own_low: float | None
    own_high: float | None
    best_elsewhere: float
    best_elsewhere_low: float | None
    best_elsewhere_high: float | None
    difference: float
    difference_low: float | None
    difference_high: float | None


@dataclass(frozen=True, kw_only=True)
class OcclusionRow:
    """Occlusion, a method of another family, against the model's own maps, image by image.

    Attributes:
        class_name: true class of the images.
        method: "occlusion".
        maps: METHOD.LAYER of the maps that it is compared with.
        grid: height and width in cells; maps of more than 7 x 7 are averaged to that.
        images: of the class that are compared: 24, fewer where there are more than four classes.
        r, r_low, r_high: Pearson's correlation of the two maps of an image, mean over images.
    """

    __pydantic_config__ = STRICT
    class_name: str
    method: str
    maps: str
    grid: tuple[int, int]
    images: int
    r: float
    r_low: float | None
    r_high: float | None


@dataclass(frozen=True, kw_only=True)
class StabilityRow:
    """How far maps of one class move when its images change a little (arXiv:2508.18154).

    Correlations are Pearson's r of an image's maps before and after, in the frame of the unchanged image.

    Attributes:
        maps: METHOD.LAYER.
        change: "shift by 1 px" or "shift by 3 px" (in one of four directions), "flip" (only of models trained with
            flips), "noise" (SD of 5 grey levels), "jpeg" (quality 75) or "brightness" (5 % up or down).
        class_name: true class of the images.
        images, groups: images of the class whose maps vary, and groups among them.
        kept, kept_low, kept_high: share of predictions that stay, and its 95 % interval.
        changed_images: images whose prediction changes.
        consistency, consistency_low, consistency_high: mean r over images whose prediction stays.
        responsiveness: mean of 1 - r over images whose prediction changes; null below five.
        other: baseline: mean r with the maps of other images of the class, of other groups.
        random: baseline: mean r of a network of random weights under the same change.
        distance: mean of 1 - r as a share of that of `other`: 0 for a map that stays, 1 for one that moves as far as
            the map of another image is away.
        verdict: "stable" where the whole interval of the distance is below 0.5, "unstable" where it is above, else
            "open".
    """

    __pydantic_config__ = STRICT
    maps: str
    change: str
    class_name: str
    images: int
    groups: int
    kept: float
    kept_low: float | None
    kept_high: float | None
    changed_images: int
    consistency: float | None
    consistency_low: float | None
    consistency_high: float | None
    responsiveness: float | None
    other: float | None
    random: float | None
    distance: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class SanityStep:
    """Maps after weights are randomised from the top layer down to some layer.

    Attributes:
        randomised: "heads" or a layer, with all above it.
        spearman: mean |r| with the trained network's maps, over images and draws.
        least, most: of a draw.
    """

    __pydantic_config__ = STRICT
    randomised: str
    spearman: float
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Sanity:
    """Sanity check of one method and layer by weight randomisation (Adebayo et al. 2018, arXiv:1810.03292).

    Attributes:
        images, draws: test images, and random networks.
        steps: top layer first.
        baseline: mean |r| of a wholly random network's maps with the trained network's maps of other images of the
            class: what layout and smoothness give by themselves.
        excess, excess_low, excess_high: mean |r| of the last step less the baseline, paired by image and draw; images
            and draws are both samples (two-way random effects).
        margin: that decides.
        verdict: "pass" where the whole interval is below the margin, "fail" where it is above, else "open", as with
            fewer than ten draws.
    """

    __pydantic_config__ = STRICT
    images: int
    draws: int
    steps: list[SanityStep]
    baseline: float | None
    excess: float | None
    excess_low: float | None
    excess_high: float | None
    margin: float
    verdict: str
