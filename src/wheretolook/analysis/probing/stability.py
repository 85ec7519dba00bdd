"""Stability of maps: how far they move when an image changes a little.

Two figures (arXiv:2508.18154): *consistency*, how alike the map stays where the prediction is kept; and
*responsiveness*, how far it moves where the prediction changes. Both are read against three others: the map of another
image of the class, a network of random weights under the same change, and (in `report`) another training.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.explained import open_target
from wheretolook.analysis.grid import standardise
from wheretolook.analysis.probing.cues import Change, ChangedImage, changes_for
from wheretolook.analysis.probing.effects import mean_with_interval, missing, named, share_with_interval
from wheretolook.analysis.probing.faithfulness import choose_images
from wheretolook.analysis.probing.sanity import engine_for, maps_and_logits, random_cascade
from wheretolook.analysis.statistics.bootstrap import group_codes
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.cams.engine import Engine
from wheretolook.cams.methods import METHODS
from wheretolook.mapstore.store import Maps, stores_every_class
from wheretolook.networks.card import Card
from wheretolook.networks.inputs import model_input
from wheretolook.networks.layered import Network
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

FEWEST_CHANGED = 5  # images, for a mean over those whose prediction changes
# A map is stable under a change that moves it less than half as far as the map of another image of the class is away.
STABLE = 0.5

Pair = tuple[str, str]


def in_one_frame(
    before: np.ndarray, after: np.ndarray, changed: Sequence[ChangedImage]
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of images as they are and as they are changed, moved so that equal places lie at equal cells.

    Each moves by half of the way, so that interpolation (bilinear) smooths both alike.

    Args:
        before, after: (n, h, w) float32.
        changed: n, what happened to each image.

    Returns:
        (n, h, w) float32 each.
    """
    ours, theirs = (
        before,
        np.stack([m[:, ::-1] if each.mirrored else m for m, each in zip(after, changed, strict=True)]),
    )
    for axis in (1, 2):
        pixels = np.array([(each.down, each.across)[axis - 1] / each.picture.shape[axis - 1] for each in changed])
        if pixels.any():
            half = pixels * before.shape[axis] / 2  # (n,) cells
            ours, theirs = moved(ours, half, axis), moved(theirs, -half, axis)
    return ours, theirs


def moved(maps: np.ndarray, cells: np.ndarray, axis: int) -> np.ndarray:
    """Maps (n, h, w) whose content moves by (n,) cells along an axis: bilinear, with a replicated border."""
    side = maps.shape[axis]
    source = np.clip(np.arange(side) - cells[:, None], 0, side - 1)  # (n, side)
    first = np.floor(source).astype(np.int64)
    shape = (len(maps), side, 1) if axis == 1 else (len(maps), 1, side)
    at, after = (np.minimum(first + step, side - 1).reshape(shape) for step in (0, 1))
    share = (source - first).astype(np.float32).reshape(shape)
    return (1 - share) * np.take_along_axis(maps, at, axis) + share * np.take_along_axis(maps, after, axis)


