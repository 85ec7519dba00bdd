"""Importing a model from outside: a checked copy of a model file, or the conversion of a foreign checkpoint."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError, redacted
from wheretolook.base.files import replacing, sha256_of
from wheretolook.downloads.drive import drive_link
from wheretolook.downloads.drive_listing import folder_address
from wheretolook.downloads.obtain import PinnedFile
from wheretolook.importing.foreign import DESCRIBED, Description, convert_foreign, describe
from wheretolook.importing.quarantine import bounds_for, open_in_quarantine
from wheretolook.networks.card import METADATA_KEY, Card, read_card, read_checked_card
from wheretolook.networks.weights_file import is_weights_file, weights_metadata


def import_model(
    path: Path,
    origin: str,
    target: Path,
    description: Description | None,
    say: Callable[[str], None] = lambda report: None,
    accept_code: bool = False,
) -> Card:
    """Import a file as a model file.

    Args:
        path: a model file of this project, or a foreign state dict.
        origin: where the file came from; messages name it instead of the path.
        target: the model file, written atomically. A model file of this project is copied unchanged.
        description: what a foreign state dict does not record; None for a model file of this project.
        say: called with a line for each choice about the file.
        accept_code: accept a model file of this project whose network's code here differs from that it was trained
            with; its card then says so.

    Returns:
        The card of the file at `target`.

    Raises:
        InputError: not a model, a harmful or damaged file, or a description that is missing or superfluous.
    """
    try:
        if not is_own(path):
            _convert(path, origin, target, description, say)
        elif description is not None:
            raise InputError(
                origin,
                "a foreign state dict, since its entry describes one",
                "a model file of this project, which has a card",
                f"Remove {', '.join(DESCRIBED[:-1])} and {DESCRIBED[-1]} from its entry",
            )
        else:
            with replacing(target) as scratch:
                shutil.copyfile(path, scratch)
                for report in _check_own(path, {"target": str(scratch)} if accept_code else {}):
                    say(report)
    except InputError as error:
        if error.subject == redacted(origin):
            raise
        # The path is that of a cache, which says nothing to the user; other subjects are parts of the file.
        subject = origin if error.subject == redacted(str(path)) else f"{origin}: {error.subject}"
        raise InputError(subject, error.expected, error.found, error.hint) from error
    return read_card(target)


def _convert(
    path: Path, origin: str, target: Path, description: Description | None, say: Callable[[str], None]
) -> None:
    if description is None:
        raise InputError(
            origin,
            "a model file of this project",
            "a file without a card",
            "For a foreign state dict, set architecture, classes and input_size (and arguments, mean, std), as in "
            'architecture: resnet18, classes: "infected,uninfected", input_size: 112',
        )
    for report in convert_foreign(path, origin, target, description):
        say(report)


def is_own(path: Path) -> bool:
    """Whether a file is safetensors with a card, valid or not."""
    return is_weights_file(path) and METADATA_KEY in weights_metadata(path)


def check_own(path: Path) -> Card:
    """Check an untrusted model file of this project: header, card, and in quarantine the weights.

    Raises:
        InputError: the file is damaged or harmful.
    """
    _check_own(path, {})
    return read_card(path)


def _check_own(path: Path, request: dict[str, str]) -> list[str]:
    card = read_checked_card(path)
    return open_in_quarantine("check", path, str(path), bounds_for(path), architecture=card.architecture, **request)


def read_entry(name: str, values: Mapping[str, Any]) -> tuple[PinnedFile, Description | None]:
    """Parse an entry under `drive` in params.yaml.

    Args:
        name: of the model.
        values: id, url, folder, file, sha256 and DESCRIBED, as parsed by the options of `sync`.

    Returns:
        The file, and the description of a foreign state dict; None for a model file of this project.

    Raises:
        InputError: not exactly one of id, url and folder, a folder without a file, or an incomplete description.
    """
    entry = f"drive.{name}"
    sources = {key: values[key] for key in ("id", "url", "folder")}
    keys = [key for key, value in sources.items() if value]
    if len(keys) != 1:
        raise InputError(
            entry, "one of id, url and folder", " and ".join(keys) or "none", "`wheretolook share` prints an entry"
        )
    if bool(values["folder"]) != bool(values["file"]):
        missing = "file" if values["folder"] else "folder"
        raise InputError(entry, "folder and file together", f"no {missing}", "Example: folder: ID, file: best.pt")
    to_address: dict[str, Callable[[str], str]] = {"id": drive_link, "url": str, "folder": folder_address}
    address = to_address[keys[0]](sources[keys[0]])
    pinned = PinnedFile(address, values["sha256"], f"{entry}.sha256", values["file"])
    # A list in params.yaml becomes a repeated option. Numbers are joined; class names are not, as they may have commas.
    given: dict[str, Any] = {key: values[key] for key in DESCRIBED}
    given |= {key: ",".join(values[key]) for key in ("mean", "std")}
    try:
        description = describe(entry, **given)
        if description is not None and values.get("accept_code"):
            found = "one of a foreign state dict, which records no code"
            raise InputError(f"{entry}.accept_code", "an entry of a model file", found, "Remove accept_code")
        return pinned, description
    except InputError as error:
        if error.subject.startswith(entry):
            raise
        raise InputError(f"{entry}: {error.subject}", error.expected, error.found, error.hint) from error


STEPS = """\
{path}: {architecture} for {classes}; images of {size} x {size} pixels{fit}; {loss}
The file records all of this{but}, so no other file is needed to use it.

