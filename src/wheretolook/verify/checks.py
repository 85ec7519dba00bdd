"""One thing that is not as it was written, and how it is put right."""

import hashlib
import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from wheretolook.base.resources import usable_cores
from wheretolook.project.lock_file import Locked, Pin, overlap

Remedy = Literal["rerun", "checkout", "pull", "remove", "tidy"]


@dataclass(frozen=True)
class Finding:
    """A file or folder that is missing, changed, or does not belong to the others.

    Attributes:
        path: below the root, with slashes.
        expected: what should stand there, and who says so.
        found: what does.
        stage: the stage that makes it.
        remove: damaged files, to be removed first: DVC takes a file of the same size and time for the same file, and
            never looks into its own cache again.
        remedy: "rerun" the stage; "checkout", where DVC's cache has a whole copy; "pull", where the remote may have
            one; "remove", where that is all; or "tidy", for what a removed model left.
        missing: whether nothing stands there.
    """

    path: str
    expected: str
    found: str
    stage: str
    remove: tuple[str, ...] = ()
    remedy: Remedy = "rerun"
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found} (stage {self.stage})"


def remedies(findings: Sequence[Finding]) -> list[str]:
    """Commands for a shell that put it right: what is damaged goes, what is cached comes back, stages run again."""
    again = [finding.stage for finding in findings if finding.remedy == "rerun"]
    commands = {
        "rm -rf": [path for finding in findings for path in finding.remove],
        "dvc checkout": [finding.path for finding in findings if finding.remedy == "checkout"],
        "dvc pull": [finding.path for finding in findings if finding.remedy == "pull"],
        # `--force` alone would run all that comes before a stage, too.
        "dvc repro --single-item --force": again,
    }
    typed = [f"{command} {_words(words)}" for command, words in commands.items() if words]
    if any(finding.remedy == "tidy" for finding in findings):
        typed.insert(0, "wheretolook tidy --yes")
    return [*typed, *(["dvc repro"] if again else [])]


def _words(words: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, dict.fromkeys(words)))


BLOCK = 2**20


@dataclass(frozen=True)
class Digest:
    """What a file's bytes are: `md5` as dvc.lock counts, `sha256` as manifests do, both hexadecimal; size in bytes."""

    md5: str
    sha256: str
    size: int


def digest(path: Path) -> Digest:
    """Both hashes of a file in one reading."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            md5.update(block)
            sha256.update(block)
            size += len(block)
    return Digest(md5.hexdigest(), sha256.hexdigest(), size)


def digests(paths: Collection[Path]) -> dict[Path, Digest]:
    """Digest of each file; a few threads, since hashing runs outside Python's lock."""
    with ThreadPoolExecutor(min(8, usable_cores())) as threads:
        done = tqdm(threads.map(digest, paths), total=len(paths), desc="verify", unit="file", disable=None)
        return dict(zip(paths, done, strict=True))


def folder_md5(files: Mapping[str, str]) -> str:
    """MD5 of a folder, as DVC counts it: of the list of its files.

    Args:
        files: MD5 of each file, by its path below the folder, with slashes.
    """
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"


Digests = Mapping[Path, Digest]


def output_files(locked: Locked) -> list[Path]:
    """All files that stand in the outputs, without those that .dvcignore names."""
    paths = [locked.root / pin.path for stage in locked.stages for pin in stage.outputs]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in files if file.is_file() and not locked.is_ignored(file)]


def check_outputs(locked: Locked, digests: Digests, strays: Sequence[str] = ()) -> Iterator[Finding]:
    """What of the outputs is not what the stages wrote.

    Args:
        locked: the pipeline.
        digests: of `output_files`.
        strays: files and folders of models that params.yaml does not name.
    """
    for stage in locked.stages:
        for pin in stage.outputs:
            path = locked.root / pin.path
            if not path.exists():
                yield _missing(locked, pin, stage.name)
            elif not pin.md5:
                yield Finding(
                    pin.path, "an output that dvc.lock knows", "one that no run of the stage left", stage.name
                )
            elif pin.is_folder:
                yield from _check_folder(locked, pin, digests, stage.name, strays)
            elif not path.is_file() or digests[path].md5 != pin.md5:
                yield _changed(locked, pin, pin.path, pin.md5, digests.get(path), stage.name)
            else:
                yield from _check_size(pin, digests[path].size, stage.name)


def check_chain(
    locked: Locked, digests: Digests, broken: Collection[str], strays: Sequence[str] = ()
) -> Iterator[Finding]:
    """Stages that last ran on something else than what the stages before them made last.

    Args:
        locked: the pipeline.
        digests: of `output_files`.
        broken: paths of which another finding tells.
        strays: files and folders of models that params.yaml does not name.
    """
    made = {pin.path: pin.md5 for stage in locked.stages for pin in stage.outputs}
    told: set[str] = set()
    for stage in locked.stages:
        for pin in stage.inputs:
            files: dict[str, str] = {}
            if pin.path in made:
                now = made[pin.path]
            elif any(path.startswith(f"{pin.path}/") for path in made):
                files = _files_now(locked, pin.path, digests, broken)
                now = folder_md5(files) if files else ""
            else:
                continue
            if not pin.md5 or not now or pin.md5 == now:
                continue
            if blamed := _blamed(pin, files, strays):
                yield from (_stray(path, stage.name) for path in blamed if path not in told)
                told.update(blamed)
            else:
                expected, found = f"a run on {pin.path} as it is ({now[:12]})", f"one on {pin.md5[:12]}"
                yield Finding(f"dvc.lock: {stage.name}", expected, found, stage.name)


