"""Parameters of `prepare`, and what their texts mean."""

import re
from typing import Literal

from pydantic import Field

from wheretolook.base.errors import InputError
from wheretolook.base.terminal.section import options

# What a grey value of a mask may mean; `wheretolook.base.prepared.LABELS` has the number of each.
LABEL_NAMES = ("background", "foreground", "evidence", "mark", "unknown")


@options
class PrepareOptions:
    """How raw images become one array with splits."""

    size: int = Field(
        description="Width and height of the prepared images in pixels. Twice the size takes four times the training "
        "time.",
        ge=16,
        le=2048,
    )
    fit: Literal["stretch", "pad", "crop"] = Field(
        description="How an image becomes square. stretch: change its proportions. pad: add black borders. crop: cut "
        "off the "
        "ends of the longer side."
    )
    group_pattern: str = Field(
        description="Regular expression searched in each file name; its first group names the patient, slide or "
        "person, as in "
        "'^(C\\d+)'. Images of one group are kept in one split, or the score would be inflated. '' for no groups."
    )
    mask_values: str = Field(
        description="Meaning of the masks' grey values, as VALUE:LABEL,VALUE:LABEL; labels: background, foreground, "
        "evidence "
        "(what shows the class), mark (a planted shortcut), unknown. Other values are refused. Ignored without masks."
    )
    val_share: float = Field(description="Share of each class in the validation split.", gt=0, lt=1)
    test_share: float = Field(
        description="Share of each class in the test split; the rest is for training.", gt=0, lt=1
    )
    seed: int = Field(description="Random seed of the train/val/test split.", ge=0)
    rare_classes: Literal["refuse", "drop"] = Field(
        description="A class with fewer than three images (or groups) does not fit into three splits: refuse the "
        "data, or drop "
        "the class and record it in the audit."
    )
    on_bad_image: Literal["error", "skip"] = Field(
        description="A file that cannot be decoded: refuse the data, or skip the file and record it in the audit."
    )
    on_leak: Literal["report", "drop", "refuse"] = Field(
        "report",
        description="A picture (equal pixels or a near copy) in more than one split: report it in the audit, drop the "
        "copies in the earlier splits (train before val before test), or refuse the data.",
    )

    def check(self) -> None:
        """Refuse values that no data can be prepared with.

        Raises:
            InputError: shares that leave no training images, mask values or a pattern that cannot be read.
        """
        if self.val_share + self.test_share >= 1:
            raise InputError(
                "prepare.val_share and prepare.test_share",
                expected="a sum below 1, so that training images are left",
                found=f"{self.val_share} and {self.test_share}",
                hint="lower one of them",
            )
        read_mask_values(self.mask_values)
        if self.group_pattern:
            compile_pattern(self.group_pattern)


def read_mask_values(text: str) -> dict[int, str]:
    """Read "0:background,128:foreground,255:evidence" as {grey value: name of its label}.

    Raises:
        InputError: not of this form, a grey value outside 0 to 255 or given twice, an unknown label.
    """
    labels: dict[int, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        value, _, name = (piece.strip() for piece in part.partition(":"))
        if not value.isdecimal() or int(value) > 255 or name not in LABEL_NAMES:
            raise InputError(
                "mask_values", expected=f"VALUE:LABEL, 0 to 255 and one of {', '.join(LABEL_NAMES)}", found=f"{part!r}"
            )
        if int(value) in labels:
            raise InputError(f"mask_values: the value {value} is given twice in {text!r}", hint="name it once")
        labels[int(value)] = name
    return labels


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile `group_pattern`.

    Raises:
        InputError: not a regular expression, or one without a group.
    """
    subject = f"prepare.group_pattern {quoted(pattern)}"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(subject, expected="a regular expression", found=f"an error in it ({error})") from error
    if expression.groups < 1:
        raise InputError(subject, expected="a group in parentheses, such as '^(C\\d+)'", found="none")
    return expression


def quoted(text: str) -> str:
    """Text in YAML's single quotes, ready to paste into params.yaml: backslashes unchanged, quotes doubled."""
    return "'" + text.replace("'", "''") + "'"
