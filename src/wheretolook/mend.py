"""After a kill: put back what DVC had not finished writing. `make repro` calls it first; `make mend` calls it alone.

DVC writes dvc.lock and .dvc/tmp/rwlock in place. Killed in that moment, it leaves them empty or cut, and from then on
every command of DVC fails. stages/launch keeps the last whole dvc.lock in .dvc/tmp/dvc.lock.whole. Killed by -9,
a stage leaves its scratch files; the next one of its name removes them, and this does so at once.
"""

import json
import sys
from pathlib import Path

import yaml

from wheretolook.data.atomic import remove_unfinished, write_text
from wheretolook.pipeline.running import without_dvc

OUTPUTS = ("data", "models", "reports")


def mend(root: Path) -> list[str]:
    """Mend the locks of a DVC project, and remove what killed stages left unfinished; nothing under a running dvc.

    What a dvc is writing just now looks like what a kill has cut.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        A sentence for each thing that was done, or for why nothing was; empty if all was whole.
    """
    with without_dvc(root / ".dvc" / "tmp") as running:
        return [f"nothing was touched: {running}; wait until it ends"] if running else _mend(root)


def _mend(root: Path) -> list[str]:
    done = []
    lock, kept = root / "dvc.lock", root / ".dvc" / "tmp" / "dvc.lock.whole"
    if lock.exists() and not is_whole_lock(lock):
        if kept.exists() and is_whole_lock(kept):
            write_text(lock, kept.read_text(encoding="utf-8"))
            done.append("dvc.lock was cut short by a kill: put back the last whole one")
        else:
            lock.unlink()
            done.append("dvc.lock was cut short by a kill, and no whole one was kept: removed, DVC writes it anew")
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    if rwlock.exists() and not _is_json(rwlock):
        rwlock.unlink()
        done.append(".dvc/tmp/rwlock was cut short by a kill: removed")
    if left := [file for top in OUTPUTS for file in _remove_below(root / top)]:
        done.append(f"{len(left)} unfinished outputs of killed stages removed: {', '.join(sorted(left)[:3])}")
    return done


def is_whole_lock(path: Path) -> bool:
    """Whether DVC could read the file as a lock: YAML with a schema, and for each stage a command and paths."""
    try:
        lock = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    if not isinstance(lock, dict) or "schema" not in lock or not isinstance(lock.get("stages"), dict):
        return False
    return all(_is_whole_stage(stage) for stage in lock["stages"].values())


def _is_whole_stage(stage: object) -> bool:
    if not isinstance(stage, dict) or not isinstance(stage.get("cmd"), str):
        return False
    entries = [*(stage.get("deps") or []), *(stage.get("outs") or [])]
    return all(isinstance(entry, dict) and isinstance(entry.get("path"), str) for entry in entries)


def _remove_below(top: Path) -> list[str]:
    """Remove scratch files and folders of processes that are gone, at most two folders deep, where stages write."""
    folders = [top, *top.glob("*/")] if top.is_dir() else []
    return [str(left.relative_to(top.parent)) for folder in folders for left in remove_unfinished(folder)]


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    for sentence in mend(Path.cwd()):
        print(f"mend: {sentence}", file=sys.stderr)
