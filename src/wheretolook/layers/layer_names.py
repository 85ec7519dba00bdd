"""The names of layers as params.yaml lists them. No torch."""

import re

from wheretolook.base.errors import InputError

ALL = "all"
# A layer is a part of a network under a name of its own, and PyTorch takes no dot in one.
_NAME = re.compile(r"[^\s.,]+")


def parse_layers(text: str) -> tuple[str, ...] | None:
    """Read "block3, block4" as names; None for "all". Whether a network has them is not known here.

    Raises:
        InputError: a name that is empty, or that no layer can have.
    """
    if text == ALL:
        return None
    names = tuple(part.strip() for part in text.split(","))
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        raise InputError(
            f"layers {text!r}",
            expected=f'"{ALL}", or names of layers with commas between them, like block3,block4',
            found=f"the name {bad[0]!r}",
        )
    return names
