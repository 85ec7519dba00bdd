"""Files of models that params.yaml no longer names: find them, and remove those that a stage wrote."""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheretolook.base.errors import InputError
from wheretolook.base.files import forget_folder, write_text
from wheretolook.base.terminal.options import MODEL_NAME
from wheretolook.project.dvc_state import check_root, without_dvc
from wheretolook.project.params_file import load_params
from wheretolook.project.recorded_outputs import RESULTS, files_of, not_by_stages, read_yaml, results_of_stages

if TYPE_CHECKING:
    from dvc.output import Output


def contents(entry: "Output") -> dict[Path, str]:
    """MD5 of each file of an input or output in the workspace. DVC hashes the files whose MD5 it does not know."""
    from dvc_data.hashfile.build import build

    _, _, now = build(entry.local_cache, entry.fs_path, entry.fs, entry.hash_name, ignore=entry.dvcignore, dry_run=True)
    return _files(entry, now)


def is_copy_edited(out: "Output") -> bool:
    """Whether the cache's copy of an output was edited, as far as can be seen without reading it.

    Its size differs from dvc.lock, or it is a hard link of the file that was edited in place. DVC itself trusts every
    read-only copy.

    Args:
        out: an output that is missing or differs from dvc.lock, and of which the cache has a copy.
    """
    files = _files(out, out.get_obj())
    copies = {path: Path(out.cache.oid_to_path(md5)) for path, md5 in files.items()}
    if out.meta.size is not None and out.meta.size != sum(copy.stat().st_size for copy in copies.values()):
        return True
    linked = [path for path, copy in copies.items() if path.is_file() and path.samefile(copy)]
    now = contents(out) if linked else {}
    return any(now.get(path) != files[path] for path in linked)


def _files(entry: "Output", found: Any) -> dict[Path, str]:
    """MD5 of each file of what DVC found for an entry: a file, or a folder as a tree."""
    from dvc_data.hashfile.tree import Tree

    folder = Path(entry.fs_path)
    if not isinstance(found, Tree):
        return {folder: found.hash_info.value}
    return {folder.joinpath(*parts): hash_info.value for parts, _, hash_info in found}


# A table of the report. Its stage removes the whole folder before it runs, so the table is removed with the model.
TABLE = "reports/plots/confusion/*.csv"
# Where stages write for a model, and where they keep the state of an unfinished run; `*` is the model's name.
PLACES = (
    "models/*.safetensors",
    "data/cams/*",
    *RESULTS,
    TABLE,
    ".cache/train/*",
    ".cache/export/*",
    ".cache/score/*",
)
STATE = ".cache/"  # only the stages write there
STAGES = ("train", "sync", "export", "export-drive", "score", "score-drive")


@dataclass(frozen=True)
class Leftovers:
    """What is left of models that params.yaml does not name.

    Attributes:
        paths: files and folders below the root, with slashes; sorted.
        others: files in their places that no stage is known to have written, and that are not removed; sorted.
        size: bytes of all of them.
        stages: their entries in dvc.lock, `train@NAME`.
        names: the models.
    """

    paths: tuple[str, ...]
    others: tuple[str, ...]
    size: int
    stages: tuple[str, ...]
    names: tuple[str, ...]


def find_leftovers(root: Path) -> Leftovers:
    """Find files of models that params.yaml does not name.

    Args:
        root: the folder of dvc.yaml and params.yaml.

    Raises:
        InputError: params.yaml is invalid, so that its models are unknown; dvc.lock is damaged; or `root` has no
            dvc.yaml.
    """
    check_root(root)
    params = load_params(root / "params.yaml")
    # Upper and lower case count as one: on some file systems they name one file.
    named = {name.lower() for section in ("models", "drive") for name in params[section]}
    found = {path: name for place in PLACES for path, name in _at(root, place) if _is_left(name, named)}
    others = _others(root, {path: name for path, name in found.items() if not _below(root, path).startswith(STATE)})
    paths = [path for path in found if path not in others]
    stages = [stage for stage in _locked_stages(root) if _is_left(_model_of(stage), named)]
    return Leftovers(
        paths=tuple(sorted(_below(root, path) for path in paths)),
        others=tuple(sorted(_below(root, path) for path in others)),
        size=sum(file.lstat().st_size for path in paths for file in files_of(path)),
        stages=tuple(stages),
        names=tuple(sorted({found[path] for path in paths} | {_model_of(stage) for stage in stages})),
    )


