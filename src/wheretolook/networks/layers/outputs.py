"""The logits of any network: unwrap it (torch.compile, DataParallel, half precision), then find them in its outputs."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wheretolook.base.errors import InputError


def usable_network(network: nn.Module) -> nn.Module:
    """The network itself, under its own names, ready to be run in float32.

    A compiled or parallel part inside it, half precision and weights made in inference mode call for a copy; the
    copy of a compiled network shares its weights.

    Raises:
        InputError: TorchScript, weights without values (lazy modules, the meta device), or no module at all.
    """
    if not isinstance(network, nn.Module):
        raise InputError("network", "an nn.Module", type(network).__name__, "build the network, then load its weights")
    while (inner := _wrapped(network)) is not None:
        network = inner
    name = type(network).__name__
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(name, "an nn.Module", "TorchScript, whose parts have no hooks", "build the original network")
    weights = [*network.parameters(), *network.buffers()]
    if any(is_lazy(weight) for weight in weights):
        raise InputError(name, "weights", "lazy modules without any", "run the network once on a batch of images")
    if any(weight.is_meta for weight in weights):
        hint = "build the network on a real device, or call to_empty and load its weights"
        raise InputError(name, "weights with values", "weights on the meta device", hint)
    if any(_wrapped(module) is not None for module in network.modules()):
        network = _without_wrappers(network)
    kinds = {weight.dtype for weight in network.parameters()}
    if kinds & {torch.float16, torch.bfloat16}:
        return copy.deepcopy(network).float()
    with torch.inference_mode(False):
        return copy.deepcopy(network) if any(weight.is_inference() for weight in network.parameters()) else network


def _wrapped(module: nn.Module) -> nn.Module | None:
    """The module that another one only wraps."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return module.module
    # OptimizedModule, which is imported with the whole of the compiler.
    inner = module._modules.get("_orig_mod") if type(module).__name__ == "OptimizedModule" else None
    return inner if isinstance(inner, nn.Module) else None


def _without_wrappers(network: nn.Module) -> nn.Module:
    """A copy of the modules with the same weights, each wrapper replaced by what it wraps."""
    memo: dict[int, object] = {id(weight): weight for weight in (*network.parameters(), *network.buffers())}
    for module in reversed(list(network.modules())):
        inner = _wrapped(module)
        if inner is not None:
            memo[id(module)] = copy.deepcopy(inner, memo)
    return copy.deepcopy(network, memo)


_WRAP = "wrap it in a module whose forward returns them; for a single logit z, return (N, 2) with -z and z"
# Modules that turn logits (N, classes) into scores or log-probabilities.
_SQUASHING = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid)


class NotLogitsWarning(UserWarning):
    """The outputs that a network returns look like scores or log-probabilities; maps explain these, not logits."""


@dataclass(frozen=True)
class Readout:
    """How to get logits from a network.

    Attributes:
        keys: the way through the returned object: names of attributes or keys, indices; empty for a bare tensor.
        before: name of the last module, whose input the logits are, as of a softmax; empty for none.
        scores: "softmax", "log-softmax" or "sigmoid" where the outputs are no logits and `before` is empty; else
            empty.
    """

    keys: tuple[str | int, ...] = ()
    before: str = ""
    scores: str = ""

    @property
    def plain(self) -> bool:
        """Whether the network returns logits (N, classes) as they are."""
        return not self.keys and not self.before

    def warn(self, name: str) -> None:
        """Warn where what is explained are no logits."""
        if self.scores:
            warnings.warn(
                f"{name}: the outputs look like those of a {self.scores}, not like logits; gradients vanish where the "
                "network is sure. Return the logits: leave the function out of forward, or make it the last module "
                "(nn.Softmax, nn.LogSoftmax, nn.Sigmoid), which is then left out here",
                NotLogitsWarning,
                stacklevel=2,
            )


class LogitsOf(nn.Module):
    """A network that returns something else, as one that returns its logits (N, classes).

    Args:
        network: any module.
        readout: where its logits are.
    """

    def __init__(self, network: nn.Module, readout: Readout):
        super().__init__()
        self.network, self.readout = network, readout
        self.training = network.training

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images (N, C, H, W)."""
        if not self.readout.before:
            return follow(self.network(images), self.readout.keys)
        given: list[Tensor] = []
        last = self.network.get_submodule(self.readout.before)
        handle = last.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
        try:
            self.network(images)
        finally:
            handle.remove()
        return given[-1]


def follow(output: Any, keys: tuple[str | int, ...]) -> Tensor:
    """What lies at the end of a readout's keys."""
    for key in keys:
        output = getattr(output, key) if isinstance(key, str) and hasattr(output, key) else output[key]
    return output


