"""Parameters of `prepare`."""

from typing import Literal

from pydantic import Field

from wheretolook.terminal.options import options


@options
class PrepareOptions:
    """How raw images become one array with splits."""

    size: int = Field(
        description="Width and height of the prepared images in pixels. Twice the size takes four times the training time.",
        ge=16,
        le=2048,
    )
    fit: Literal["stretch", "pad", "crop"] = Field(
        description="How an image becomes square. stretch: change its proportions. pad: add black borders. crop: cut off the "
        "ends of the longer side."
    )
    group_pattern: str = Field(
        description="Regular expression searched in each file name; its first group names the patient, slide or person, as in "
        "'^(C\\d+)'. Images of one group are kept in one split, or the score would be inflated. '' for no groups."
    )
    mask_values: str = Field(
        description="Meaning of the masks' grey values, as VALUE:LABEL,VALUE:LABEL; labels: background, foreground, evidence "
        "(what shows the class), mark (a planted shortcut), unknown. Other values are refused. Ignored without masks."
    )
    val_share: float = Field(description="Share of each class in the validation split.", gt=0, lt=1)
    test_share: float = Field(
        description="Share of each class in the test split; the rest is for training.", gt=0, lt=1
    )
    seed: int = Field(description="Random seed of the train/val/test split.", ge=0)
    rare_classes: Literal["refuse", "drop"] = Field(
        description="A class with fewer than three images (or groups) does not fit into three splits: refuse the data, or drop "
        "the class and record it in the audit."
    )
    on_bad_image: Literal["error", "skip"] = Field(
        description="A file that cannot be decoded: refuse the data, or skip the file and record it in the audit."
    )
