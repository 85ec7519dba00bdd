"""Parameters of `train`: shared by all models, or a model's own under `models`."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from wheretolook.base.errors import InputError
from wheretolook.base.terminal.options import NumberText
from wheretolook.base.terminal.section import fields_of, options

# Values of `weights` (initial weights are drawn), of `class_weights` (every image counts the same) and of `freeze`.
RANDOM, UNWEIGHTED, BACKBONE = "random", "none", "backbone"


class AugmentStep(NamedTuple):
    """One step of the augmentation.

    Attributes:
        amount: default, in `unit`; 0 for a step without an amount.
        most: largest amount.
        unit: "%" or "°"; empty for a step without an amount.
        does: what happens to an image, with its amount as {}.
        assumes: what must be true of the images.
    """

    amount: float
    most: float
    unit: str
    does: str
    assumes: str


AUGMENT_STEPS = {
    "flip": AugmentStep(0, 0, "", "mirrored left to right, or not", "a mirrored image has the same class"),
    "turn": AugmentStep(0, 0, "", "turned by a multiple of 90 degrees", "no direction is up"),
    "shift": AugmentStep(4, 50, "%", "shifted by up to {} of its side", "objects are not at the very border"),
    "rotate": AugmentStep(10, 180, "°", "rotated by up to {}", "objects may be tilted"),
    "zoom": AugmentStep(10, 50, "%", "enlarged or reduced by up to {}", "size alone does not show the class"),
    "crop": AugmentStep(30, 90, "%", "cut to a part whose side is up to {} smaller", "a part shows the class too"),
    "light": AugmentStep(15, 90, "%", "contrast with the mean colour changed by up to {}", "exposure varies"),
    "tint": AugmentStep(5, 90, "%", "each colour channel changed by up to {}", "exact colour does not show the class"),
}
# Steps of each preset, and the images that it is for.
PRESETS = {
    "cells": ("flip+turn+shift+light+tint", "images without a direction: cells, tissue, satellite images"),
    "faces": ("flip+shift+rotate:10+zoom:10+light+tint", "upright, roughly aligned objects: faces, X-rays"),
    "photos": ("flip+crop:40+light+tint", "upright scenes, in which a part shows the class"),
    "none": ("", "images that must stay as they are"),
}


def read_augment(value: bool | str) -> dict[str, float]:
    """Steps of the augmentation, in their order, with their amounts.

    Args:
        value: True (the preset `cells`), False (none), a preset, or steps such as "flip+shift+light+rotate:10".

    Raises:
        InputError: an unknown name, a step given twice, or an amount outside of its range.
    """
    text = {True: "cells", False: "none"}[value] if isinstance(value, bool) else value.strip()
    found: dict[str, float] = {}
    for part in filter(None, PRESETS[text][0].split("+") if text in PRESETS else text.split("+")):
        name, _, amount = part.strip().partition(":")
        if name not in AUGMENT_STEPS:
            expected = f"a preset ({', '.join(PRESETS)}) or steps joined by + ({', '.join(AUGMENT_STEPS)})"
            raise InputError("train.augment", expected, repr(name), "write one, such as flip+shift+rotate:10")
        if name in found:
            raise InputError("train.augment", "each step once", f"{name} twice", "remove one of them")
        found[name] = _read_amount(name, amount)
    if not found and text != "none":
        raise InputError("train.augment", "a preset or steps", repr(value), "write none for no augmentation")
    return {name: found[name] for name in AUGMENT_STEPS if name in found}


def _read_amount(name: str, text: str) -> float:
    step = AUGMENT_STEPS[name]
    if not text:
        return step.amount
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 < amount <= step.most:
        expected = f"an amount above 0, at most {step.most:g} {step.unit}" if step.unit else "no amount"
        raise InputError(f"train.augment: {name}", expected, repr(text), f"write {name}, or another amount")
    return amount


def describe_augment(steps: Mapping[str, float]) -> str:
    """Steps of `read_augment` in words: "mirrored left to right, or not; rotated by up to 10°"."""
    parts = (AUGMENT_STEPS[name].does.format(f"{amount:g}{AUGMENT_STEPS[name].unit}") for name, amount in steps.items())
    return "; ".join(parts) or "unchanged"


# Values of `outputs` for which a network learns something else than the classes of the data.
LABELS, VALUE = "labels", "value"
OWN_NETWORKS = ("looknet",)  # those of this library, built with `width` and `depth`
# Options for networks without predefined layers; the model's card stores what is detected with them.
WRAPPED_ONLY = ("arguments", "layers", "grid", "prefix_tokens", "layout")


@options
class TrainOptions:
    """How a network is trained."""

    architecture: str = Field(
        description="looknet, a torchvision network such as resnet18, timm/NAME, hf/NAME, or a class such as "
        "networks/mine.py:Class; docs/add-a-network.md has examples."
    )
    width: int = Field(description="Channels of looknet's first block; each further block has twice as many.", ge=1)
    depth: int = Field(description="Number of looknet's blocks; each halves the resolution.", ge=1, le=10)
    loss: Literal["last", "every"] = Field(
        description="Cross entropy of the network's own logits, or the mean over the heads of all layers."
    )
    seed: int = Field(description="Random seed for initial weights, data order and augmentation.", ge=0)
    epochs: int = Field(description="Passes over the training images.", ge=1)
    batch_size: int = Field(description="Images per step, summed over all processes.", ge=1)
    learning_rate: float = Field(description="Peak learning rate of the schedule.", gt=0)
    weight_decay: float = Field(description="AdamW weight decay (not applied to biases and norm layers).", ge=0)
    augment: bool | str = Field(
        description="Augmentation: true (cells), false (none), a preset (cells, faces, photos, none), or steps such as "
        "flip+shift+light+rotate:10; docs/training.md says what each does and assumes."
    )
    precision: Literal["float32", "bfloat16"] = Field(description="Precision of the forward and backward passes.")
    keep: Literal["best", "last"] = Field(description="Epoch to keep: lowest validation loss, or the last one.")
    class_weights: Literal["none", "balanced"] = Field(
        description="Weight of each class in the loss: none, or balanced (inverse to its share of the training images)."
    )
    weights: str = Field(
        description="Initial weights: random; pretrained weights by torchvision's name, such as IMAGENET1K_V1, by "
        "timm's tag, such as a1_in1k, or pretrained for hf/NAME; or a file, such as weights/best.pt."
    )
    freeze: Literal["none", "backbone"] = Field(
        "none",
        description="backbone: train only the heads, on the features of the pretrained weights. Batch normalisation "
        "and dropout then run as in evaluation.",
    )
    head_learning_rate: float | None = Field(
        None, description="Peak learning rate of the heads, if it differs from that of the backbone.", gt=0
    )
    outputs: Literal["classes", "sigmoid", "labels", "value"] = Field(
        "classes",
        description="classes: one logit for each class, with softmax. sigmoid, for two classes: a single logit z of "
        "the second one, trained with binary cross entropy; the model file has the logits -z/2 and z/2. labels: a "
        "logit for each of `fetch.multi_labels`, likewise. value: the number in `fetch.value_column`, trained with "
        "the squared error.",
    )
    mean: Annotated[tuple[str, ...], NumberText()] = Field(
        (), description="Mean of each input channel, in 0..1.  [default: of the weights, or of the training images]"
    )
    std: Annotated[tuple[str, ...], NumberText()] = Field(
        (),
        description="Standard deviation of each input channel, in 0..1.  [default: of the weights, or of the training "
        "images]",
    )
    schedule: Literal["onecycle", "cosine", "constant"] = Field(
        "onecycle",
        description="Learning rate by step: onecycle (rises, then falls to 0), cosine (falls to 0), or constant.",
    )
    warmup_epochs: float = Field(
        0.0, description="cosine, constant: epochs in which the learning rate rises from 0 to its peak.", ge=0
    )
    label_smoothing: float = Field(
        0.0, description="Share of the target given to all classes alike, in the training loss alone.", ge=0, lt=1
    )
    gradient_clip: float = Field(
        0.0,
        description="Largest norm of the gradient of all weights together; longer ones are shortened. 0: any.",
        ge=0,
    )
    early_stopping: int = Field(
        0, description="Stop after this many epochs without a lower validation loss. 0: never.", ge=0
    )
    sampling: Literal["shuffle", "balanced"] = Field(
        "shuffle",
        description="Images of an epoch: shuffle (each once), or balanced (as many of each class, rare ones repeated).",
    )
    # These are for networks without predefined layers (timm, transformers, the user's own): docs/add-a-network.md.
    arguments: str = Field(
        "",
        description="Keyword arguments of a network of timm, transformers or your own, such as width=16,depth=4.",
    )
    layers: tuple[str, ...] = Field(
        (), description="Modules of such a network to explain.  [default: the last of each resolution]"
    )
    grid: str = Field("", description="Grid of the layers' tokens, such as 14x14.  [default: detected]")
    prefix_tokens: int | None = Field(
        None, description="Tokens before the grid (class token, registers).  [default: detected]", ge=0
    )
    layout: Literal["channels_first", "channels_last", "tokens", "tokens_first"] | None = Field(
        None, description="Order of the dimensions of the layers' outputs.  [default: detected]"
    )
    # Not an option: the stage fills it in, with the layers that a trial run found (layers.layer.wrapped_arguments).
    wrapped: dict[str, Any] | None = Field(None, exclude=True)

    def check(self) -> None:
        """Refuse values that do not go together.

        Raises:
            InputError: unknown augmentation, a warm-up that is too long or unused, classes balanced twice, or options
                for classes where no class is trained.
        """
        read_augment(self.augment)
        if self.warmup_epochs and self.schedule == "onecycle":
            expected = "0 with schedule onecycle, which has a warm-up of its own"
            raise InputError("train.warmup_epochs", expected, self.warmup_epochs, "set schedule to cosine or constant")
        if self.warmup_epochs >= self.epochs:
            raise InputError("train.warmup_epochs", f"less than epochs, {self.epochs}", self.warmup_epochs, "lower it")
        if self.sampling == "balanced" and self.class_weights != UNWEIGHTED:
            expected = f"class_weights {UNWEIGHTED}, since each class is drawn as often already"
            raise InputError("train.sampling", expected, self.class_weights, "balance by one of the two")
        for name, unused in {"class_weights": UNWEIGHTED, "label_smoothing": 0.0}.items():
            if self.outputs in (LABELS, VALUE) and getattr(self, name) != unused:
                expected = f"{name} {unused} with outputs {self.outputs}"
                raise InputError(f"train.{name}", expected, getattr(self, name), f"set it to {unused}")

    def as_dict(self) -> dict[str, Any]:
        """The options that this training reads, for the model's card."""
        values = asdict(self) | {"mean": list(self.mean), "std": list(self.std)}
        return {name: value for name, value in values.items() if self._reads(name)}

    def output_count(self, class_count: int, label_count: int = 0) -> int:
        """Number of outputs of the network while it is trained.

        Args:
            class_count: of the data.
            label_count: labels of their own that the data have.

        Raises:
            InputError: a single output for other than two classes.
        """
        if self.outputs == "classes":
            return class_count
        if self.outputs == LABELS:
            return label_count
        if class_count != 2:
            raise InputError(f"outputs: {self.outputs}", "two classes", class_count, "set `outputs: classes`")
        return 1

    def architecture_arguments(self, input_size: int) -> dict[str, Any]:
        """Keyword arguments of the architecture, for square images of `input_size` pixels."""
        if self.wrapped is not None:
            return self.wrapped
        if self.architecture in OWN_NETWORKS:
            return {"width": self.width, "depth": self.depth}
        # A vision transformer learns one embedding for each place, so it is built for one size.
        return {"image_size": input_size} if self.architecture.startswith("vit_") else {}

    def _reads(self, name: str) -> bool:
        if name in (*WRAPPED_ONLY, "wrapped"):
            return False  # the card has what was made of them
        if name == "class_weights":
            return self.class_weights != UNWEIGHTED
        field = fields_of(type(self))[name]
        if not field.is_required() and getattr(self, name) == field.default:
            return False  # so that an option that came later leaves earlier model files as they are
        return self.architecture in OWN_NETWORKS or name not in ("width", "depth")
