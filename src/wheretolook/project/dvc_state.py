"""State of DVC in a project: dvc.lock, read without any data, and whether DVC is running, by its locks."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from zc.lockfile import LockError, LockFile

from wheretolook.base.errors import InputError
from wheretolook.base.resources import naming

if TYPE_CHECKING:
    from dvc.exceptions import DvcException
    from dvc.stage import Stage


# The libraries that DVC uses for locks and processes; importing dvc itself takes a second.


# rwlock.lock guards rwlock, which DVC also writes at the end of a stage, before it takes the first lock again.
LOCKS = ("lock", "rwlock.lock")
_PID = re.compile(r'"pid": (\d+)')
_SECONDS = 5  # tolerance between the clocks of processes and of files


@contextmanager
def without_dvc(tmp: Path) -> Iterator[str]:
    """Hold DVC's locks within the block, unless DVC is already running.

    Args:
        tmp: .dvc/tmp of the project.

    Yields:
        Which DVC process is running, in words; "" for none, and then none can start before the block ends.
    """
    with ExitStack() as held:
        yield _hold(held, tmp) or _waiting(tmp / "rwlock")


def dvc_at_work(tmp: Path) -> str:
    """Which DVC process is running, in words; "" for none.

    Also "" where no lock can be taken: in a read-only tree, or on a full disk.

    Args:
        tmp: .dvc/tmp of the project.
    """
    try:
        with without_dvc(tmp) as running:
            return running
    except OSError:
        return ""


def watch_dvc(root: Path) -> Callable[[], str]:
    """Watch whether DVC runs in a project from now on, without preventing it.

    Args:
        root: the folder of dvc.yaml.

    Returns:
        A function that describes a DVC process that ran at the start, runs now, or wrote dvc.lock in between; it
        returns "" for none.
    """
    tmp, lock = root / ".dvc" / "tmp", root / "dvc.lock"
    before, began = dvc_at_work(tmp), _written(lock)

    def running() -> str:
        return before or dvc_at_work(tmp) or ("" if _written(lock) == began else f"DVC has written {lock}")

    return running


def _written(file: Path) -> tuple[int, int]:
    """Modification time and size of a file; zeros if it is missing."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _hold(held: ExitStack, tmp: Path) -> str:
    """Take both locks; return who holds one of them, or "" if we now do."""
    for name in LOCKS if tmp.is_dir() else ():  # every command of DVC makes the folder first
        try:
            with naming(tmp / name):
                held.callback(LockFile(tmp / name).close)
        except LockError:
            return f"DVC holds {tmp / name}"
    return ""


def _waiting(rwlock: Path) -> str:
    """A DVC process that waits for its stage, in words. A truncated file still names those before the cut."""
    if not rwlock.exists():
        return ""
    text, written = rwlock.read_text(encoding="utf-8", errors="replace"), rwlock.stat().st_mtime
    for number in dict.fromkeys(_PID.findall(text)):
        if _runs(int(number), written):
            return f"DVC (process {number}) is waiting for a stage"
    return ""


def _runs(pid: int, written: float) -> bool:
    """Whether a process recorded at that time still runs: not a zombie, nor a later process with the same id."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + _SECONDS
    except (psutil.NoSuchProcess, OverflowError):
        return False
    except psutil.AccessDenied:
        return True


ABOVE_OUTPUTS = (
    *("data", "data/cams", "data/tests", "models", "reports", "reports/exports", "reports/models", "reports/tests"),
)


@dataclass(frozen=True)
class Pin:
    """A file or folder with the MD5 that DVC counts for it.

    Attributes:
        path: below the root, with slashes.
        md5: 32 hexadecimal digits, with ".dir" behind them for a folder; empty if the stage has never run.
        cached: whether it is in DVC's cache (git tracks the others).
        size: bytes, of a folder those of all its files; None where dvc.lock does not say.
    """

    path: str
    md5: str
    cached: bool
    size: int | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True)
class LockedStage:
    """The last run of a stage such as `export@last-0`."""

    name: str
    inputs: tuple[Pin, ...]
    outputs: tuple[Pin, ...]


@dataclass(frozen=True)
class Locked:
    """The last run of the whole pipeline.

    Attributes:
        root: the folder of dvc.yaml.
        stages: those that dvc.yaml and params.yaml name now, an input's maker before its readers; not those of
            removed models, whose entries DVC leaves in dvc.lock.
        cache: the folder of DVC's cached files, by MD5.
        has_remote: whether a DVC remote is configured, which may have what the cache lacks.
        is_ignored: whether .dvcignore leaves a file out of its folder's MD5.
    """

    root: Path
    stages: tuple[LockedStage, ...]
    cache: Path
    has_remote: bool
    is_ignored: Callable[[Path], bool]

    def md5_of(self, path: str) -> str:
        """MD5 of an output, or of a file in an output folder whose list the cache has; empty where neither is known."""
        for pin in (pin for stage in self.stages for pin in stage.outputs):
            if pin.path == path:
                return pin.md5
            if pin.is_folder and path.startswith(f"{pin.path}/"):
                copy = self.cached_copy(pin.md5)
                listed = json.loads(copy.read_bytes()) if copy.is_file() else []
                return next((e["md5"] for e in listed if f"{pin.path}/{e['relpath']}" == path), "")
        return ""

    def cached_copy(self, md5: str) -> Path:
        """Where the cache keeps the file, or a folder's list of files, of this MD5; it may not be there."""
        return self.cache / md5[:2] / md5[2:]


