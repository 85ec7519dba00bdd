"""Accept results that a change of code did not change, without running every stage again.

Code is a dependency, so a new version of a file re-runs each model that depends on it. For each kind of stage (`train`,
`export`, ...) whose code alone changed, a sample runs again; where its outputs come out byte for byte the same, the
other stages of that kind keep theirs, and DVC records the new code.
"""

import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.project.dvc_state import check_root, unreadable

if TYPE_CHECKING:
    from dvc.stage import Stage

# Dependencies below these folders are code; all others are parameters or data.
CODE = ("src/", "stages/")


@dataclass(frozen=True)
class Changed:
    """A stage that `dvc repro` would run.

    Attributes:
        name: as DVC names it, such as `train@last-0`.
        code: paths of the code that changed.
        other: what else changed: the command, an input, a missing or edited output. Empty where code alone did.
        outputs: path and hash of each output, as dvc.lock has them.
    """

    name: str
    code: tuple[str, ...]
    other: tuple[str, ...]
    outputs: dict[str, str]

    @property
    def kind(self) -> str:
        """The stage's name in dvc.yaml: `train` of `train@last-0`."""
        return self.name.partition("@")[0]


@dataclass(frozen=True)
class Adopted:
    """What `adopt` did.

    Attributes:
        ran: the samples that ran again, with the same outputs.
        accepted: stages whose results were kept.
        left: stages that still have to run, each with what changed beside code.
    """

    ran: tuple[str, ...]
    accepted: tuple[str, ...]
    left: dict[str, tuple[str, ...]]


def changed_stages(root: Path) -> list[Changed]:
    """The stages that changed themselves, makers before readers; those that would merely follow are not among them.

    Args:
        root: the folder of dvc.yaml.

    Raises:
        InputError: no DVC project, or files that DVC cannot read.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    check_root(root)
    try:
        with warnings.catch_warnings(), Repo(str(root)) as repo, repo.lock:
            warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own use of pygtrie
            found = [_changed(stage, Path(repo.root_dir)) for stage in plan_repro(repo.index.graph)]
    except DvcException as error:
        raise unreadable(root, error) from error
    return [stage for stage in found if stage.code or stage.other]


def adopt(root: Path, samples: int, say: Callable[[str], None]) -> Adopted:
    """Run a sample of each kind of stage whose code alone changed; accept the others where it gives the same bytes.

    Args:
        root: the folder of dvc.yaml.
        samples: stages of each kind that run.
        say: receives a line of progress.

    Raises:
        InputError: a sample gives other outputs. Its earlier outputs and dvc.lock are as they were.
    """
    ran: list[str] = []
    accepted: list[str] = []
    done: set[str] = set()
    while True:
        changed = changed_stages(root)
        ready = [stage for stage in changed if not stage.other and stage.kind not in done]
        if not ready:
            left = {stage.name: stage.other or stage.code for stage in changed}
            return Adopted(tuple(ran), tuple(accepted), left)
        kind = ready[0].kind
        same = [stage for stage in ready if stage.kind == kind]
        for stage in same[:samples]:
            say(f"adopt: running {stage.name} again")
            _run_again(root, stage)
            ran.append(stage.name)
        others = [stage.name for stage in same[samples:]]
        if others:
            say(f"adopt: {', '.join(stage.name for stage in same[:samples])} unchanged; keeping {', '.join(others)}")
            _dvc(root, "commit", "--force", "--quiet", *others)
        accepted += others
        done.add(kind)


def _changed(stage: "Stage", root: Path) -> Changed:
    changed = [Path(dep.fs_path).relative_to(root).as_posix() for dep in stage.deps if dep.status()]
    code = tuple(path for path in changed if path.startswith(CODE))
    other = [path for path in changed if not path.startswith(CODE)]
    if stage.changed_stage():
        other.append("its command")
    outputs = {Path(out.fs_path).relative_to(root).as_posix(): out for out in stage.outs}
    other += [path for path, out in outputs.items() if out.status()]
    return Changed(stage.name, code, tuple(other), {path: out.hash_info.value or "" for path, out in outputs.items()})


def _run_again(root: Path, stage: Changed) -> None:
    """Run a stage; where an output differs, put everything back and raise InputError."""
    kept = root / ".dvc" / "tmp" / "adopt"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    try:
        shutil.copy2(root / "dvc.lock", kept / "dvc.lock")
        for index, path in enumerate(stage.outputs):
            _copy(root / path, kept / str(index))
        try:
            _dvc(root, "repro", "--single-item", "--force", stage.name)
            differ = [
                (path, _differences(kept / str(index), root / path))
                for index, path in enumerate(stage.outputs)
                if _differences(kept / str(index), root / path)
            ]
        except BaseException:
            _put_back(root, stage, kept)
            raise
        if differ:
            _put_back(root, stage, kept)
            files = [f"{path}: {', '.join(names)}" for path, names in differ]
            raise InputError(
                stage.name,
                expected="the same outputs from the new code",
                found=f"others ({'; '.join(files)}); earlier outputs and dvc.lock are unchanged",
                hint="run `dvc repro` to run every stage with the new code",
            )
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def _put_back(root: Path, stage: Changed, kept: Path) -> None:
    for index, path in enumerate(stage.outputs):
        target = root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        _copy(kept / str(index), target)
    shutil.copy2(kept / "dvc.lock", root / "dvc.lock")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _differences(before: Path, after: Path) -> list[str]:
    """Names of the files that differ, are new or are gone; `.` for a file itself."""
    old, new = _files(before), _files(after)
    return sorted(
        name
        for name in old.keys() | new.keys()
        if name not in old or name not in new or sha256_of(old[name]) != sha256_of(new[name])
    )


def _files(path: Path) -> dict[str, Path]:
    if path.is_dir():
        return {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return {".": path} if path.exists() else {}


def _dvc(root: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise InputError(
            f"dvc {' '.join(words)}",
            expected="exit status 0",
            found=f"{done.returncode}: {' '.join(said[-3:])}",
            hint="run it by hand to see all of its output",
        )
