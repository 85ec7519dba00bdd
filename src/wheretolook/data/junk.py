"""What operating systems and tools leave behind among the images, and what is no part of the data."""

from collections.abc import Sequence

# Beside hidden files and folders; in lower case. A NAS keeps thumbnails of every image in `@eaDir`, a file system what
# it repaired in `lost+found`, and macOS a folder's own icon in a file whose name ends in a carriage return.
JUNK = frozenset(
    {
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "lost.dir",
        "icon\r",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "@recycle",
        "#recycle",
        "#snapshot",
        "network trash folder",
        "temporary items",
        "__pycache__",
    }
)


def is_junk(parts: Sequence[str]) -> bool:
    """Whether a file or a folder is left out wherever images are looked for.

    Args:
        parts: its path, below the folder that was given.
    """
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)
