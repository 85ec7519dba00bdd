"""The classic measures of faithfulness: insertion and deletion curves, average drop and average increase.

Their fill (here the mean colour) is one that the network never saw: where a class is told by what is not there, the
order of maps reverses. They stand beside the deletion by noisy linear imputation, to compare with published figures.
"""

from typing import Any

import numpy as np

from wheretolook.analysis.probing.faithfulness import KEPT


def pixel_counts(pixels: int, steps: int) -> np.ndarray:
    """How many pixels are taken out (or put in) at each point of a curve: (T,) int64, 0 to `pixels`, T <= steps + 1.

    Equal steps, but for the last.
    """
    step = -(-pixels // steps)
    return np.append(np.arange(0, pixels, step), pixels)


def area_under(curves: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Area under curves (n, T) over shares of the pixels (T,), by trapezes: (n,) (RISE, arXiv:1806.07421)."""
    return np.trapezoid(curves, shares, axis=1)


def soft_masks(maps: np.ndarray) -> np.ndarray:
    """Maps (n, h, w) as masks from 0 to 1: the positive part over its largest value; 0 where there is none."""
    positive = np.maximum(maps, 0)
    largest = positive.max(axis=(1, 2), keepdims=True)
    return positive / np.where(largest > 0, largest, 1)


def drop_and_increase(whole: np.ndarray, masked: np.ndarray) -> tuple[float, float]:
    """Average drop and average increase (Chattopadhay et al. 2018, arXiv:1710.11063, section 4.1), as shares.

    Args:
        whole: (n,) score of each image.
        masked: (n,) score of the image seen through its map.

    Returns:
        Mean of max(0, whole - masked) / whole, and the share of images whose score rose.
    """
    return float((np.maximum(whole - masked, 0) / whole).mean()), float((masked > whole).mean())


def class_curves(found: dict[str, np.ndarray], shares: np.ndarray) -> dict[str, Any]:
    """Figures of one class and map, as `docs/results.md` lays out.

    Args:
        found: `deletion` and `insertion` (n, T), and `masked` (n,): scores of the true class.
        shares: (T,) of the pixels.
    """
    deletion = found["deletion"].mean(axis=0)
    drop, increase = drop_and_increase(found["deletion"][:, 0], found["masked"])
    return {
        "images": len(found["masked"]),
        # With nothing but the fill, the class must lose its score, or there was nothing that could be taken out.
        "undefined": bool(deletion[-1] > KEPT * deletion[0]),
        **{kind: found[kind].mean(axis=0).tolist() for kind in ("deletion", "insertion")},
        **{f"{kind}_auc": float(area_under(found[kind], shares).mean()) for kind in ("deletion", "insertion")},
        "average_drop": drop,
        "average_increase": increase,
    }
