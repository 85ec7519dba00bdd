"""Weights that torchvision offers for its networks, as a training's start. Imported only where they are asked for."""

import socket
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision import models

from wheretolook.data.hashing import sha256_of
from wheretolook.data.refusal import Refusal
from wheretolook.execution.ranks import Ranks
from wheretolook.models.inputs import Channels
from wheretolook.models.network import check_architecture
from wheretolook.models.options import RANDOM
from wheretolook.models.torchvision_networks import TorchvisionNetwork

# Seconds without a byte; torch.hub itself would wait for ever.
TIMEOUT = 60.0


def check_pretrained(architecture: str, weights: str) -> None:
    """Refuse a name of weights that `load_pretrained` would not know, without fetching anything.

    Args:
        architecture: of the network.
        weights: as torchvision names them, such as "IMAGENET1K_V1".

    Raises:
        Refusal: an architecture without pretrained weights, or a name that isn't known for it.
    """
    _find(architecture, weights)


def load_pretrained(
    network: TorchvisionNetwork, architecture: str, weights: str, ranks: Ranks
) -> tuple[Channels, Channels]:
    """Put pretrained weights into a network, all but its classifier's where that has another number of classes.

    The file is fetched once, into torch.hub's folder (TORCH_HOME), which other programs share, and held to the first
    digits of its SHA-256, which stand in its name.

    Args:
        network: of this architecture, with random weights; changed in place.
        architecture: as torchvision names it, such as "resnet18".
        weights: as torchvision names them, such as "IMAGENET1K_V1"; each is one file for good.
        ranks: the processes that train it; the first of each machine fetches, that of rank 0 with a bar.

    Returns:
        Mean and standard deviation of each channel, of values in 0..1, that the weights expect.

    Raises:
        Refusal: no such weights; no network; a damaged file; weights of another size than this network's.
    """
    found = _find(architecture, weights)
    if ranks.local_rank == 0:
        _fetch(found.url, ranks.leads)
    ranks.wait()
    # Built as torchvision builds it, which knows what names its older files have.
    state = models.get_model(architecture, weights=found).state_dict()
    fresh = network.body.state_dict()
    preset, classifier = found.transforms(), _classifier(network)
    for name, tensor in fresh.items():
        if state[name].shape == tensor.shape:
            fresh[name] = state[name]
        elif name.rpartition(".")[0] != classifier:
            raise Refusal(
                f"{architecture}, weights {weights}: expected {name} of shape {tuple(state[name].shape)}, found "
                f"{tuple(tensor.shape)}; set `prepare.size: {preset.crop_size[0]}`, for which they were trained"
            )
    network.body.load_state_dict(fresh)
    return tuple(preset.mean), tuple(preset.std)


def _find(architecture: str, weights: str) -> Any:
    """torchvision's entry: `url`, `transforms`."""
    check_architecture(architecture)
    if architecture == "looknet":
        raise Refusal(f'looknet: expected `weights: {RANDOM}`, as it has no others, found "{weights}"')
    # DEFAULT is another file in another version of torchvision.
    known = {entry.name: entry for entry in models.get_model_weights(architecture)}
    if weights not in known:
        raise Refusal(f'{architecture}: expected weights {", ".join([RANDOM, *known])}, found "{weights}"')
    return known[weights]


def _classifier(network: TorchvisionNetwork) -> str:
    """Name of the last layer, whose outputs are the classes: linear, but for a squeezenet's, which is a convolution."""
    return [name for name, module in network.body.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]


def _fetch(url: str, progress: bool) -> None:
    """Bring the file to where torch.hub looks for it."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    prefix = path.stem.rpartition("-")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            torch.hub.download_url_to_file(url, str(path), prefix, progress)
        except (OSError, HTTPException, RuntimeError) as error:
            raise Refusal(
                f"{url}: expected to fetch pretrained weights, found {error}; run again with a network, or bring the "
                f"file to {path}"
            ) from error
        finally:
            socket.setdefaulttimeout(before)
    if not sha256_of(path).startswith(prefix):
        raise Refusal(f"{path}: expected a file whose SHA-256 begins with {prefix}, found another; remove it")
