"""Which files a stage wrote: those that dvc.lock names, and those whose bytes DVC's cache holds. All else is yours."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from wheretolook.data.refusal import Refusal


def not_by_stages(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Those of `paths` that no stage is known to have written: once removed, nothing would bring them back.

    A removed model's stages stay in dvc.lock until somebody takes them out, and DVC's cache keeps its outputs then.

    Args:
        root: the folder of dvc.yaml.
        paths: files and folders below it. Of a folder that dvc.lock does not name, the cache must have every file.

    Raises:
        Refusal: dvc.lock is not whole.
    """
    locked = _locked_outputs(root / "dvc.lock")
    unnamed = [path for path in paths if path.relative_to(root).as_posix() not in locked]
    cache = _cache(root) if unnamed else None
    return [path for path in unnamed if cache is None or not all(_in_cache(file, cache) for file in files_of(path))]


def files_of(path: Path) -> Iterable[Path]:
    """The file, or all files and links below the folder; a link is one itself, whatever it leads to."""
    below: Iterable[Path] = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return [file for file in below if not file.is_dir() or file.is_symlink()]


def _locked_outputs(lock: Path) -> set[str]:
    if not lock.exists():
        return set()
    try:
        stages = read_yaml(lock.read_text(encoding="utf-8")).get("stages", {})
        return {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise Refusal(f'{lock}: expected a whole dvc.lock, found a damaged one; run "make mend"') from error


def read_yaml(text: str) -> dict:
    """What a dvc.lock says."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _cache(root: Path) -> Path | None:
    """The folder of DVC's cached files, by MD5; None outside of a DVC project. DVC takes a second to import."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            return Path(repo.cache.local.path)
    except DvcException:
        return None


def _in_cache(file: Path, cache: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        md5 = hashlib.file_digest(content, "md5").hexdigest()
    return (cache / md5[:2] / md5[2:]).is_file()
