"""A state dict from elsewhere, and what has to be said of it before it can be one of our model files."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.display import LONGEST_CLASS_NAME, is_class_name
from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing
from wheretolook.importing.quarantine import Bounds, bounds_for, open_in_quarantine
from wheretolook.networks.architectures import parse_arguments
from wheretolook.networks.card import LARGEST_INPUT
from wheretolook.networks.looknet_arguments import LOOKNET, check_looknet_arguments

# The keys of an entry that describe a foreign file.
DESCRIBED = ("architecture", "arguments", "classes", "input_size", "mean", "std", "fit", "key")
# Of images in 0..1: what torchvision's own weights were trained with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Description:
    """What a bare state dict doesn't say of itself.

    Attributes:
        architecture: "looknet", or a torchvision name.
        arguments: keyword arguments of the architecture.
        class_names: one for each logit, in the order of the network's outputs.
        input_size: side of the square input, pixels.
        mean: of each channel, of values in 0..1.
        std: of each channel, of values in 0..1.
        fit: how its images became squares: "stretch", "pad" or "crop"; None where it isn't known.
        key: keys that lead to the state dict in the checkpoint, with dots between them; empty: the usual ones.
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
    """Write a foreign state dict as a model file of this project.

    Args:
        path: .pt, .pth (a state dict, or a checkpoint that holds one) or safetensors without a card.
        subject: what a message calls the file.
        target: the final file, written whole or not at all.
        description: what the file doesn't say.
        bounds: of the process that opens the file; by default by the file's size.

    Returns:
        What was decided on the way, each in a few words.

    Raises:
        InputError: it would run code, is no state dict, doesn't fit the architecture, or goes beyond the bounds.
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
        given: one text like "infected,uninfected", or one for each name, whole: "tench, Tinca tinca" is a name.

    Raises:
        InputError: fewer than two, or one twice.
    """
    parts = _parts(given[0]) if len(given) == 1 else [name.strip() for name in given]
    # In the form that names of the data have.
    names = tuple(unicodedata.normalize("NFC", name) for name in parts)
    if len(names) < 2 or len(set(names)) < len(names) or "" in names:
        found = given[0] if len(given) == 1 else list(given)
        raise InputError(
            "classes", expected="two names or more, each once, like infected,uninfected", found=f"{found!r}"
        )
    return names


def parse_channels(name: str, text: str) -> tuple[float, float, float]:
    """Three numbers written as "0.485,0.456,0.406".

    Raises:
        InputError: not three numbers in 0..1, or a standard deviation of 0.
    """
    try:
        numbers = tuple(float(part) for part in _parts(text))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all((n > 0 or name == "mean") and 0 <= n <= 1 for n in numbers):
        raise InputError(name, expected="three numbers in 0..1 (images are), like 0.485,0.456,0.406", found=f"{text!r}")
    return numbers


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
    """The description that an entry of params.yaml gives in text; None where it gives nothing of the kind.

    `classes` is read by `parse_classes`, the others as one text each.

    Raises:
        InputError: one part without the others that it needs, one that can't be read, an absurd input size, or arguments
            that looknet is not built with.
    """
    named = any(classes)
    if not any((architecture, arguments, named, input_size, mean, std, fit, key)):
        return None
    if not (architecture and named and input_size):
        given = {"architecture": architecture, "classes": named, "input_size": input_size}
        missing = ", ".join(key for key, value in given.items() if not value)
        raise InputError(
            entry,
            expected="architecture, classes and input_size together, as a foreign state dict needs them",
            hint=f"{missing} is missing. A model file of this project needs none",
        )
    if odd := [name for name in (parse_classes(classes) if named else ()) if not is_class_name(name)]:
        raise InputError(
            f"{entry}: classes",
            expected=f"names of at most {LONGEST_CLASS_NAME} bytes, without control and invisible characters",
            found=ascii(odd[0])[:80],
            hint="rename it",
        )
    if input_size > LARGEST_INPUT:
        raise InputError(
            f"{entry}: input_size",
            expected=f"at most {LARGEST_INPUT} pixels",
            found=input_size,
            hint="give the size that it was trained on",
        )
    keywords = parse_arguments(arguments)
    if architecture == LOOKNET:
        check_looknet_arguments(keywords)
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
