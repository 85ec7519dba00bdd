"""Sanity of every exported method and layer: all their maps of one set of randomised networks, by the engine."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wheretolook.analysis.maps.contrast import contrast, contrast_with_mean
from wheretolook.analysis.maps.target import open_target
from wheretolook.analysis.probing.pieces import Piece, made_anew
from wheretolook.analysis.probing.randomised import Cascade
from wheretolook.analysis.probing.removed_images import choose_images
from wheretolook.analysis.probing.sanity import alikeness, likeness, sanity_result
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.manifest import stores_every_class
from wheretolook.cams.parts import compute_in_parts
from wheretolook.cams.registry import METHODS
from wheretolook.cams.store import Maps
from wheretolook.data.prepared import TEST, Prepared
from wheretolook.models.card import Card
from wheretolook.models.inputs import model_input
from wheretolook.models.layered import Network

IMAGES, ESTIMATED_ON = 12, 32
# A method that runs the network once for each channel is asked of these few alone, and of wholly random networks.
IMAGES_OF_SLOW = 4
Pair = tuple[str, str]


def model_sanity(
    network: Network, card: Card, maps: Maps, prepared: Prepared, draws: int, seed: int, piece: Piece = made_anew
) -> dict[str, dict[str, Any]] | None:
    """Sanity of every method and layer that was exported (`docs/results.md`); None without test images.

    Args:
        network: in evaluation mode; left as it is.
        card: of the model.
        maps: of the model.
        prepared: the data.
        draws: random networks.
        seed: of the choice of images.
        piece: keeps what is done, network by network.

    Returns:
        METHOD.LAYER to its result.
    """
    rows = choose_images(prepared.labels, prepared.rows(TEST), IMAGES, len(prepared.class_names), seed)
    if not len(rows):
        return None
    slow = {name for name, method in METHODS.items() if method.forward_passes_a_channel}
    few = choose_images(prepared.labels, rows, IMAGES_OF_SLOW, len(prepared.class_names), seed)
    quick = [pair for pair in maps.names if pair[0] not in slow]
    rest = [pair for pair in maps.names if pair[0] in slow]
    found = cascade(network, card, maps, prepared, quick, rows, draws, "sanity", piece)
    found |= cascade(network, card, maps, prepared, rest, few, draws, "sanity of slow methods", piece, last_step=True)
    return {f"{method}.{layer}": sanity_result(*found[method, layer]) for method, layer in maps.names}


def cascade(
    network: Network,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    pairs: list[Pair],
    rows: np.ndarray,
    draws: int,
    told: str,
    piece: Piece = made_anew,
    last_step: bool = False,
) -> dict[Pair, tuple[dict[str, list[float]], np.ndarray, np.ndarray]]:
    """How alike maps stay while ever more weights are random.

    Args:
        network: left as it is.
        card: of the model.
        maps: of the trained model.
        prepared: the images.
        pairs: methods and layers; none: nothing is run.
        rows: (n,) int64, images to take maps of.
        draws: random networks.
        told: what the progress bar is called, and the pieces.
        piece: keeps what is done, network by network.
        last_step: only the last step, wholly random networks.

    Returns:
        (method, layer) to the steps, top first, each to the mean |Spearman| of each draw; and of wholly random networks
        (D, n) that of each image, and (D, n) that with other images of its class.
    """
    if not pairs:
        return {}
    device = next(network.parameters()).device
    true = {pair: open_target(maps, *pair, prepared.labels).true_class(rows) for pair in pairs}
    inputs = model_input(card, prepared.images[rows], device)
    training = prepared.rows("train")
    training = training[:: max(1, len(training) // ESTIMATED_ON)][:ESTIMATED_ON]
    random = Cascade(network, card, model_input(card, prepared.images[training], device))
    every = stores_every_class(maps.manifest)
    engine = engine_for(random.network, card, pairs, every)
    steps = random.steps[-1:] if last_step else random.steps

    labels = prepared.labels[rows]

    def one(draw: int) -> dict[str, Any]:
        alike: dict[str, list[float]] = {}
        for step in random.draw(draw):
            if step in steps:
                values = true_class_maps(engine, inputs, card, prepared, rows, every)
                compared = [likeness(true[pair], values[pair], labels) for pair in pairs]
                alike[step] = [alikeness(same) for same, _ in compared]
        # JSON has no NaN.
        last = [[np.where(np.isfinite(each), each, -1).tolist() for each in both] for both in compared]
        return {"steps": alike, "last": last}

    numbers = tqdm(range(draws), desc=told, unit="network", disable=None)
    found = [piece(f"{told} {draw}", lambda draw=draw: one(draw)) for draw in numbers]
    last = np.array([each["last"] for each in found])  # (D, pairs, 2, n)
    last = np.where(last < 0, np.nan, last)
    return {
        pair: ({step: [each["steps"][step][i] for each in found] for step in steps}, last[:, i, 0], last[:, i, 1])
        for i, pair in enumerate(pairs)
    }


def true_class_maps(
    engine: Engine, inputs: Tensor, card: Card, prepared: Prepared, rows: np.ndarray, every: bool
) -> dict[Pair, np.ndarray]:
    """Maps (n, h, w) of each image's true class as they are compared: contrasts, where maps of every class are stored.

    Args:
        engine: what to take, and of which network.
        inputs: (n, 3, S, S).
        card: of the model, whose logits the classes are chosen from.
        prepared: the data.
        rows: (n,) int64, of the same images.
        every: whether the export has maps of every class.
    """
    columns = torch.tensor([card.class_names.index(name) for name in prepared.class_names], device=engine.device)
    labels = prepared.labels[rows]
    chosen = columns.expand(len(rows), -1) if every else columns[torch.from_numpy(labels).to(columns.device)][:, None]
    parts = [part for _, part in compute_in_parts(engine, inputs, slice(0, len(rows)), lambda _, part: chosen[part])]
    arrays = {pair: np.concatenate([part.maps[pair].cpu().numpy() for part in parts]) for pair in parts[0].maps}
    return {pair: _as_compared(array, labels, every, len(columns)) for pair, array in arrays.items()}


def _as_compared(maps: np.ndarray, labels: np.ndarray, every: bool, classes: int) -> np.ndarray:
    """As `Target.true_class` reads them: of all classes, of the true one and the mean, or of the true one alone."""
    if maps.shape[1] == 1:
        return maps[:, 0]
    return contrast(maps, labels) if every else contrast_with_mean(maps[:, 0], maps[:, 1], classes)


def engine_for(network: Network, card: Card, pairs: list[Pair], every: bool) -> Engine:
    """What takes such maps; it reads the weights where they are, and so follows when they are randomised in place."""
    methods, layers = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    size = (card.input_size, card.input_size)
    engine = build_engine(network, methods, layers, size, trained_heads=card.trained_heads)
    return replace(engine, with_mean=not every)
