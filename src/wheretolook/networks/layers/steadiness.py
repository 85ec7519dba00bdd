"""Run a network such that a map depends on its weights and the image alone, and name the layer that prevents it.

Such a layer draws random numbers, or mixes the images of a batch.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError, is_gpu_failure, is_out_of_memory
from wheretolook.networks.layered import hooked
from wheretolook.networks.layers.layout import same_but_for_rounding
from wheretolook.networks.layers.outputs import follow
from wheretolook.networks.runtime.device import whole_float32

PRECISIONS = ("float32", "bfloat16")
# (C, H, W) of an image.
Shape = tuple[int, int, int]


def random_images(network: nn.Module, shape: Shape, count: int = 1) -> Tensor:
    """Noise images (count, C, H, W), the same in each call, on the network's device and in its dtype."""
    weight = next(network.parameters(), torch.empty(0))
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(0))
    return noise.to(weight)


def run(network: nn.Module, images: Tensor) -> Any:
    """What a network returns for images.

    Raises:
        InputError: it cannot run on them.
    """
    try:
        return network(images)
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        if is_out_of_memory(error) or is_gpu_failure(error):
            raise
        if isinstance(error, ValueError) and len(images) == 1 and (layer := _without_statistics(network)):
            raise mixing(layer) from error
        if isinstance(error, TypeError | ValueError) and not _is_call(error, network):
            raise
        message = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        shape = ", ".join(map(str, images.shape[1:]))
        raise InputError(
            type(network).__name__, f"to run on images (N, {shape})", f"an error: {message}", _hint(error)
        ) from error


def _without_statistics(network: nn.Module) -> str:
    """Name of the first batch normalisation without running statistics; empty for none."""
    kind = nn.modules.batchnorm._BatchNorm
    return next((n for n, m in network.named_modules() if isinstance(m, kind) and m.running_mean is None), "")


