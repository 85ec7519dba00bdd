"""The interface of a CAM method: a function on arrays, and which arrays it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor


class Needs(StrEnum):
    """The arrays that a method's function takes after the feature maps (N, C, h, w)."""

    CLASS_WEIGHTS = "class weights"
    """(N, C): classifier weights of the explained class, in a linear head that pools this layer. No backward pass."""
    GRADIENTS = "gradients"
    """(N, C, h, w): gradients of the explained logit. One backward pass per class, shared by methods and layers."""
    NOTHING = "nothing"
    """Feature maps only: the maps are the same for every class, and tests about classes leave them out."""
    MASKED_LOGITS = "masked logits"
    """(N,) and (N, C): logit of the image, and of the image masked by each channel. C forward passes per image."""
    ABLATED_LOGITS = "ablated logits"
    """(N,) and (N, C): logit of the image, and with each channel set to zero. C forward passes per image."""
    ATTENTION_GRADIENTS = "attention gradients"
    """Instead of the feature maps: of each block of a transformer, (N, heads, T, T), gradients of the explained logit
    read out of that block. The function returns a value of each token, (N, T)."""
    ATTENTION = "attention"
    """Instead of the feature maps: attention weights of each block, (N, heads, T, T), and whether there is a class
    token. The function returns a value of each token, (N, T), the same for every class."""


@dataclass(frozen=True)
class Method:
    """A CAM method.

    Attributes:
        name: as in `export.methods`, `--method` and file names.
        needs: which arrays `function` takes.
        function: takes feature maps and the arrays in `needs`; returns maps (N, h, w), raw and signed, neither
            rectified nor normalised.
        units: units of the map's values.
        paper: authors, year and identifier.
        linear: whether the map of a mean of logits equals the mean of their maps. The mean map of all classes then
            costs one map.
    """

    name: str
    needs: Needs
    function: Callable[..., Tensor]
    units: str
    paper: str
    linear: bool = False

    @property
    def knows_class(self) -> bool:
        """Whether maps depend on the explained class."""
        return self.needs not in (Needs.NOTHING, Needs.ATTENTION)

    @property
    def for_transformers(self) -> bool:
        """Whether it reads attention weights, and so gives one map per network, at its last layer of tokens."""
        return self.needs in (Needs.ATTENTION, Needs.ATTENTION_GRADIENTS)

    @property
    def forward_passes_a_channel(self) -> bool:
        """Whether each channel costs a forward pass, which makes it hundreds of times slower than `gradcam`."""
        return self.needs in (Needs.MASKED_LOGITS, Needs.ABLATED_LOGITS)
