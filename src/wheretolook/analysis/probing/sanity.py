"""Sanity of a method: with its weights randomised, a network's maps must stop resembling those of the trained network.

Adebayo et al. 2018, arXiv:1810.03292. A map that stays alike shows the image or the architecture, not what was learned.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from wheretolook.analysis.explained import contrast_with_mean, contrast_with_rivals, open_target
from wheretolook.analysis.grid import average_ranks, standardise
from wheretolook.analysis.probing.faithfulness import choose_images
from wheretolook.analysis.results.schema import FEWEST_DRAWS
from wheretolook.analysis.statistics.classification import LEVEL
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.cams.batching import compute_batched
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.methods import METHODS
from wheretolook.cams.random_weights import Cascade
from wheretolook.mapstore.store import Maps, stores_every_class
from wheretolook.networks.card import Card
from wheretolook.networks.inputs import model_input
from wheretolook.networks.layered import Network
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

# Likeness beyond that of another image's map: a map passes where it is surely less, and fails where it is surely more.
MARGIN = 0.1
PASS, FAIL, OPEN = "pass", "fail", "open"


Ranks = tuple[np.ndarray, np.ndarray]  # (n, h * w) float32, standardised ranks; (n,) bool, which maps vary


def ranks_of(maps: np.ndarray) -> Ranks:
    """Ranks of each map (n, h, w), for Spearman's correlation."""
    return standardise(average_ranks(maps.reshape(len(maps), -1)))


