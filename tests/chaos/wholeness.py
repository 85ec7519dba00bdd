"""What stands under final names after a kill: nothing, or what an undisturbed run leaves; never the half of it."""

import hashlib
from pathlib import Path

from tests.chaos.undisturbed import Undisturbed, outputs


def half_written(root: Path, undisturbed: Undisturbed) -> list[str]:
    """Outputs that are neither absent nor whole, and contents of DVC's cache that are not what their names say.

    A name that says "unfinished" (`.part-`) is fine. dvc.lock isn't ours: DVC writes it in place, and
    `make mend` puts it back.
    """
    found = [
        path
        for path, digest in outputs(root).items()
        if path != "dvc.lock" and not is_unfinished(path) and undisturbed.files.get(path) != digest
    ]
    return found + broken_contents(root)


def is_unfinished(path: str) -> bool:
    """Whether the file's name, or its folder's, says that it's not done."""
    return ".part-" in path


def broken_contents(root: Path) -> list[str]:
    """Files in DVC's cache whose bytes are not those of their name."""
    kept = (root / ".dvc/cache/files/md5").glob("??/*")
    return [
        str(file.relative_to(root))
        for file in kept
        # DVC writes beside, too: such a name is longer.
        if len(name := file.parent.name + file.name.removesuffix(".dir")) == 32
        and hashlib.md5(file.read_bytes()).hexdigest() != name
    ]


def differing(root: Path, undisturbed: Undisturbed) -> list[str]:
    """Outputs, and dvc.lock, that differ from the undisturbed run's, are missing, or should not be there."""
    found = outputs(root)
    return sorted(
        path for path in found.keys() | undisturbed.files.keys() if found.get(path) != undisturbed.files.get(path)
    )
