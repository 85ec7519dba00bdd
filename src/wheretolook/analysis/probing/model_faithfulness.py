"""Faithfulness of a model's foremost maps. Runs the network."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from wheretolook.analysis.explained import open_foremost
from wheretolook.analysis.probing.faithfulness import (
    FRACTION,
    Pixels,
    choose_images,
    class_faithfulness,
    filled_images,
    pixels_of,
    removals_of,
)
from wheretolook.analysis.probing.imputation import LinearImputer, fill_from_frame
from wheretolook.analysis.statistics.bootstrap import group_codes
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.cams.fold import fast_copy
from wheretolook.mapstore.store import Maps
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import Network
from wheretolook.networks.inputs import model_input
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

BATCH = 64  # changed images that are made at once, and kept by the cache of unfinished work
FORWARD = 16  # images in one forward pass: on a CPU larger batches leave the cache, and take a third longer


def model_faithfulness(
    network: Network,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    images: int,
    resamples: int,
    seed: int,
    piece: Piece = compute_unsaved,
) -> dict[str, Any] | None:
    """Scores after the first tenth of the pixels was taken out, by class (`docs/results.md`); None without test images.

    Args:
        network: in evaluation mode.
        card: of the model; its classes are those of the data, in any order.
        maps: of the model.
        prepared: the data.
        images: at most as many, equally many of each class.
        resamples: of each interval.
        seed: of the choice of images, of random maps, of noise and of the intervals.
        piece: keeps what is done: logits, batch by batch.
    """
    method, layer, target = open_foremost(maps, prepared.labels)
    groups = group_codes(prepared.index["group"].to_numpy(dtype=str))
    rows = choose_images(prepared.labels, prepared.rows(TEST), images, len(prepared.class_names), seed)
    if not len(rows):
        return None
    pictures, labels = np.asarray(prepared.images[rows]), prepared.labels[rows]
    masks = None if prepared.masks is None else np.asarray(prepared.masks[rows])
    pixels = pixels_of(target.true_class(rows), masks, labels, groups[rows], pictures.shape[1], seed)
    columns = [card.class_names.index(name) for name in prepared.class_names]
    logits = {k: v[:, columns] for k, v in logits_after(network, card, pictures, pixels, seed, piece).items()}
    out: dict[str, Any] = {
        "method": method,
        "layer": layer,
        "split": TEST,
        "fraction": FRACTION,
        "images": len(rows),
        "classes": {},
    }
    for k, name in enumerate(prepared.class_names):
        own = labels == k
        # Evidence is a kind of its own only where every chosen image of the class has some.
        kinds = [key for key in logits if key not in pixels or np.isin(np.flatnonzero(own), pixels[key][0]).all()]
        if own.any():
            chosen = {key: logits[key][own] for key in kinds}
            out["classes"][name] = class_faithfulness(chosen, labels[own], groups[rows][own], resamples, seed)
    return out


def logits_after(
    network: Network, card: Card, images: np.ndarray, pixels: Pixels, seed: int, piece: Piece
) -> dict[str, np.ndarray]:
    """Logits (n, K) float64 of images after each kind of removal, of the `whole` ones, and of the `filled` ones.

    Args:
        network: in evaluation mode.
        card: of the model, with its K classes.
        images: (n, S, S, 3) uint8.
        pixels: of `pixels_of`; logits of an image that a kind doesn't exist for are 0.
        seed: of the noise.
        piece: keeps what is done, batch by batch.
    """
    fast = folded(network, card, images[:2])
    logits = {kind: np.zeros((len(images), len(card.class_names))) for kind in pixels}
    removals, imputer = removals_of(pixels), LinearImputer(images.shape[1])
    batches = [removals[start : start + BATCH] for start in range(0, len(removals), BATCH)]
    makers = [partial(filled_images, imputer, images, batch, seed) for batch in batches]
    found = logits_of_batches(fast, card, makers, "faithfulness", piece)
    for (kind, i, _), row in zip(removals, found, strict=True):
        logits[kind][i] = row
    return logits | {"whole": run(network, card, images), "filled": run(network, card, fill_from_frame(images))}


@torch.inference_mode()
def folded(network: Network, card: Card, images: np.ndarray) -> nn.Module:
    """A copy of the network that gives the same logits sooner, tried on images (n, S, S, 3)."""
    device = next(network.parameters()).device
    return fast_copy(network, model_input(card, images, device), (), "float32").network


@torch.inference_mode()
def run(network: nn.Module, card: Card, images: np.ndarray) -> np.ndarray:
    """Logits (n, K) float64 of images (n, S, S, 3) of values 0 to 255, in batches; classes as on the card."""
    device = next(network.parameters()).device
    stacked = images.astype(np.float32)
    parts = []
    step = FORWARD if device.type == "cpu" else BATCH
    for start in range(0, len(stacked), step):
        logits = network(model_input(card, stacked[start : start + step], device))
        parts.append(logits.cpu().double().numpy())
    return np.concatenate(parts)


def logits_of_batches(
    network: nn.Module, card: Card, makers: Sequence[Callable[[], np.ndarray]], name: str, piece: Piece
) -> list[list[float]]:
    """Logits of batches of changed images, each made in a thread while the network runs on the one before it.

    Args:
        network: that gives logits of network inputs.
        card: of the model.
        makers: each makes a batch (n, S, S, 3) of values 0 to 255; they are called once each, in order.
        name: of the pieces and the progress bar.
        piece: keeps what is done.

    Returns:
        The rows (K,) of all batches; classes as on the card.
    """
    rows: list[list[float]] = []
    ahead: dict[int, Future[np.ndarray]] = {}

    def make(number: int) -> list[list[float]]:
        made = ahead.pop(number).result() if number in ahead else makers[number]()
        if number + 1 < len(makers):
            ahead[number + 1] = pool.submit(makers[number + 1])
        return run(network, card, made).tolist()

    with ThreadPoolExecutor(1) as pool:
        for number in tqdm(range(len(makers)), desc=name, unit="batch", disable=None):
            rows += piece(f"{name} {number * BATCH}", partial(make, number))
    return rows
