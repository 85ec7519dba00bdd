"""Do the statistics and the statements keep their promises? Simulations whose truth is known.

    python benchmarks/simulate.py [--runs 2000] [--world-runs 1000] [--write] [--resume] [--seconds 600]

Statistics: the class test on maps without a difference (independent images, images of patients, unequal spreads), its
power, how often intervals hold the true mean (equal and unequal groups, copies, sparse figures), and power to find
agreement with 2, 4 and 12 models. Worlds (benchmarks/array_worlds.py): how often a study of each world has a statement
that is false of it, or lacks one that is true. Writes benchmarks/simulate.json with `--write`; tests run short forms.
"""

import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from itertools import combinations
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.array_worlds import WORLDS, falsehoods, statements_in
from wheretolook.analysis.agreement.agreement_table import agreement_rows
from wheretolook.analysis.agreement.correlated import Counted, Images, correlated
from wheretolook.analysis.classes.class_differences import pair_differences
from wheretolook.analysis.classes.contributions import by_region
from wheretolook.analysis.explained import Target
from wheretolook.analysis.grid import regions_on_grid
from wheretolook.analysis.results.schema import LOCATED_ODDS
from wheretolook.analysis.results.statement import Verdict
from wheretolook.analysis.statements.pooled import Sampling, mean_estimate, pooled_pairs
from wheretolook.analysis.statistics.bootstrap import group_codes, mean_intervals
from wheretolook.analysis.statistics.classification import wilson_interval
from wheretolook.analysis.statistics.permutation import design_of, pairs_over_seeds, place_test
from wheretolook.base.files import write_json
from wheretolook.base.prepared import EVIDENCE, FOREGROUND

RESULT = Path(__file__).with_suffix(".json")
SIDE, PERMUTATIONS, RESAMPLES = 7, 999, 999
PLANTED = np.zeros((SIDE, SIDE), dtype=bool)
PLANTED[2:5, 2:5] = True
PATTERN = np.random.default_rng(7).normal(size=SIDE**2)


def smooth_maps(count: int, groups: np.ndarray, correlation: float, generator: np.random.Generator) -> np.ndarray:
    """Noise maps (1, n, 49), smoothed by neighbours, of variance 1, with an intraclass correlation within groups."""
    noise = generator.normal(size=(count, SIDE + 1, SIDE + 1))
    shared = generator.normal(size=(count, SIDE + 1, SIDE + 1))[groups]
    field = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * noise
    smooth = (field[:, 1:, 1:] + field[:, :-1, 1:] + field[:, 1:, :-1] + field[:, :-1, :-1]) / 2
    return smooth.reshape(1, count, -1).astype(np.float32)


def rejects(effect: float, layout: str, seed: int) -> bool:
    """Whether the class test finds any place, at 5 %, for 100 images a class.

    Args:
        effect: added to the planted region of the first class, in SD.
        layout: "alone", "whole" (patients of five images and one class) or "mixed" (patients of ten, some of both).
        seed: of the maps and of the relabellings.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 100)
    groups = {"alone": np.arange(200), "whole": np.arange(200) // 5, "mixed": np.arange(200) % 23}[layout]
    if layout == "mixed":
        groups = np.where(np.arange(200) % 3 > 0, groups, 23 + np.arange(200) // 10)
    values = smooth_maps(200, groups, 0.0 if layout == "alone" else 0.3, generator)
    values[0, labels == 0] += effect * PLANTED.ravel()
    found = place_test(values, [0], design_of(labels, groups), groups, PERMUTATIONS, seed)
    assert found.p is not None
    return bool(found.p.min() <= 0.05)


def covers(count: int, grouped: bool, seed: int) -> bool:
    """Whether the interval of a skewed correlation's mean holds the truth."""
    generator = np.random.default_rng(seed)
    groups = np.arange(count) // (4 if grouped else 1)
    share = 0.3 if grouped else 0.0
    field = np.sqrt(share) * generator.normal(size=count)[groups] + np.sqrt(1 - share) * generator.normal(size=count)
    figures = np.tanh(0.8 + 0.7 * field)
    means = mean_intervals(figures[:, None], np.ones((1, 1), bool), groups, RESAMPLES, seed, (-1.0, 1.0))
    return bool(means.low[0] <= true_mean() <= means.high[0])


def true_mean() -> float:
    """Mean of tanh(0.8 + 0.7 z) for a standard normal z, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return float((np.tanh(0.8 + 0.7 * nodes) * weights).sum() / weights.sum())


def alike_maps(groups: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Maps of two models (n, 2, 49): a pattern of all images, stronger in some, one of each image, and noise."""
    strength = generator.gamma(2.0, 0.5, groups.max() + 1)[groups][:, None]
    shared = generator.normal(size=(len(groups), SIDE**2))
    maps = [strength * PATTERN + shared + 0.7 * generator.normal(size=shared.shape) for _ in range(2)]
    return np.stack(maps, axis=1).astype(np.float32)


