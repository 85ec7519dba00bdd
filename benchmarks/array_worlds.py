"""Made-up studies whose truth is known, on arrays: maps, logits, masks, and what infilling does to predictions.

Each world is one way in which a statement can be false of the data, or true and unsaid.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from wheretolook.analysis.agreement.correlated import Counted, Images, correlated
from wheretolook.analysis.classes.class_differences import pair_differences
from wheretolook.analysis.classes.contributions import by_region
from wheretolook.analysis.explained import Target
from wheretolook.analysis.grid import regions_on_grid
from wheretolook.analysis.localisation.common_place import on_regions
from wheretolook.analysis.results.schema import LOCATED_ODDS
from wheretolook.analysis.results.statement import Kind, Statement, Verdict
from wheretolook.analysis.statements.pooled import Findings, Interventions, Sampling, recognition
from wheretolook.analysis.statements.rules import adjusted
from wheretolook.analysis.statements.verdicts import statements_of
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.base.prepared import EVIDENCE, FOREGROUND, MARK

SIDE, PIXELS = 7, 28
SAMPLING, PERMUTATIONS, MARGIN = Sampling(199, 0), 199, 0.2
ONE = np.ones((1, 1), dtype=bool)


@dataclass(frozen=True)
class World:
    """What is true.

    Attributes:
        counts: images of each class.
        bears: class to what its masks show, "evidence" or "mark".
        at: class to region to how strongly its maps lie there.
        fixed: whether evidence is at one place in all images.
        flips: (class, region) to the share of predictions that change when it is infilled.
        look_alike: how much look-alike places in other classes count, of what the region counts.
        cues: cue to the share of predictions that change with it.
        skill: distance of the class's logit from the others', in SD; a class to itself where they differ.
        confused: two classes that are one population.
        models, noise: trainings, and the spread of each one's maps around the signal.
        control: share of predictions that change at control places.
        label_noise: share of labels that are wrong.
        exempt: models, the first ones, whose predictions change neither with a region nor with a cue.
        occlusion: mean correlation of occlusion maps with the models' own maps; None: not measured.
    """

    counts: Sequence[int] = (60, 60)
    bears: Mapping[int, Sequence[str]] = field(default_factory=lambda: {0: ("evidence",)})
    at: Mapping[int, Mapping[str, float]] = field(default_factory=lambda: {0: {"evidence": 3.0}})
    fixed: bool = False
    flips: Mapping[tuple[int, str], float] = field(default_factory=dict)
    look_alike: float = 0.0
    cues: Mapping[str, float] = field(default_factory=dict)
    skill: float = 4.0
    confused: tuple[int, int] | None = None
    models: int = 3
    noise: float = 0.5
    control: float = 0.02
    label_noise: float = 0.0
    exempt: int = 0
    occlusion: float | None = None


def statements_in(world: World, seed: int) -> list[Statement]:
    """The statements of one study drawn from a world, adjusted for their number."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(world.counts)), world.counts)
    masks = _masks(world, labels, rng)
    if world.label_noise:
        wrong = rng.random(len(labels)) < world.label_noise
        truth, labels = labels, np.where(wrong, (labels + 1) % len(world.counts), labels)
    else:
        truth = labels
    signal = _signal(world, truth, masks, rng)
    names = tuple(f"m{i}" for i in range(world.models))
    maps = {name: signal + world.noise * _smooth(rng, signal.shape) for name in names}
    logits = _logits(world, truth, rng)
    found = findings_of(world, labels, masks, {n: m.astype(np.float32) for n, m in maps.items()}, logits, rng)
    return adjusted([said for each in found for said in statements_of(each, names, MARGIN, SAMPLING)])


