"""Parameters of `compare`."""

from typing import Literal

from pydantic import Field

from wheretolook.base.terminal.section import options


@options
class CompareOptions:
    """How models are compared."""

    split: Literal["train", "val", "test"] = Field(description="Split whose images are compared.")
    resamples: int = Field(description="Bootstrap resamples of each confidence interval.", ge=199)
    margin: float = Field(
        description="Smallest excess of agreement over each baseline, in units of correlation, for a statement.",
        ge=0,
        le=2,
    )
    aligned: bool = Field(
        description="Whether objects are at the same place in all images, as in aligned faces; otherwise regions of "
        "the masks are compared."
    )
    permutations: int = Field(description="Permutations of each test of a difference between classes.", ge=199)
    seed: int = Field(description="Random seed of resampling and permutations.", ge=0)
    primary: Literal["auto", "cam", "gradcam"] = Field(
        description="Maps of the last layer that statements rest on; auto: cam if every model has one, else gradcam, "
        "which supports no statement about a difference between two classes."
    )
