"""Which known architecture a state dict belongs to, by the names and shapes of its tensors."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wheretolook.models.looknet import LookNet

# So much of the tensors must fit for a guess.
_LEAST = 0.98
# A family is looked into if this much of the names fits one of its members.
_ALIKE = 0.3


def guess_architecture(state: Mapping[str, Tensor], asked: str = "") -> str:
    """The architecture whose tensors these are, as an entry of params.yaml names it; empty where none is near.

    The number of classes, which the head's shapes give, may be any.

    Args:
        state: the tensors, under the names of the bare network.
        asked: an architecture that they do not fit.
    """
    if looknet := _looknet(state):
        return looknet
    from torchvision import models

    from wheretolook.models.torchvision_networks import known_architectures

    families: dict[str, list[str]] = {}
    for name in known_architectures():
        families.setdefault(re.match("[a-z]+", name)[0], []).append(name)
    best, most = "", _LEAST
    for names in families.values():
        for number, name in enumerate(names):
            with torch.device("meta"):
                try:
                    body = models.get_model(name, weights=None, num_classes=2)
                except NotImplementedError:  # a regnet, which the meta device can't build
                    break
            share, alike = _fit(state, body)
            if share > most and name != asked:
                best, most = name, share
            if number == 0 and alike < _ALIKE:
                break
    return best


def _looknet(state: Mapping[str, Tensor]) -> str:
    depth = sum(re.fullmatch(r"blocks\.block\d+\.0\.weight", name) is not None for name in state)
    first = state.get("blocks.block1.0.weight")
    if first is None or first.ndim != 4 or depth > 10 or len(first) > 1024:
        return ""
    with torch.device("meta"):
        network = LookNet(2, width=first.shape[0], depth=depth)
    network.side_heads = nn.ModuleDict()
    fits = _fit({n: t for n, t in state.items() if not n.startswith("side_heads.")}, network)[0] > _LEAST
    return f"looknet with `arguments: width={first.shape[0]},depth={depth}`" if fits else ""


def _fit(state: Mapping[str, Tensor], body: nn.Module) -> tuple[float, float]:
    """The share of tensors that fit by name and shape, and by name alone, of all that either side has."""
    own = body.state_dict()
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    names = {*own, *state} - set(counters)
    same = [name for name in names if name in own and name in state]
    shapes = [name for name in same if _alike(own[name], state[name])]
    return len(shapes) / len(names), len(same) / len(names)


def _alike(own: Tensor, found: Tensor) -> bool:
    # Of a head for two classes the rows may be more.
    return own.shape == found.shape or (own.shape[:1] == (2,) and own.shape[1:] == found.shape[1:])
