"""Parameters of one entry of `drive`: a model file, or a checkpoint that was trained elsewhere."""

from typing import Annotated, Literal

from pydantic import Field

from wheretolook.base.terminal.options import NumberText, read_names
from wheretolook.base.terminal.section import ReadBy, options


@options
class DriveOptions:
    """Where a model comes from, and what its file does not say itself. An entry gives only what its file needs."""

    id: str = Field("", description="Id of the file on Google Drive.")
    url: str = Field("", description="Instead of the id: a link on Google Drive or elsewhere, or a path.")
    folder: str = Field("", description="Instead of the id: id or link of a folder on Google Drive, with `file`.")
    file: str = Field("", description="Path of the file in `folder`, such as best.pt.")
    sha256: str = Field("", description="SHA-256 of the file. Left empty, the run prints the one found.")
    architecture: str = Field("", description="Architecture of a state dict, as under `train`.")
    arguments: str = Field("", description="Keyword arguments of the architecture, such as width=16,depth=4.")
    # A list in params.yaml arrives as the same option given several times.
    classes: Annotated[tuple[str, ...], ReadBy(read_names)] = Field(
        (),
        description="Class names of a state dict, in the order of its outputs: a list; or a,b; or @FILE, a text file "
        "with one "
        "name per line, for thousands of them.",
    )
    input_size: int | None = Field(None, description="Side of the images that it was trained on, in pixels.", ge=1)
    mean: Annotated[tuple[str, ...], NumberText()] = Field(
        (), description="Mean of each input channel, in 0..1.  [default: ImageNet's]"
    )
    std: Annotated[tuple[str, ...], NumberText()] = Field(
        (), description="Standard deviation of each input channel, in 0..1.  [default: ImageNet's]"
    )
    fit: Literal["stretch", "pad", "crop"] | None = Field(
        None, description="How its training images became square; used by `wheretolook look`.  [default: stretch]"
    )
    accept_code: bool = Field(
        False,
        description="Accept a model file of a network in your own code if that code differs here from the code that it "
        "was trained with; the model file and the report then say so.",
    )
    key: str = Field("", description="Where the weights are in a checkpoint of nested dicts, such as ema or model.net.")
    layers: tuple[str, ...] = Field(
        (), description="Modules of your own network to explain.  [default: the last of each resolution]"
    )
    grid: str = Field("", description="Grid of the layers' tokens, such as 14x14.  [default: detected]")
    prefix_tokens: int | None = Field(
        None, description="Tokens before the grid (class token, registers).  [default: detected]", ge=0
    )
    layout: Literal["channels_first", "channels_last", "tokens", "tokens_first"] | None = Field(
        None, description="Order of the dimensions of the layers' outputs.  [default: detected]"
    )
