"""Files that came from outside, kept by their content: what was once fetched needs no network again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from wheretolook.data.hashing import sha256_of


@dataclass(frozen=True)
class ContentCache:
    """A folder of files named by their SHA-256, beside the partial downloads of what is not there yet."""

    folder: Path

    def path(self, digest: str) -> Path:
        """Where the content with this SHA-256 stands, or would stand."""
        return self.folder / "content" / digest[:2] / digest

    def get(self, digest: str) -> Path | None:
        """The file with this SHA-256, or None. Its bytes are hashed again; a file that was altered is dropped."""
        path = self.path(digest)
        if not path.is_file():
            return None
        if sha256_of(path) != digest:
            path.unlink()
            return None
        return path

    def put(self, scratch: Path) -> Path:
        """Move a finished file of the same file system into the cache, under the SHA-256 of what it really holds."""
        path = self.path(sha256_of(scratch))
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("rb") as written:
            os.fsync(written.fileno())
        # Read-only: a link or a careless tool must not change what the name vouches for.
        scratch.chmod(0o444)
        return scratch.replace(path)

    @contextmanager
    def partial(self, source: str, digest: str) -> Iterator[Path]:
        """A folder for the unfinished download of `source`, the same one next time; one process at a time holds it.

        Keyed by the source and the SHA-256 that is wanted, so that a resumed download never continues other bytes.
        The folder outlives an error, so that the next attempt resumes; it is removed on success.
        """
        from filelock import FileLock

        folder = self.folder / "partial" / sha256(f"{source}\n{digest}".encode()).hexdigest()[:32]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            folder.mkdir(exist_ok=True)
            yield folder
            shutil.rmtree(folder)
