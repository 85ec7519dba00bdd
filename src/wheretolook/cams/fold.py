"""A faster copy of a network: folded batch normalisation, a faster memory layout, faster pooling, bfloat16 weights."""

import copy
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from wheretolook.base.errors import is_gpu_failure, is_out_of_memory
from wheretolook.networks.layered import hooked
from wheretolook.networks.layers.layout import same_but_for_rounding

# Relative to the largest logit: how much rounding all weights to bfloat16 may change the logits.
_ROUNDING_TOLERANCE = 0.05


@dataclass(frozen=True)
class FastCopy:
    """A faster copy of a network, with the memory format and dtype of its input."""

    network: nn.Module
    memory_format: torch.memory_format
    dtype: torch.dtype


@torch.inference_mode(False)  # inference tensors have no version counter, which `foldable_pairs` reads
@torch.no_grad()
def fast_copy(
    network: nn.Module, images: Tensor, kept: Collection[str], precision: str, gradients: bool = False
) -> FastCopy:
    """Copy a network, fold each BatchNorm2d into the Conv2d before it, and choose the faster memory layout.

    A forward pass shows which normalisation follows which convolution, so this works for any module. The copy is then
    compared with the network on `images`. If folding changes the logits or a captured layer (because something else
    also reads the convolution's output), nothing is folded. If the network cannot run in channels-last layout (because
    its forward uses `view`), the copy stays in PyTorch's default layout.

    Args:
        network: in evaluation mode, without gradients; it is not changed.
        images: (n, 3, H, W), any.
        kept: names of the captured modules, whose outputs must not change.
        precision: "float32" or "bfloat16". For bfloat16, weights of convolutions and linear layers are rounded once
            instead of in each forward pass. If the network has no other weights, and its logits stay close, it runs
            entirely in bfloat16, without automatic mixed precision.
        gradients: whether backward passes follow; if not, 2 x 2 pooling takes half the time on a CPU.
    """
    found = foldable_pairs(network, images, kept)
    fast = copy.deepcopy(network)
    modules = dict(fast.named_modules())
    for convolution, normalisation in found:
        _replace(fast, convolution, fuse_conv_bn_eval(modules[convolution], modules[normalisation]))
        _replace(fast, normalisation, nn.Identity())
    if found and not _agree(network, fast, images, kept):
        fast = copy.deepcopy(network)
    if images.device.type == "cpu" and not gradients:
        for name in [n for n, m in fast.named_modules(remove_duplicate=False) if PairwiseMaximum.can_replace(m)]:
            _replace(fast, name, PairwiseMaximum())
    memory_format = _set_memory_format(fast, images, faster_format(images.device, precision))
    if precision == "bfloat16":
        exact = fast(images)
        for module in fast.modules():
            if type(module) in (nn.Conv2d, nn.Linear):
                module.to(torch.bfloat16)
        if _runs_rounded(fast, images, exact):
            return FastCopy(fast, memory_format, torch.bfloat16)
    return FastCopy(fast, memory_format, images.dtype)


class PairwiseMaximum(nn.Module):
    """`MaxPool2d(2)` in at most half the time, on a CPU with channels last.

    PyTorch's pooling also computes the index of each maximum, one position after the other; the maximum of two rows,
    then of two columns, is vectorised. While gradients are recorded this uses PyTorch's pooling, since
    `torch.maximum` splits the gradient between equal values.
    """

    @staticmethod
    def can_replace(module: nn.Module) -> bool:
        """Whether a module is a plain, non-overlapping 2 x 2 max pooling without hooks."""
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
    return (step, step) if isinstance(step, int) else (step[0], step[1])


def faster_format(device: torch.device, precision: str) -> torch.memory_format:
    """Channels last on CPUs, and on GPUs in bfloat16 (tensor cores)."""
    last = device.type == "cpu" or (device.type == "cuda" and precision == "bfloat16")
    return torch.channels_last if last else torch.contiguous_format


def foldable_pairs(network: nn.Module, images: Tensor, kept: Collection[str] = ()) -> list[tuple[str, str]]:
    """Names of each convolution and of the normalisation that reads its output, if both run exactly once."""
    every = network.named_modules(remove_duplicate=False)
    named = [(name, m) for name, m in every if not (m._forward_hooks or m._forward_pre_hooks)]
    convolutions: dict[nn.Module, str] = {m: name for name, m in named if type(m) is nn.Conv2d and name not in kept}
    normalisations: dict[nn.Module, str] = {
        m: name for name, m in named if type(m) is nn.BatchNorm2d and m.running_var is not None
    }
    runs: list[nn.Module] = []
    made: dict[int, tuple[nn.Module, Tensor, int]] = {}
    found: list[tuple[nn.Module, nn.Module]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs.append(module)
        if module in convolutions:
            made[id(output)] = (module, output, output._version)  # the reference keeps the id unique
        elif inputs and id(inputs[0]) in made:
            convolution, _, version = made[id(inputs[0])]
            if inputs[0]._version == version:  # otherwise an in-place activation came between the two
                found.append((convolution, module))

    with hooked((module, note) for module in convolutions | normalisations):
        network(images)
    count = [module for _, module in named].count
    once = [p for p in found if all(runs.count(m) == 1 and count(m) == 1 for m in p)]
    return [(convolutions[c], normalisations[n]) for c, n in once]


def largest_output(network: nn.Module, images: Tensor) -> int:
    """Size in bytes of the largest module output in a forward pass of these images."""
    sizes = [images.nbytes]

    def note(module: nn.Module, inputs: object, output: object) -> None:
        sizes.append(output.nbytes if isinstance(output, Tensor) else 0)

    with hooked((module, note) for module in network.modules()):
        network(images)
    return max(sizes)


def _agree(network: nn.Module, fast: nn.Module, images: Tensor, kept: Collection[str]) -> bool:
    """Whether a copy gives the same logits and captured outputs, up to rounding."""
    outputs: list[dict[str, Tensor]] = []
    for each in (network, fast):
        own: dict[str, Tensor] = {}
        modules = dict(each.named_modules(remove_duplicate=False))
        with hooked((modules[name], partial(_note, own, name)) for name in kept):
            own[""] = each(images)
        outputs.append(own)
    first, second = outputs
    # An untrained classifier may be all zeros; errors of earlier layers would then vanish in the logits.
    scale = max(1.0, float(first[""].abs().max()))
    return all(same_but_for_rounding(second[name], first[name], None if name else scale) for name in first)


def _note(own: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: object) -> None:
    if isinstance(output, Tensor):
        own[name] = output


def _runs_rounded(fast: nn.Module, images: Tensor, exact: Tensor) -> bool:
    """Whether all weights are bfloat16, and the network runs on bfloat16 images with nearly the same logits."""
    kinds = {t.dtype for t in (*fast.parameters(), *fast.buffers()) if t.is_floating_point()}
    if kinds != {torch.bfloat16}:
        return False
    try:
        rounded = fast(images.to(torch.bfloat16))
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        return False
    return bool((rounded - exact).abs().max() <= _ROUNDING_TOLERANCE * exact.abs().max())


def _set_memory_format(fast: nn.Module, images: Tensor, memory_format: torch.memory_format) -> torch.memory_format:
    """Convert the weights; returns the format, or PyTorch's default if the network cannot run in it."""
    try:
        fast.to(memory_format=memory_format)(images.to(memory_format=memory_format))
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        fast.to(memory_format=torch.contiguous_format)
        return torch.contiguous_format
    return memory_format


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