def find_logits(output: object, count: int, name: str) -> tuple[Tensor, tuple[str | int, ...]]:
    """The logits (N, classes) in what a network returned, and the way to them.

    Args:
        output: of a forward pass.
        count: N, the images that were given.
        name: of the network, for the error.

    Raises:
        InputError: there are none, or several; or more or fewer rows than images.
    """
    keys: tuple[str | int, ...] = ()
    while not isinstance(output, Tensor):
        key = _key(output, count)
        if key is None:
            raise InputError(name, "logits (N, classes)", _described(output), _WRAP)
        output = follow(output, (key,))
        keys = (*keys, key)
    if output.ndim == 2 and len(output) != count and len(output) % count == 0:
        found = f"{len(output) // count} ({tuple(output.shape)} for {_images(count)})"
        raise InputError(name, "one row of logits for each image", found, "pool views or crops inside forward")
    if output.ndim != 2 or len(output) != count:
        raise InputError(name, "logits (N, classes)", f"{tuple(output.shape)} for {_images(count)}", _WRAP)
    return output, keys


def _images(count: int) -> str:
    return "one image" if count == 1 else f"{count} images"


def _key(output: object, count: int) -> str | int | None:
    if isinstance(getattr(output, "logits", None), Tensor):
        return "logits"
    if isinstance(output, Mapping):
        if "logits" in output:
            return "logits"
        fitting = [k for k, value in output.items() if isinstance(value, Tensor) and value.shape[:1] == (count,)]
        fitting = [k for k in fitting if output[k].ndim == 2]
        return fitting[0] if len(fitting) == 1 else None
    return 0 if isinstance(output, tuple | list) and output else None


def _described(output: object) -> str:
    if isinstance(output, Mapping):
        inside = ", ".join(
            f"{k!r} {tuple(v.shape) if isinstance(v, Tensor) else ''}".strip() for k, v in output.items()
        )
        return f"{type(output).__name__} with {inside}"
    return type(output).__name__


def find_squashing(
    last: str, module: nn.Module | None, given: tuple[int, ...], logits: Tensor, beside: Tensor
) -> tuple[str, str]:
    """What turned logits into scores at the network's end: the module whose input the logits are, or a function.

    Args:
        last: name of the module that returned the very tensor `logits`; empty for none.
        module: that module.
        given: shape of the module's input; empty where it is no tensor.
        logits: (1, classes), what the network returned for one image, with its graph.
        beside: (N, classes), what it returned for several.

    Returns:
        `before` and `scores` of a readout.
    """
    if isinstance(module, _SQUASHING) and given == tuple(logits.shape):
        return last, ""
    return "", _scores(beside, logits)


def _scores(values: Tensor, logits: Tensor) -> str:
    """The function whose values these look like: "softmax", "log-softmax", "sigmoid"; empty for logits."""
    values = values.detach().double()
    one = torch.ones(len(values), dtype=values.dtype, device=values.device)
    if values.shape[1] > 1 and bool((values >= 0).all()) and torch.allclose(values.sum(1), one, atol=1e-4):
        return "softmax"
    if values.shape[1] > 1 and bool((values <= 0).all()) and torch.allclose(values.exp().sum(1), one, atol=1e-4):
        return "log-softmax"
    if bool(((values >= 0) & (values <= 1)).all()) and bool(values.any()) and _is_squashed(logits):
        return "sigmoid"
    return ""


# Names of nodes of an autograd graph.
_LINEAR = ("Addmm", "Mm", "Bmm", "Addbmm", "Baddbmm", "Convolution", "Linear", "MkldnnLinear")
_BOUNDED = ("Sigmoid", "Hardsigmoid", "Softmax", "Tanh", "Hardtanh", "Exp", "Clamp", "Erf")


def _is_squashed(logits: Tensor) -> bool:
    """Whether a bounded function follows the last linear layers; True where the graph is closed.

    Logits of a fresh network with few classes may all lie within 0 and 1 by chance, so that values do not suffice.
    """
    if logits.grad_fn is None:
        return True
    nodes, seen = [logits.grad_fn], set()
    while nodes:
        node = nodes.pop()
        kind = node.name().split("::")[-1].rstrip("0123456789").removesuffix("Backward").lstrip("_")
        if kind in _BOUNDED:
            return True
        if node in seen or kind in _LINEAR:
            continue
        seen.add(node)
        nodes += [before for before, _ in node.next_functions if before is not None]
    return False
