"""Do the statistics keep their promises? Simulations whose truth is known.

    python benchmarks/simulate.py [--runs 2000] [--write]

The class test on maps without any difference (independent images, and images of patients), its power on a planted
region, whether a region that one class alone has is blamed for what lies elsewhere, how often the intervals of
agreement and of its excess over other images hold the true mean, and how often the tests over seeds say too much.
Writes benchmarks/simulate.json with `--write`; the tests run short forms of the same.
"""

from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from wheretolook.analysis.agreement.agreement_rows import agreement_rows
from wheretolook.analysis.agreement.correlated import Images, correlated
from wheretolook.analysis.classes.contributions import by_region
from wheretolook.analysis.classes.differences import difference
from wheretolook.analysis.classes.differing import differing_places
from wheretolook.analysis.maps.regions import regions_on_grid
from wheretolook.analysis.maps.target import Target
from wheretolook.analysis.statistics.bootstrap import mean_intervals
from wheretolook.analysis.statistics.over_seeds import pairs_over_seeds, places_over_seeds
from wheretolook.analysis.statistics.relabel import design_of
from wheretolook.analysis.statistics.welch import place_test
from wheretolook.data.atomic import write_json
from wheretolook.data.labels import EVIDENCE, FOREGROUND

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


def flips_reject(seed: int) -> bool:
    """Whether the flips of six seeds' signs find a place where there is none."""
    return bool(places_over_seeds(np.random.default_rng(seed).normal(size=(6, 9))).min() <= 0.05)


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
    tested = difference({0: found}, labels, np.arange(200), PERMUTATIONS, seed)
    places = differing_places({"one": tested}, 0, {"one": 1.0}, labels == 0, np.arange(200), RESAMPLES, seed)
    return any(p.region == "evidence" and p.p <= 0.05 and p.beyond_its_area for p in places)


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
    "signs of six seeds, no difference: rejected": (flips_reject, (0.0, 0.065)),
}


@click.command()
@click.option("--runs", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--write", is_flag=True, help="Keep the figures in benchmarks/simulate.json.")
def simulate(runs: int, write: bool) -> None:
    """Run every study and print its rate beside what was promised."""
    table = {}
    for name, (study, (low, high)) in STUDIES.items():
        rate = float(np.mean([study(seed) for seed in tqdm(range(runs), desc=name[:40], disable=None)]))
        table[name] = {"rate": rate, "runs": runs, "from": low, "to": high, "kept": low <= rate <= high}
        click.echo(f"{rate:6.3f}  {'kept ' if table[name]['kept'] else 'BROKEN'} {low} to {high}  {name}")
    if write:
        write_json(RESULT, table)


if __name__ == "__main__":
    simulate()
