"""Validation of looknet's arguments and image size; without PyTorch, for checks before any training."""

from collections.abc import Mapping
from typing import Any

from wheretolook.base.errors import InputError

LOOKNET = "looknet"


def check_looknet_arguments(arguments: Mapping[str, Any]) -> None:
    """Check that the arguments are a width and a depth.

    Raises:
        InputError: one is missing or not a positive integer, or there is another argument.
    """
    if set(arguments) != {"width", "depth"} or not all(type(n) is int and n >= 1 for n in arguments.values()):
        raise InputError(
            "looknet",
            expected="positive integers width and depth, as in `arguments: width=16,depth=4`",
            found=dict(arguments),
        )


def check_looknet_size(depth: int, size: int) -> None:
    """Check that images of `size` pixels can be halved `depth` times.

    Raises:
        InputError: the images are too small.
    """
    if size < 2**depth:
        raise InputError(
            f"looknet of depth {depth}",
            expected=f"images of at least {2**depth} pixels (each block halves the resolution)",
            found=f"{size} pixels",
            hint="lower train.depth, or raise prepare.size",
        )
