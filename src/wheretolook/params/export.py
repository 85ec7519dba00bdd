"""Parameters of `export`."""

from typing import Literal

from pydantic import Field

from wheretolook.terminal.options import options

ALL = "all"


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
        description="Networks with random weights whose maps serve as a baseline of agreement; at least 10, or 0 for none.",
        ge=0,
    )
    every_class_up_to: int = Field(
        description="Store maps of every class up to this number of classes; beyond it, only of the true and the predicted class.",
        ge=2,
    )
