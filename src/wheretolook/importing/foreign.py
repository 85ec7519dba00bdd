"""Foreign checkpoints: the description that params.yaml gives of one, and the conversion to a model file."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import LONGEST_CLASS_NAME, InputError, is_class_name
from wheretolook.base.files import replacing
from wheretolook.importing.quarantine import Bounds, bounds_for, open_in_quarantine
from wheretolook.networks.architectures import OWN_NETWORKS, check_own_arguments, parse_arguments
from wheretolook.networks.card import IMAGENET_MEAN, IMAGENET_STD, LARGEST_INPUT, parse_channels

# Keys of an entry in params.yaml that describe a foreign file.
DESCRIBED = ("architecture", "arguments", "classes", "input_size", "mean", "std", "fit", "key")


@dataclass(frozen=True)
class Description:
    """What a foreign state dict does not record itself.

    Attributes:
        architecture: in a form that `architectures.parse_architecture` accepts.
        arguments: keyword arguments of the architecture.
        class_names: one for each logit, in the order of the network's outputs.
        input_size: side of the square input, pixels.
        mean: of each channel, for values in 0..1.
        std: of each channel, for values in 0..1.
        fit: how its training images were made square: "stretch", "pad" or "crop"; None if unknown.
        key: keys of the state dict in the checkpoint, joined by dots; empty to look under the usual keys.
    """

    architecture: str
    arguments: dict[str, Any]
    class_names: tuple[str, ...]
    input_size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: str | None = None
    key: str = ""


def convert_foreign(
    path: Path, subject: str, target: Path, description: Description, bounds: Bounds | None = None
) -> list[str]:
    """Convert a foreign state dict to a model file of this project.

    Args:
        path: .pt or .pth (a state dict, or a checkpoint with one), or safetensors without a card.
        subject: name of the file in messages.
        target: the model file, written atomically.
        description: what the file does not record.
        bounds: limits of the process that opens the file; None for `bounds_for`.

    Returns:
        A line for each choice that was made.

    Raises:
        InputError: the file would run code, has no state dict, does not match the architecture, or exceeds a limit.
    """
    with replacing(target) as scratch:
        return open_in_quarantine(
            "convert",
            path,
            subject,
            bounds or bounds_for(path),
            architecture=description.architecture,
            target=str(scratch),
            description=vars(description),
        )


def parse_classes(given: Sequence[str]) -> tuple[str, ...]:
    """Class names, in the order of the network's outputs.

    Args:
        given: one text such as "infected,uninfected", or one text per name, which may have commas: "tench, Tinca
            tinca".

    Raises:
        InputError: fewer than two names, or duplicates.
    """
    parts = _parts(given[0]) if len(given) == 1 else [name.strip() for name in given]
    # NFC, like the class names of the data.
    names = tuple(unicodedata.normalize("NFC", name) for name in parts)
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:
        found = given[0] if len(given) == 1 else list(given)
        raise InputError(
            "classes", expected="at least two unique names, such as infected,uninfected", found=f"{found!r}"
        )
    return names


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def describe(
    entry: str,
    architecture: str,
    arguments: str,
    classes: Sequence[str],
    input_size: int | None,
    mean: str,
    std: str,
    fit: str | None = None,
    key: str = "",
) -> Description | None:
    """The description from the texts of an entry in params.yaml; None if all of them are empty.

    Args:
        entry: name of the entry in messages, such as "drive.last-9".
        architecture, arguments, mean, std, fit, key: as in `Description`, as text.
        classes: for `parse_classes`.
        input_size: side of the square input, pixels.

    Raises:
        InputError: a text cannot be parsed, architecture, classes or input_size is missing or invalid, or looknet does
            not accept the arguments.
    """
    named = any(classes)
    if not any((architecture, arguments, named, input_size, mean, std, fit, key)):
        return None
    if not (architecture and named and input_size):
        given = {"architecture": architecture, "classes": named, "input_size": input_size}
        missing = ", ".join(key for key, value in given.items() if not value)
        raise InputError(
            entry,
            "architecture, classes and input_size for a foreign state dict",
            f"no {missing}",
            "A model file of this project needs none of them",
        )
    if invalid := [name for name in (parse_classes(classes) if named else ()) if not is_class_name(name)]:
        raise InputError(
            f"{entry}: classes",
            expected=f"names of at most {LONGEST_CLASS_NAME} bytes without control or invisible characters",
            found=ascii(invalid[0])[:80],
            hint="rename it",
        )
    if input_size > LARGEST_INPUT:
        raise InputError(
            f"{entry}: input_size",
            expected=f"at most {LARGEST_INPUT} pixels",
            found=input_size,
            hint="set the size that the network was trained with",
        )
    keywords = parse_arguments(arguments)
    if architecture in OWN_NETWORKS:
        check_own_arguments(architecture, keywords)
    return Description(
        architecture=architecture,
        arguments=keywords,
        class_names=parse_classes(classes),
        input_size=input_size,
        mean=parse_channels("mean", mean) if mean else IMAGENET_MEAN,
        std=parse_channels("std", std) if std else IMAGENET_STD,
        fit=fit,
        key=key,
    )
