"""Arrays against a manifest that pins them: bytes, shape, dtype, and that none is missing or too many."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.verify.finding import Finding
from wheretolook.verify.tree import Tree


def check_arrays(tree: Tree, manifest: str, pinned: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Faults of the arrays of one folder.

    Args:
        tree: the outputs.
        manifest: its path; the arrays stand beside it.
        pinned: `sha256`, `shape` and `dtype` of each array, by file name; of any of these what the manifest says.
    """
    folder = manifest.rpartition("/")[0]
    for name, expected in pinned.items():
        path = f"{folder}/{name}"
        if tree.has(path):
            yield from check_array(tree, path, manifest, expected)
        elif not (tree.root / path).exists() and path not in tree.broken:
            yield Finding(path, f"an array that {manifest} names", "nothing", tree.maker(path), missing=True)
    for file in tree.digests:
        if file.parent == tree.root / folder and file.suffix == ".npy" and file.name not in pinned:
            path = f"{folder}/{file.name}"
            if tree.has(path):
                yield Finding(path, f"no array that {manifest} does not name", "one", tree.maker(path))


def check_array(tree: Tree, path: str, manifest: str, expected: Mapping[str, Any]) -> Iterator[Finding]:
    """Faults of one array that is there, a finding for each."""
    found = {"sha256": tree.sha256(path), **_header(tree.root / path)}
    for key in ("sha256", "shape", "dtype"):
        if key in expected and expected[key] != found.get(key):
            yield Finding(
                path, f"{key} {_short(expected[key])} of {manifest}", _short(found.get(key)), tree.maker(path)
            )


def _header(path: Path) -> dict[str, Any]:
    """Shape and dtype, from the header alone; nothing where it is no array, or a cut one."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return {}
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else "no whole .npy array" if value is None else str(value)