def excess_over_others(maps: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> dict[str, float]:
    """Agreement of two models beyond other images, with its interval: a row of the table."""
    images = Images(np.zeros(len(maps), dtype=np.int64), groups)
    figure = correlated(lambda at: maps[at], images, (SIDE, SIDE), 2, [(0, 1)], ranked=False)
    return agreement_rows(figure, np.ones((len(maps), 1), dtype=bool), groups, resamples, seed)[0]


@cache
def true_excess() -> float:
    """The same over so many images that its error does not count."""
    alone = np.arange(20_000)
    maps = alike_maps(alone, np.random.default_rng(2**32))
    return excess_over_others(maps, alone, 9, 0)["excess_other"]


def covers_excess(count: int, grouped: bool, seed: int) -> bool:
    """Whether the interval of the excess over other images, each of which counts in many pairs, holds the truth."""
    groups = np.arange(count) // (4 if grouped else 1)
    row = excess_over_others(alike_maps(groups, np.random.default_rng(seed)), groups, RESAMPLES, seed)
    return row["excess_other_low"] <= true_excess() <= row["excess_other_high"]


def seeds_overstate(seed: int) -> bool:
    """Whether the lower end of six seeds' agreement lies above the truth: pairs that share a model vary together."""
    generator = np.random.default_rng(seed)
    models = generator.normal(0.3, 0.1, 6)
    pairs = combinations(range(6), 2)
    found = {(str(a), str(b)): (models[a] + models[b]) / 2 + generator.normal(0, 0.05) for a, b in pairs}
    return pairs_over_seeds(found)[1] > 0.3


def blames_evidence(level: float, effect: float, seed: int) -> bool:
    """Whether the evidence is said to tell two classes apart, 100 images each.

    The evidence lies in cells of one class alone; the network has a level all over each cell, of either class.

    Args:
        level: of the maps on the cell, the same in both classes.
        effect: of the class, beyond that: on the evidence where it is above 0, else, by its size, on the background.
        seed: of places, noise and relabellings.
    """
    generator = np.random.default_rng(seed)
    labels, side = np.repeat([0, 1], 100), 4 * SIDE
    masks = np.zeros((200, side, side), dtype=np.uint8)
    masks[:, 4:-4, 4:-4] = FOREGROUND
    for mask, (y, x) in zip(masks[:100], generator.integers(6, side - 10, (100, 2)), strict=True):
        mask[y : y + 4, x : x + 4] = EVIDENCE
    regions, own = regions_on_grid(masks, (SIDE, SIDE)), (labels == 0)[:, None, None]
    maps = level * regions.foreground + 0.3 * smooth_maps(200, np.arange(200), 0.0, generator).reshape(200, SIDE, SIDE)
    maps += effect * regions.evidence if effect > 0 else -effect * own * (1 - regions.foreground)
    target = Target(np.stack([maps, -maps], axis=1).astype(np.float32) / 2, labels, every_class=True)
    found = by_region(target, np.arange(200), 0, masks)
    places = pair_differences({"one": found}, labels == 0, np.arange(200), LOCATED_ODDS, PERMUTATIONS, seed)
    evidence = next(place for place in places if place.region == "evidence")
    surplus = mean_estimate(evidence.influence(["one"])[1], evidence.groups, Sampling(RESAMPLES, seed))
    return bool(evidence.p["one"] <= 0.05 and surplus.low > 0)


def rejects_spread(sizes: tuple[int, int], grouped: bool, seed: int) -> bool:
    """Whether the class test rejects equal means where the smaller class varies three times as much."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], sizes)
    groups = np.arange(len(labels)) // (5 if grouped else 1)
    values = smooth_maps(len(labels), groups, 0.5 if grouped else 0.0, generator)
    values[0, labels == 0] *= 3
    found = place_test(values, [0], design_of(labels, groups), groups, PERMUTATIONS, seed)
    return bool(found.p is not None and found.p.min() <= 0.05)


UNEQUAL = np.repeat(np.arange(24), [12] * 4 + [4] * 10 + [1] * 10)
ONE_PATIENT = np.r_[np.zeros(60, dtype=int), np.arange(1, 29)]


def covers_or_refuses(groups: np.ndarray, seed: int) -> bool:
    """Whether the interval of a mean over groups of unequal sizes holds the truth, or there is none."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=groups.max() + 1)[groups]
    values = (shared + generator.normal(size=len(groups))) / np.sqrt(2)
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, RESAMPLES, seed)
    return bool(not means.bounded[0] or means.low[0] <= 0 <= means.high[0])


