"""Which images stand in both sides' test split: only on those can predictions and maps be compared."""

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
from wheretolook.dataset.prepared import TEST, Prepared, load_prepared
from wheretolook.mapstore.store import Maps, check_sha256, fetch_missing, read_manifest
from wheretolook.project.git_revision import link_cached, resolve_revision, write_tracked
from wheretolook.project.lock_file import read_lock


@dataclass(frozen=True)
class SharedImages:
    """Images of both sides, the same file under the same id.

    Attributes:
        rows_a, rows_b: (n,) int64, the row of each in the prepared data of its side.
        only_a, only_b: how many images of the test split the other side does not have there.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    only_a: int
    only_b: int


def shared_images(a: Prepared, b: Prepared) -> SharedImages:
    """Match the test splits of two sides by image_id and the SHA-256 of the file.

    Raises:
        InputError: the classes differ, so that a contrast means something else; or no image is shared.
    """
    if set(a.class_names) != set(b.class_names):
        one, other = ", ".join(a.class_names), ", ".join(b.class_names)
        raise InputError(
            "classes",
            expected="the same on both sides",
            found=f"{one} and {other}",
            hint="name two revisions of the same classes",
        )
    if a.sha256 == b.sha256:
        rows = a.rows(TEST)
        return SharedImages(rows, rows, 0, 0)
    found_a, found_b = _by_identity(a), _by_identity(b)
    both = [identity for identity in found_a if identity in found_b]
    if not both:
        raise InputError(
            "data",
            expected=f"images that both sides have in their {TEST} split",
            found="none",
            hint="name two revisions of the same images",
        )
    rows_a, rows_b = (np.array([found[identity] for identity in both]) for found in (found_a, found_b))
    return SharedImages(rows_a, rows_b, len(found_a) - len(both), len(found_b) - len(both))


def _by_identity(prepared: Prepared) -> dict[tuple[str, str], int]:
    rows = prepared.rows(TEST)
    chosen = prepared.index.iloc[rows]
    return dict(zip(zip(chosen["image_id"], chosen["sha256"], strict=True), rows.tolist(), strict=True))


WORKSPACE = "workspace"
METRICS = "reports/metrics.json"
PREPARED = "data/prepared"
ALWAYS = [f"{PREPARED}/{name}" for name in ("audit.json", "index.csv", "images.npy")]

AGAIN = 'run "dvc repro" there'
NOUNS = {list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Side:
    """Results and data under one root; data are brought when they are asked for, file by file.

    Attributes:
        label: how it is called in tables: "workspace", or the revision.
        root: the folder that holds `reports/` and `data/`.
        fetch: brings files, by their paths below the root, and gives those that are nowhere, with DVC's reason.
    """

    label: str
    root: Path
    fetch: Callable[[Sequence[str]], tuple[list[str], str]]

    @cached_property
    def names(self) -> list[str]:
        """All models, in the order of params.yaml."""
        return self.read("reports/names.json", models=list)["models"]

    def metrics(self, name: str) -> dict[str, Any]:
        """The figures of a model.

        Raises:
            InputError: there are none yet: `check` names a model as soon as it stands in params.yaml, `report` runs last.
        """
        figures = self.read(METRICS)
        if not _are_figures(figures):
            raise self.refusal(METRICS, "figures by the model's name", figures)
        if name not in figures:
            raise InputError(
                f"{self.label}: {METRICS}",
                expected=f"figures of {name}",
                found=f"those of {', '.join(figures) or 'none'}",
                hint=f"the run that adds it is not finished: {AGAIN}",
            )
        return figures[name]

    def images(self, name: str) -> int:
        """Images of the test split that a model was scored on."""
        path = f"reports/models/{name}.json"
        splits = self.read(path, splits=dict)["splits"]
        test = splits.get(TEST)
        if not (isinstance(test, dict) and isinstance(test.get("images"), int)):
            raise self.refusal(path, f"a number of images under splits, {TEST}", splits)
        return test["images"]

    def manifest(self, name: str) -> dict[str, Any]:
        """What the maps of a model are."""
        path = self.root / f"reports/exports/{name}.json"
        if not path.is_file():
            raise InputError(
                self.label, expected=f"reports/exports/{name}.json of a finished run", found="no such file", hint=AGAIN
            )
        return read_manifest(path)

    def read(self, path: str, **parts: type) -> dict[str, Any]:
        """A JSON file of git's, an object.

        Args:
            path: below the root.
            parts: what it must hold, and of which type: `models=list`.

        Raises:
            InputError: there is none, or it is cut or something else.
        """
        file = self.root / path
        if not file.is_file():
            raise InputError(self.label, expected=f"{path} of a finished run", found="no such file", hint=AGAIN)
        try:
            value = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
        except ValueError as error:
            raise InputError(f"{self.label}: {path}", expected="JSON", found=error, hint=AGAIN) from error
        for part, kind in parts.items() if isinstance(value, dict) else ():
            if not isinstance(value.get(part), kind):
                raise self.refusal(path, f"{NOUNS[kind]} under {part}", value.get(part))
        if not isinstance(value, dict):
            raise self.refusal(path, "an object", value)
        return value

    def refusal(self, path: str, expected: str, found: object) -> InputError:
        """What to raise where a file that was read holds something else."""
        return InputError(f"{self.label}: {path}", expected=expected, found=json.dumps(found)[:40], hint=AGAIN)

    @cached_property
    def prepared(self) -> Prepared:
        """The prepared data.

        Raises:
            InputError: they are nowhere.
        """
        self._need(ALWAYS)
        self._need([f"{PREPARED}/{name}" for name in self.read(f"{PREPARED}/audit.json", sha256=dict)["sha256"]])
        return load_prepared(self.root / PREPARED)

    def maps(self, name: str, arrays: Sequence[str]) -> Maps:
        """The maps of a model, of which only the arrays that are named are brought and checked.

        Raises:
            InputError: one of them is nowhere, or not what the manifest pins.
        """
        maps = Maps(self.root / f"data/cams/{name}", self.manifest(name))
        # One journey for all: asking DVC takes longer than a small file does.
        self._need([*(f"data/cams/{name}/{array}" for array in arrays), *ALWAYS])
        for array in arrays:
            check_sha256(maps.folder / array, maps.manifest["arrays"][array]["sha256"])
        return maps

    def _need(self, paths: Sequence[str]) -> None:
        missing, why = self.fetch(paths)
        if missing:
            raise InputError(
                f"{missing[0]} of {self.label}",
                expected="it here, in DVC's cache or its remote",
                found=f"it nowhere{why}",
                hint='run "dvc push" where it was made, or "dvc repro" in a checkout of that revision',
            )


def _no_number(word: str) -> None:
    raise ValueError(f"{word}, which no stage writes")


def _are_figures(tree: Any, depth: int = 0) -> bool:
    """Whether these are numbers, by names and names within names."""
    if isinstance(tree, dict):
        return all(_are_figures(value, depth + 1) for value in tree.values())
    return depth > 1 and isinstance(tree, int | float)


@contextmanager
def side_of(root: Path, word: str) -> Iterator[Side]:
    """Open the folder itself ("workspace") or a git revision, of which a picture of links stands in a scratch folder.

    Raises:
        InputError: no such revision, or no results in it.
    """
    if word == WORKSPACE:
        yield Side(WORKSPACE, root, partial(_bring_here, root))
        return
    commit = resolve_revision(root, word)
    with TemporaryDirectory(prefix="wheretolook-") as scratch:
        write_tracked(root, commit, "reports", Path(scratch))
        yield Side(_label(word, commit), Path(scratch), _bring_revision(root, commit, Path(scratch)))


def _bring_revision(root: Path, commit: str, folder: Path) -> Callable[[Sequence[str]], tuple[list[str], str]]:
    # Where nothing changed, the lock need not be read.
    locked = cache(lambda: read_lock(root, commit))
    return lambda paths: link_cached(locked(), commit, paths, folder)


def _bring_here(root: Path, paths: Sequence[str]) -> tuple[list[str], str]:
    missing, why = fetch_missing([root / path for path in paths])
    return [path.relative_to(root).as_posix() for path in missing], why


def _label(word: str, commit: str) -> str:
    return commit[:7] if commit.startswith(word) else f"{word} ({commit[:7]})"
