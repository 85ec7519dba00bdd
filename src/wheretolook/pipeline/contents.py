"""What stands in an input or output of a stage just now, and what DVC's cache has for it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.output import Output


def contents(entry: "Output") -> dict[Path, str]:
    """MD5 of each file of an input or output that is there; nothing is written. DVC hashes what it has no note of."""
    from dvc_data.hashfile.build import build

    _, _, now = build(entry.local_cache, entry.fs_path, entry.fs, entry.hash_name, ignore=entry.dvcignore, dry_run=True)
    return _files(entry, now)


def is_copy_edited(out: "Output") -> bool:
    """Whether the cache's copy of an output is another than what its stage wrote, as far as is seen without reading it.

    Its size is not that of dvc.lock, or it is the very file that was edited in place: a hard link is one. DVC takes a
    copy that nobody may write to for a whole one.

    Args:
        out: an output that differs from dvc.lock or is gone, of which the cache has a copy.
    """
    files = _files(out, out.get_obj())
    copies = {path: Path(out.cache.oid_to_path(md5)) for path, md5 in files.items()}
    if out.meta.size is not None and out.meta.size != sum(copy.stat().st_size for copy in copies.values()):
        return True
    linked = [path for path, copy in copies.items() if path.is_file() and path.samefile(copy)]
    now = contents(out) if linked else {}
    return any(now.get(path) != files[path] for path in linked)


def _files(entry: "Output", found: object) -> dict[Path, str]:
    """MD5 of each file of what DVC found for an entry: a file, or a folder as a tree."""
    from dvc_data.hashfile.tree import Tree

    folder = Path(entry.fs_path)
    if not isinstance(found, Tree):
        return {folder: found.hash_info.value}
    return {folder.joinpath(*parts): hash_info.value for parts, _, hash_info in found}
