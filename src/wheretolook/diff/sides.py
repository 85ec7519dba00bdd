"""The two sides of a comparison: results and data of the workspace or of a Git revision."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import TEST, Prepared, load_prepared
from wheretolook.mapstore.store import Maps, check_sha256, fetch_missing, read_manifest
from wheretolook.project.dvc_state import read_lock
from wheretolook.project.recorded_outputs import link_cached, resolve_revision, write_tracked

WORKSPACE = "workspace"
METRICS = "reports/metrics.json"
PREPARED = "data/prepared"
PREPARED_FILES = [f"{PREPARED}/{name}" for name in ("audit.json", "index.csv", "images.npy")]

RERUN = 'run "dvc repro" in that version'
JSON_TYPES: dict[type, str] = {list: "a list", dict: "an object"}


@dataclass(frozen=True)
class SharedImages:
    """Test images that both sides have, with the same id and the same file.

    Attributes:
        rows_a, rows_b: (n,) int64, row of each image in the prepared data of that side.
        only_a, only_b: number of test images that only that side has.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    only_a: int
    only_b: int


@dataclass(frozen=True)
class Side:
    """Results and data of one version of the project; data files are fetched when first needed.

    Attributes:
        label: name in tables, "workspace" or the revision.
        root: the folder that contains `reports/` and `data/`.
        fetch: takes paths relative to the root and fetches the missing ones; returns those that cannot be fetched, and
            DVC's reason.
    """

    label: str
    root: Path
    fetch: Callable[[Sequence[str]], tuple[list[str], str]]

    @cached_property
    def names(self) -> list[str]:
        """All models, in the order of params.yaml."""
        return self.read("reports/names.json", models=list)["models"]

    def metrics(self, name: str) -> dict[str, Any]:
        """The metrics of a model, nested by name.

        Raises:
            InputError: there are none yet; a model is listed by `check`, the first stage, and measured by the last.
        """
        metrics = self.read(METRICS)
        if not _are_metrics(metrics):
            raise self.unexpected(METRICS, "numbers, nested by model", metrics)
        if name not in metrics:
            raise InputError(
                f"{self.label}: {METRICS}",
                expected=f"metrics of {name}",
                found=f"metrics of {', '.join(metrics) or 'no model'}",
                hint=f"the model's first run is not complete: {RERUN}",
            )
        return dict(metrics[name])

    def images(self, name: str) -> int:
        """Number of test images that a model was scored on."""
        path = f"reports/models/{name}.json"
        splits = self.read(path, splits=dict)["splits"]
        test = splits.get(TEST)
        if not (isinstance(test, dict) and isinstance(test.get("images"), int)):
            raise self.unexpected(path, f"a number at splits.{TEST}.images", splits)
        return int(test["images"])

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest of a model's maps."""
        path = self.root / f"reports/exports/{name}.json"
        if not path.is_file():
            raise InputError(
                self.label, expected=f"reports/exports/{name}.json of a finished run", found="no such file", hint=RERUN
            )
        return read_manifest(path)

    def read(self, path: str, **parts: type) -> dict[str, Any]:
        """Read a JSON object that Git tracks.

        Args:
            path: relative to the root.
            parts: required keys and the types of their values, such as `models=list`.

        Raises:
            InputError: the file is missing, truncated, or has other content.
        """
        file = self.root / path
        if not file.is_file():
            raise InputError(self.label, expected=f"{path} of a finished run", found="no such file", hint=RERUN)
        try:
            value = json.loads(file.read_text(encoding="utf-8"), parse_constant=_reject_constant)
        except ValueError as error:
            raise InputError(
                f"{self.label}: {path}", expected="JSON", found=f"invalid JSON ({error})", hint=RERUN
            ) from error
        for part, kind in parts.items() if isinstance(value, dict) else ():
            if not isinstance(value.get(part), kind):
                raise self.unexpected(path, f"{JSON_TYPES[kind]} at {part}", value.get(part))
        if not isinstance(value, dict):
            raise self.unexpected(path, "an object", value)
        return value

    def unexpected(self, path: str, expected: str, found: object) -> InputError:
        """The error for a file with unexpected content."""
        return InputError(f"{self.label}: {path}", expected=expected, found=json.dumps(found)[:40], hint=RERUN)

    @cached_property
    def prepared(self) -> Prepared:
        """The prepared data.

        Raises:
            InputError: a file cannot be fetched.
        """
        self._fetch(PREPARED_FILES)
        self._fetch([f"{PREPARED}/{name}" for name in self.read(f"{PREPARED}/audit.json", sha256=dict)["sha256"]])
        return load_prepared(self.root / PREPARED)

    def maps(self, name: str, arrays: Sequence[str]) -> Maps:
        """The maps of a model; only the given arrays are fetched and checked.

        Raises:
            InputError: an array cannot be fetched, or its SHA-256 is not the one in the manifest.
        """
        maps = Maps(self.root / f"data/cams/{name}", self.manifest(name))
        # One call for all files: starting DVC takes longer than fetching a small file.
        self._fetch([*(f"data/cams/{name}/{array}" for array in arrays), *PREPARED_FILES])
        for array in arrays:
            check_sha256(maps.folder / array, maps.manifest["arrays"][array]["sha256"])
        return maps

    def _fetch(self, paths: Sequence[str]) -> None:
        missing, why = self.fetch(paths)
        if missing:
            raise InputError(
                f"{missing[0]} of {self.label}",
                expected="the file here, in DVC's cache or in its remote",
                found=f"none of them{why}",
                hint='run "dvc push" on the machine that made it, or "dvc repro" in a checkout of that revision',
            )


