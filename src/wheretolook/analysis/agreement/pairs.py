"""Which models stand beside each other, and which of their maps can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from wheretolook.cams.store import Maps

# At a pooled linear head these are the CAM divided by h * w: there they would count the same map twice.
CAM_AT_A_POOLED_HEAD = frozenset({"gradcam", "hirescam", "xgradcam"})


@dataclass(frozen=True)
class Comparison:
    """Maps of one method and comparable layers.

    Attributes:
        method: of the maps.
        layers: model name to layer name; its keys are the members.
        pairs: the pairs of members that are compared.
        primary: whether statements may rest on it: CAMs of the last layer.
    """

    method: str
    layers: dict[str, str]
    pairs: list[tuple[str, str]]
    primary: bool


def kind_of_pair(first: Mapping[str, Any], second: Mapping[str, Any], drive: Sequence[str]) -> str:
    """What sets two models apart: `drive`, `seeds` (one recipe) or `recipes`.

    Args:
        first: "model" of the one manifest.
        second: "model" of the other.
        drive: names of the models that came from Drive.
    """
    if first["name"] in drive or second["name"] in drive:
        return "drive"
    return "seeds" if first["recipe"] == second["recipe"] else "recipes"


def comparisons(models: Mapping[str, Maps]) -> list[Comparison]:
    """All that can be compared: the last layer of any two models, other layers of models that name their layers alike.

    Args:
        models: maps by model name, in their order.
    """
    methods = list(dict.fromkeys(method for maps in models.values() for method, _ in maps.names))
    methods.sort(key=lambda method: method != "cam")
    found = [comparison for method in methods for comparison in _of_method(models, method)]
    return [comparison for comparison in found if comparison.pairs]


def _of_method(models: Mapping[str, Maps], method: str) -> list[Comparison]:
    last = {name: maps.manifest["layers"][-1] for name, maps in models.items() if _has(maps, method, -1)}
    once = {name for name in last if method in CAM_AT_A_POOLED_HEAD and _has(models[name], "cam", -1)}
    pairs = [pair for pair in combinations(last, 2) if not once.issuperset(pair)]
    found = [Comparison(method, last, pairs, primary=method == "cam")]
    architectures = list(dict.fromkeys(tuple(maps.manifest["layers"]) for maps in models.values()))
    for layers in architectures:
        alike = {name: maps for name, maps in models.items() if tuple(maps.manifest["layers"]) == layers}
        for i, layer in reversed(list(enumerate(layers[:-1]))):
            members = {name: layer for name, maps in alike.items() if _has(maps, method, i)}
            found.append(Comparison(method, members, list(combinations(members, 2)), primary=False))
    return found


def _has(maps: Maps, method: str, layer: int) -> bool:
    return (method, maps.manifest["layers"][layer]) in maps.names