def check_root(root: Path) -> None:
    """Refuse a folder without dvc.yaml: DVC would search the folders above, but relative paths would be wrong.

    Raises:
        InputError: there is no dvc.yaml.
    """
    if not (root / "dvc.yaml").is_file():
        raise InputError(
            root, expected="a folder with dvc.yaml", found="none", hint="go to the project's folder, or give --root"
        )


def check_no_links(root: Path) -> None:
    """Refuse folders above outputs that are links: DVC tracks nothing below one, and reports it only after a stage ran.

    Args:
        root: the folder of dvc.yaml.

    Raises:
        InputError: one of them is a link.
    """
    for path in (root / name for name in ABOVE_OUTPUTS):
        if path.is_symlink():
            raise InputError(
                f"{path}",
                "a folder of its own, since DVC tracks no output below a link",
                f"a link to {path.readlink()}",
                "to keep data on another disk, remove the link, and have DVC keep its cache there and link into it: "
                '"dvc cache dir --local /DISK/dvc-cache" and "dvc config --local cache.type symlink"',
            )


def read_lock(root: Path, commit: str = "") -> Locked:
    """Read dvc.yaml, params.yaml and dvc.lock by DVC itself (about half a second).

    Args:
        root: the folder of dvc.yaml.
        commit: a git commit to read them from; empty: the working tree.

    Raises:
        InputError: no DVC project, or files that DVC cannot read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not commit:
        check_root(root)
    try:
        with Repo(str(root), rev=commit or None) as repo:
            stages = [_locked(stage, Path(repo.root_dir)) for stage in repo.index.stages]
            cache, ignore = Path(repo.cache.local.path), repo.dvcignore
            has_remote = bool(repo.config["core"].get("remote"))
    except DvcException as error:
        raise unreadable(root, error) from error
    return Locked(root, _in_order(stages), cache, has_remote, lambda path: ignore.is_ignored_file(str(path.absolute())))


def unreadable(root: Path, error: "DvcException") -> InputError:
    """The InputError for a project that DVC cannot read, with line and column of invalid YAML, which DVC omits."""
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)
    marks = ((mark, cause) for cause in causes if (mark := getattr(cause, "problem_mark", None)))
    places = [f" at line {mark.line + 1}, column {mark.column + 1}: {_plain(cause)}" for mark, cause in marks]
    found = f'{error}{places[0]}; correct it there; "make mend" repairs a truncated dvc.lock' if places else str(error)
    return InputError(root, expected="a DVC project with dvc.yaml, params.yaml and a complete dvc.lock", found=found)


def _plain(error: BaseException) -> str:
    """The message of a YAML parser, on one line."""
    return " ".join(str(getattr(error, "problem", error)).split())


def _locked(stage: "Stage", root: Path) -> LockedStage:
    def pin(entry: Any) -> Pin:
        path = Path(entry.fs_path).relative_to(root).as_posix()
        return Pin(path, entry.hash_info.value or "", entry.use_cache, entry.meta.size if entry.meta else None)

    return LockedStage(
        getattr(stage, "name", None) or stage.addressing, tuple(map(pin, stage.deps)), tuple(map(pin, stage.outs))
    )


def _in_order(stages: Sequence[LockedStage]) -> tuple[LockedStage, ...]:
    """Makers before readers."""
    by_name = {stage.name: stage for stage in stages}
    makers = {pin.path: stage.name for stage in stages for pin in stage.outputs}
    graph = {
        stage.name: [maker for pin in stage.inputs for path, maker in makers.items() if overlap(pin.path, path)]
        for stage in stages
    }
    return tuple(by_name[name] for name in TopologicalSorter(graph).static_order())


def overlap(first: str, second: str) -> bool:
    """Whether two paths are one, or one lies in the other."""
    return f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/")
