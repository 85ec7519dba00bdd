"""Sanity of a method: with its weights randomised, a network's maps must stop resembling those of the trained network.

Adebayo et al. 2018, arXiv:1810.03292. A map that stays alike shows the image or the architecture, not what was learned.
"""

from typing import Any

import numpy as np

from wheretolook.analysis.correlation import correlate


def alikeness(true: np.ndarray, randomised: np.ndarray) -> np.ndarray:
    """Mean |Spearman| over images between true maps (n, h, w) and each draw's (draws, n, h, w): (draws,) float64.

    Constant maps don't count; a draw of constant maps alone is 0: it resembles nothing.
    """
    own = true.reshape(len(true), -1)
    out = np.zeros(len(randomised))
    for d, draw in enumerate(randomised):
        r, valid = correlate(own, draw.reshape(len(own), -1), ranked=True)
        out[d] = np.abs(r[valid]).mean() if valid.any() else 0.0
    return out


def sanity_result(
    true: np.ndarray, steps: dict[str, np.ndarray], null: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, Any]:
    """How alike maps stay while weights are randomised from the top layer down.

    Args:
        true: (n, h, w) contrasts of the true class.
        steps: what was randomised last, top first, to maps (draws, n, h, w) of the same images and target.
        null: true maps (m, h, w) and maps of wholly random networks (draws, m, h, w) of other images, or None.

    Returns:
        As `docs/results.md` lays out; `passes` is None where there is no null.
    """
    found = {name: alikeness(true, maps) for name, maps in steps.items()}
    largest = None if null is None else float(alikeness(*null).max())
    last = float(list(found.values())[-1].mean())
    return {
        "images": len(true),
        "draws": len(next(iter(steps.values()))),
        "steps": [
            {"randomised": name, "spearman": float(r.mean()), "least": float(r.min()), "most": float(r.max())}
            for name, r in found.items()
        ],
        "null": largest,
        "passes": None if largest is None else last <= largest,
    }
