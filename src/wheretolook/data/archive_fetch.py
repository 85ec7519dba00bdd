"""An archive from a path, a URL or Google Drive, unpacked to a folder."""

from pathlib import Path

from wheretolook.data.archive import Unpacked, unpack
from wheretolook.data.attempts import Network
from wheretolook.data.obtain import Wanted, obtain


def fetch_archive(wanted: Wanted, root: str, folder: Path, cache: Path, network: Network) -> Unpacked:
    """Bring an archive, check it against its SHA-256, and unpack it.

    Args:
        wanted: path, http(s) URL or Drive link of the archive, and its SHA-256.
        root: a folder inside it to take; '' for all of it, without folders that merely wrap the rest.
        folder: the final folder; replaced as a whole, or untouched.
        cache: folder of the content cache, ".cache" in the pipeline.
        network: patience of a download.

    Raises:
        Refusal: it can't be had, holds other bytes, or is not to be unpacked.
    """
    return unpack(obtain(wanted, cache, network), folder, root)
