"""Give a model away: what stands in the file, checked, and what the receiver has to write down."""

from dataclasses import dataclass
from pathlib import Path

from wheretolook.data.hashing import sha256_of
from wheretolook.data.refusal import Refusal
from wheretolook.models.admit import check_own, is_own
from wheretolook.models.card import Card

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
class Shared:
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


def check_to_share(path: Path, name: str) -> Shared:
    """Check a model file as one from outside is checked, so that nobody is given what they must refuse.

    Args:
        path: the model file.
        name: of the entry.

    Raises:
        Refusal: no model file of this project, or a damaged one.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing there"
        raise Refusal(f"{path}: expected a model file, found {found}; give its path, like models/last-0.safetensors")
    if not is_own(path):
        raise Refusal(
            f"{path}: expected a model file of this project, found another; a foreign state dict is shared as it is, "
            "with architecture, classes and input_size in its entry"
        )
    return Shared(path, name, sha256_of(path), check_own(path))


def steps(shared: Shared) -> str:
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