def _is_call(error: Exception, network: nn.Module) -> bool:
    """Whether the call itself failed, before any line of the network's own forward: it takes other arguments."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    own = getattr(type(network).forward, "__code__", None)
    return isinstance(error, TypeError) and own not in frames


def _hint(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "wrap it in a module whose forward takes the images alone, as the first positional argument"
    return (
        "give images with the channels and the size that it was made for; where its forward casts them to another "
        "type (half), call the network with float32 throughout"
    )


def unsteady(
    network: nn.Module, modules: dict[str, nn.Module], images: Tensor, keys: tuple[str | int, ...]
) -> InputError:
    """The error about a network whose logits for an image change from pass to pass, or with the rest of the batch.

    Args:
        network: in evaluation mode.
        modules: by name.
        images: a batch; its first image is also run alone, twice.
        keys: where the logits are in what the network returns.
    """
    outputs = [_outputs(network, modules, batch, keys) for batch in (images[:1], images[:1], images)]
    alone, again, beside = outputs
    name = type(network).__name__
    if (layer := _first_difference(alone, again)) is not None:
        return InputError(
            f"layer {layer}" if layer else f"{name}.forward",
            "the same output for the same image",
            "another one each time, in evaluation mode",
            "it, or what runs just before it, draws random numbers: F.dropout needs training=self.training",
        )
    layer = _first_difference(alone, beside) or ""
    quantised = layer in modules and type(modules[layer]).__module__.startswith("torch.ao.nn.quantized.dynamic")
    return mixing(layer, name, quantised)


def mixing(layer: str, network: str = "", quantised: bool = False) -> InputError:
    """The error about a layer, or else a network's forward, that mixes the images of a batch.

    Args:
        layer: its name; empty: no module shows it.
        network: name of its type.
        quantised: the layer is quantised dynamically, by the largest value of the batch.
    """
    if quantised:
        hint = "dynamic quantisation scales by the largest value of the batch: use the network before quantisation"
    else:
        hint = "batch normalisation needs running statistics (track_running_stats=True)"
    return InputError(
        f"layer {layer}" if layer else f"{network}.forward",
        "an output that depends on one image alone",
        "an output that changes with the other images of the batch",
        hint,
    )


def _outputs(
    network: nn.Module, modules: dict[str, nn.Module], images: Tensor, keys: tuple[str | int, ...]
) -> dict[str, Tensor]:
    """The first output of each module, in running order, and the logits under the empty name."""
    kept: dict[str, Tensor] = {}

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and name not in kept:
            kept[name] = output.clone()

    hooks = [(module, lambda m, inputs, output, name=name: note(name, output)) for name, module in modules.items()]
    with torch.no_grad(), hooked(hooks):
        kept[""] = follow(run(network, images.clone()), keys)
    return kept


def _first_difference(expected: dict[str, Tensor], found: dict[str, Tensor]) -> str | None:
    for layer in [layer for layer in expected if layer in found]:
        a, b = expected[layer], found[layer]
        if len(a) and len(b) and a.shape[1:] == b.shape[1:] and not same_but_for_rounding(b[:1], a[:1]):
            return layer
    return None


@contextmanager
def steady(network: nn.Module, precision: str, gradients: bool) -> Iterator[None]:
    """Evaluation mode, weights without gradients, and the modes of `shielded`.

    Args:
        network: left as it was found: each module's training flag, each weight's `requires_grad`.
        precision: as for `shielded`.
        gradients: as for `shielded`.
    """
    training = {module: module.training for module in network.modules()}
    trainable = [weight for weight in network.parameters() if weight.requires_grad]
    kind = next((weight.device.type for weight in network.parameters()), "cpu")
    with shielded(kind, precision, gradients):
        try:
            network.eval()
            for weight in trainable:
                weight.requires_grad_(False)
            yield
        finally:
            # Some modules do more than set a flag, as to take merged weights apart.
            network.train(training[network])
            for module, flag in training.items():
                module.training = flag
            for weight in trainable:
                weight.requires_grad_(True)


@contextmanager
def shielded(device_type: str, precision: str, gradients: bool) -> Iterator[None]:
    """Neither `no_grad`, `inference_mode` nor `autocast` from outside.

    Args:
        device_type: "cpu", "cuda", "mps".
        precision: "float32": as the weights are, on CUDA without TF32; "bfloat16": automatic mixed precision.
        gradients: whether a graph is recorded, for backward passes.
    """
    autocast = torch.autocast(device_type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(False), torch.set_grad_enabled(gradients), autocast, whole_float32():
        yield


class Captured(dict[str, Tensor]):
    """Output of each layer in the latest forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[str, int] = {}

    def take(self, layer: str, output: Tensor) -> None:
        """Keep an output, and how often it had been written to until now."""
        self[layer], self._versions[layer] = output, output._version

    def altered(self) -> set[str]:
        """Layers whose output a later layer wrote over, as in-place activations do."""
        return {layer for layer, output in self.items() if output._version != self._versions[layer]}


@contextmanager
def capture(modules: Mapping[str, nn.Module], copied: Collection[str]) -> Iterator[Captured]:
    """Capture outputs inside the `with`; the hooks are gone after it, also after an error.

    With gradients enabled, an output that needs none so far becomes a leaf that does: a backward pass ends at the
    first captured layer, and neither a frozen network nor one behind `no_grad` makes a difference.

    Args:
        modules: the module of each layer. Of a module that runs several times, the last output counts.
        copied: layers that hand on a copy, since a later layer writes over what it is given.

    Yields:
        The outputs of the latest forward pass.
    """
    captured = Captured()
    with hooked((module, partial(_hook, captured, layer, layer in copied)) for layer, module in modules.items()):
        yield captured


def _hook(captured: Captured, layer: str, copy: bool, module: nn.Module, inputs: object, output: object) -> Tensor:
    if not isinstance(output, Tensor):
        raise InputError(
            f"layer {layer}", expected="one tensor", found=type(output).__name__, hint="name a layer inside it"
        )
    if torch.is_grad_enabled() and not output.requires_grad:
        output = output.detach().requires_grad_()
    captured.take(layer, output)
    return output.clone() if copy else output
