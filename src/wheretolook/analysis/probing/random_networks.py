"""A network whose weights are randomised from the top layer down. Runs the network."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor, nn

from wheretolook.cams.random_weights import estimate_statistics
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.layered import Network, load_weights

FIRST_SEED = 200_000  # neither a model's nor those of the null's networks


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
        fresh = fresh_network(self._card, FIRST_SEED + number).to(next(self.network.parameters()).device)
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