def _files_now(locked: Locked, path: str, digests: Digests, broken: Collection[str]) -> dict[str, str]:
    """MD5 of each file in a folder of several outputs and of strays; none where it is damaged or not here."""
    folder = locked.root / path
    if not folder.is_dir() or any(overlap(path, other) for other in broken):
        return {}
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not locked.is_ignored(file)]
    return {file.relative_to(folder).as_posix(): (digests.get(file) or digest(file)).md5 for file in files}


def _blamed(pin: Pin, files: Mapping[str, str], strays: Sequence[str]) -> list[str]:
    """The strays among the files of a folder, where it would be as it was without them; else none."""
    inside = [name for name in files if any(overlap(f"{pin.path}/{name}", stray) for stray in strays)]
    rest = {name: md5 for name, md5 in files.items() if name not in inside}
    return [f"{pin.path}/{name}" for name in inside] if inside and folder_md5(rest) == pin.md5 else []


def _stray(path: str, stage: str) -> Finding:
    found = "one, for which stages run again"
    return Finding(path, "no file of a model that params.yaml does not name", found, stage, remedy="tidy")


def _check_folder(locked: Locked, pin: Pin, digests: Digests, stage: str, strays: Sequence[str]) -> Iterator[Finding]:
    folder = locked.root / pin.path
    found = {file.relative_to(folder).as_posix(): file for file in digests if file.is_relative_to(folder)}
    files = {name: digests[file].md5 for name, file in found.items()}
    if folder_md5(files) == pin.md5:
        yield from _check_size(pin, sum(digests[file].size for file in found.values()), stage)
        return
    if blamed := _blamed(pin, files, strays):
        yield from (_stray(path, stage) for path in blamed)
        return
    listed = _listed(locked.cached_copy(pin.md5), pin.md5)
    if listed is None:
        hint = "" if pin.cached else f': "git status {pin.path}" may say which'
        yield Finding(
            pin.path,
            f"md5 {pin.md5[:12]} of dvc.lock",
            f"a file changed, too many or missing{hint}",
            stage,
            (pin.path,),
        )
        return
    for name in sorted(listed.keys() | found.keys()):
        path, file = f"{pin.path}/{name}", found.get(name)
        if file is None:
            yield _missing(locked, Pin(path, listed[name], pin.cached), stage)
        elif name not in listed:
            yield Finding(path, f"no such file in {pin.path}, by dvc.lock", "one", stage, (path,), "remove")
        elif digests[file].md5 != listed[name]:
            yield _changed(locked, pin, path, listed[name], digests[file], stage)


def _check_size(pin: Pin, size: int, stage: str) -> Iterator[Finding]:
    """The size beside the right MD5: a dvc that takes an edited copy for a whole one writes that one's down."""
    if pin.size is not None and pin.size != size:
        yield Finding(pin.path, f"the {pin.size} bytes that dvc.lock says beside its md5", f"{size} bytes", stage)


def _listed(copy: Path, md5: str) -> dict[str, str] | None:
    """MD5 of each file of a folder as its stage left it, by DVC's cache; None where that has no whole list."""
    if not copy.is_file() or f"{digest(copy).md5}.dir" != md5:
        return None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(copy.read_bytes())}


def _missing(locked: Locked, pin: Pin, stage: str) -> Finding:
    found = "nothing" if pin.md5 else "nothing: the stage never ran"
    damaged, remedy = _copy(locked, pin, pin.md5)
    return Finding(pin.path, "an output", found, stage, damaged, remedy, missing=True)


def _changed(locked: Locked, pin: Pin, path: str, md5: str, found: Digest | None, stage: str) -> Finding:
    what = f"{found.md5[:12]}, {found.size} bytes" if found else "a folder"
    damaged, remedy = _copy(locked, pin, md5)
    return Finding(path, f"md5 {md5[:12]} of dvc.lock", what, stage, (path, *damaged), remedy)


def _copy(locked: Locked, pin: Pin, md5: str) -> tuple[tuple[str, ...], Remedy]:
    """Damaged copies in the cache, to be removed, and where a whole one may come from."""
    if not pin.cached or not md5:
        return (), "rerun"
    copy = locked.cached_copy(md5)
    damaged = copy.is_file() and digest(copy).md5 != md5.removesuffix(".dir")
    if damaged or not copy.is_file():
        return (str(copy),) if damaged else (), "pull" if locked.has_remote else "rerun"
    inside = [_copy(locked, pin, own) for own in (_listed(copy, md5) or {}).values()] if md5.endswith(".dir") else []
    whole = all(remedy == "checkout" for _, remedy in inside)
    elsewhere: Remedy = "pull" if locked.has_remote else "rerun"
    return tuple(path for paths, _ in inside for path in paths), "checkout" if whole else elsewhere
