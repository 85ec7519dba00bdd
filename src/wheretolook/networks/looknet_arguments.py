"""What looknet is built with, and for which images. Without torch: asked before anything is built."""

from collections.abc import Mapping
from typing import Any

from wheretolook.base.errors import InputError

LOOKNET = "looknet"


def check_looknet_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse anything but a width and a depth.

    Raises:
        InputError: one is missing, or no integer from 1 on, or there is another argument.
    """
    if set(arguments) != {"width", "depth"} or not all(type(n) is int and n >= 1 for n in arguments.values()):
        raise InputError(
            "looknet",
            expected="the arguments width and depth, integers from 1 on, like `arguments: width=16,depth=4`",
            found=dict(arguments),
        )


def check_looknet_size(depth: int, size: int) -> None:
    """Refuse more blocks than images of `size` pixels can be halved by.

    Raises:
        InputError: the images are smaller than a pixel for the last block.
    """
    if size < 2**depth:
        raise InputError(
            f"looknet of depth {depth}",
            expected=f"images of {2**depth} pixels or more, since each block halves them",
            found=size,
            hint="lower train.depth, or raise prepare.size",
        )
