"""A git revision as a folder: what git tracks of its results, and what DVC's cache or remote holds of its data."""

import io
import shlex
import subprocess
import tarfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from wheretolook.base.errors import InputError
from wheretolook.project.lock_file import Locked


def resolve_revision(root: Path, name: str) -> str:
    """The commit of a branch, a tag, `HEAD~1`, a part of a hash, or one of DVC's experiments.

    Raises:
        InputError: git and DVC know no such revision, or git does not open the repository.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import RevError, resolve_rev
    from pygit2 import GitError

    try:
        with Repo(str(root)) as repo:
            return resolve_rev(repo.scm, name)
    except (RevError, DvcException) as error:
        raise InputError(
            name,
            expected="a model, a git revision or an experiment",
            found=f"none ({error})",
            hint="`git log`, `dvc exp show` and models/ have them",
        ) from error
    except GitError as error:
        trust = f"git config --global --add safe.directory {shlex.quote(str(root.resolve()))}"
        raise InputError(
            root,
            expected="a repository that git can open",
            found=error,
            hint=f'if it is another user\'s and you trust it, run "{trust}"',
        ) from error


def write_tracked(root: Path, commit: str, path: str, folder: Path) -> None:
    """Write what git tracks under `path` in a commit to `folder`.

    Raises:
        InputError: the commit has no such path.
    """
    packed = subprocess.run(["git", "archive", commit, path], cwd=root, capture_output=True, check=False)
    if packed.returncode:
        found = packed.stderr.decode(errors="replace").strip()
        raise InputError(commit[:12], f"{path}/ of a finished run in this commit", found, "choose another commit")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def link_cached(locked: Locked, commit: str, paths: Sequence[str], folder: Path) -> tuple[list[str], str]:
    """Link files of a commit's outputs from DVC's cache into `folder`; fetch those that the cache lacks.

    Args:
        locked: the pipeline in that commit.
        commit: its hash.
        paths: files of outputs, below the root.
        folder: where they go, under their own paths.

    Returns:
        Those of `paths` that are missing everywhere, and DVC's reason in parentheses; empty where there is none.
    """
    missing = [path for path in paths if not _link(locked, path, folder)]
    reason = _fetch(locked.root, commit, missing) if missing else ""
    return [path for path in missing if not _link(locked, path, folder)], reason and f" (DVC said: {reason})"


def _link(locked: Locked, path: str, folder: Path) -> bool:
    md5 = locked.md5_of(path)
    if not md5 or not locked.cached_copy(md5).is_file():
        return False
    link = folder / path
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(locked.cached_copy(md5).absolute())
    return True


def _fetch(root: Path, commit: str, paths: Sequence[str]) -> str:
    """Let DVC fetch files of a commit from its remote into the cache.

    Returns:
        DVC's message if it failed; else empty.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_objects.errors import ObjectDBError

    try:
        with warnings.catch_warnings(), Repo(str(root)) as repo:
            warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own use of pygtrie
            # In a commit, paths are below the root; an absolute one would be found nowhere.
            repo.fetch(targets=list(paths), revs=[commit], workspace=False)
    except (DvcException, ObjectDBError, OSError, ImportError) as error:  # the last: a kind of remote not installed
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ""
