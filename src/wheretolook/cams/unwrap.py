"""What wraps a network without being part of it is taken off: torch.compile, DataParallel; half precision, too."""

import copy

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from wheretolook.errors import InputError


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
