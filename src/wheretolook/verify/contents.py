"""The outputs as a whole: what is known of each file's bytes, which stage makes it, and what is damaged already."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import Prepared, load_prepared
from wheretolook.mapstore.store import read_manifest
from wheretolook.networks.card import Card, read_card
from wheretolook.networks.weights_file import check_weights_file
from wheretolook.project.lock_file import Locked
from wheretolook.verify.checks import Digests, Finding, check_chain, check_outputs, digests, output_files


@dataclass(frozen=True)
class Tree:
    """The outputs, and what is known of their bytes.

    Attributes:
        root: the folder of dvc.yaml.
        digests: of every file of the outputs.
        makers: the stage that makes each output, by the output's path.
        broken: paths, below the root, of which a finding tells already: nothing is concluded from those.
    """

    root: Path
    digests: Digests
    makers: dict[str, str]
    broken: frozenset[str]

    def has(self, path: str) -> bool:
        """Whether a file stands there and is what its stage wrote."""
        return (self.root / path) in self.digests and not any(part in self.broken for part in _ways(path))

    def sha256(self, path: str) -> str:
        """SHA-256 of a file."""
        return self.digests[self.root / path].sha256

    def json(self, path: str) -> Any:
        """A JSON file's value."""
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def maker(self, path: str) -> str:
        """The stage that makes the output in which a path lies."""
        return next(self.makers[part] for part in _ways(path) if part in self.makers)


def tree_of(locked: Locked, digests: Digests, findings: Sequence[Finding]) -> Tree:
    """The tree after its bytes were held against dvc.lock."""
    makers = {pin.path: stage.name for stage in locked.stages for pin in stage.outputs}
    return Tree(locked.root, digests, makers, frozenset(finding.path for finding in findings))


def _ways(path: str) -> list[str]:
    """The path and all folders above it, nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]


def check_arrays(tree: Tree, manifest: str, pinned: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Faults of the arrays of one folder.

    Args:
        tree: the outputs.
        manifest: its path; the arrays stand beside it.
        pinned: `sha256`, `shape` and `dtype` of each array, by file name; of any of these what the manifest says.
    """
    folder = manifest.rpartition("/")[0]
    for name, expected in pinned.items():
        path = f"{folder}/{name}"
        if tree.has(path):
            yield from check_array(tree, path, manifest, expected)
        elif not (tree.root / path).exists() and path not in tree.broken:
            yield Finding(path, f"an array that {manifest} names", "nothing", tree.maker(path), missing=True)
    for file in tree.digests:
        if file.parent == tree.root / folder and file.suffix == ".npy" and file.name not in pinned:
            path = f"{folder}/{file.name}"
            if tree.has(path):
                yield Finding(path, f"no array that {manifest} does not name", "one", tree.maker(path))


def check_array(tree: Tree, path: str, manifest: str, expected: Mapping[str, Any]) -> Iterator[Finding]:
    """Faults of one array that is there, a finding for each."""
    found = {"sha256": tree.sha256(path), **_header(tree.root / path)}
    for key in ("sha256", "shape", "dtype"):
        if key in expected and expected[key] != found.get(key):
            yield Finding(
                path, f"{key} {_short(expected[key])} of {manifest}", _short(found.get(key)), tree.maker(path)
            )


def _header(path: Path) -> dict[str, Any]:
    """Shape and dtype, from the header alone; nothing where it is no array, or a cut one."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return {}
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else "no whole .npy array" if value is None else str(value)


LIST = "reports/comparison/overlays.json"


def check_comparison(tree: Tree) -> Iterator[Finding]:
    """Faults of the classes' mean maps and spreads: each is there, float32, of the shape that is listed."""
    if not tree.has(LIST):
        return
    models = tree.json(LIST)["models"]
    for described in (entry for views in models.values() for entry in views.values()):
        for file in filter(None, (described["mean"], described["spread"])):
            path = f"data/comparison/{file}"
            if tree.has(path):
                yield from check_array(tree, path, LIST, {"shape": described["shape"], "dtype": "float32"})
            elif (tree.root / "data/comparison").is_dir() and path not in tree.broken:
                yield Finding(path, f"an array that {LIST} names", "nothing", tree.maker(path), missing=True)


FOLDER = "data/prepared"
AUDIT = f"{FOLDER}/audit.json"


def check_prepared(tree: Tree) -> tuple[Prepared | None, list[Finding]]:
    """The prepared data, and its faults: its bytes against its audit, its arrays against each other.

    Returns:
        None for the data where it is not here, or damaged: nothing else can be held against it then.
    """
    if not tree.has(AUDIT) or any(path.startswith(f"{FOLDER}/") for path in tree.broken):
        return None, []
    pinned = tree.json(AUDIT)["sha256"]
    faults = [
        fault
        for name, sha256 in pinned.items()
        if tree.has(f"{FOLDER}/{name}")
        for fault in check_array(tree, f"{FOLDER}/{name}", AUDIT, {"sha256": sha256})
    ]
    try:
        return load_prepared(tree.root / FOLDER), faults
    except InputError as refusal:
        return None, faults or [Finding(FOLDER, "arrays and an index of one data set", str(refusal), "prepare")]


