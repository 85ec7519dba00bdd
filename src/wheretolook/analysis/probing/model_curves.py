"""Insertion and deletion curves, average drop and average increase.

They fill with the mean colour, which the network never saw: where a class is recognised by what is missing, the order
of maps reverses. Use them to compare with published figures; `faithfulness` uses noisy linear imputation.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from wheretolook.analysis.explained import open_foremost, open_target
from wheretolook.analysis.grid import centre_prior, enlarge, row_blocks
from wheretolook.analysis.probing.faithfulness import KEPT, choose_images, pixel_ranks
from wheretolook.analysis.probing.model_faithfulness import folded, run
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import Network
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved


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


def model_curves(
    network: Network,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    images: int,
    steps: int,
    seed: int,
    piece: Piece = compute_unsaved,
) -> dict[str, Any] | None:
    """Insertion, deletion, average drop and increase by map and class (`docs/results.md`); None without test images.

    Pixels are put to the mean colour of the card, which is 0 for the network; scores are softmax, of the true class.

    Args:
        network: in evaluation mode.
        card: of the model.
        maps: of the model.
        prepared: the data.
        images: at most as many, equally many of each class: those of `model_faithfulness`.
        steps: of each curve.
        seed: of the choice of images, of the random maps, and of what decides between equal pixels.
        piece: keeps what is done: scores, map by map and block by block.
    """
    rows = choose_images(prepared.labels, prepared.rows(TEST), images, len(prepared.class_names), seed)
    if not len(rows):
        return None
    pictures, labels = np.asarray(prepared.images[rows]), prepared.labels[rows]
    own = np.array([card.class_names.index(prepared.class_names[k]) for k in labels])
    fast = folded(network, card, pictures[:2])
    counts = pixel_counts(pictures[0, :, :, 0].size, steps)
    shares, found = counts / counts[-1], {}
    named = dict(_maps(maps, prepared, rows, seed))
    for name, values in tqdm(named.items(), desc="insertion and deletion", unit="map", disable=None):
        of_map = lambda block, make, name=name: piece(f"curves {name} {block}", make)  # noqa: E731
        figures = map_curves(fast, card, pictures, own, values, counts, seed, of_map)
        found[name] = {
            class_name: class_curves({key: scores[labels == k] for key, scores in figures.items()}, shares)
            for k, class_name in enumerate(prepared.class_names)
            if (labels == k).any()
        }
    return {"split": TEST, "images": len(rows), "shares": shares.tolist(), "maps": found}


def map_curves(
    network: nn.Module,
    card: Card,
    pictures: np.ndarray,
    classes: np.ndarray,
    maps: np.ndarray,
    counts: np.ndarray,
    seed: int,
    piece: Piece = compute_unsaved,
) -> dict[str, np.ndarray]:
    """Scores of each image's class while the pixels that its map marks first are taken out, or alone put in.

    Args:
        network: gives logits (n, K) of network inputs.
        card: of the model.
        pictures: (n, S, S, 3) uint8.
        classes: (n,) int64, the logit of each image's class.
        maps: (n, h, w), signed.
        counts: (T,) of `pixel_counts`.
        seed: decides between equal pixels.
        piece: keeps what is done, block by block.

    Returns:
        `deletion` and `insertion`, (n, T) float64, and `masked` (n,), of the image times its map as a soft mask.
    """
    side, colour = pictures.shape[1], 255 * np.array(card.mean, dtype=np.float32)

    def scores_of(block: np.ndarray) -> list[list[float]]:
        ranks = pixel_ranks(enlarge(maps[block], side), seed)
        masks = enlarge(soft_masks(maps[block]), side).astype(np.float32)
        first = ranks[:, None] < counts[:, None, None]  # (b, T, S, S)
        shown = np.concatenate([~first, first, masks[:, None]], axis=1)[..., None]  # share of each pixel that is seen
        altered = colour + (pictures[block][:, None] - colour) * shown
        logits = run(network, card, altered.reshape(-1, side, side, 3))
        own = np.repeat(classes[block], shown.shape[1])
        return softmax(logits)[np.arange(len(own)), own].reshape(len(ranks), -1).tolist()

    blocks = row_blocks(np.arange(len(pictures)), 4 * 3 * side**2 * (2 * len(counts) + 1))
    scores = [piece(f"from {block[0]}", partial(scores_of, block)) for block in blocks]
    deletion, insertion, masked = np.split(np.concatenate(scores), [len(counts), 2 * len(counts)], axis=1)
    return {"deletion": deletion, "insertion": insertion, "masked": masked[:, 0]}


def _maps(maps: Maps, prepared: Prepared, rows: np.ndarray, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every stored map by its METHOD.LAYER, then maps that do not depend on the network: noise, and the centre."""
    for method, layer in maps.names:
        yield f"{method}.{layer}", open_target(maps, method, layer, prepared.labels).true_class(rows)
    grid = open_foremost(maps, prepared.labels)[2].grid
    yield "random", np.random.default_rng(seed).normal(size=(len(rows), *grid))
    yield "centre", np.broadcast_to(centre_prior(grid), (len(rows), *grid))