def covers_copies(seed: int) -> bool:
    """The same where every image is there three times, as copies of one file without a group."""
    generator = np.random.default_rng(seed)
    files = np.repeat([f"sha{i}" for i in range(40)], 3)
    groups = group_codes(np.full(120, ""), files)
    values = np.repeat(generator.normal(size=40), 3)
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), groups, RESAMPLES, seed)
    return bool(means.bounded[0] and means.low[0] <= 0 <= means.high[0])


def covers_sparse(seed: int) -> bool:
    """The same for 20 images of which one in ten is not zero; with bounds, or without."""
    generator = np.random.default_rng(seed)
    values = (generator.random(20) < 0.1) * generator.random(20)
    one = np.ones((1, 1), bool)
    means = mean_intervals(values[:, None], one, np.arange(20), RESAMPLES, seed, (0.0, 1.0))
    unbounded = mean_intervals(values[:, None], one, np.arange(20), RESAMPLES, seed)
    return bool(means.low[0] <= 0.05 <= means.high[0] and not unbounded.bounded[0])


def covers_heavy(tail: str, count: int, seed: int) -> bool:
    """Whether the interval of figures without bounds and with a heavy tail, such as log-odds lost, holds the truth.

    Args:
        tail: "both" (Student's t of 3 degrees of freedom) or "one" (lognormal with an SD of 1 before exponentiation).
        count: of figures.
        seed: of the figures and the interval.
    """
    generator = np.random.default_rng(seed)
    values = generator.standard_t(3, count) if tail == "both" else generator.lognormal(size=count) - np.exp(0.5)
    means = mean_intervals(values[:, None], np.ones((1, 1), bool), np.arange(count), RESAMPLES, seed)
    return bool(means.low[0] <= 0 <= means.high[0])


def finds_agreement(models: int, seed: int, images: int = 60) -> bool:
    """Whether agreement of r = 0.55 is supported, 0.25 above the baseline, by a margin of 0.2.

    Every image has the same true r; the models differ in how much they take up of what they share.
    """
    generator = np.random.default_rng(seed)
    shared = smooth_maps(images, np.arange(images), 0.0, generator)[0]
    strength = np.exp(0.1 * generator.normal(size=models))
    noise = smooth_maps(images * models, np.arange(images * models), 0.0, generator)[0].reshape(images, models, -1)
    maps = (1.12 * strength[:, None] * shared[:, None] + noise).astype(np.float32)
    pairs = list(combinations(range(models), 2))
    read = Images(np.zeros(images, dtype=np.int64), np.arange(images))
    r = correlated(lambda at: maps[at], read, (SIDE, SIDE), models, pairs, ranked=False).observed
    excess = Counted(r.values - 0.3, r.valid)
    pooled = pooled_pairs(excess, np.arange(images), range(len(pairs)), Sampling(199, seed), (-2.0, 2.0))
    return pooled.low > 0.2


STUDIES: dict[str, tuple[Callable[[int], bool], tuple[float, float]]] = {
    "class test, no difference, images independent: rejected": (lambda s: rejects(0, "alone", s), (0.035, 0.065)),
    "class test, no difference, patients of one class: rejected": (lambda s: rejects(0, "whole", s), (0.035, 0.065)),
    "class test, no difference, patients of both: rejected": (lambda s: rejects(0, "mixed", s), (0.035, 0.065)),
    "class test, region of 0.5 SD, 100 images a class: found": (lambda s: rejects(0.5, "alone", s), (0.8, 1.0)),
    "class at the background, evidence in one class alone: blamed": (lambda s: blames_evidence(3, -2, s), (0, 0.05)),
    "class at the evidence: found": (lambda s: blames_evidence(3, 2, s), (0.8, 1.0)),
    "interval, 100 images: holds the truth": (lambda s: covers(100, False, s), (0.93, 0.97)),
    "interval, 200 images: holds the truth": (lambda s: covers(200, False, s), (0.93, 0.97)),
    "interval, 100 images of 25 patients: holds the truth": (lambda s: covers(100, True, s), (0.93, 0.97)),
    "interval, 200 images of 50 patients: holds the truth": (lambda s: covers(200, True, s), (0.93, 0.97)),
    "excess over other images, 100 images: holds the truth": (lambda s: covers_excess(100, False, s), (0.93, 0.97)),
    "excess over other images, 200 images: holds the truth": (lambda s: covers_excess(200, False, s), (0.93, 0.97)),
    "excess over other images, 50 patients: holds the truth": (lambda s: covers_excess(200, True, s), (0.93, 0.97)),
    "agreement over six seeds: lower end above the truth": (seeds_overstate, (0.0, 0.035)),
    "class test, equal means, spread of 3 to 1, 30 and 120 images: rejected": (
        lambda s: rejects_spread((30, 120), False, s),
        (0.0, 0.075),
    ),
    "class test, the same in patients of five images: rejected": (
        lambda s: rejects_spread((30, 120), True, s),
        (0.0, 0.075),
    ),
    "interval, groups of 12, 4 and 1 images: holds the truth": (lambda s: covers_or_refuses(UNEQUAL, s), (0.93, 0.97)),
    "interval, one patient with 60 of 88 images: refused": (lambda s: covers_or_refuses(ONE_PATIENT, s), (1.0, 1.0)),
    "interval, 40 images three times each: holds the truth": (covers_copies, (0.93, 0.97)),
    "interval, 20 images, one in ten not zero: holds the truth within bounds": (covers_sparse, (0.93, 1.0)),
    "interval, 50 figures with two heavy tails: holds the truth": (lambda s: covers_heavy("both", 50, s), (0.93, 0.97)),
    "interval, 50 figures with one heavy tail: holds the truth": (lambda s: covers_heavy("one", 50, s), (0.93, 0.97)),
    "interval, 200 figures with one heavy tail: holds the truth": (lambda s: covers_heavy("one", 200, s), (0.93, 0.97)),
    "agreement of r = 0.55, 2 models: supported": (lambda s: finds_agreement(2, s), (0.5, 0.9)),
    "agreement of r = 0.55, 4 models: supported": (lambda s: finds_agreement(4, s), (0.7, 1.0)),
    "agreement of r = 0.55, 12 models: supported": (lambda s: finds_agreement(12, s), (0.9, 1.0)),
}


