"""Hashes of many files, each read once."""

import hashlib
import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from wheretolook.data.limits import usable_cores

BLOCK = 2**20


@dataclass(frozen=True)
class Digest:
    """What a file's bytes are: `md5` as dvc.lock counts, `sha256` as manifests do, both hexadecimal; size in bytes."""

    md5: str
    sha256: str
    size: int


def digest(path: Path) -> Digest:
    """Both hashes of a file in one reading."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            md5.update(block)
            sha256.update(block)
            size += len(block)
    return Digest(md5.hexdigest(), sha256.hexdigest(), size)


def digests(paths: Collection[Path]) -> dict[Path, Digest]:
    """Digest of each file; a few threads, since hashing runs outside Python's lock."""
    with ThreadPoolExecutor(min(8, usable_cores())) as threads:
        done = tqdm(threads.map(digest, paths), total=len(paths), desc="verify", unit="file", disable=None)
        return dict(zip(paths, done, strict=True))


def folder_md5(files: Mapping[str, str]) -> str:
    """MD5 of a folder, as DVC counts it: of the list of its files.

    Args:
        files: MD5 of each file, by its path below the folder, with slashes.
    """
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"
