"""From a file that came from outside to a model of ours: checked to the last byte, or refused."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing, sha256_of
from wheretolook.downloads.drive import drive_link
from wheretolook.downloads.drive_listing import folder_address
from wheretolook.downloads.obtain import PinnedFile
from wheretolook.importing.foreign import DESCRIBED, Description, convert_foreign, describe
from wheretolook.importing.quarantine import bounds_for, open_in_quarantine
from wheretolook.networks.card import METADATA_KEY, Card, read_card, read_checked_card
from wheretolook.networks.weights_file import is_weights_file, weights_metadata


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


def read_entry(name: str, values: Mapping[str, Any]) -> tuple[PinnedFile, Description | None]:
    """What an entry asks for.

    Args:
        name: of the model.
        values: id, url, folder, file, sha256 and DESCRIBED, as the options of `sync` have parsed them.

    Returns:
        The file, and the description of a foreign state dict; None where the file is to describe itself.

    Raises:
        InputError: not exactly one of id, url and folder, a folder without a file, or half a description.
    """
    entry = f"drive.{name}"
    sources = {key: values[key] for key in ("id", "url", "folder")}
    given = [key for key, value in sources.items() if value]
    if len(given) != 1:
        raise InputError(
            entry, "one of id, url and folder", " and ".join(given) or "none", "`wheretolook share` prints an entry"
        )
    if bool(values["folder"]) != bool(values["file"]):
        missing = "file" if values["folder"] else "folder"
        raise InputError(entry, "folder and file together", f"no {missing}", "As folder: ID, file: best.pt")
    address = {"id": drive_link, "url": str, "folder": folder_address}[given[0]](sources[given[0]])
    wanted = PinnedFile(address, values["sha256"], f"{entry}.sha256", values["file"])
    # A list in params.yaml came as one option again and again. Of numbers it is read as one text; a class's name may
    # have a comma in it.
    given = {key: values[key] for key in DESCRIBED}
    try:
        return wanted, describe(entry, **given | {key: ",".join(values[key]) for key in ("mean", "std")})
    except InputError as error:
        if error.subject.startswith(entry):
            raise
        raise InputError(f"{entry}: {error.subject}", error.expected, error.found, error.hint) from error


STEPS = """\
{path}: {architecture} for {classes}; images of {size} x {size} pixels{fit}; {loss}
The file says all of that itself{but}. Whoever has it can use it.

1. Upload the file to Google Drive (New, File upload); the name does not matter.
2. Share it: General access, 'Anyone with the link', Viewer.
3. Copy the link, https://drive.google.com/file/d/ID/view, and put its ID in place of FILE_ID:

drive:
  {name}:
    id: FILE_ID
    sha256: {sha256}

4. Who pastes this into params.yaml (in place of `drive: {{}}`, or below other entries) gets the model with `dvc repro`.
   A change to the file on Drive, even by you, is then refused: a new version needs a new entry or a new sha256.
"""


@dataclass(frozen=True)
class SharedFile:
    """A model file that may be given away.

    Attributes:
        path: the file.
        name: of the entry; a name that params.yaml takes.
        sha256: of the file.
        card: what the file says of itself.
    """

    path: Path
    name: str
    sha256: str
    card: Card


def check_to_share(path: Path, name: str) -> SharedFile:
    """Check a model file as one from outside is checked, so that nobody is given what they must refuse.

    Args:
        path: the model file.
        name: of the entry.

    Raises:
        InputError: no model file of this project, or a damaged one.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise InputError(
            path, expected="a model file", found=found, hint="give its path, like models/last-0.safetensors"
        )
    if not is_own(path):
        raise InputError(
            path,
            expected="a model file of this project",
            found="another",
            hint=("a foreign state dict is shared as it is, with architecture, classes and input_size in its entry"),
        )
    return SharedFile(path, name, sha256_of(path), check_own(path))


def steps(shared: SharedFile) -> str:
    """The entry of `drive:` to paste, and the way there."""
    card = shared.card
    return STEPS.format(
        path=shared.path,
        architecture=card.architecture,
        classes=", ".join(card.class_names),
        size=card.input_size,
        fit=f" by {card.fit}" if card.fit else "",
        but="" if card.fit else ", but not how an image became a square: say so beside it",
        loss="trained on every layer" if card.loss == "every" else "trained on the last layer",
        name=shared.name,
        sha256=shared.sha256,
    )
