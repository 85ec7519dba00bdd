"""What a CAM method is to the engine: a function on arrays, and which arrays it asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor


class Needs(StrEnum):
    """The arrays that a method's function takes beside the feature maps (N, C, h, w); each gives maps (N, h, w)."""

    CLASS_WEIGHTS = "class weights"
    """(N, C): the weights of the explained class in a pooled linear head on this layer. No backward pass."""
    GRADIENTS = "gradients"
    """(N, C, h, w): gradients of the explained logit. One backward pass a class, shared by methods and layers."""
    NOTHING = "nothing"
    """The feature maps alone: such a method knows no class, and its maps stay out of every test about classes."""
    MASKED_LOGITS = "masked logits"
    """(N,) and (N, C): the explained logit of the image, and of the image masked by each channel: C forward passes."""
    ABLATED_LOGITS = "ablated logits"
    """(N,) and (N, C): the explained logit, and the same with each channel set to zero: C forward passes."""


@dataclass(frozen=True)
class Method:
    """A CAM method.

    Attributes:
        name: as users write it, and as files are named.
        needs: which arrays `function` takes.
        function: feature maps and what it needs, to maps (N, h, w): raw, signed, neither rectified nor normalised.
        units: of a map's values.
        paper: where it comes from.
        linear: the map of a mean of logits is the mean of their maps: one map then stands for the mean of classes.
    """

    name: str
    needs: Needs
    function: Callable[..., Tensor]
    units: str
    paper: str
    linear: bool = False

    @property
    def knows_class(self) -> bool:
        """Whether maps differ between classes."""
        return self.needs is not Needs.NOTHING

    @property
    def forward_passes_a_channel(self) -> bool:
        """Whether each channel of the layer costs a forward pass: hundreds of times what `gradcam` costs."""
        return self.needs in (Needs.MASKED_LOGITS, Needs.ABLATED_LOGITS)
