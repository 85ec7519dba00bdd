"""Where the logits are in what a network returns: a tensor, a tuple, a dict, a ModelOutput; or before a softmax."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wheretolook.errors import InputError

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
        scores: "softmax" or "log-softmax" where the outputs are no logits and `before` is empty; else empty.
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
                "(nn.Softmax, nn.LogSoftmax), which is then left out here",
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


def follow(output: object, keys: tuple[str | int, ...]) -> Tensor:
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
        found = f"{len(output) // count} ({tuple(output.shape)} for {count} images)"
        raise InputError(name, "one row of logits for each image", found, "pool views or crops inside forward")
    if output.ndim != 2 or len(output) != count:
        raise InputError(name, "logits (N, classes)", f"{tuple(output.shape)} for {count} images", _WRAP)
    return output, keys


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


def squashing(last: str, module: nn.Module | None, logits: Tensor, given: Tensor | None) -> tuple[str, str]:
    """What turned logits into scores at the network's end: the module whose input the logits are, or a function.

    Args:
        last: name of the module that returned the very tensor `logits`; empty for none.
        module: that module.
        logits: (N, classes), what the network returned.
        given: the module's input.

    Returns:
        `before` and `scores` of a readout.
    """
    kind = "" if logits.shape[1] < 2 else _scores(logits)
    if isinstance(module, _SQUASHING) and given is not None and given.shape == logits.shape:
        return last, ""
    return "", kind


def _scores(values: Tensor) -> str:
    values = values.detach().double()
    one = torch.ones(len(values), dtype=values.dtype, device=values.device)
    if bool((values >= 0).all()) and torch.allclose(values.sum(1), one, atol=1e-4):
        return "softmax"
    if bool((values <= 0).all()) and torch.allclose(values.exp().sum(1), one, atol=1e-4):
        return "log-softmax"
    return ""