def findings_of(
    world: World,
    labels: np.ndarray,
    masks: np.ndarray,
    maps: Mapping[str, np.ndarray],
    logits: np.ndarray,
    rng: np.random.Generator,
) -> list[Findings]:
    """Findings of every class, from maps (n, K, h, w) of each model and logits (n, K)."""
    rows, groups, names = np.arange(len(labels)), np.arange(len(labels)), [f"c{k}" for k in range(len(world.counts))]
    targets = {name: Target(each, labels, every_class=True, logits=logits) for name, each in maps.items()}
    regions = regions_on_grid(masks, (SIDE, SIDE))
    own_maps = [target.true_class(rows).reshape(len(labels), -1) for target in targets.values()]
    contrasts = np.stack(own_maps, axis=1)
    numbers = [(a, b) for a in range(len(maps)) for b in range(a + 1, len(maps))]
    images = Images(labels, groups)
    figure = correlated(lambda at: contrasts[at], images, (SIDE, SIDE), len(maps), numbers, ranked=False)
    located = {name: on_regions(target.true_class(rows), regions) for name, target in targets.items()}
    known = recognition(logits, labels, groups)
    out = []
    for k, class_name in enumerate(names):
        own = labels == k
        members = np.broadcast_to(own[:, None], figure.observed.values.shape)
        excess = {null: figure.excess(null, members) for null in figure.nulls}
        r = Counted(figure.observed.values[own], figure.observed.valid[own])
        of_class = {null: Counted(each.values[own], each.valid[own]) for null, each in excess.items()}
        of_class["random"] = Counted(r.values - 0.2, r.valid)
        differences = {}
        for j, other in enumerate(names):
            both = np.isin(labels, (k, j))
            if j != k:
                parts = {name: by_region(target, rows[both], k, masks, j) for name, target in targets.items()}
                side, own_groups = labels[both] == k, groups[both]
                differences[other] = pair_differences(parts, side, own_groups, LOCATED_ODDS, PERMUTATIONS, 0)
        rows_of = interventions(world, k, int(own.sum()), names, rng)
        exempt = replace(world, flips={}, cues=dict.fromkeys(world.cues, 0.02))
        others = {name: interventions(exempt, k, int(own.sum()), names, rng) for name in list(maps)[: world.exempt]}
        out.append(
            Findings(
                class_name,
                groups[own],
                dict.fromkeys(maps, known[k]),
                [(list(maps)[a], list(maps)[b]) for a, b in numbers],
                r,
                of_class,
                {region: {name: each[region].of(own) for name, each in located.items()} for region in located["m0"]},
                dict.fromkeys(maps, rows_of) | others,
                differences,
                "",
                names,
            )
        )
    return out


def interventions(world: World, k: int, images: int, names: Sequence[str], rng: np.random.Generator) -> Interventions:
    """Rows as `score` writes them, drawn from what is true."""
    necessity, look_alikes = [], []
    for region in world.bears.get(k, ()):
        share = world.flips.get((k, region), 0.0)
        flipped, controls = rng.random(images) < share, rng.random(images) < world.control
        for infill in ("imputation", "blur"):
            lost = 6 * share + rng.normal(size=images)
            row = {"class_name": names[k], "region": region, "infill": infill}
            row |= interval("excess", lost - 0.1 * rng.normal(size=images), (-np.inf, np.inf))
            necessity.append(row | interval("excess_flips", flipped * 1.0 - controls, (-1, 1)))
        for j, other in enumerate(names):
            if j != k:
                beyond = 2 * (1 - world.look_alike) + rng.normal(size=images)
                row = {"class_name": names[k], "region": region, "other_class": other}
                look_alikes.append(row | interval("difference", beyond, (-np.inf, np.inf)))
    cues = [
        {"cue": cue, "class_name": names[k], "floor_flips": 0.01}
        | interval("flips", (rng.random(images) < share) * 1.0, (0, 1))
        for cue, share in world.cues.items()
    ]
    occlusion = []
    if world.occlusion is not None:
        occlusion = [interval("r", world.occlusion + 0.3 * rng.normal(size=min(images, 20)), (-1, 1))]
    return Interventions(necessity, [], look_alikes, cues, occlusion)


