"""A network, tried once before it is trained: does it take images of this size, and so few of them at a time?"""

from functools import partial

import torch
from torch import Tensor, nn

from wheretolook.data.refusal import Refusal
from wheretolook.execution.machine import is_out_of_memory
from wheretolook.execution.ranks import Ranks
from wheretolook.models.hooks import hooked
from wheretolook.models.layered import Network


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
        Refusal: images too small for the network, or batches that leave batch normalisation one value a channel.
    """
    single = _seen_as_one_value(network, architecture, size)
    # On CUDA it takes its statistics over all processes.
    together = ranks.device.type == "cuda" and not ranks.alone
    if single and smallest // ranks.count == 1 and not together:
        shared = "" if ranks.alone else f" for {ranks.count} processes"
        fewer = "" if ranks.alone else ", start fewer processes"
        raise Refusal(
            f"batches of {smallest} image{'s' if smallest > 1 else ''}{shared}: expected two or more for each process, "
            f"since of an image of {size} pixels batch normalisation of {architecture} sees one value a channel, which "
            f"has no variance ({single}); raise train.batch_size or prepare.size{fewer}"
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
        raise Refusal(
            f"{architecture}: expected images large enough for all its layers, found {size} pixels ({error}); raise "
            "prepare.size"
        ) from error
    return found[0] if found else ""
