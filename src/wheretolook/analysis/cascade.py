"""Weights randomised from the top layer down, and the maps that are left: runs the network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from wheretolook.analysis.removed_images import choose_images
from wheretolook.analysis.sanity import sanity_result
from wheretolook.analysis.target import open_target
from wheretolook.cams.random_weights import estimate_statistics
from wheretolook.cams.store import Maps
from wheretolook.data.prepared import Prepared
from wheretolook.models.card import Card
from wheretolook.models.inputs import to_input
from wheretolook.models.layered import Network
from wheretolook.models.network import build_network

IMAGES, ESTIMATED_ON = 20, 32
SPLIT = "test"
FIRST_SEED = 1000  # the null's networks are seeded from 0 on: these must be others


def model_sanity(
    network: Network, card: Card, maps: Maps, prepared: Prepared, draws: int, seed: int
) -> dict[str, Any] | None:
    """Sanity of the CAMs of the last layer; None where there are none, or no test images.

    Gradient methods that equal the CAM at a pooled linear head share its result.

    Args:
        network: in evaluation mode.
        card: of the model.
        maps: of the model.
        prepared: the data.
        draws: random networks.
        seed: of the choice of images.
    """
    last = maps.manifest["layers"][-1]
    rows = choose_images(prepared.labels, prepared.rows(SPLIT), IMAGES, len(prepared.class_names), seed)
    if ("cam", last) not in maps.names or network.final_head() is None or not len(rows):
        return None
    target = open_target(maps, "cam", last, prepared.labels)
    steps = cascade(network, card, prepared, rows, draws)
    random = maps.random()
    null = None if random is None else (target.true_class(random[1]), np.asarray(random[0]))
    return {"method": "cam", "layer": last} | sanity_result(target.true_class(rows), steps, null)


@torch.inference_mode()
def cascade(network: Network, card: Card, prepared: Prepared, rows: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """Contrast maps of the true class while ever more weights are random.

    Args:
        network: left as it is.
        card: of the model.
        prepared: the images.
        rows: (n,) int64, images to take maps of.
        draws: random networks.

    Returns:
        "heads", then each layer from the last to the first (and with the first what comes before it), to
        (draws, n, h, w) float32.
    """
    device = next(network.parameters()).device
    training = prepared.rows("train")[:: max(1, len(prepared.rows("train")) // ESTIMATED_ON)][:ESTIMATED_ON]
    inputs = [_input(card, prepared, each, device) for each in (rows, training)]
    kept = [network.feature_maps(each) for each in inputs]
    classes = torch.tensor([card.class_names.index(prepared.class_names[k]) for k in prepared.labels[rows]])
    layers = list(network.layer_names)
    found: dict[str, list[np.ndarray]] = {"heads": [], **{layer: [] for layer in reversed(layers)}}
    for draw in tqdm(range(draws), desc="sanity", unit="network", disable=None):
        part = deepcopy(network).to(memory_format=torch.channels_last)
        fresh = _fresh(card, FIRST_SEED + draw).to(device)
        for depth, name in enumerate(found):
            below = layers[: len(layers) - depth]
            _copy_weights(part, fresh, below if depth < len(layers) else [])
            with frozen(part, {layer: kept[1][layer] for layer in below}):
                estimate_statistics(_above(part, below), iter([inputs[1]]) if len(training) else iter(()), run=part)
            with frozen(part, {layer: kept[0][layer] for layer in below}):
                found[name].append(_contrast_maps(part, inputs[0], classes.to(device)))
    return {name: np.stack(each) for name, each in found.items()}


@contextmanager
def frozen(network: Network, outputs: Mapping[str, Tensor]) -> Iterator[None]:
    """Layers that give outputs known from before, not computed again: `outputs` of the first layers, in order."""
    modules = network.layer_modules()
    for i, (layer, output) in enumerate(outputs.items()):
        # What reads the last of them may write over it.
        kept = i < len(outputs) - 1
        modules[layer].forward = lambda *_, output=output, kept=kept: output if kept else output.clone()
    try:
        yield
    finally:
        for layer in outputs:
            del modules[layer].forward


def _fresh(card: Card, seed: int) -> Network:
    """A network with random weights; its side heads, which start at zero, too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(card.architecture, len(card.class_names), card.arguments).eval()
        for head in network.side_heads.values():
            head.reset_parameters()
    return network


def _above(network: Network, below: list[str]) -> nn.ModuleList:
    """Layers that are no longer the trained ones."""
    return nn.ModuleList(module for layer, module in network.layer_modules().items() if layer not in below)


def _copy_weights(network: Network, fresh: Network, below: list[str]) -> None:
    """Copy random weights into all layers but those of `below`, and into what lies after them.

    What comes before the first layer (a stem) is random only where `below` is empty.
    """
    trained = {id(p) for layer in below for p in network.layer_modules()[layer].parameters()}
    of_layers = {id(p) for module in network.layer_modules().values() for p in module.parameters()}
    before = True
    for weight, random in zip(network.parameters(), fresh.parameters(), strict=True):
        before = before and id(weight) not in of_layers
        if id(weight) not in trained and not (before and below):
            weight.copy_(random)


def _contrast_maps(network: Network, inputs: Tensor, classes: Tensor) -> np.ndarray:
    """CAMs (n, h, w) of each image's class, less the mean of the other classes'."""
    weights = network.final_head().weight
    others = (weights.sum(dim=0, keepdim=True) - weights) / (len(weights) - 1)
    _, maps = network(inputs, return_cam=True)
    return torch.einsum("nchw,nc->nhw", maps.float(), (weights - others)[classes]).cpu().numpy()


def _input(card: Card, prepared: Prepared, rows: np.ndarray, device: torch.device) -> Tensor:
    return to_input(torch.from_numpy(np.array(prepared.images[rows])).to(device), card.mean, card.std)