1. Upload the file to Google Drive (New, File upload); the name does not matter.
2. Share it: General access, 'Anyone with the link', Viewer.
3. Copy the link, https://drive.google.com/file/d/ID/view, and put its ID in place of FILE_ID:

drive:
  {name}:
    id: FILE_ID
    sha256: {sha256}

4. Others paste this into params.yaml (in place of `drive: {{}}`, or below other entries) and run `dvc repro`.
   If the file on Drive changes, even by you, it is rejected: a new version needs a new entry or a new sha256.
"""


@dataclass(frozen=True)
class SharedFile:
    """A checked model file to share.

    Attributes:
        path: the file.
        name: of the entry in params.yaml.
        sha256: of the file.
        card: of the file.
    """

    path: Path
    name: str
    sha256: str
    card: Card


def check_to_share(path: Path, name: str) -> SharedFile:
    """Check a model file before it is shared, by the checks that the recipient will run.

    Args:
        path: the model file.
        name: of the entry.

    Raises:
        InputError: not a model file of this project, or a damaged one.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(path, "a model file", found, "give a path such as models/last-0.safetensors")
    if not is_own(path):
        raise InputError(
            path,
            expected="a model file of this project",
            found="another file",
            hint="share a foreign state dict unchanged, with architecture, classes and input_size in its entry",
        )
    return SharedFile(path, name, sha256_of(path), check_own(path))


def steps(shared: SharedFile) -> str:
    """Instructions for sharing, with the entry of `drive:` to paste."""
    card = shared.card
    return STEPS.format(
        path=shared.path,
        architecture=card.architecture,
        classes=", ".join(card.class_names),
        size=card.input_size,
        fit=f" by {card.fit}" if card.fit else "",
        but="" if card.fit else ", except how images were made square: mention it when you share the file",
        loss="trained on every layer" if card.loss == "every" else "trained on the last layer",
        name=shared.name,
        sha256=shared.sha256,
    )


def entries_of_folder(link: str, timeout: float, retries: int) -> str:
    """Entries of `drive` to paste, for the model files in a folder on Google Drive.

    Raises:
        InputError: the link is not of a folder, or the folder cannot be listed.
    """
    from wheretolook.downloads.attempts import RetryPolicy
    from wheretolook.downloads.drive_listing import folder_entries

    return folder_entries(link, RetryPolicy(timeout, retries))
