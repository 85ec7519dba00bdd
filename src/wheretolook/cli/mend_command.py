"""After a kill: put back what DVC had not finished writing. `make repro` calls it first; `make mend` calls it alone.

DVC writes dvc.lock and .dvc/tmp/rwlock in place. Killed in that moment, it leaves them empty or cut, and from then on
every command of DVC fails. stages/launch keeps the last whole dvc.lock in .dvc/tmp/dvc.lock.whole. Killed by -9,
a stage leaves its scratch files; the next one of its name removes them, and this does so at once.
"""

import json
import re
from pathlib import Path

import click

from wheretolook.base.errors import InputError
from wheretolook.base.files import remove_unfinished, write_text
from wheretolook.project.running import without_dvc
from wheretolook.terminal.command import Command

OUTPUTS = ("data", "models", "reports")
_CONFLICT = re.compile(rb"^(<{7}|>{7})( |\r?$)", re.MULTILINE)


def mend(root: Path) -> list[str]:
    """Mend the locks of a DVC project, and remove what killed stages left unfinished; nothing under a running dvc.

    What a dvc is writing just now looks like what a kill has cut.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        A sentence for each thing that was done, or for why nothing was; empty if all was whole.

    Raises:
        InputError: dvc.lock is no cut one, but one that git could not merge; nothing was touched.
    """
    with without_dvc(root / ".dvc" / "tmp") as running:
        return [f"nothing was touched: {running}; wait until it ends"] if running else _mend(root)


def _mend(root: Path) -> list[str]:
    done = []
    lock, kept = root / "dvc.lock", root / ".dvc" / "tmp" / "dvc.lock.whole"
    if lock.exists() and not is_whole_lock(lock):
        _check_no_conflict(lock)
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
    """Whether DVC can read the file as a lock, by its own parser and its own schema (a third of a second)."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml
    from voluptuous import Invalid

    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    except (ParseError, Invalid, ValueError):  # what is no UTF-8, or no date where it looks like one, is a ValueError
        return False
    return True


def _check_no_conflict(lock: Path) -> None:
    if _CONFLICT.search(lock.read_bytes()):
        raise InputError(
            lock,
            expected="a lock",
            found="git's conflict markers",
            hint=(
                'take one side of the merge whole, by "git checkout --ours dvc.lock" or "git checkout '
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
    """Mend the project in this folder, and say what was done."""
    for sentence in mend(Path()):
        click.echo(f"mend: {sentence}", err=True)


if __name__ == "__main__":
    main()
