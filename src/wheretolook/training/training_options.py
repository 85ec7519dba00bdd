"""The options of a training, as params.yaml gives them."""

from dataclasses import asdict, dataclass
from typing import Any

# What `weights` says of first weights that are drawn.
RANDOM = "random"
# What `class_weights` says of images that all count the same.
UNWEIGHTED = "none"


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained.

    Attributes:
        architecture: "looknet", or the name of a torchvision network of a known family.
        width: channels of looknet's first block; other architectures do not read it.
        depth: looknet's number of blocks; other architectures do not read it.
        loss: "last": cross entropy of the network's own logits; "every": mean over the heads of all layers.
        seed: of all chance: first weights, order of the images, augmentation.
        epochs: passes over the training images.
        batch_size: images a step at most, over all processes together.
        learning_rate: the highest of the one-cycle schedule.
        weight_decay: of AdamW; biases and normalisation are left out.
        augment: flips, quarter turns, shifts, light.
        precision: "float32", or "bfloat16" (mixed; weights stay float32).
        keep: "best" epoch by validation loss, or the "last".
        class_weights: "none", or "balanced": the loss of an image counts by the inverse of its class's share of the
            training images, so that a rare class weighs as much as a frequent one.
        weights: to start from: "random", or pretrained ones as torchvision names them, such as "IMAGENET1K_V1".
        wrapped: of a network that is not the project's, what `cams.wrap.wrapped_arguments` gives; else None.
    """

    architecture: str
    width: int
    depth: int
    loss: str
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: bool
    precision: str
    keep: str
    class_weights: str
    weights: str
    wrapped: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The options that this training read."""
        return {name: value for name, value in asdict(self).items() if self._reads(name)}

    def arguments(self, input_size: int) -> dict[str, Any]:
        """The keyword arguments of the architecture, for square images of `input_size` pixels."""
        if self.wrapped is not None:
            return self.wrapped
        if self.architecture == "looknet":
            return {"width": self.width, "depth": self.depth}
        # A vision transformer learns one embedding for each place, so it is built for one size.
        return {"image_size": input_size} if self.architecture.startswith("vit_") else {}

    def _reads(self, name: str) -> bool:
        if name == "wrapped":
            return False  # what was found is in the card's arguments
        if name == "class_weights":
            return self.class_weights != UNWEIGHTED
        return self.architecture == "looknet" or name not in ("width", "depth")
