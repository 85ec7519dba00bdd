"""Repair DVC's files after a kill. `make repro` runs this first; `make mend` runs it alone.

DVC writes dvc.lock and .dvc/tmp/rwlock in place. If it is killed meanwhile, they are empty or truncated, and every
later command of DVC fails. stages/launch keeps the last complete dvc.lock in .dvc/tmp/dvc.lock.whole. A stage that was
killed with SIGKILL leaves scratch files; its next run removes them, and this command does so at once.
"""

import json
import re
from pathlib import Path

import click

from wheretolook.base.errors import InputError
from wheretolook.base.files import remove_unfinished, write_text
from wheretolook.base.terminal.command import Command
from wheretolook.project.dvc_state import without_dvc

OUTPUTS = ("data", "models", "reports")
_CONFLICT = re.compile(rb"^(<{7}|>{7})( |\r?$)", re.MULTILINE)


def mend(root: Path) -> list[str]:
    """Repair the lock files of a DVC project, and remove scratch files of killed stages; do nothing while DVC runs.

    A file that DVC is just writing looks like one that a kill truncated.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        A sentence for each repair, or the reason for doing nothing; empty if nothing was damaged.

    Raises:
        InputError: dvc.lock has conflict markers of git; nothing was changed.
    """
    with without_dvc(root / ".dvc" / "tmp") as running:
        return [f"nothing was changed: {running}; wait until it ends"] if running else _mend(root)


def _mend(root: Path) -> list[str]:
    done = []
    lock, kept = root / "dvc.lock", root / ".dvc" / "tmp" / "dvc.lock.whole"
    if lock.exists() and not is_whole_lock(lock):
        _check_no_conflict(lock)
        if kept.exists() and is_whole_lock(kept):
            write_text(lock, kept.read_text(encoding="utf-8"))
            done.append("dvc.lock was truncated by a kill: restored the last complete one")
        else:
            lock.unlink()
            done.append("dvc.lock was truncated by a kill, and there is no copy: removed it; DVC writes a new one")
    rwlock = root / ".dvc" / "tmp" / "rwlock"
    if rwlock.exists() and not _is_json(rwlock):
        rwlock.unlink()
        done.append(".dvc/tmp/rwlock was truncated by a kill: removed it")
    if left := [file for top in OUTPUTS for file in _remove_below(root / top)]:
        done.append(f"{len(left)} unfinished outputs of killed stages: removed {', '.join(sorted(left)[:3])}")
    return done


def is_whole_lock(path: Path) -> bool:
    """Whether DVC can read the file as a lock, by its own parser and its own schema (a third of a second)."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    except (ParseError, Invalid, ValueError):  # invalid UTF-8, or an invalid date, is a ValueError
        return False
    return True


def _check_no_conflict(lock: Path) -> None:
    if _CONFLICT.search(lock.read_bytes()):
        raise InputError(
            lock,
            expected="DVC's lock file",
            found="git's conflict markers",
            hint=(
                'take one side of the merge, by "git checkout --ours dvc.lock" or "git checkout '
                '--theirs dvc.lock"; then "dvc repro" brings it up to date'
            ),
        )


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


@click.command(cls=Command)
def main() -> None:
    """Repair the project in this folder, and print what was done."""
    for sentence in mend(Path()):
        click.echo(f"mend: {sentence}", err=True)


if __name__ == "__main__":
    main()
