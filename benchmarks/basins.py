"""Simulate networks of one recipe that look at a class in one way or in several, and count how often groups are found.

    python benchmarks/basins.py --studies 200

Prints, for each kind of study and number of models, the share of studies in which two groups are found, and in which
they are the planted ones; `--out FILE` writes the same as JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from wheretolook.analysis.agreement.correlated import Counted
from wheretolook.analysis.results.statement import Basins
from wheretolook.analysis.statements.pooled import Findings, Recognition, Sampling
from wheretolook.analysis.statements.recipes import basins_of

IMAGES, CELLS = 40, 25
KINDS = ("two cues", "one cue", "one cue in degrees", "one model apart", "some models noisier")


def maps_of(kind: str, models: int, seed: int) -> np.ndarray:
    """Maps (n, M, c): one image signal, each model's own layout and noise, and what the kind adds."""
    rng = np.random.default_rng([seed, models, KINDS.index(kind)])
    maps = rng.normal(size=(IMAGES, 1, CELLS)) + 0.5 * rng.normal(size=(models, CELLS))
    maps = maps + rng.normal(size=(IMAGES, models, CELLS))
    cues = rng.normal(size=(2, IMAGES, 1, CELLS))
    if kind == "two cues":
        maps[:, : models // 2] += cues[0]
        maps[:, models // 2 :] += cues[1]
    if kind == "one cue in degrees":
        maps += rng.uniform(0, 1, (models, 1)) * cues[0]
    if kind == "one model apart":
        maps[:, 0] += 2 * cues[0][:, 0]
    if kind == "some models noisier":
        maps += rng.uniform(0, 2, (models, 1)) * rng.normal(size=maps.shape)
    return maps


def correlations(maps: np.ndarray) -> np.ndarray:
    """(n, P) Pearson's r of the pairs of models of (n, M, c) maps."""
    z = maps - maps.mean(axis=-1, keepdims=True)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    first, second = np.triu_indices(maps.shape[1], 1)
    return (z @ z.transpose(0, 2, 1))[:, first, second]


def find(maps: np.ndarray, tests: int = 1) -> Basins | None:
    """What `compare` finds of models m0, m1, ... whose recall of the class rises from 0.50 by 0.04 each."""
    names = [f"m{i}" for i in range(maps.shape[1])]
    first, second = np.triu_indices(len(names), 1)
    r = correlations(maps)
    recognised = {name: Recognition((0.5 + 0.04 * i, 0.4, 0.9), 0.5, {}) for i, name in enumerate(names)}
    pairs = [(names[a], names[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    found = Findings("A", np.arange(len(r)), recognised, pairs, Counted(r, np.ones(r.shape, bool)))
    return basins_of(found, names, [f"{i}.png" for i in range(len(r))], tests, Sampling(199, 0))


def planted(models: int) -> list[list[str]]:
    """The groups of `two cues`."""
    return [[f"m{i}" for i in range(models // 2)], [f"m{i}" for i in range(models // 2, models)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="of each kind and number of models")
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    rows = []
    for models in (6, 10):
        for kind in KINDS:
            found = [find(maps_of(kind, models, seed)) for seed in range(options.studies)]
            several = sum(each is not None and each.several for each in found)
            right = sum(each is not None and each.basins == planted(models) for each in found)
            rows.append({"kind": kind, "models": models, "studies": len(found), "several": several, "planted": right})
            print(
                f"{kind}, {models} models: two groups in {several} of {len(found)}, the planted ones in {right}",
                flush=True,
            )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
