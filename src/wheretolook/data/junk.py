"""What operating systems and tools leave behind among the images, and what is no part of the data."""

from collections.abc import Sequence

# Beside hidden files and folders; in lower case. A NAS keeps thumbnails of every image in `@eaDir`.
JUNK = frozenset(
    {"__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"}
)


def is_junk(parts: Sequence[str]) -> bool:
    """Whether a file or a folder is left out wherever images are looked for.

    Args:
        parts: its path, below the folder that was given.
    """
    return any(part.startswith(".") or part.lower() in JUNK for part in parts)
