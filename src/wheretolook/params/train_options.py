"""Parameters of `train`: shared by all models, or a model's own under `models`."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field

from wheretolook.base.errors import InputError
from wheretolook.base.terminal.options import NumberText
from wheretolook.base.terminal.section import options

# Values of `weights` (initial weights are drawn), of `class_weights` (every image counts the same) and of `freeze`.
RANDOM, UNWEIGHTED, BACKBONE = "random", "none", "backbone"
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
    learning_rate: float = Field(description="Peak learning rate of the one-cycle schedule.", gt=0)
    weight_decay: float = Field(description="AdamW weight decay (not applied to biases and norm layers).", ge=0)
    augment: bool = Field(description="Random flips, quarter turns, shifts and brightness.")
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
    outputs: Literal["classes", "sigmoid"] = Field(
        "classes",
        description="classes: one logit for each class, with softmax. sigmoid, for two classes: a single logit z of "
        "the second one, trained with binary cross entropy; the model file has the logits -z/2 and z/2.",
    )
    mean: Annotated[tuple[str, ...], NumberText()] = Field(
        (), description="Mean of each input channel, in 0..1.  [default: of the weights, or of the training images]"
    )
    std: Annotated[tuple[str, ...], NumberText()] = Field(
        (),
        description="Standard deviation of each input channel, in 0..1.  [default: of the weights, or of the training "
        "images]",
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
    # Not an option: the stage fills it in, with the layers that a trial run found (layers.wrap.wrapped_arguments).
    wrapped: dict[str, Any] | None = Field(None, exclude=True)

    def as_dict(self) -> dict[str, Any]:
        """The options that this training reads, for the model's card."""
        values = asdict(self) | {"mean": list(self.mean), "std": list(self.std)}
        return {name: value for name, value in values.items() if self._reads(name)}

    def output_count(self, class_count: int) -> int:
        """Number of outputs of the network while it is trained.

        Raises:
            InputError: a single output for other than two classes.
        """
        if self.outputs == "classes":
            return class_count
        if class_count != 2:
            raise InputError("outputs: sigmoid", "two classes", class_count, "set `outputs: classes`")
        return 1

    def architecture_arguments(self, input_size: int) -> dict[str, Any]:
        """Keyword arguments of the architecture, for square images of `input_size` pixels."""
        if self.wrapped is not None:
            return self.wrapped
        if self.architecture == "looknet":
            return {"width": self.width, "depth": self.depth}
        # A vision transformer learns one embedding for each place, so it is built for one size.
        return {"image_size": input_size} if self.architecture.startswith("vit_") else {}

    def _reads(self, name: str) -> bool:
        if name in (*WRAPPED_ONLY, "wrapped"):
            return False  # the card has what was made of them
        if name == "class_weights":
            return self.class_weights != UNWEIGHTED
        if name in ("freeze", "head_learning_rate", "mean", "std", "outputs"):
            return getattr(self, name) not in ("none", None, (), "classes")
        return self.architecture == "looknet" or name not in ("width", "depth")
