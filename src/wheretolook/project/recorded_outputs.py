"""Which files a stage wrote, by dvc.lock and DVC's cache; and the results of a git revision as a folder."""

import hashlib
import io
import json
import shlex
import subprocess
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.project.dvc_state import Locked


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


def not_by_stages(root: Path, paths: Sequence[Path]) -> list[Path]:
    """Those of `paths` that no stage is known to have written, and that could not be restored after removal.

    A removed model's stages stay in dvc.lock until `wheretolook tidy` removes them; its outputs stay in DVC's cache.

    Args:
        root: the folder of dvc.yaml.
        paths: files and folders below it. Of a folder that dvc.lock does not name, the cache must have every file.

    Raises:
        InputError: dvc.lock is damaged.
    """
    locked = _locked_outputs(root / "dvc.lock")
    unnamed = [path for path in paths if path.relative_to(root).as_posix() not in locked]
    cache = _cache(root) if unnamed else None
    return [path for path in unnamed if cache is None or not all(_in_cache(file, cache) for file in files_of(path))]


def files_of(path: Path) -> Iterable[Path]:
    """The file, or all files below the folder. A link counts as a file, whatever its target."""
    below: Iterable[Path] = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return [file for file in below if not file.is_dir() or file.is_symlink()]


def _locked_outputs(lock: Path) -> set[str]:
    if not lock.exists():
        return set()
    try:
        stages = read_yaml(lock.read_text(encoding="utf-8")).get("stages", {})
        return {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise InputError(lock, expected="a whole dvc.lock", found="a damaged one", hint='run "make mend"') from error


def read_yaml(text: str) -> dict:
    """Parse dvc.lock."""
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


RESULTS = ("reports/exports/*.json", "reports/models/*.json")


def results_of_stages(root: Path, name: str, doubtful: Sequence[Path], written: Sequence[Path]) -> list[Path]:
    """Those of the doubtful files of a removed model that its stages wrote, as their content shows.

    Args:
        root: the folder of dvc.yaml.
        name: of the model.
        doubtful: its files that are neither in dvc.lock nor in DVC's cache.
        written: its files that are in one of them.
    """
    results = [root / place.replace("*", name) for place in RESULTS]
    named = {path: sha256 for path in doubtful if path in results and (sha256 := _named(path, name))}
    known = {_model_in(path, name) for path in written} if named else set()
    if not known.issuperset(named.values()):
        known |= _cached_models(root, name)
    return [path for path, sha256 in named.items() if sha256 in known or _is_tracked(root, path)]


def _named(path: Path, name: str) -> str:
    """SHA-256 of the model file that a result names, if it says that it is of this model; else empty."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):  # not JSON; a folder, or a broken link
        return ""
    model = result.get("model") if isinstance(result, dict) else None
    if not isinstance(model, dict) or name not in (result.get("name"), model.get("name")):
        return ""
    return model["sha256"] if isinstance(model.get("sha256"), str) else ""


def _model_in(path: Path, name: str) -> str:
    """SHA-256 of the model file that this is, or that maps or results name; empty for none."""
    if path.suffix == ".safetensors":
        return sha256_of(path) if path.is_file() else ""
    about = path / "manifest.json" if path.is_dir() else path
    return _named(about, name) if about.suffix == ".json" and about.is_file() else ""


def _cached_models(root: Path, name: str) -> set[str]:
    """SHA-256 of the files of a model that stages wrote, by DVC's run cache, and of which its cache has a copy."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            runs, cache = Path(repo.stage_cache.cache_dir), Path(repo.cache.local.path)
    except DvcException:
        return set()
    copies = {cache / md5[:2] / md5[2:] for md5 in _outputs(runs, f"models/{name}.safetensors")}
    return {sha256_of(copy) for copy in copies if copy.is_file()}


def _outputs(runs: Path, path: str) -> Iterator[str]:
    """MD5 of an output in each run that DVC's run cache remembers."""
    for run in runs.glob("*/*/*"):
        text = run.read_text(encoding="utf-8", errors="replace")
        if path in text:
            try:
                yield from (out["md5"] for out in read_yaml(text)["outs"] if out["path"] == path)
            except (yaml.YAMLError, TypeError, KeyError):  # truncated by a kill; DVC ignores it too
                continue


def _is_tracked(root: Path, path: Path) -> bool:
    """Whether the last commit has the same file with the same content."""
    words = ["git", "status", "--porcelain", "--ignored", "--untracked-files=all", "--", str(path.relative_to(root))]
    done = subprocess.run(words, cwd=root, capture_output=True, check=False)
    return done.returncode == 0 and not done.stdout
