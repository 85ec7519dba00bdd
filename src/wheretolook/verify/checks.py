"""Compare the outputs with dvc.lock, and find the commands that repair what differs."""

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
from wheretolook.project.dvc_state import Locked, Pin, overlap

Remedy = Literal["rerun", "checkout", "pull", "remove", "tidy"]

BLOCK = 2**20  # bytes per read


@dataclass(frozen=True)
class Finding:
    """A file or folder that is missing, changed, or inconsistent with others.

    Attributes:
        path: relative to the root, with slashes.
        expected: what the path should contain, and which file says so.
        found: what it contains.
        stage: the stage that writes it.
        remove: damaged files to remove first. DVC considers a file of the same size and modification time unchanged,
            and does not check its own cache.
        remedy: "rerun" the stage; "checkout" if DVC's cache has an intact copy; "pull" if the remote may have one;
            "remove" if removing the file is enough; "tidy" for files of a removed model.
        missing: whether the path does not exist.
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
    """Shell commands that repair the findings: remove damaged files, restore cached ones, rerun stages."""
    again = [finding.stage for finding in findings if finding.remedy == "rerun"]
    commands = {
        "rm -rf": [path for finding in findings for path in finding.remove],
        "dvc checkout": [finding.path for finding in findings if finding.remedy == "checkout"],
        "dvc pull": [finding.path for finding in findings if finding.remedy == "pull"],
        # Without --single-item, --force would also rerun all earlier stages.
        "dvc repro --single-item --force": again,
    }
    lines = [f"{command} {_quoted(arguments)}" for command, arguments in commands.items() if arguments]
    if any(finding.remedy == "tidy" for finding in findings):
        lines.insert(0, "wheretolook tidy --yes")
    return [*lines, *(["dvc repro"] if again else [])]


def _quoted(arguments: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, dict.fromkeys(arguments)))


@dataclass(frozen=True)
class Digest:
    """Hashes of a file, hexadecimal (`md5` as in dvc.lock, `sha256` as in manifests), and its size in bytes."""

    md5: str
    sha256: str
    size: int


Digests = Mapping[Path, Digest]


def digest(path: Path) -> Digest:
    """Compute both hashes while reading the file once."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            md5.update(block)
            sha256.update(block)
            size += len(block)
    return Digest(md5.hexdigest(), sha256.hexdigest(), size)


def digests(paths: Collection[Path]) -> dict[Path, Digest]:
    """Digest of each file, computed in threads: hashing releases the GIL."""
    with ThreadPoolExecutor(min(8, usable_cores())) as threads:
        done = tqdm(threads.map(digest, paths), total=len(paths), desc="verify", unit="file", disable=None)
        return dict(zip(paths, done, strict=True))


def folder_md5(files: Mapping[str, str]) -> str:
    """MD5 of a folder as DVC defines it: that of the JSON list of its files.

    Args:
        files: MD5 of each file, by its path relative to the folder, with slashes.
    """
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"


def output_files(locked: Locked) -> list[Path]:
    """All existing files of the outputs, except those that .dvcignore excludes."""
    paths = [locked.root / pin.path for stage in locked.stages for pin in stage.outputs]
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in files if file.is_file() and not locked.is_ignored(file)]


def check_outputs(locked: Locked, digests: Digests, strays: Sequence[str] = ()) -> Iterator[Finding]:
    """Find outputs that differ from what the stages wrote.

    Args:
        locked: the pipeline.
        digests: of `output_files`.
        strays: files and folders of models that are not in params.yaml.
    """
    for stage in locked.stages:
        for pin in stage.outputs:
            path = locked.root / pin.path
            if not path.exists():
                yield _missing(locked, pin, stage.name)
            elif not pin.md5:
                yield Finding(pin.path, "an entry in dvc.lock", "none: the stage has never run", stage.name)
            elif pin.is_folder:
                yield from _check_folder(locked, pin, digests, stage.name, strays)
            elif not path.is_file() or digests[path].md5 != pin.md5:
                yield _changed(locked, pin, pin.path, pin.md5, digests.get(path), stage.name)
            else:
                yield from _check_size(pin, digests[path].size, stage.name)


def check_chain(
    locked: Locked, digests: Digests, broken: Collection[str], strays: Sequence[str] = ()
) -> Iterator[Finding]:
    """Find stages whose last run read other inputs than the earlier stages' current outputs.

    Args:
        locked: the pipeline.
        digests: of `output_files`.
        broken: paths that already have a finding.
        strays: files and folders of models that are not in params.yaml.
    """
    made = {pin.path: pin.md5 for stage in locked.stages for pin in stage.outputs}
    reported: set[str] = set()
    for stage in locked.stages:
        for pin in stage.inputs:
            files: dict[str, str] = {}
            if pin.path in made:
                current = made[pin.path]
            elif any(path.startswith(f"{pin.path}/") for path in made):
                files = _current_files(locked, pin.path, digests, broken)
                current = folder_md5(files) if files else ""
            else:
                continue
            if not pin.md5 or not current or pin.md5 == current:
                continue
            if responsible := _responsible_strays(pin, files, strays):
                yield from (_stray(path, stage.name) for path in responsible if path not in reported)
                reported.update(responsible)
            else:
                expected = f"a run with the current {pin.path} (md5 {current[:12]})"
                found = f"a run with md5 {pin.md5[:12]}"
                yield Finding(f"dvc.lock: {stage.name}", expected, found, stage.name)