def interval(name: str, values: np.ndarray, bounds: tuple[float, float]) -> dict[str, float]:
    """A mean with its interval, under three keys."""
    means = mean_intervals(values[:, None].astype(float), ONE, np.arange(len(values)), 199, 0, bounds)
    return dict(zip((name, f"{name}_low", f"{name}_high"), (means.mean[0], means.low[0], means.high[0]), strict=True))


def _masks(world: World, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    masks = np.zeros((len(labels), PIXELS, PIXELS), dtype=np.uint8)
    masks[:, 4:24, 4:24] = FOREGROUND
    places = rng.integers(1, 6, (len(labels), 2)) * 4
    if world.fixed:
        places[:] = (8, 16)
    for i, (y, x) in enumerate(places):
        shown = world.bears.get(int(labels[i]), ())
        if "evidence" in shown:
            masks[i, y : y + 4, x : x + 4] = EVIDENCE
        if "mark" in shown:
            masks[i, 0:4, 0:4] = MARK
    return masks


def _signal(world: World, truth: np.ndarray, masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Maps that all models share, (n, K, h, w): a field of each image, and what lies at the regions of its class."""
    regions = regions_on_grid(masks, (SIDE, SIDE))
    signal = 0.5 * _smooth(rng, (len(truth), len(world.counts), SIDE, SIDE))
    for k, strengths in world.at.items():
        for region, strength in strengths.items():
            own = truth == k
            place = getattr(regions, region)[own] if region != "corner" else _corner(int(own.sum()))
            signal[own, k] += strength * place
    return signal


def _corner(count: int) -> np.ndarray:
    corner = np.zeros((count, SIDE, SIDE))
    corner[:, -1, -1] = 1
    return corner


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    field_ = rng.normal(size=(*shape[:-2], SIDE + 1, SIDE + 1))
    return (field_[..., 1:, 1:] + field_[..., :-1, 1:] + field_[..., 1:, :-1] + field_[..., :-1, :-1]) / 2


def _logits(world: World, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    logits = rng.normal(size=(len(truth), len(world.counts)))
    shown = truth.copy()
    if world.confused:
        shown[truth == world.confused[1]] = world.confused[0]
    logits[np.arange(len(truth)), shown] += world.skill
    if world.confused:
        a, b = world.confused
        either = np.isin(truth, world.confused)
        logits[either, b] = logits[either, a] + 0.5 * rng.normal(size=either.sum())
    return logits.astype(np.float32)


def _about(kinds: Sequence[Kind], class_name: str = "", region: str = "") -> Callable[[Statement], bool]:
    """Whether a statement is of some kind, about a class and a region; empty for any."""
    return lambda said: (
        said.kind in kinds and class_name in ("", said.class_name) and region in ("", said.region, said.cue)
    )


CAUSAL = (Kind.PLACE, Kind.DIFFERENCE)
NEEDED = {(0, "evidence"): 0.8}
LookFor = Callable[[Statement], bool]

# A world, what is false of it, and what is true of it and must be said (None: nothing).
WORLDS: dict[str, tuple[World, LookFor, LookFor | None]] = {
    "plain study": (
        World(flips=NEEDED),
        _about((*CAUSAL, Kind.GLOBAL_CUE), "c1"),
        _about([Kind.DIFFERENCE], "c0", "evidence"),
    ),
    "two classes of one population": (
        World(counts=(60, 60, 60), flips=NEEDED, confused=(0, 1)),
        lambda said: said.class_name in ("c0", "c1"),
        None,
    ),
    "look-alikes without a mask": (
        World(flips=NEEDED, look_alike=1.0),
        _about([Kind.DIFFERENCE]),
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "evidence that is not needed": (World(), _about((*CAUSAL, Kind.GLOBAL_CUE)), None),
    "evidence needed by a tenth, the threshold": (World(flips={(0, "evidence"): 0.12}), _about(CAUSAL), None),
    "global hue": (
        World(cues={"hue": 0.93, "blur": 0.1}),
        lambda said: said.kind in CAUSAL or said.cue == "blur",
        _about([Kind.GLOBAL_CUE], "c0", "hue"),
    ),
    "local shortcut": (
        World(bears={0: ("evidence", "mark")}, at={0: {"mark": 3.0}}, flips={(0, "mark"): 0.8}, cues={"hue": 0.1}),
        lambda said: said.kind is Kind.GLOBAL_CUE or said.region == "evidence",
        _about([Kind.PLACE], "c0", "mark"),
    ),
    "two shortcuts at once": (
        World(bears={0: ("evidence", "mark")}, at={0: {"mark": 3.0, "evidence": 3.0}}),
        _about((*CAUSAL, Kind.GLOBAL_CUE)),
        None,
    ),
    "shortcut inside the evidence": (
        World(flips=NEEDED, cues={"hue": 0.9}),
        _about([Kind.GLOBAL_CUE]),
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "occlusion that contradicts the maps": (
        World(flips=NEEDED, occlusion=-0.3),
        _about((Kind.AGREEMENT, *CAUSAL)),
        None,
    ),
    "occlusion of no correlation with the maps": (
        World(flips=NEEDED, occlusion=0.0),
        _about((*CAUSAL, Kind.GLOBAL_CUE), "c1"),
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "corner that excludes a third class": (
        World(
            counts=(60, 60, 60),
            bears={0: ("evidence",)},
            at={0: {"evidence": 3.0}, 2: {"corner": 4.0}},
            flips=NEEDED,
        ),
        lambda said: said.kind in CAUSAL and said.region != "evidence",
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "class defined by absence": (
        World(flips=NEEDED),
        lambda said: said.class_name == "c1" and said.kind in (*CAUSAL, Kind.GLOBAL_CUE),
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "a fifth of the labels wrong": (
        World(counts=(100, 100), flips={(0, "evidence"): 0.6}, label_noise=0.2),
        lambda said: said.class_name == "c1" and said.kind in CAUSAL,
        None,
    ),
    "imbalance of 20 to 1": (
        World(counts=(30, 600), flips=NEEDED),
        lambda said: said.class_name == "c1" and said.kind in CAUSAL,
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "evidence at a fixed place": (
        World(flips=NEEDED, fixed=True),
        lambda said: said.class_name == "c1" and said.kind in CAUSAL,
        _about([Kind.PLACE], "c0", "evidence"),
    ),
    "one of three models does not need the evidence": (World(flips=NEEDED, exempt=1), _about(CAUSAL), None),
    "one of four models does not use the hue": (
        World(cues={"hue": 0.93}, models=4, exempt=1),
        _about((*CAUSAL, Kind.GLOBAL_CUE)),
        None,
    ),
    "one of twelve models alone needs the evidence": (
        World(flips=NEEDED, models=12, exempt=11),
        _about(CAUSAL),
        None,
    ),
    "twelve classes near the threshold": (
        World(
            counts=(30,) * 12,
            bears=dict.fromkeys(range(12), ("evidence",)),
            at={k: {"evidence": 3.0} for k in range(12)},
            flips={(k, "evidence"): 0.12 for k in range(12)},
            models=2,
        ),
        _about(CAUSAL),
        None,
    ),
}
# What it would be false to call shown not to hold, where nothing has to be said.
NOT_REFUTABLE = {"one of twelve models alone needs the evidence": _about([Kind.PLACE], "c0", "evidence")}


def falsehoods(name: str, said: Sequence[Statement]) -> list[Statement]:
    """Statements of a study that are false of its world: supported, or shown not to hold, against the truth."""
    _, is_false, is_true = WORLDS[name]
    true = is_true or NOT_REFUTABLE.get(name)
    wrong = {Verdict.SUPPORTED: is_false, Verdict.SHOWN_NOT: true}
    return [each for each in said if (against := wrong.get(each.verdict)) is not None and against(each)]
