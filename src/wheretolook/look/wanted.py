"""What is asked of a model, and the engine that takes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

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
    """The engine that takes what is wanted of a model.

    Raises:
        Refusal: an unknown method or layer.
    """
    layers = None if "all" in wanted.layers else tuple(wanted.layers) or card.layers[-1:]
    size = (card.input_size, card.input_size)
    engine = build_engine(network, wanted.methods or None, layers, size, trained_heads=card.trained_heads, fast=fast)
    return replace(engine, with_mean=wanted.contrast)
