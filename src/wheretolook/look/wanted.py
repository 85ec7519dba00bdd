"""What is asked of a model, and the engine that takes it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn
from tqdm import tqdm

from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.registry import METHODS, find_method
from wheretolook.data.refusal import Refusal
from wheretolook.models.card import Card

# Images in memory at a time.
BATCH = 64


@dataclass(frozen=True)
class Wanted:
    """What is asked of the model.

    Attributes:
        methods: names; none: cam, or gradcam where a layer has no linear head.
        layers: names, or "all"; none: the last.
        classes: names, or "all"; none: the predicted one of each image.
        contrast: each class's map less the mean of the other classes' maps, by methods that are linear in the class.
    """

    methods: Sequence[str] = ()
    layers: Sequence[str] = ()
    classes: Sequence[str] = ()
    contrast: bool = False

    def class_names(self, card: Card) -> tuple[str, ...]:
        """The classes that were named, each once, by a model's card; none: the predicted one of each image."""
        return card.class_names if "all" in self.classes else tuple(dict.fromkeys(self.classes))

    def check(self) -> None:
        """Refuse a contrast of a method that has none."""
        for method in self.methods:
            if self.contrast and not find_method(method).linear:
                linear = ", ".join(name for name in METHODS if METHODS[name].linear)
                raise Refusal(
                    f"--contrast: expected methods linear in the class ({linear}), found {method}; leave it out"
                )


def build(network: nn.Module, card: Card, wanted: Wanted, fast: bool = False) -> Engine:
    """The engine that takes what is wanted of a model; a line on stderr where a layer cannot give a method's maps.

    Raises:
        Refusal: an unknown method or layer.
    """
    layers = None if "all" in wanted.layers else tuple(wanted.layers) or card.layers[-1:]
    size = (card.input_size, card.input_size)
    engine = build_engine(network, wanted.methods or None, layers, size, trained_heads=card.trained_heads, fast=fast)
    _say_left_out(engine, wanted.methods)
    return replace(engine, with_mean=wanted.contrast)


def settled_fit(card: Card, given: str | None) -> str:
    """How an image becomes a square: as given, else as in the model's training, else stretched.

    A line on stderr says where what is given is not what the model was trained with.

    Args:
        card: of the model.
        given: "stretch", "pad" or "crop"; None: the model's own.
    """
    if given and card.fit and given != card.fit:
        _say(f"--fit {given}: the model was trained on images made square by {card.fit}; leave it out to do the same")
    return given or card.fit or "stretch"


def _say_left_out(engine: Engine, methods: Sequence[str]) -> None:
    """A line on stderr for each method that was asked for by name and could not be had at every layer."""
    for method in dict.fromkeys(methods):
        taken = {layer.name for other, layer in engine.pairs if other.name == method}
        if left_out := [layer.name for layer in engine.layers if layer.name not in taken]:
            why = "no trained linear head on the layer's pooled feature maps"
            _say(f"{method}: left out {', '.join(left_out)} ({why}); gradcam, among others, takes every layer")


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)
