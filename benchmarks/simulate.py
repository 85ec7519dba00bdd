"""Do the statistics keep their promises? Simulations whose truth is known.

    python benchmarks/simulate.py [--runs 2000] [--write]

The class test on maps without any difference (independent images, and images of patients), its power on a planted
region, and how often the intervals of agreement hold the true mean. Writes benchmarks/simulate.json with `--write`; the
tests run short forms of the same.
"""

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from wheretolook.analysis.bootstrap import mean_intervals
from wheretolook.analysis.relabel import design_of
from wheretolook.analysis.welch import place_test
from wheretolook.data.atomic import write_json

RESULT = Path(__file__).with_suffix(".json")
SIDE, PERMUTATIONS, RESAMPLES = 7, 999, 999
PLANTED = np.zeros((SIDE, SIDE), dtype=bool)
PLANTED[2:5, 2:5] = True


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
    valid = np.ones(values.shape[1:], dtype=bool)
    found = place_test(values, valid, [0], design_of(labels, groups), PERMUTATIONS, seed)
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


STUDIES: dict[str, tuple[Callable[[int], bool], tuple[float, float]]] = {
    "class test, no difference, images independent: rejected": (lambda s: rejects(0, "alone", s), (0.035, 0.065)),
    "class test, no difference, patients of one class: rejected": (lambda s: rejects(0, "whole", s), (0.035, 0.065)),
    "class test, no difference, patients of both: rejected": (lambda s: rejects(0, "mixed", s), (0.035, 0.065)),
    "class test, region of 0.5 SD, 100 images a class: found": (lambda s: rejects(0.5, "alone", s), (0.8, 1.0)),
    "interval, 100 images: holds the truth": (lambda s: covers(100, False, s), (0.93, 0.97)),
    "interval, 200 images: holds the truth": (lambda s: covers(200, False, s), (0.93, 0.97)),
    "interval, 100 images of 25 patients: holds the truth": (lambda s: covers(100, True, s), (0.93, 0.97)),
    "interval, 200 images of 50 patients: holds the truth": (lambda s: covers(200, True, s), (0.93, 0.97)),
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
