"""The maximum over 2 x 2 without the places of the maxima, which only a backward pass asks for."""

import copy
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from wheretolook.base.errors import is_gpu_failure, is_out_of_memory
from wheretolook.layers.layout import same_but_for_rounding
from wheretolook.networks.layered import hooked


class PairwiseMaximum(nn.Module):
    """The values of `MaxPool2d(2)`, in half the time or less on a CPU with channels last.

    PyTorch's pooling looks for each maximum's place too, one place after the other; the larger of two rows, and then of
    two columns, are whole vectors. Where a graph is recorded it pools as PyTorch does: in a backward pass each of two
    equal values would get a part of the gradient.
    """

    @staticmethod
    def serves(module: nn.Module) -> bool:
        """Whether a module is a maximum over 2 x 2, side by side, and no more than that."""
        if type(module) is not nn.MaxPool2d or module._forward_hooks or module._forward_pre_hooks:
            return False
        steps = (module.kernel_size, module.stride, module.padding, module.dilation)
        return [_both(step) for step in steps] == [(2, 2), (2, 2), (0, 0), (1, 1)] and not (
            module.ceil_mode or module.return_indices
        )

    def forward(self, x: Tensor) -> Tensor:
        """(..., H, W) to (..., H // 2, W // 2)."""
        if torch.is_grad_enabled():
            return nn.functional.max_pool2d(x, 2)
        height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        x = torch.maximum(x[..., 0:height:2, :], x[..., 1:height:2, :])
        return torch.maximum(x[..., 0:width:2], x[..., 1:width:2])


def _both(step: int | tuple[int, int]) -> tuple[int, int]:
    return (step, step) if isinstance(step, int) else tuple(step)


# Of the largest logit: by how much rounding to bfloat16 may change those of a trial.
_ROUNDED = 0.05


@dataclass(frozen=True)
class FastCopy:
    """A copy that is faster to run, and the layout and type to bring its images to."""

    network: nn.Module
    memory_format: torch.memory_format
    dtype: torch.dtype


@torch.inference_mode(False)  # in which tensors do not count how often they were written to
@torch.no_grad()
def fast_copy(
    network: nn.Module, images: Tensor, kept: Collection[str], precision: str, gradients: bool = False
) -> FastCopy:
    """A copy with each Conv2d and the BatchNorm2d behind it as one convolution, in the memory layout that is faster.

    Which normalisation follows which convolution is seen in a forward pass, not read from names, so that any module
    will do. The copy is tried on `images`: where folding changes the logits or a layer that is looked at (the
    convolution's output has a second reader), nothing is folded; where it cannot run in that layout (its forward has a
    `view`), it stays in PyTorch's own.

    Args:
        network: in evaluation mode, without gradients; it is not changed.
        images: (n, 3, H, W), any.
        kept: names of modules whose own output is looked at, and so must stay what it is.
        precision: "float32", or "bfloat16", for which the weights of convolutions and linear layers are rounded once,
            instead of in each forward pass. Where no others are left, and a trial shows that it does, all of it runs in
            bfloat16, and needs no automatic mixed precision.
        gradients: whether backward passes will be taken; without, a CPU pools 2 x 2 in half the time.
    """
    found = pairs(network, images, kept)
    fast = copy.deepcopy(network)
    modules = dict(fast.named_modules())
    for convolution, normalisation in found:
        _replace(fast, convolution, fuse_conv_bn_eval(modules[convolution], modules[normalisation]))
        _replace(fast, normalisation, nn.Identity())
    if found and not _agree(network, fast, images, kept):
        fast = copy.deepcopy(network)
    if images.device.type == "cpu" and not gradients:
        for name in [n for n, m in fast.named_modules(remove_duplicate=False) if PairwiseMaximum.serves(m)]:
            _replace(fast, name, PairwiseMaximum())
    memory_format = _lay_out(fast, images, faster_format(images.device, precision))
    if precision == "bfloat16":
        exact = fast(images)
        for module in fast.modules():
            if type(module) in (nn.Conv2d, nn.Linear):
                module.to(torch.bfloat16)
        if _runs_rounded(fast, images, exact):
            return FastCopy(fast, memory_format, torch.bfloat16)
    return FastCopy(fast, memory_format, images.dtype)


def faster_format(device: torch.device, precision: str) -> torch.memory_format:
    """Channels last on CPUs, and on GPUs where tensor cores do the work."""
    last = device.type == "cpu" or (device.type == "cuda" and precision == "bfloat16")
    return torch.channels_last if last else torch.contiguous_format


def pairs(network: nn.Module, images: Tensor, kept: Collection[str] = ()) -> list[tuple[str, str]]:
    """Names of each convolution and of the normalisation that reads its output, where both run once."""
    every = network.named_modules(remove_duplicate=False)
    named = [(name, m) for name, m in every if not (m._forward_hooks or m._forward_pre_hooks)]
    convolutions = {m: name for name, m in named if type(m) is nn.Conv2d and name not in kept}
    normalisations = {m: name for name, m in named if type(m) is nn.BatchNorm2d and m.running_var is not None}
    runs: list[nn.Module] = []
    made: dict[int, tuple[nn.Module, Tensor, int]] = {}
    found: list[tuple[nn.Module, nn.Module]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs.append(module)
        if module in convolutions:
            made[id(output)] = (module, output, output._version)  # kept alive, so that no other takes its id
        elif inputs and id(inputs[0]) in made:
            convolution, _, version = made[id(inputs[0])]
            if inputs[0]._version == version:  # else an activation in place between the two has changed it
                found.append((convolution, module))

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


def _agree(network: nn.Module, fast: nn.Module, images: Tensor, kept: Collection[str]) -> bool:
    """Whether a copy gives the logits, and the outputs of the layers that are looked at, but for rounding."""
    outputs: list[dict[str, Tensor]] = []
    for each in (network, fast):
        own: dict[str, Tensor] = {}
        modules = dict(each.named_modules(remove_duplicate=False))
        with hooked((modules[name], partial(_note, own, name)) for name in kept):
            own[""] = each(images)
        outputs.append(own)
    first, second = outputs
    # A classifier may start at zero, where no fault of the layers before it would show.
    scale = max(1.0, float(first[""].abs().max()))
    return all(same_but_for_rounding(second[name], first[name], None if name else scale) for name in first)


def _note(own: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: object) -> None:
    if isinstance(output, Tensor):
        own[name] = output


def _runs_rounded(fast: nn.Module, images: Tensor, exact: Tensor) -> bool:
    """Whether a network with rounded weights has no others, and runs on rounded images to nearly the exact logits."""
    kinds = {t.dtype for t in (*fast.parameters(), *fast.buffers()) if t.is_floating_point()}
    if kinds != {torch.bfloat16}:
        return False
    try:
        rounded = fast(images.to(torch.bfloat16))
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        return False
    return bool((rounded - exact).abs().max() <= _ROUNDED * exact.abs().max())


def _lay_out(fast: nn.Module, images: Tensor, wanted: torch.memory_format) -> torch.memory_format:
    """Bring weights to a layout, and give it; PyTorch's own where the network cannot run in the wanted one."""
    try:
        fast.to(memory_format=wanted)(images.to(memory_format=wanted))
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        fast.to(memory_format=torch.contiguous_format)
        return torch.contiguous_format
    return wanted


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
