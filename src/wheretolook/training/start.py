"""The start of a training: checks of network and batches, optimiser, schedule, and what processes share."""

import inspect
import math
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError, is_out_of_memory
from wheretolook.base.prepared import Prepared
from wheretolook.networks.architectures import LOOKNET, check_looknet_size
from wheretolook.networks.checkpoint import with_two_logits
from wheretolook.networks.layered import Network, hooked, two_logits
from wheretolook.networks.pretrained import is_of_head
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions
from wheretolook.training.batches import steps_per_epoch
from wheretolook.training.objective import Objective


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


def check_two_logits(network: Network, options: TrainOptions, size: int) -> None:
    """Check that an output z can be given as two logits, -z/2 and z/2, by a change of the last weights alone.

    Args:
        network: on the CPU; left in evaluation mode.
        options: of the training.
        size: side of the images, pixels.

    Raises:
        InputError: the network changes its outputs behind the last layer with weights, as by a ReLU.
    """
    architecture = options.architecture
    two = with_two_logits(network, architecture, options.architecture_arguments(size)).eval()
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        z = network.eval()(images)[:, :1]
        expected, found = two_logits(z, 1), two(images)
    if not torch.allclose(expected, found, atol=1e-4 * max(1.0, float(z.abs().max()))):
        hint = "set `outputs: classes`, or choose a network that ends in a linear layer"
        raise InputError(f"{architecture}, outputs: {options.outputs}", "outputs of a linear layer", "others", hint)


def smallest_batch(prepared: Prepared, options: TrainOptions, ranks: Ranks, train: int, val: int) -> int:
    """Number of images in the smallest batch, after checks of the splits, the batch size and the image size."""
    for split, count in {"train": train, "val": val}.items():
        if count == 0:
            raise InputError(
                f"split {split} of the prepared data",
                expected="images",
                found="none",
                hint="change the split fractions in section prepare of params.yaml",
            )
    smallest = train // steps_per_epoch(train, options.batch_size)
    if smallest < ranks.count:
        raise InputError(
            "train.batch_size",
            expected=f"at least one image for each of {ranks.count} processes",
            found=f"batches of {smallest} image{'s' if smallest > 1 else ''}",
            hint="raise train.batch_size, or start fewer processes",
        )
    if options.architecture == LOOKNET:
        check_looknet_size(options.depth, prepared.images.shape[1])
    return smallest


class AdamW(torch.optim.AdamW):
    """PyTorch's, without decorators that import PyTorch's compiler on their first call, which takes two seconds."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def make_optimiser(objective: Objective, options: TrainOptions, heads: tuple[str, ...]) -> torch.optim.Optimizer:
    """AdamW for the parameters that are trained.

    Args:
        objective: of the training.
        options: of the training.
        heads: from `head_names`; they have a learning rate of their own if the options say so.
    """
    named = [(name, each) for name, each in objective.network.named_parameters() if each.requires_grad]
    parts = [(options.learning_rate, [parameter for _, parameter in named])]
    if options.head_learning_rate is not None:
        parts = [
            (options.learning_rate, [parameter for name, parameter in named if not is_of_head(name, heads)]),
            (options.head_learning_rate, [parameter for name, parameter in named if is_of_head(name, heads)]),
        ]
    groups: list[dict[str, Any]] = []
    for rate, trained in parts:
        # No weight decay for biases and normalisation layers.
        matrices, vectors = ([each for each in trained if (each.ndim > 1) is wide] for wide in (True, False))
        groups.append({"params": matrices, "weight_decay": options.weight_decay, "lr": rate})
        groups.append({"params": vectors, "weight_decay": 0.0, "lr": rate})
    return AdamW([group for group in groups if group["params"]], lr=options.learning_rate)


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
        peaks = [group["lr"] for group in optimiser.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, total_steps=steps)
    warmup = round(options.warmup_epochs * epoch_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        falls = options.schedule == "cosine"
        return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2 if falls else 1.0

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def sharing_gradients(module: nn.Module, ranks: Ranks) -> nn.Module:
    """The module with gradients averaged over the processes.

    On CUDA, batch normalisation uses the statistics of the whole batch. PyTorch has no synchronised batch
    normalisation for other devices: there each process uses its share, and `average_statistics` averages the running
    statistics.
    """
    if ranks.alone:
        return module
    from torch.nn.parallel import DistributedDataParallel

    # Running statistics are not broadcast from rank 0, but averaged later. PyTorch is renaming this option.
    known = signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    keywords: dict[str, Any] = {option: False}
    if ranks.device.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        keywords["device_ids"] = [ranks.device.index]
    return DistributedDataParallel(module, **keywords)


def average_statistics(module: nn.Module, ranks: Ranks) -> None:
    """Average the running statistics over the processes, in place."""
    if ranks.alone:
        return
    with torch.no_grad():
        for statistic in running_statistics(module).values():
            statistic.copy_(ranks.summed(statistic) / ranks.count)


def running_statistics(module: nn.Module) -> dict[str, Tensor]:
    """Running statistics of batch normalisation, by name; not copies."""
    return {name: buffer for name, buffer in module.named_buffers() if buffer.is_floating_point()}