def check_raw(tree: Tree, prepared: Prepared) -> Iterator[Finding]:
    """Faults of the files that the index names, where the raw files are here."""
    if not (tree.root / "data/raw").is_dir():
        return
    for image_id, sha256 in zip(prepared.index["image_id"], prepared.index["sha256"], strict=True):
        path = f"data/raw/images/{image_id}"
        expected = f"the file that {FOLDER} was made from ({sha256[:12]})"
        if tree.has(path) and tree.sha256(path) != sha256:
            yield Finding(path, expected, tree.sha256(path)[:12], "prepare")
        elif path not in tree.broken and not (tree.root / path).exists():
            yield Finding(path, expected, "nothing", "prepare", missing=True)


NAMES = "reports/names.json"


def check_models(tree: Tree, prepared: Prepared | None) -> Iterator[Finding]:
    """Faults between each model's file, card, maps, manifest and results.

    Args:
        tree: the outputs.
        prepared: the data as it stands now; None where it is missing or damaged.
    """
    names = tree.json(NAMES) if tree.has(NAMES) else {"models": [], "trained": []}
    for name in names["models"]:
        model, maps = f"models/{name}.safetensors", f"data/cams/{name}/manifest.json"
        if tree.has(model):
            yield from _check_card(tree, model, prepared, name in names["trained"])
        if tree.has(maps):
            yield from _check_maps(tree, maps, model, f"reports/exports/{name}.json", prepared)
        result = f"reports/models/{name}.json"
        if tree.has(result) and tree.has(model):
            yield from _same(tree, result, "results of the model", model, tree.json(result)["model"]["sha256"])


def _check_card(tree: Tree, path: str, prepared: Prepared | None, trained: bool) -> Iterator[Finding]:
    try:
        check_weights_file(tree.root / path)
        card = read_card(tree.root / path)
    except InputError as refusal:
        yield Finding(path, "a model file of this project", str(refusal), tree.maker(path), (path,))
        return
    if prepared is not None:
        yield from _check_data(tree, path, card, prepared, trained)


def _check_data(tree: Tree, path: str, card: Card, prepared: Prepared, trained: bool) -> Iterator[Finding]:
    if trained and card.data.get("sha256") != prepared.sha256:
        found = str(card.data.get("sha256"))[:12]
        yield Finding(path, f"a model trained on data/prepared ({prepared.sha256[:12]})", found, tree.maker(path))
    if set(card.class_names) != set(prepared.class_names):
        classes, found = ", ".join(prepared.class_names), ", ".join(card.class_names)
        yield Finding(path, f"a model of the classes {classes}", found, tree.maker(path))


def _check_maps(tree: Tree, path: str, model: str, copy: str, prepared: Prepared | None) -> Iterator[Finding]:
    try:
        manifest = read_manifest(tree.root / path)
    except InputError as refusal:
        yield Finding(path, "a manifest of maps", str(refusal), tree.maker(path))
        return
    yield from check_arrays(tree, path, manifest["arrays"])
    if tree.has(model):
        yield from _same(tree, path, "maps of the model", model, manifest["model"]["sha256"])
    if tree.has(copy) and tree.sha256(copy) != tree.sha256(path):
        yield Finding(copy, f"a copy of {path}", "another manifest", tree.maker(copy))
    if prepared is not None and manifest["data"]["sha256"] != prepared.sha256:
        found = manifest["data"]["sha256"][:12]
        yield Finding(path, f"maps of data/prepared ({prepared.sha256[:12]})", found, tree.maker(path))


def _same(tree: Tree, path: str, what: str, other: str, found: str) -> Iterator[Finding]:
    if found != tree.sha256(other):
        yield Finding(path, f"{what} {other} ({tree.sha256(other)[:12]})", f"of {found[:12]}", tree.maker(path))


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what was found.

    Attributes:
        files, size: how many files were read, and their bytes.
        findings: what is wrong, one for each path; empty if all is as it was written.
    """

    files: int
    size: int
    findings: tuple[Finding, ...]


def verify(locked: Locked, allow_missing: bool = False, strays: Sequence[str] = ()) -> Verified:
    """Read every byte of every output once, and hold it against dvc.lock, the manifests and each other.

    Args:
        locked: the pipeline (`read_lock`).
        allow_missing: files that are not here are no finding, as on a fresh clone, which has some of them at most.
        strays: files and folders of models that params.yaml does not name (`find_strays`).
    """
    read = digests(output_files(locked))
    findings = list(check_outputs(locked, read, strays))
    findings += check_chain(locked, read, [finding.path for finding in findings], strays)
    findings += _relations(tree_of(locked, read, findings))
    first = {(finding.path, finding.stage): finding for finding in reversed(findings)}
    kept = tuple(
        finding
        for finding in findings
        if first[finding.path, finding.stage] is finding and not (allow_missing and finding.missing)
    )
    return Verified(len(read), sum(found.size for found in read.values()), kept)


def _relations(tree: Tree) -> Iterator[Finding]:
    prepared, faults = check_prepared(tree)
    yield from faults
    if prepared is not None:
        yield from check_raw(tree, prepared)
    yield from check_models(tree, prepared)
    yield from check_comparison(tree)