def study_counts(name: str, seed: int) -> dict[str, bool]:
    """One run of a study: whether what its name says came out."""
    return {name: STUDIES[name][0](seed)}


def world_counts(name: str, seed: int) -> dict[str, bool]:
    """One study of a world: whether a decided statement is false of it, and whether the true one is there."""
    world, _, is_true = WORLDS[name]
    said = statements_in(world, seed)
    counts = {f"{name}: a false statement": bool(falsehoods(name, said))}
    if is_true is not None:
        supported = [each for each in said if each.verdict is Verdict.SUPPORTED]
        counts[f"{name}: the true statement"] = any(is_true(each) for each in supported)
    return counts


def promised(name: str) -> tuple[float, float]:
    """The rates that a figure may have."""
    if name in STUDIES:
        return STUDIES[name][1]
    return (0.0, 0.05) if name.endswith("false statement") else (0.95, 1.0)


def row_of(name: str, hits: int, runs: int) -> dict[str, float | bool]:
    """A rate with its Wilson interval of 95 %, beside what is promised."""
    low, high = promised(name)
    below, above = wilson_interval(hits / runs, runs)
    row = {"rate": hits / runs, "hits": hits, "runs": runs, "low": below, "high": above}
    return row | {"from": low, "to": high, "kept": low <= hits / runs <= high}


@click.command()
@click.option("--runs", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--world-runs", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--only", default="", help="Run only studies whose name contains this text.")
@click.option("--write", is_flag=True, help="Keep the figures in benchmarks/simulate.json, after every round.")
@click.option("--resume", is_flag=True, help="Go on from the runs in benchmarks/simulate.json.")
@click.option("--seconds", type=click.FloatRange(0), default=float("inf"), help="Start no round after this long.")
def simulate(runs: int, world_runs: int, only: str, write: bool, resume: bool, seconds: float) -> None:
    """Run every study, in rounds of ten runs each, and print its rate beside what was promised."""
    table = json.loads(RESULT.read_text(encoding="utf-8")) if resume else {}
    studies = dict.fromkeys(WORLDS, (world_counts, world_runs)) | dict.fromkeys(STUDIES, (study_counts, runs))
    studies = {name: each for name, each in studies.items() if only in name}
    done, end = {name: _runs_of(name, table) for name in studies}, time.monotonic() + seconds
    with tqdm(total=sum(count for _, count in studies.values()), initial=sum(done.values()), disable=None) as bar:
        while time.monotonic() < end and any(done[name] < studies[name][1] for name in studies):
            for name, (counts, limit) in studies.items():
                for seed in range(done[name], min(done[name] + 10, limit)):
                    for figure, hit in counts(name, seed).items():
                        table[figure] = row_of(figure, table.get(figure, {"hits": 0})["hits"] + hit, seed + 1)
                    bar.update()
                done[name] = max(done[name], min(done[name] + 10, limit))
            if write:
                write_json(RESULT, table)
    for figure, row in table.items():
        if only in figure:
            verdict = "kept " if row["kept"] else "BROKEN"
            interval = f"({row['low']:.3f} to {row['high']:.3f}, {row['runs']} runs)"
            click.echo(f"{row['rate']:6.3f} {interval}  {verdict} {row['from']} to {row['to']}  {figure}")


def _runs_of(name: str, table: Mapping[str, dict]) -> int:
    return table.get(name if name in STUDIES else f"{name}: a false statement", {"runs": 0})["runs"]


if __name__ == "__main__":
    simulate()