def correlations(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Pearson's r of each image's two maps: (n,) float64, NaN where either is constant."""
    (a, a_varies), (b, b_varies) = (standardise(maps.reshape(len(maps), -1)) for maps in (before, after))
    return np.where(a_varies & b_varies, np.einsum("nc,nc->n", a, b, dtype=np.float64), np.nan)


def of_other_images(maps: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean Pearson's r of each image's map with those of other images of its class and of other groups.

    Args:
        maps: (n, h, w) float32.
        labels, groups: (n,) integers.

    Returns:
        (n,) float64, NaN where there is no such image or the map is constant.
    """
    rows, varies = standardise(maps.reshape(len(maps), -1))
    others = (labels[:, None] == labels) & (groups[:, None] != groups) & varies & varies[:, None]
    total = np.where(others, rows.astype(np.float64) @ rows.T, 0).sum(axis=1)
    return np.divide(total, others.sum(axis=1), out=np.full(len(maps), np.nan), where=others.any(axis=1))


def model_stability(
    network: Network,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    images: int,
    resamples: int,
    seed: int,
    piece: Piece = compute_unsaved,
) -> list[dict[str, Any]] | None:
    """Stability of every exported method and layer, by change and class (`docs/results.md`); None without test images.

    Methods that run the network once for each channel are left out.

    Args:
        network: in evaluation mode; left as it is.
        card: of the model.
        maps: of the model.
        prepared: the data.
        images: test images, balanced over classes.
        resamples: of each interval.
        seed: of the choice of images, of the changes and of the intervals.
        piece: keeps what is done, change by change.
    """
    rows = choose_images(prepared.labels, prepared.rows(TEST), images, len(prepared.class_names), seed)
    pairs = [pair for pair in maps.names if not METHODS[pair[0]].forward_passes_a_channel]
    if not len(rows) or not pairs:
        return None
    labels = prepared.labels[rows]
    index = prepared.index
    names, files = (index[key].to_numpy(dtype=str) for key in ("group", "sha256"))
    codes = group_codes(names, files, prepared.copies)[rows]
    true = {pair: open_target(maps, *pair, prepared.labels).true_class(rows) for pair in pairs}
    networks = _networks(network, card, maps, prepared, pairs, rows)
    of_random = networks["random"](prepared.images[rows])[0]
    before = {pair: of_other_images(true[pair], labels, codes) for pair in pairs}
    predicted = maps.logits()[rows].argmax(axis=1)

    def one(change: Change, number: int) -> dict[str, Any]:
        changed = [change(prepared.images[row], np.random.default_rng([seed, number, int(row)])) for row in rows]
        pictures = np.stack([each.picture for each in changed])
        ours, logits = networks["trained"](pictures)
        theirs, _ = networks["random"](pictures)
        # JSON has no NaN.
        return {
            "kept": (logits.argmax(axis=1) == predicted).tolist(),
            "r": [_listed(correlations(*in_one_frame(true[p], ours[p], changed))) for p in pairs],
            "random": [_listed(correlations(*in_one_frame(of_random[p], theirs[p], changed))) for p in pairs],
        }

    out: list[dict[str, Any]] = []
    chosen = changes_for(card.training.get("augment", False))
    for number, (name, change) in enumerate(tqdm(chosen.items(), desc="stability", unit="change", disable=None)):
        found = piece(f"stability {name}", partial(one, change, number))
        kept = np.array(found["kept"])
        for i, pair in enumerate(pairs):
            r, random = (np.array(found[key][i], dtype=np.float64) for key in ("r", "random"))
            about = {"maps": ".".join(pair), "change": name}
            figures = kept, r, before[pair], random, codes, resamples, seed
            out += [
                about | row
                for k, class_name in enumerate(prepared.class_names)
                if (row := stability_row(class_name, labels == k, *figures))
            ]
    return out


def _listed(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _networks(
    network: Network, card: Card, maps: Maps, prepared: Prepared, pairs: list[Pair], rows: np.ndarray
) -> Mapping[str, Callable[[np.ndarray], tuple[dict[Pair, np.ndarray], np.ndarray]]]:
    """The trained network and one of random weights: pictures to maps as they are compared, and logits."""
    random = random_cascade(network, card, prepared)
    for _ in random.draw(0):  # after the last step, all weights are random
        pass
    every = stores_every_class(maps.manifest)
    weighting = maps.logits()[rows] if every else None

    def run(engine: Engine, pictures: np.ndarray) -> tuple[dict[Pair, np.ndarray], np.ndarray]:
        return maps_and_logits(engine, model_input(card, pictures, engine.device), card, prepared, rows, weighting)

    named_networks = {"trained": network, "random": random.network}
    return {name: partial(run, engine_for(each, card, pairs, every)) for name, each in named_networks.items()}


def stability_row(
    class_name: str,
    own: np.ndarray,
    kept: np.ndarray,
    r: np.ndarray,
    other: np.ndarray,
    random: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    """Figures of one class under one change; None where no image of the class has a map that varies.

    Args:
        class_name: the class.
        own: (n,) bool, images of the class.
        kept: (n,) bool, images whose prediction stays.
        r: (n,) Pearson's r of the maps before and after, NaN where a map is constant.
        other: (n,) the same with the maps of other images of the class.
        random: (n,) the same as `r`, of a network of random weights.
        groups: (n,) integers.
        resamples: of each interval.
        seed: of each interval.
    """
    there = own & np.isfinite(r)
    if not there.any():
        return None
    same, moved, paired = there & kept, there & ~kept, there & kept & np.isfinite(other)
    baseline = own & np.isfinite(random)
    bounds = (-1.0, 1.0)
    out: dict[str, Any] = {
        "class_name": class_name,
        "images": int(there.sum()),
        "groups": len(np.unique(groups[there])),
        **named("kept", share_with_interval(kept[there], groups[there])),
        "changed_images": int(moved.sum()),
        "responsiveness": float(1 - r[moved].mean()) if moved.sum() >= FEWEST_CHANGED else None,
        "other": float(other[paired].mean()) if paired.any() else None,
        "random": float(random[baseline].mean()) if baseline.any() else None,
        **missing("consistency"),
        "distance": None,
        "verdict": "open",
    }
    if same.any():
        out |= named("consistency", mean_with_interval(r[same], groups[same], resamples, seed, bounds))
    if paired.any():
        away = 1 - other[paired]
        out["distance"] = float((1 - r[paired]).mean() / away.mean()) if away.mean() > 0 else None
        beyond = (1 - r[paired]) - STABLE * away
        _, low, high = mean_with_interval(beyond, groups[paired], resamples, seed, (-1.0, 2.0))
        if low is not None and high is not None:
            out["verdict"] = "stable" if high < 0 else "unstable" if low > 0 else "open"
    return out
