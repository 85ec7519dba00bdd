"""From a file that came from outside to a model of ours: checked to the last byte, or refused."""

import shutil
from pathlib import Path

from wheretolook.data.atomic import replacing
from wheretolook.data.refusal import Refusal
from wheretolook.models.card import METADATA_KEY, Card, read_card, read_checked_card
from wheretolook.models.foreign import Description, convert_foreign
from wheretolook.models.quarantine import bounds_for, open_in_quarantine
from wheretolook.models.weights_file import is_weights_file, weights_metadata


def admit(path: Path, origin: str, target: Path, description: Description | None) -> Card:
    """Make a file from outside a model file.

    Args:
        path: a model file of this project, or a foreign state dict.
        origin: where it came from; it stands for the path in what the user reads.
        target: the final file, written whole or not at all. A model file of ours is copied to the byte.
        description: what a foreign state dict doesn't say of itself; None for one of ours.

    Returns:
        The card of what now stands at `target`.

    Raises:
        Refusal: no model, a hostile or damaged one, or a description that is missing or not wanted.
    """
    try:
        _admit(path, target, description)
    except Refusal as refusal:
        raise Refusal(str(refusal).replace(str(path), origin)) from refusal
    return read_card(target)


def _admit(path: Path, target: Path, description: Description | None) -> None:
    if is_own(path):
        if description is not None:
            raise Refusal(
                f"{path}: expected a bare state dict, as an architecture is given; found a model file that describes "
                "itself; remove architecture, arguments, classes, input_size, mean, std and fit from its entry"
            )
        check_own(path)
        with replacing(target) as scratch:
            shutil.copyfile(path, scratch)
    elif description is None:
        raise Refusal(
            f"{path}: expected a model file of this project, found one without a card; for a foreign state dict give "
            "architecture, classes and input_size (and arguments, mean, std), like architecture: resnet18, "
            'classes: "infected,uninfected", input_size: 112'
        )
    else:
        convert_foreign(path, target, description)


def is_own(path: Path) -> bool:
    """Whether a file is safetensors with a card; it may still be refused."""
    return is_weights_file(path) and METADATA_KEY in weights_metadata(path)


def check_own(path: Path) -> Card:
    """Check a model file of this project as any input: header, card, then the weights, in quarantine.

    Raises:
        Refusal: whatever is not as it should be.
    """
    card = read_checked_card(path)
    open_in_quarantine("check", path, bounds_for(path))
    return card