def remove_leftovers(root: Path) -> Leftovers:
    """Remove what `find_leftovers` finds, while holding DVC's locks; return what was removed.

    Raises:
        InputError: params.yaml is invalid, or DVC is running; nothing was removed.
    """
    with without_dvc(root / ".dvc" / "tmp") as running:
        if running:
            raise InputError(root, "no running DVC command", running, "wait until it ends")
        found = find_leftovers(root)
        for name in found.paths:
            _remove(root / name)
        if found.stages:
            _unlock(root / "dvc.lock", found.stages)
    return found


def _others(root: Path, found: Mapping[Path, str]) -> list[Path]:
    """Those of the paths that no stage is known to have written.

    Args:
        root: the folder of dvc.yaml.
        found: the model's name of each path.
    """
    tables = [path for path in found if path.match(TABLE)]
    others = not_by_stages(root, [path for path in found if path not in tables])
    for name in sorted({found[path] for path in others}):
        doubtful = [path for path in others if found[path] == name]
        written = [path for path in found if found[path] == name and path not in (*others, *tables)]
        by_stages = results_of_stages(root, name, doubtful, written)
        others = [path for path in others if path not in by_stages]
    going = {found[path] for path in found if path not in (*others, *tables)}
    return [*others, *(path for path in tables if found[path] not in going)]


def _at(root: Path, place: str) -> Iterator[tuple[Path, str]]:
    """The paths that match a pattern of `PLACES`, and the model's name in each."""
    folder, _, suffix = place.rpartition("*")
    for path in sorted((root / folder).glob(f"*{suffix}")):
        yield path, path.name.removesuffix(suffix)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _is_left(name: str, named: Collection[str]) -> bool:
    return bool(MODEL_NAME.fullmatch(name)) and name.lower() not in named


def _model_of(stage: str) -> str:
    """The model's name in `train@NAME` and the like; empty for a stage that is not of one model."""
    kind, _, name = stage.partition("@")
    return name if kind in STAGES else ""


def _locked_stages(root: Path) -> list[str]:
    lock = root / "dvc.lock"
    return [line[2:-1] for line in _lines(lock) if _opens_stage(line)] if lock.exists() else []


def _opens_stage(line: str) -> bool:
    return line.startswith("  ") and line[2:3] not in ("", " ", "-") and line.endswith(":")


def _lines(lock: Path) -> list[str]:
    return lock.read_text(encoding="utf-8").splitlines()


def _unlock(lock: Path, stages: Collection[str]) -> None:
    """Remove stages from dvc.lock line by line, so that all other lines are unchanged."""
    kept, within = [], False
    for line in _lines(lock):
        within = line[2:-1] in stages if _opens_stage(line) else within and line.startswith("  ")
        kept += [] if within else [line]
    text = "".join(f"{line}\n" for line in kept)
    before, after = read_yaml(lock.read_text(encoding="utf-8")), read_yaml(text)
    expected = {name: entry for name, entry in before["stages"].items() if name not in stages}
    if after == before | {
        "stages": expected
    }:  # else the file has another style than DVC's; DVC ignores the entries anyway
        write_text(lock, text)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        forget_folder(path)
    else:
        path.unlink()


def find_strays(root: Path) -> tuple[str, ...]:
    """All files of models that params.yaml does not name, below the root; none where params.yaml is invalid.

    Args:
        root: the folder of dvc.yaml.
    """
    try:
        found = find_leftovers(root)
    except InputError:
        return ()
    return tuple(sorted((*found.paths, *found.others)))


def blamed(entry: "Output", root: Path, strays: Sequence[str]) -> list[str]:
    """The stray files in a folder, if the folder would match dvc.lock without them; else none.

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
