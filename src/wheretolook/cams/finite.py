"""NaN and infinity are found where they arise, and the images named."""

from collections.abc import Mapping

import torch
from torch import Tensor

from wheretolook.data.refusal import Refusal

SHOWN = 5


class NotFinite(Refusal):
    """Maps or logits with NaN or infinity.

    Attributes:
        what: METHOD.LAYER, or "logits".
        places: the images in question, by their place among those that were given.
        names: of the first of them; None: their places stand for them.
    """

    def __init__(self, what: str, places: list[int], names: list[str] | None = None):
        self.what, self.places, self.names = what, places, names
        shown = names or [f"number {place}" for place in places[:SHOWN]]
        more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
        super().__init__(
            f"{what}: expected finite maps, found NaN or infinity in image {', '.join(shown)}{more}; the network or an "
            "image has it: train again, or look at these images"
        )

    def __reduce__(self) -> tuple[type, tuple[str, list[int], list[str] | None]]:
        """How it is handed on from another process."""
        return type(self), (self.what, self.places, self.names)


def check_finite(found: Mapping[str, Tensor]) -> None:
    """Refuse tensors (n, ...) that hold NaN or infinity.

    Raises:
        NotFinite: the first of them.
    """
    for what, values in found.items():
        if not bool(torch.isfinite(values).all()):
            bad = ~torch.isfinite(values).flatten(1).all(1)
            raise NotFinite(what, bad.nonzero().flatten().tolist())
