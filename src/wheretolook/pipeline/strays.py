"""Files of models that params.yaml does not name, in folders that stages read or leave: stages run again for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wheretolook.data.refusal import Refusal
from wheretolook.pipeline.contents import contents
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
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    rest, all_files = Tree(), contents(entry)
    for path, md5 in all_files.items():
        if not any(path.is_relative_to(root.absolute() / stray) for stray in inside):
            rest.add(path.relative_to(folder).parts, None, HashInfo("md5", md5))
    rest.digest()
    return inside if rest.hash_info == entry.hash_info and len(rest) < len(all_files) else []