def likeness(true: Ranks, randomised: Ranks, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|Spearman| of each image's map with a random network's map of the same image, and of other images of its class.

    The second is the baseline: what layout, smoothness and the class's usual shape give by themselves, in this method
    and at this layer.

    Args:
        true: of `ranks_of` n maps of the trained network.
        randomised: of `ranks_of` the maps of the same images.
        labels: (n,) int64. An image that is alone in its class is compared with all others.

    Returns:
        (n,) float64 each, the second a mean over the others; NaN where a map is constant or there is no other image.
    """
    (a, a_varies), (b, b_varies), count = true, randomised, len(labels)
    r = np.where(np.outer(a_varies, b_varies), np.abs(a.astype(np.float64) @ b.T), np.nan)
    others = (labels[:, None] == labels) & ~np.eye(count, dtype=bool)
    alone = ~others.any(axis=1)
    others[alone] = ~np.eye(count, dtype=bool)[alone]
    there = others & np.isfinite(r)
    total = np.where(there, r, 0).sum(axis=1)
    baseline = np.divide(total, there.sum(axis=1), out=np.full(count, np.nan), where=there.any(axis=1))
    return np.diagonal(r).copy(), baseline


def alikeness(same: np.ndarray) -> float:
    """Mean of `likeness` over images whose maps are not constant; 0 where all are constant: they resemble nothing."""
    valid = np.isfinite(same)
    return float(same[valid].mean()) if valid.any() else 0.0


def crossed_interval(values: np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean of a table of draws and images, both of them samples, with its interval (two-way random effects).

    The variance of the mean is that of the draws' means plus that of the images' means, less the residual's part, which
    counts twice; Student's t has the degrees of freedom of the smaller side, which is conservative.

    Args:
        values: (D, n) float64.

    Returns:
        The mean and both ends, None where either side has one member only.
    """
    from scipy.special import stdtrit

    mean, (draws, images) = float(values.mean()), values.shape
    if min(draws, images) < 2:
        return mean, None, None
    of_draws, of_images = values.mean(axis=1), values.mean(axis=0)
    residual = values - of_draws[:, None] - of_images + mean
    noise = (residual**2).sum() / ((draws - 1) * (images - 1)) / (draws * images)
    parts = of_draws.var(ddof=1) / draws, of_images.var(ddof=1) / images
    half = stdtrit(min(draws, images) - 1, (1 + LEVEL) / 2) * np.sqrt(max(sum(parts) - noise, *parts))
    return mean, float(mean - half), float(mean + half)


def sanity_result(found: Mapping[str, list[float]], same: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """How alike the maps of one method and layer stay while weights are randomised from the top layer down.

    Args:
        found: what was randomised last, top first, to the mean likeness of each draw; the last: all random.
        same: (D, n) of `likeness`, each image with wholly random networks.
        baseline: (D, n), the same with other images.

    Returns:
        As `docs/results.md` lays out.
    """
    images = np.isfinite(same).all(axis=0) & np.isfinite(baseline).all(axis=0)
    excess: tuple[float | None, float | None, float | None] = (None, None, None)
    if images.any():
        excess = crossed_interval((same - baseline)[:, images])
    return {
        "images": int(images.sum()),
        "draws": len(same),
        "steps": [
            {"randomised": name, "spearman": float(np.mean(r)), "least": min(r), "most": max(r)}
            for name, r in found.items()
        ],
        "baseline": float(baseline[:, images].mean()) if images.any() else None,
        **dict(zip(("excess", "excess_low", "excess_high"), excess, strict=True)),
        "margin": MARGIN,
        "verdict": verdict(excess[1], excess[2], len(same)),
    }


def verdict(low: float | None, high: float | None, draws: int) -> str:
    """PASS where the whole interval of the excess is below MARGIN, FAIL where above, else OPEN, as with few draws."""
    if low is None or high is None or draws < FEWEST_DRAWS:
        return OPEN
    return PASS if high < MARGIN else FAIL if low > MARGIN else OPEN


IMAGES, ESTIMATED_ON = 12, 32
# A method that runs the network once for each channel has these few images, and wholly random networks alone.
IMAGES_OF_SLOW = 4
Pair = tuple[str, str]


def model_sanity(
    network: Network, card: Card, maps: Maps, prepared: Prepared, draws: int, seed: int, piece: Piece = compute_unsaved
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
    title: str,
    piece: Piece = compute_unsaved,
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
        title: of the progress bar, and of the resumable pieces.
        piece: keeps what is done, network by network.
        last_step: only the last step, wholly random networks.

    Returns:
        (method, layer) to the steps, top first, each to the mean |Spearman| of each draw; and of wholly random networks
        (D, n) that of each image, and (D, n) that with other images of its class.
    """
    if not pairs:
        return {}
    device = next(network.parameters()).device
    true = {pair: ranks_of(open_target(maps, *pair, prepared.labels).true_class(rows)) for pair in pairs}
    inputs = model_input(card, prepared.images[rows], device)
    random = random_cascade(network, card, prepared)
    every = stores_every_class(maps.manifest)
    engine = engine_for(random.network, card, pairs, every)
    steps = random.steps[-1:] if last_step else random.steps

    labels, logits = prepared.labels[rows], maps.logits()[rows] if every else None

    def one(draw: int) -> dict[str, Any]:
        alike: dict[str, list[float]] = {}
        for step in random.draw(draw):
            if step in steps:
                values, _ = maps_and_logits(engine, inputs, card, prepared, rows, logits)
                compared = [likeness(true[pair], ranks_of(values[pair]), labels) for pair in pairs]
                alike[step] = [alikeness(same) for same, _ in compared]
        # JSON has no NaN.
        last = [[np.where(np.isfinite(each), each, -1).tolist() for each in both] for both in compared]
        return {"steps": alike, "last": last}

    numbers = tqdm(range(draws), desc=title, unit="network", disable=None)
    found = [piece(f"{title} {draw}", partial(one, draw)) for draw in numbers]
    last = np.array([each["last"] for each in found])  # (D, pairs, 2, n)
    last = np.where(last < 0, np.nan, last)
    return {
        pair: ({step: [each["steps"][step][i] for each in found] for step in steps}, last[:, i, 0], last[:, i, 1])
        for i, pair in enumerate(pairs)
    }


def random_cascade(network: Network, card: Card, prepared: Prepared) -> Cascade:
    """The network, to be randomised layer by layer; normalisation statistics come from some training images."""
    training = prepared.rows("train")
    training = training[:: max(1, len(training) // ESTIMATED_ON)][:ESTIMATED_ON]
    device = next(network.parameters()).device
    return Cascade(network, card, model_input(card, prepared.images[training], device))


def maps_and_logits(
    engine: Engine, inputs: Tensor, card: Card, prepared: Prepared, rows: np.ndarray, logits: np.ndarray | None
) -> tuple[dict[Pair, np.ndarray], np.ndarray]:
    """Maps of each image's true class as they are compared, and logits.

    Maps are (n, h, w), contrasts where those of every class are stored; logits are (n, K) in the order of the data's
    classes.

    Args:
        engine: what to take, and of which network.
        inputs: (n, 3, S, S).
        card: of the model, whose logits the classes are chosen from.
        prepared: the data.
        rows: (n,) int64, of the same images.
        logits: (n, K) float32 of the trained network, which weight the rivals of each image's class in the maps of any
            network; None where the export lacks maps of every class.
    """
    columns = torch.tensor([card.class_names.index(name) for name in prepared.class_names], device=engine.device)
    labels = prepared.labels[rows]
    chosen = (
        columns.expand(len(rows), -1)
        if logits is not None
        else columns[torch.from_numpy(labels).to(columns.device)][:, None]
    )
    parts = [part for _, part in compute_batched(engine, inputs, slice(0, len(rows)), lambda _, part: chosen[part])]
    arrays = {pair: np.concatenate([part.maps[pair].cpu().numpy() for part in parts]) for pair in parts[0].maps}
    found = {pair: _as_compared(array, labels, logits, len(columns)) for pair, array in arrays.items()}
    return found, torch.cat([part.logits for part in parts])[:, columns].cpu().numpy()


def _as_compared(maps: np.ndarray, labels: np.ndarray, logits: np.ndarray | None, classes: int) -> np.ndarray:
    """As `Target.true_class` reads them: of all classes, of the true one and the mean, or of the true one alone."""
    if maps.shape[1] == 1:
        return maps[:, 0]
    if logits is None:
        return contrast_with_mean(maps[:, 0], maps[:, 1], classes)
    return contrast_with_rivals(maps, labels, logits)


def engine_for(network: Network, card: Card, pairs: list[Pair], every: bool) -> Engine:
    """An engine for such maps. It reads the weights in place, so that it follows when they are randomised."""
    methods, layers = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    size = (card.input_size, card.input_size)
    engine = build_engine(network, methods, layers, size, trained_heads=card.trained_heads)
    return replace(engine, with_mean=not every)
