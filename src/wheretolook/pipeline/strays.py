"""Files of models that params.yaml does not name, in folders that stages read or leave: stages run again for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wheretolook.data.refusal import Refusal
from wheretolook.pipeline.leftovers import find_leftovers

if TYPE_CHECKING:
    from dvc.output import Output


def find_strays(root: Path) -> tuple[str, ...]:
    """What is there of such models, yours or a stage's, below the root; none where params.yaml is not valid.

    Args:
        root: the folder of dvc.yaml.
    """
    try:
        found = find_leftovers(root)
    except Refusal:
        return ()
    return tuple(sorted((*found.paths, *found.others)))


def blamed(entry: "Output", root: Path, strays: Sequence[str]) -> list[str]:
    """The strays in a folder, where it would be what dvc.lock says, if they were not in it; else none.

    Args:
        entry: an input or output of a stage.
        root: the folder of dvc.yaml.
        strays: `find_strays`.
    """
    folder = Path(entry.fs_path)
    inside = [stray for stray in strays if (root.absolute() / stray).is_relative_to(folder)]
    if not inside or not entry.hash_info or not folder.is_dir():
        return []
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.tree import Tree

    # Nothing is written: a dry run hashes alone.
    _, _, now = build(entry.local_cache, entry.fs_path, entry.fs, entry.hash_name, ignore=entry.dvcignore, dry_run=True)
    rest = Tree()
    for parts, meta, hash_info in now:
        if not any((folder / Path(*parts)).is_relative_to(root.absolute() / stray) for stray in inside):
            rest.add(parts, meta, hash_info)
    rest.digest()
    same = rest.hash_info.value == entry.hash_info.value != now.hash_info.value
    return inside if same else []
