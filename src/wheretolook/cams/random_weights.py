"""Networks with random weights, and their maps: baselines of agreement and of the sanity check (arXiv:1810.03292).

What such a network highlights comes from its architecture and the images alone. For a model that started from
pretrained weights, the baseline is the pretrained network with a random head: its maps before it learned the classes.

"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import TEST, Prepared
from wheretolook.cams.batching import compute_batched
from wheretolook.cams.engine import build_engine
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.inputs import model_input
from wheretolook.networks.layered import Network, load_weights
from wheretolook.networks.pretrained import head_names, is_of_head, load_pretrained, weights_sha256

IMAGES_PER_CLASS = 50  # at most
FIRST_SEED = 100_000  # far from the seeds of models, whose initial weights must not occur in the baseline
STATISTICS_IMAGES = 64  # training images that estimate batch-norm statistics


def chosen_rows(prepared: Prepared) -> np.ndarray:
    """Up to 50 test images of each class, evenly spread over the split: (n,) int64, ascending."""
    rows, labels = prepared.rows(TEST), prepared.labels
    of_class = [rows[labels[rows] == k] for k in range(len(prepared.class_names))]
    spread = [
        own[np.unique(np.linspace(0, len(own) - 1, IMAGES_PER_CLASS).round().astype(int))]
        for own in of_class
        if len(own)
    ]
    return np.sort(np.concatenate(spread)) if spread else np.zeros(0, dtype=np.int64)


def pretrained_backbone(card: Card, network: Network) -> dict[str, Tensor] | None:
    """The pretrained weights that a model started from, without its heads; None if it started from random weights.

    Args:
        card: of the model.
        network: the model's network, whose backbone is the pretrained one if it was frozen.

    Raises:
        InputError: the weights are not available here, or the file has changed.
    """
    weights = card.training.get("weights", "random")
    if weights == "random":
        return None
    if card.training.get("freeze") == "backbone":
        state = network.state_dict()
    else:
        subject, hint = f"the baseline of random weights for {card.architecture}", "or set `export.random_draws: 0`"
        try:
            if weights_sha256(weights) != card.training.get("weights_sha256"):
                raise InputError(weights, "the file that the training started from", "another", "restore it")
            with torch.random.fork_rng(devices=[]):
                fresh = build_network(card.architecture, len(card.class_names), card.arguments)
            keywords = card.arguments.get("keywords", card.arguments)
            load_pretrained(fresh, card.architecture, weights, len(card.class_names), keywords)
        except InputError as error:
            hint = f"{error.hint.rstrip('.')}, {hint}" if error.hint else hint
            raise InputError(f"{subject}: {error.subject}", error.expected, error.found, hint) from error
        state = fresh.state_dict()
    heads = head_names(network, len(card.class_names))
    return {name: tensor.cpu() for name, tensor in state.items() if not is_of_head(name, heads)}


def random_maps(
    card: Card,
    prepared: Prepared,
    rows: np.ndarray,
    draws: int,
    batch_size: int,
    device: torch.device,
    backbone: dict[str, Tensor] | None = None,
) -> np.ndarray:
    """Class activation maps of the last layer of networks with random weights; Grad-CAMs where these have no CAM.

    Args:
        card: of the model whose architecture the networks have.
        prepared: the images.
        rows: (n,) int64, rows of the images to explain.
        draws: number of networks; network d has the seed FIRST_SEED + d.
        batch_size: images per forward pass.
        device: where the networks run.
        backbone: from `pretrained_backbone`; the networks then differ in their heads alone.

    Returns:
        (draws, n, h, w) float32, contrast of the true class (its map minus the mean of the other classes' maps), in
        logit units.
    """
    drawn = []
    for draw in tqdm(range(draws), desc="random weights", unit="network", disable=None):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(FIRST_SEED + draw)
            network = build_network(card.architecture, len(prepared.class_names), card.arguments)
            head = network.final_head()
            if head is None:
                _fill_zero_heads(network)
        if backbone is not None:
            load_weights(network, network.state_dict() | backbone)
        network = network.eval().to(device)
        network.to(memory_format=torch.channels_last)
        if backbone is None:
            estimate_statistics(network, _inputs(card, prepared, _training_rows(prepared), batch_size, device))
        of = (network, card, prepared, rows, batch_size, device)
        drawn.append(_gradcams(*of) if head is None else _maps(head, *of))
    return np.stack(drawn)


def _fill_zero_heads(network: nn.Module) -> None:
    """Draw weights for linear layers that start at zero, as a vision transformer's head: else no gradient flows."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            module.reset_parameters()


@torch.inference_mode()
def estimate_statistics(network: nn.Module, batches: Iterator[Tensor], run: nn.Module | None = None) -> None:
    """Replace the running statistics of batch normalisation by those of some batches; nothing else changes.

    Args:
        network: its statistics are replaced.
        batches: network inputs.
        run: the module that takes the batches, if `network` is only a part of it.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(module.momentum, module.training) for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches
        module.train()
    for batch in batches if norms else ():
        (run or network)(batch)
    for module, (momentum, training) in zip(norms, kept, strict=True):
        module.momentum = momentum
        module.train(training)


@torch.inference_mode()
def _maps(
    head: nn.Linear,
    network: Network,
    card: Card,
    prepared: Prepared,
    rows: np.ndarray,
    batch_size: int,
    device: torch.device,
) -> np.ndarray:
    """Contrast maps (n, h, w) of one network."""
    weights = head.weight.detach()
    others = (weights.sum(dim=0, keepdim=True) - weights) / (len(weights) - 1)
    contrast = (weights - others)[torch.from_numpy(prepared.labels[rows]).to(device)]
    parts, start = [], 0
    for batch in _inputs(card, prepared, rows, batch_size, device):
        _, maps = network(batch, return_cam=True)
        parts.append(torch.einsum("nchw,nc->nhw", maps.float(), contrast[start : start + len(batch)]).cpu().numpy())
        start += len(batch)
    return np.concatenate(parts)


def _gradcams(
    network: Network, card: Card, prepared: Prepared, rows: np.ndarray, batch_size: int, device: torch.device
) -> np.ndarray:
    """Contrast maps (n, h, w) of one network by Grad-CAM, which is linear in the class."""
    pair = "gradcam", card.layers[-1]
    engine = build_engine(network, [pair[0]], [pair[1]], (card.input_size, card.input_size))
    engine, classes = replace(engine, with_mean=True), len(prepared.class_names)
    parts, start = [], 0
    for batch in _inputs(card, prepared, rows, batch_size, device):
        labels = torch.from_numpy(prepared.labels[rows[start : start + len(batch)]])
        choose = partial(_of_rows, labels)
        for _, part in compute_batched(engine, batch, slice(0, len(batch)), choose):
            own, mean = part.maps[pair].unbind(1)
            parts.append(((own - mean) * (classes / (classes - 1))).cpu().numpy())
        start += len(batch)
    return np.concatenate(parts)


def _of_rows(labels: Tensor, logits: Tensor, rows: slice) -> Tensor:
    return labels[rows, None].to(logits.device)


def _training_rows(prepared: Prepared) -> np.ndarray:
    """Rows of training images, evenly spread over the split."""
    rows = prepared.rows("train")
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(STATISTICS_IMAGES, len(rows))).round().astype(int))]


def _inputs(
    card: Card, prepared: Prepared, rows: np.ndarray, batch_size: int, device: torch.device
) -> Iterator[Tensor]:
    """Network inputs of some images, in batches."""
    for start in range(0, len(rows), batch_size):
        yield model_input(card, prepared.images[rows[start : start + batch_size]], device)


FIRST_CASCADE_SEED = 200_000  # neither a model's nor those of the null's networks


class Cascade:
    """One network, randomised again and again in place: what was built on its modules and weights stays good.

    Args:
        network: trained, in evaluation mode; left as it is.
        card: of the model.
        training: (n, 3, S, S) inputs from which normalisation statistics are estimated again; may be empty.

    Attributes:
        network: the copy.
        steps: "heads", then each layer from the last to the first, and with the first what comes before it.
    """

    def __init__(self, network: Network, card: Card, training: Tensor) -> None:
        self.network = deepcopy(network).to(memory_format=torch.channels_last)
        self.steps = ("heads", *reversed(network.layer_names))
        self._trained = {name: value.clone() for name, value in network.state_dict().items()}
        self._card, self._training = card, training
        with torch.no_grad():
            self._kept = network.feature_maps(training) if len(training) else {}

    def draw(self, number: int) -> Iterator[str]:
        """Randomise one layer more at each step; gives the step's name, with the network as it is then."""
        layers = list(self.network.layer_names)
        load_weights(self.network, self._trained)
        fresh = fresh_network(self._card, FIRST_CASCADE_SEED + number).to(next(self.network.parameters()).device)
        for depth, step in enumerate(self.steps):
            below = layers[: len(layers) - depth]
            copy_weights(self.network, fresh, below)
            batches = iter([self._training] if len(self._training) else [])
            with frozen(self.network, {layer: self._kept[layer] for layer in below if self._kept}):
                estimate_statistics(normalisations_above(self.network, below), batches, run=self.network)
            yield step


def fresh_network(card: Card, seed: int) -> Network:
    """A network with random weights; heads that start at zero, as side heads and a vision transformer's, too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(card.architecture, len(card.class_names), card.arguments).eval()
        for module in network.modules():
            if isinstance(module, nn.Linear) and not module.weight.any():
                module.reset_parameters()
    return network


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


def normalisations_above(network: Network, below: list[str]) -> nn.ModuleList:
    """Batch normalisation of all that is no longer trained."""
    trained = set(_modules(network, below))
    norms = (module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))
    return nn.ModuleList(module for module in norms if module not in trained)


@torch.no_grad()
def copy_weights(network: Network, fresh: Network, below: list[str]) -> None:
    """Copy random weights into all layers but those of `below`, and into what lies after them.

    What comes before the first layer (a stem) is random only where `below` is empty.
    """
    trained = {id(p) for module in _modules(network, below) for p in module.parameters(recurse=False)}
    of_layers = {id(p) for m in _modules(network, network.layer_names) for p in m.parameters(recurse=False)}
    before = True
    for weight, random in zip(network.parameters(), fresh.parameters(), strict=True):
        before = before and id(weight) not in of_layers
        if id(weight) not in trained and not (before and below):
            weight.copy_(random)


def _modules(network: Network, layers: Iterable[str]) -> Iterator[nn.Module]:
    """Every module that takes part in computing some layers."""
    parts = network.layer_parts()
    return (module for layer in layers for part in parts[layer] for module in part.modules())
