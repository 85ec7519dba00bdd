"""Find the state dict in a foreign file, fit it to a network. Runs in the quarantine's own process only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wheretolook.data.refusal import Refusal
from wheretolook.models.card import Card
from wheretolook.models.checkpoint import check_fits, save_model
from wheretolook.models.foreign_file import read_foreign
from wheretolook.models.layered import Network
from wheretolook.models.network import build_network

# Under these names, training scripts keep the state dict beside the optimiser's.
HOLDERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
# DataParallel and torch.compile put these before every name.
WRAPPERS = ("module.", "_orig_mod.")


def convert_state(path: Path, target: Path, description: Mapping[str, Any]) -> None:
    """Write a foreign file as a model file.

    Args:
        path: the foreign file.
        target: the model file.
        description: fields of `foreign.Description`.

    Raises:
        Refusal: it would run code, holds no state dict, or one that doesn't fit.
    """
    state = without_wrappers(find_state(read_foreign(path), path))
    architecture, arguments = description["architecture"], description["arguments"]
    network = build_network(architecture, len(description["class_names"]), arguments)
    load_foreign(network, state, path, architecture)
    save_model(target, network, _card(network, description))


def find_state(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The state dict itself, which a checkpoint may hold under another name.

    Raises:
        Refusal: no mapping of names to plain tensors.
    """
    for candidate in (loaded, *(loaded.get(name) for name in HOLDERS if isinstance(loaded, Mapping))):
        if isinstance(candidate, Mapping) and candidate and all(_is_named(*item) for item in candidate.items()):
            return dict(candidate)
    inside = ", ".join(map(repr, list(loaded)[:6])) if isinstance(loaded, Mapping) else type(loaded).__name__
    raise Refusal(
        f"{path}: expected a state dict (names to tensors), alone or under {', '.join(HOLDERS[:3])}..., "
        f"found {inside}; save model.state_dict()"
    )


def _is_named(name: Any, value: Any) -> bool:
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(name, str) and plain and not value.is_complex()


def without_wrappers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names that they had before a wrapper put its own in front of all."""
    for wrapper in WRAPPERS * 2:
        if state and all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return state


def load_foreign(network: Network, state: dict[str, Tensor], path: Path, architecture: str) -> None:
    """Put foreign weights into a network; what a foreign network never has (heads of inner layers) stays untrained.

    Raises:
        Refusal: names or shapes that don't fit; the first few of each, expected and found.
    """
    fresh = network.state_dict()
    state = renamed(state, fresh)
    needed = {name: tensor for name, tensor in fresh.items() if name in state or not name.startswith("side_heads.")}
    fitting = {name: _as(tensor, needed[name]) if name in needed else tensor for name, tensor in state.items()}
    # Counters of batch normalisation came with PyTorch 0.4.1, and have no say in a prediction.
    counters = {name: tensor for name, tensor in needed.items() if name.endswith("num_batches_tracked")}
    _check_outputs(path, needed, fitting)
    check_fits(path, architecture, needed, counters | fitting)
    network.load_state_dict(fresh | counters | fitting)


def _check_outputs(path: Path, needed: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse a file that differs from what is needed by the number of its outputs alone."""
    other = [name for name, tensor in needed.items() if name in found and found[name].shape != tensor.shape]
    rows_alone = all(
        found[name].ndim == needed[name].ndim > 0 and found[name].shape[1:] == needed[name].shape[1:] for name in other
    )
    counts = {(len(needed[name]), len(found[name])) for name in other} if rows_alone else set()
    if len(counts) == 1 and needed.keys() == found.keys():
        ((expected, outputs),) = counts
        raise Refusal(
            f"{path}: expected a network of {expected} outputs, as `classes` names {expected}, found one of {outputs}; "
            "name the classes of all its outputs, in their order"
        )


def renamed(state: dict[str, Tensor], needed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under our network's names, where the two differ by what stands before the first dot of all.

    A torchvision network is a part of ours, so that `fc.weight` is looked for as `PART.fc.weight`, too.
    """
    parts = {"", *(name.partition(".")[0] + "." for name in needed)}
    heads = {name.partition(".")[0] + "." for name in state}
    strips = {"", *(heads if len(heads) == 1 else ())}
    options = [(strip, part) for strip in sorted(strips) for part in sorted(parts)]
    best = max(options, key=lambda pair: sum(pair[1] + name.removeprefix(pair[0]) in needed for name in state))
    return {best[1] + name.removeprefix(best[0]): tensor for name, tensor in state.items()}


def _as(tensor: Tensor, like: Tensor) -> Tensor:
    # Half precision is widened; of another shape, or a number in place of a counter, it is left for the check to tell.
    widened = tensor.shape == like.shape and tensor.is_floating_point() and like.is_floating_point()
    return tensor.detach().to(like.dtype) if widened else tensor


def _card(network: Network, description: Mapping[str, Any]) -> Card:
    return Card(
        architecture=description["architecture"],
        arguments=description["arguments"],
        class_names=tuple(description["class_names"]),
        input_size=description["input_size"],
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        loss="last",
        layers=network.layer_names,
        trained_heads=network.layer_names[-1:],
        data={},
        training={},
        history=[],
        fit=description["fit"],
    )
