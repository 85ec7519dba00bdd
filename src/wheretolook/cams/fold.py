"""A copy of a network that gives the same feature maps sooner: normalisation folded, channels last, quicker maxima."""

import copy
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from wheretolook.cams.pairwise_maximum import PairwiseMaximum
from wheretolook.cams.rounding import same_but_for_rounding
from wheretolook.models.hooks import hooked


def fast_copy(
    network: nn.Module, images: Tensor, kept: Collection[str], precision: str, gradients: bool = False
) -> nn.Module:
    """A copy with each Conv2d and the BatchNorm2d behind it as one convolution, in the memory layout that is faster.

    Which normalisation follows which convolution is seen in a forward pass, not read from names, so that any module
    will do. The copy is tried on `images`: where folding changes the logits (the convolution's output has a
    second reader), nothing is folded.

    Args:
        network: in evaluation mode, without gradients; it is not changed.
        images: (n, 3, H, W), any.
        kept: names of modules whose own output is looked at, and so must stay what it is.
        precision: "float32", or "bfloat16", for which the weights of convolutions and linear layers are rounded once,
            instead of in each forward pass.
        gradients: whether backward passes will be taken; without, a CPU pools 2 x 2 in half the time.
    """
    found = pairs(network, images, kept)
    fast = copy.deepcopy(network)
    modules = dict(fast.named_modules())
    for convolution, normalisation in found:
        _replace(fast, convolution, fuse_conv_bn_eval(modules[convolution], modules[normalisation]))
        _replace(fast, normalisation, nn.Identity())
    if found and not same_but_for_rounding(fast(images), network(images)):
        fast = copy.deepcopy(network)
    if images.device.type == "cpu" and not gradients:
        for name in [n for n, m in fast.named_modules(remove_duplicate=False) if PairwiseMaximum.serves(m)]:
            _replace(fast, name, PairwiseMaximum())
    if precision == "bfloat16":
        for module in fast.modules():
            if type(module) in (nn.Conv2d, nn.Linear):
                module.to(torch.bfloat16)
    return fast.to(memory_format=faster_format(images.device, precision))


def faster_format(device: torch.device, precision: str) -> torch.memory_format:
    """Channels last on CPUs, and on GPUs where tensor cores do the work."""
    last = device.type == "cpu" or (device.type == "cuda" and precision == "bfloat16")
    return torch.channels_last if last else torch.contiguous_format


def pairs(network: nn.Module, images: Tensor, kept: Collection[str] = ()) -> list[tuple[str, str]]:
    """Names of each convolution and of the normalisation that reads its output, where both run once."""
    named = [(name, m) for name, m in network.named_modules(remove_duplicate=False) if not m._forward_hooks]
    convolutions = {m: name for name, m in named if type(m) is nn.Conv2d and name not in kept}
    normalisations = {m: name for name, m in named if type(m) is nn.BatchNorm2d and m.running_var is not None}
    runs: list[nn.Module] = []
    made: dict[int, tuple[nn.Module, Tensor]] = {}
    found: list[tuple[nn.Module, nn.Module]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs.append(module)
        if module in convolutions:
            made[id(output)] = (module, output)  # the output is kept alive, so that no other takes its id
        elif id(inputs[0]) in made:
            found.append((made[id(inputs[0])][0], module))

    with hooked((module, note) for module in convolutions | normalisations):
        network(images)
    count = [module for _, module in named].count
    once = [p for p in found if all(runs.count(m) == 1 and count(m) == 1 for m in p)]
    return [(convolutions[c], normalisations[n]) for c, n in once]


def largest_output(network: nn.Module, images: Tensor) -> int:
    """Bytes of the largest output of any part of the network, in a forward pass of these images."""
    sizes = [images.nbytes]

    def note(module: nn.Module, inputs: object, output: object) -> None:
        sizes.append(output.nbytes if isinstance(output, Tensor) else 0)

    with hooked((module, note) for module in network.modules()):
        network(images)
    return max(sizes)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
