"""From a file that came from outside to a model of ours: checked to the last byte, or refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

from wheretolook.data.atomic import replacing
from wheretolook.errors import InputError
from wheretolook.models.card import METADATA_KEY, Card, read_card, read_checked_card
from wheretolook.models.foreign import DESCRIBED, Description, convert_foreign
from wheretolook.models.quarantine import bounds_for, open_in_quarantine
from wheretolook.models.weights_file import is_weights_file, weights_metadata


def admit(
    path: Path,
    origin: str,
    target: Path,
    description: Description | None,
    say: Callable[[str], None] = lambda report: None,
) -> Card:
    """Make a file from outside a model file.

    Args:
        path: a model file of this project, or a foreign state dict.
        origin: where it came from, which messages name in place of the path.
        target: the final file, written whole or not at all. A model file of ours is copied to the byte.
        description: what a foreign state dict doesn't say of itself; None for one of ours.
        say: is given each decision that was made about a foreign file, in a few words.

    Returns:
        The card of the file at `target`.

    Raises:
        InputError: no model, a hostile or damaged one, or a description that is missing or not wanted.
    """
    try:
        if not is_own(path):
            _convert(path, origin, target, description, say)
        elif description is not None:
            raise InputError(
                origin,
                "a bare state dict, as an architecture is given",
                "a model file that describes itself",
                f"Remove {', '.join(DESCRIBED[:-1])} and {DESCRIBED[-1]} from its entry",
            )
        else:
            check_own(path)
            with replacing(target) as scratch:
                shutil.copyfile(path, scratch)
    except InputError as error:
        subject = error.subject.replace(str(path), origin)
        raise InputError(subject, error.expected, error.found, error.hint) from error
    return read_card(target)


def _convert(
    path: Path, origin: str, target: Path, description: Description | None, say: Callable[[str], None]
) -> None:
    if description is None:
        raise InputError(
            origin,
            "a model file of this project",
            "one without a card",
            "For a foreign state dict give architecture, classes and input_size (and arguments, mean, std), like "
            'architecture: resnet18, classes: "infected,uninfected", input_size: 112',
        )
    for report in convert_foreign(path, origin, target, description):
        say(report)


def is_own(path: Path) -> bool:
    """Whether a file is safetensors with a card; it may still be refused."""
    return is_weights_file(path) and METADATA_KEY in weights_metadata(path)


def check_own(path: Path) -> Card:
    """Check a model file of this project as any input: header, card, then the weights, in quarantine.

    Raises:
        InputError: whatever is not as it should be.
    """
    card = read_checked_card(path)
    open_in_quarantine("check", path, str(path), bounds_for(path), architecture=card.architecture)
    return card
