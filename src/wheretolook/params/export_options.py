"""Parameters of `export`, and what their texts mean."""

import re
from typing import Literal

from pydantic import Field

from wheretolook.base.errors import InputError
from wheretolook.base.terminal.section import options

ALL = "all"
# A layer is a named part of a network, and PyTorch allows no dot in such a name.
LAYER_NAME = re.compile(r"[^\s.,]+")


@options
class ExportOptions:
    """Which maps are exported."""

    methods: tuple[str, ...] = Field(description="CAM methods; repeat the option for each one.")
    layers: str = Field(description='"all", or layer names separated by commas.')
    precision: Literal["float32", "bfloat16"] = Field(
        description="Precision of the forward and backward passes; maps are stored as float32."
    )
    batch_size: int = Field(description="Images per forward pass.", ge=1)
    random_draws: int = Field(
        description="Networks with random weights whose maps serve as a baseline of agreement; at least 10, or 0 for "
        "none.",
        ge=0,
    )
    every_class_up_to: int = Field(
        description="Store maps of every class up to this number of classes; beyond it, only of the true and the "
        "predicted class.",
        ge=2,
    )

    def check(self) -> None:
        """Refuse layers that no network can have.

        Raises:
            InputError: a name that is empty, or not one of a layer.
        """
        parse_layers(self.layers)


def parse_layers(text: str) -> tuple[str, ...] | None:
    """Read "block3, block4" as names; None for "all". Whether a network has them is checked later.

    Raises:
        InputError: a name that is empty, or that no layer can have.
    """
    if text == ALL:
        return None
    names = tuple(part.strip() for part in text.split(","))
    if bad := [name for name in names if not LAYER_NAME.fullmatch(name)]:
        raise InputError(
            f"layers {text!r}",
            expected=f'"{ALL}", or names of layers separated by commas, such as block3,block4',
            found=f"the name {bad[0]!r}",
        )
    return names
