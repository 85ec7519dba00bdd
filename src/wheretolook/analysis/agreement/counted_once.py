"""Methods that give one and the same map at a layer, and so have one voice there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from wheretolook.analysis.agreement.pairs import CAM_AT_A_POOLED_HEAD, Comparison
from wheretolook.analysis.maps.target import Target

SAMPLE = 8  # images
Compared = tuple[Comparison, Mapping[str, Target]]


def counted_once(comparison: Comparison, targets: Mapping[str, Target], before: Sequence[Compared]) -> Comparison:
    """The comparison less the pairs of models whose maps an equal method has already compared.

    At a pooled linear head gradcam, hirescam and xgradcam are all CAM / (h * w); at other layers not. Where CAM
    itself was not exported, which it is shows in the maps.
    """
    if comparison.method not in CAM_AT_A_POOLED_HEAD:
        return comparison
    pairs = comparison.pairs
    for other, known in before:
        if other.method in CAM_AT_A_POOLED_HEAD and other.layers == comparison.layers:
            equal = {name for name, target in targets.items() if _equal(target.array, known[name].array)}
            pairs = [pair for pair in pairs if pair not in other.pairs or not equal.issuperset(pair)]
    return replace(comparison, pairs=pairs)


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    a, b = np.asarray(first[:SAMPLE]), np.asarray(second[:SAMPLE])
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5 * max(float(np.abs(a).max()), 1e-30))