def _current_files(locked: Locked, path: str, digests: Digests, broken: Collection[str]) -> dict[str, str]:
    """MD5 of each file in a folder of several outputs; empty if the folder is missing or has a finding."""
    folder = locked.root / path
    if not folder.is_dir() or any(overlap(path, other) for other in broken):
        return {}
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not locked.is_ignored(file)]
    return {file.relative_to(folder).as_posix(): (digests.get(file) or digest(file)).md5 for file in files}


def _responsible_strays(pin: Pin, files: Mapping[str, str], strays: Sequence[str]) -> list[str]:
    """The strays in a folder, if they alone explain that its MD5 changed; otherwise none."""
    inside = [name for name in files if any(overlap(f"{pin.path}/{name}", stray) for stray in strays)]
    rest = {name: md5 for name, md5 in files.items() if name not in inside}
    return [f"{pin.path}/{name}" for name in inside] if inside and folder_md5(rest) == pin.md5 else []


def _stray(path: str, stage: str) -> Finding:
    return Finding(path, "no file: params.yaml has no such model", "a file, so stages rerun", stage, remedy="tidy")


def _check_folder(locked: Locked, pin: Pin, digests: Digests, stage: str, strays: Sequence[str]) -> Iterator[Finding]:
    folder = locked.root / pin.path
    found = {file.relative_to(folder).as_posix(): file for file in digests if file.is_relative_to(folder)}
    files = {name: digests[file].md5 for name, file in found.items()}
    if folder_md5(files) == pin.md5:
        yield from _check_size(pin, sum(digests[file].size for file in found.values()), stage)
        return
    if responsible := _responsible_strays(pin, files, strays):
        yield from (_stray(path, stage) for path in responsible)
        return
    listed = _listed(locked.cached_copy(pin.md5), pin.md5)
    if listed is None:
        hint = "" if pin.cached else f' (see "git status {pin.path}")'
        yield Finding(
            pin.path,
            f"md5 {pin.md5[:12]} (dvc.lock)",
            f"a changed, additional or missing file{hint}",
            stage,
            (pin.path,),
        )
        return
    for name in sorted(listed.keys() | found.keys()):
        path, file = f"{pin.path}/{name}", found.get(name)
        if file is None:
            yield _missing(locked, Pin(path, listed[name], pin.cached), stage)
        elif name not in listed:
            yield Finding(path, f"no such file in {pin.path} (dvc.lock)", "a file", stage, (path,), "remove")
        elif digests[file].md5 != listed[name]:
            yield _changed(locked, pin, path, listed[name], digests[file], stage)


def _check_size(pin: Pin, size: int, stage: str) -> Iterator[Finding]:
    """Check the size next to a correct MD5: DVC records a wrong one if it mistakes an edited copy for an intact one."""
    if pin.size is not None and pin.size != size:
        yield Finding(pin.path, f"{pin.size} bytes (dvc.lock)", f"{size} bytes", stage)


def _listed(copy: Path, md5: str) -> dict[str, str] | None:
    """MD5 of each file that the stage wrote to a folder, from DVC's cache; None if its list is missing or damaged."""
    if not copy.is_file() or f"{digest(copy).md5}.dir" != md5:
        return None
    return {entry["relpath"]: entry["md5"] for entry in json.loads(copy.read_bytes())}


def _missing(locked: Locked, pin: Pin, stage: str) -> Finding:
    found = "nothing" if pin.md5 else "nothing: the stage has never run"
    damaged, remedy = _cached_copy(locked, pin, pin.md5)
    return Finding(pin.path, "an output", found, stage, damaged, remedy, missing=True)


def _changed(locked: Locked, pin: Pin, path: str, md5: str, found: Digest | None, stage: str) -> Finding:
    actual = f"{found.md5[:12]}, {found.size} bytes" if found else "a folder"
    damaged, remedy = _cached_copy(locked, pin, md5)
    return Finding(path, f"md5 {md5[:12]} (dvc.lock)", actual, stage, (path, *damaged), remedy)


def _cached_copy(locked: Locked, pin: Pin, md5: str) -> tuple[tuple[str, ...], Remedy]:
    """Damaged copies in DVC's cache, which must be removed, and the way to get an intact one."""
    if not pin.cached or not md5:
        return (), "rerun"
    copy = locked.cached_copy(md5)
    damaged = copy.is_file() and digest(copy).md5 != md5.removesuffix(".dir")
    if damaged or not copy.is_file():
        return (str(copy),) if damaged else (), "pull" if locked.has_remote else "rerun"
    inside = (
        [_cached_copy(locked, pin, own) for own in (_listed(copy, md5) or {}).values()] if md5.endswith(".dir") else []
    )
    whole = all(remedy == "checkout" for _, remedy in inside)
    elsewhere: Remedy = "pull" if locked.has_remote else "rerun"
    return tuple(path for paths, _ in inside for path in paths), "checkout" if whole else elsewhere
