"""Parameters of one entry of `drive`: a model file, or a checkpoint that was trained elsewhere."""

from typing import Literal

from pydantic import Field

from wheretolook.terminal.options import options


@options
class DriveOptions:
    """Where a model comes from, and what its file does not say itself."""

    id: str = Field("", description="Id of the file on Google Drive.")
    url: str = Field("", description="Instead of the id: a link on Google Drive or elsewhere, or a path.")
    sha256: str = Field("", description="SHA-256 of the file. Left empty, the run prints the one found.")
    architecture: str = Field("", description="Architecture of a state dict, as under `models`.")
    arguments: str = Field("", description="Keyword arguments of the architecture, such as width=16,depth=4.")
    classes: tuple[str, ...] = Field((), description="Class names of a state dict, in the order of its outputs.")
    input_size: int | None = Field(None, description="Side of the images that it was trained on, in pixels.", ge=1)
    mean: tuple[str, ...] = Field((), description="Mean of each input channel, in 0..1. [default: ImageNet's]")
    std: tuple[str, ...] = Field(
        (), description="Standard deviation of each input channel, in 0..1. [default: ImageNet's]"
    )
    fit: Literal["stretch", "pad", "crop"] | None = Field(
        None, description="How its training images became square; used by `wheretolook look`. [default: stretch]"
    )
