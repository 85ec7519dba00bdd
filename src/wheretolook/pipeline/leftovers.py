"""What removed models have left: DVC lets go of their stages, and leaves files and lock entries where they are."""

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from wheretolook.data.atomic import write_text
from wheretolook.data.refusal import Refusal
from wheretolook.params import NAME, load_params
from wheretolook.pipeline.running import without_dvc

# Where stages write for a model, and where they keep the state of an unfinished run: `*` stands for its name.
PLACES = (
    "models/*.safetensors",
    "data/cams/*",
    "reports/exports/*.json",
    "reports/models/*.json",
    ".cache/train/*",
    ".cache/export/*",
    ".cache/score/*",
)
STAGES = ("train", "sync", "export", "export-drive", "score", "score-drive")


@dataclass(frozen=True)
class Leftovers:
    """What is there of models that params.yaml does not name.

    Attributes:
        paths: files and folders below the root, with slashes; sorted.
        size: bytes of all of them.
        stages: their entries in dvc.lock, `train@NAME`.
        names: the models.
    """

    paths: tuple[str, ...]
    size: int
    stages: tuple[str, ...]
    names: tuple[str, ...]


def find_leftovers(root: Path) -> Leftovers:
    """Look where stages write for models that params.yaml does not name.

    Args:
        root: the folder of dvc.yaml and params.yaml.

    Raises:
        Refusal: params.yaml is not valid: then nobody knows which models it means.
    """
    params = load_params(root / "params.yaml")
    # Upper and lower case count as one: on some file systems they name one file.
    named = {name.lower() for section in ("models", "drive") for name in params[section]}
    paths, names = [], set()
    for place in PLACES:
        for path, name in _at(root, place):
            if _is_left(name, named):
                paths.append(path)
                names.add(name)
    stages = [stage for stage in _locked_stages(root) if _is_left(_model_of(stage), named)]
    names |= {_model_of(stage) for stage in stages}
    size = sum(_size(path) for path in paths)
    below = sorted(path.relative_to(root).as_posix() for path in paths)
    return Leftovers(tuple(below), size, tuple(stages), tuple(sorted(names)))


def remove_leftovers(root: Path) -> Leftovers:
    """Remove what `find_leftovers` finds, while no dvc is at work and none can begin; gives what was removed.

    Raises:
        Refusal: params.yaml is not valid, or a dvc is at work; nothing was removed.
    """
    with without_dvc(root / ".dvc" / "tmp") as running:
        if running:
            raise Refusal(f"{root}: expected that no dvc is at work, found: {running}; wait until it ends")
        found = find_leftovers(root)
        for name in found.paths:
            _remove(root / name)
        if found.stages:
            _unlock(root / "dvc.lock", found.stages)
    return found


def _at(root: Path, place: str) -> Iterator[tuple[Path, str]]:
    """What stands at a place, and the model's name in it."""
    folder, _, suffix = place.rpartition("*")
    for path in sorted((root / folder).glob(f"*{suffix}")):
        yield path, path.name.removesuffix(suffix)


def _is_left(name: str, named: Collection[str]) -> bool:
    return bool(NAME.fullmatch(name)) and name.lower() not in named


def _model_of(stage: str) -> str:
    """The model of a stage that there is for each model; empty for any other."""
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
    """Take stages out of dvc.lock, line by line, as DVC wrote it: every other line stays as it is."""
    kept, within = [], False
    for line in _lines(lock):
        within = line[2:-1] in stages if _opens_stage(line) else within and line.startswith("  ")
        kept += [] if within else [line]
    text = "".join(f"{line}\n" for line in kept)
    before, after = _parsed(lock.read_text(encoding="utf-8")), _parsed(text)
    expected = {name: entry for name, entry in before["stages"].items() if name not in stages}
    if after == before | {"stages": expected}:  # else somebody has written it in another style: DVC ignores the entries
        write_text(lock, text)


def _parsed(text: str) -> dict:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _size(path: Path) -> int:
    files: Iterable[Path] = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir() or file.is_symlink())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