@contextmanager
def open_side(root: Path, version: str) -> Iterator[Side]:
    """Open the workspace, or a Git revision, whose files are linked into a temporary folder.

    Args:
        root: the folder that contains dvc.yaml.
        version: "workspace", or a revision.

    Raises:
        InputError: unknown revision, or a revision without results.
    """
    if version == WORKSPACE:
        yield Side(WORKSPACE, root, partial(_fetch_here, root))
        return
    commit = resolve_revision(root, version)
    with TemporaryDirectory(prefix="wheretolook-") as scratch:
        write_tracked(root, commit, "reports", Path(scratch))
        yield Side(_label(version, commit), Path(scratch), _fetch_revision(root, commit, Path(scratch)))


def shared_images(a: Prepared, b: Prepared) -> SharedImages:
    """Match the test splits of two sides by image_id and the file's SHA-256.

    Raises:
        InputError: the classes differ (contrasts are then not comparable), or no image is shared.
    """
    if set(a.class_names) != set(b.class_names):
        one, other = ", ".join(a.class_names), ", ".join(b.class_names)
        raise InputError(
            "classes",
            expected="the same on both sides",
            found=f"{one} and {other}",
            hint="compare two revisions with the same classes",
        )
    if a.sha256 == b.sha256:
        rows = a.rows(TEST)
        return SharedImages(rows, rows, 0, 0)
    images_a, images_b = _by_identity(a), _by_identity(b)
    both = [identity for identity in images_a if identity in images_b]
    if not both:
        raise InputError(
            "data",
            expected=f"at least one image in the {TEST} split of both sides",
            found="none",
            hint="compare two revisions of the same data",
        )
    rows_a, rows_b = (np.array([rows[identity] for identity in both]) for rows in (images_a, images_b))
    return SharedImages(rows_a, rows_b, len(images_a) - len(both), len(images_b) - len(both))


def _by_identity(prepared: Prepared) -> dict[tuple[str, str], int]:
    """Row of each test image, by its id and SHA-256."""
    rows = prepared.rows(TEST)
    chosen = prepared.index.iloc[rows]
    return dict(zip(zip(chosen["image_id"], chosen["sha256"], strict=True), rows.tolist(), strict=True))


def _reject_constant(word: str) -> None:
    raise ValueError(f"{word} is not valid JSON")


def _are_metrics(tree: Any, depth: int = 0) -> bool:
    """Whether a value is a nested dictionary of numbers, at least two levels deep."""
    if isinstance(tree, dict):
        return all(_are_metrics(value, depth + 1) for value in tree.values())
    return depth > 1 and isinstance(tree, int | float)


def _fetch_revision(root: Path, commit: str, folder: Path) -> Callable[[Sequence[str]], tuple[list[str], str]]:
    # dvc.lock is read only if a file is needed.
    locked = cache(lambda: read_lock(root, commit))
    return lambda paths: link_cached(locked(), commit, paths, folder)


def _fetch_here(root: Path, paths: Sequence[str]) -> tuple[list[str], str]:
    missing, why = fetch_missing([root / path for path in paths])
    return [path.relative_to(root).as_posix() for path in missing], why


def _label(version: str, commit: str) -> str:
    return commit[:7] if commit.startswith(version) else f"{version} ({commit[:7]})"
