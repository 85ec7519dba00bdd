"""The start of a training: checks of network and batches, pretrained weights, optimiser and schedule."""

import math
import socket
from functools import partial
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from wheretolook.base.errors import InputError, is_out_of_memory
from wheretolook.base.files import sha256_of
from wheretolook.networks.checkpoint import find_pretrained
from wheretolook.networks.inputs import Channels
from wheretolook.networks.layered import Network, hooked, load_weights
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.networks.torchvision_networks import TorchvisionNetwork
from wheretolook.params.train_options import TrainOptions


def check_trainable(network: Network, architecture: str, size: int, smallest: int, ranks: Ranks) -> None:
    """Check that the network accepts images of this size and batches this small, before PyTorch fails in training.

    Runs one image in evaluation mode, which uses no random numbers and changes no running statistics.

    Args:
        network: on the CPU, where a RuntimeError is not one of a device; left in evaluation mode.
        architecture: for the message.
        size: side of the images, pixels.
        smallest: number of images in the smallest batch, over all processes.
        ranks: the processes that share a batch.

    Raises:
        InputError: images too small for the network, or batches with one value per channel in batch normalisation.
    """
    single = _single_value_norm(network, architecture, size)
    # On CUDA, batch normalisation uses the statistics of all processes.
    synchronised = ranks.device.type == "cuda" and not ranks.alone
    if single and smallest // ranks.count == 1 and not synchronised:
        shared = "" if ranks.alone else f" for {ranks.count} processes"
        fewer = "" if ranks.alone else ", or start fewer processes"
        raise InputError(
            "train.batch_size",
            expected=(
                f"at least two images in each batch and process: for an image of {size} pixels, {single} of "
                f"{architecture} has a single value per channel, without variance"
            ),
            found=f"batches of {smallest} image{'s' if smallest > 1 else ''}{shared}",
            hint=f"raise train.batch_size or prepare.size{fewer}",
        )


def _single_value_norm(network: Network, architecture: str, size: int) -> str:
    """Name of the first batch normalisation that has one value per channel for one image; empty if none has."""
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
            expected="images large enough for all layers",
            found=f"{size} pixels ({error})",
            hint="raise prepare.size",
        ) from error
    return found[0] if found else ""


# Seconds without data; torch.hub has no timeout.
TIMEOUT = 60.0


def load_pretrained(network: Network, architecture: str, weights: str, ranks: Ranks) -> tuple[Channels, Channels]:
    """Load pretrained weights into a network, except the classifier if the number of classes differs.

    The file is downloaded once, into torch.hub's folder (TORCH_HOME), which other programs share. Its SHA-256 must
    begin with the digits in its name.

    Args:
        network: a `TorchvisionNetwork` of this architecture; changed in place.
        architecture: torchvision's name, such as "resnet18".
        weights: torchvision's name, such as "IMAGENET1K_V1".
        ranks: the processes that train the network; the first on each machine downloads, rank 0 with a progress bar.

    Returns:
        Mean and standard deviation of each channel that the weights expect, for values in 0..1.

    Raises:
        InputError: unknown weights, a failed download, a damaged file, or weights for another image size.
    """
    assert isinstance(network, TorchvisionNetwork)
    found = find_pretrained(architecture, weights)
    if ranks.local_rank == 0:
        _fetch(found.url, ranks.leads)
    ranks.wait()
    # torchvision's builder renames the tensors of older files.
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
                hint=f"set `prepare.size: {preset.crop_size[0]}`, the size that the weights were trained with",
            )
    load_weights(network.body, fresh)
    return tuple(preset.mean), tuple(preset.std)


def _classifier(network: TorchvisionNetwork) -> str:
    """Name of the last linear layer or convolution (in a squeezenet), whose outputs are the classes."""
    return [name for name, module in network.body.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]


def _fetch(url: str, progress: bool) -> None:
    """Download a file into torch.hub's folder, unless it is there, and check its SHA-256."""
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
                expected="a download of pretrained weights",
                found=f"an error ({error})",
                hint=f"check the connection and run it again, or copy the file to {path}",
            ) from error
        finally:
            socket.setdefaulttimeout(before)
    if not sha256_of(path).startswith(prefix):
        raise InputError(path, f"a SHA-256 that begins with {prefix}", "another file", "remove it and run again")


def make_optimiser(module: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    """AdamW for the parameters that are trained."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    # No weight decay for biases and normalisation layers.
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate)


def make_schedule(
    optimiser: torch.optim.Optimizer, options: TrainOptions, epoch_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The learning rate of each step.

    Args:
        optimiser: of the training.
        options: of the training.
        epoch_steps: steps of an epoch.
    """
    steps = options.epochs * epoch_steps
    if options.schedule == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=steps)
    warmup = round(options.warmup_epochs * epoch_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        falls = options.schedule == "cosine"
        return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2 if falls else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
