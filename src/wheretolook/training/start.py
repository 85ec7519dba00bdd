"""A network, tried once before it is trained: does it take images of this size, and so few of them at a time?"""

import socket
from functools import partial
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from wheretolook.base.errors import InputError, is_out_of_memory
from wheretolook.base.files import sha256_of
from wheretolook.networks.build_network import find_pretrained
from wheretolook.networks.inputs import Channels
from wheretolook.networks.layered import Network, hooked
from wheretolook.networks.torchvision_networks import TorchvisionNetwork
from wheretolook.runtime.distributed import Ranks


def check_trainable(network: Network, architecture: str, size: int, smallest: int, ranks: Ranks) -> None:
    """Refuse what would fail in the first steps, and then in words of PyTorch's.

    One image is looked at in evaluation mode, which draws no chance and changes no statistics.

    Args:
        network: still on the CPU, where an error is one of shapes, and not of a device; left in evaluation mode.
        architecture: named in the message.
        size: side of the images.
        smallest: images of the smallest batch, over all processes together.
        ranks: the processes that share it.

    Raises:
        InputError: images too small for the network, or batches that leave batch normalisation one value a channel.
    """
    single = _seen_as_one_value(network, architecture, size)
    # On CUDA it takes its statistics over all processes.
    together = ranks.device.type == "cuda" and not ranks.alone
    if single and smallest // ranks.count == 1 and not together:
        shared = "" if ranks.alone else f" for {ranks.count} processes"
        fewer = "" if ranks.alone else ", start fewer processes"
        raise InputError(
            f"batches of {smallest} image{('s' if smallest > 1 else '')}{shared}",
            expected=(
                f"two or more for each process, since of an image of {size} pixels batch normalisation of "
                f"{architecture} sees one value a channel, which has no variance ({single})"
            ),
            hint=f"raise train.batch_size or prepare.size{fewer}",
        )


def _seen_as_one_value(network: Network, architecture: str, size: int) -> str:
    """Name of the first batch normalisation that sees one value a channel of one image; empty if none does."""
    found: list[str] = []

    def note(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            found.append(name)

    named = network.named_modules()
    norms = [(n, module) for n, module in named if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    try:
        with hooked((module, partial(note, name)) for name, module in norms), torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            architecture,
            expected="images large enough for all its layers",
            found=f"{size} pixels ({error})",
            hint="raise prepare.size",
        ) from error
    return found[0] if found else ""


# Seconds without a byte; torch.hub itself would wait for ever.
TIMEOUT = 60.0


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
        InputError: no such weights; no network; a damaged file; weights of another size than this network's.
    """
    found = find_pretrained(architecture, weights)
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
            raise InputError(
                f"{architecture}, weights {weights}",
                expected=f"{name} of shape {tuple(state[name].shape)}",
                found=tuple(tensor.shape),
                hint=f"set `prepare.size: {preset.crop_size[0]}`, for which they were trained",
            )
    network.body.load_state_dict(fresh)
    return tuple(preset.mean), tuple(preset.std)


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
            raise InputError(
                url,
                expected="to fetch pretrained weights",
                found=error,
                hint=f"run again with a network, or bring the file to {path}",
            ) from error
        finally:
            socket.setdefaulttimeout(before)
    if not sha256_of(path).startswith(prefix):
        raise InputError(path, expected=f"a file whose SHA-256 begins with {prefix}", found="another", hint="remove it")
