"""Check that data, models, maps and results belong together, by the hashes that each records of the others."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import Prepared, load_prepared
from wheretolook.images.raw_data import PackedFile, packed_files
from wheretolook.mapstore.store import read_manifest
from wheretolook.networks.card import Card, read_card
from wheretolook.networks.weights_file import check_weights_file
from wheretolook.project.dvc_state import Locked
from wheretolook.verify.checks import Digests, Finding, check_chain, check_outputs, digests, output_files

OVERLAYS = "reports/comparison/overlays.json"

PREPARED = "data/prepared"
AUDIT = f"{PREPARED}/audit.json"

NAMES = "reports/names.json"


@dataclass(frozen=True)
class Verified:
    """Result of `verify`.

    Attributes:
        files, size: number of files that were read, and their total size in bytes.
        findings: one for each faulty path and stage; empty if everything is intact.
    """

    files: int
    size: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Tree:
    """The files of all outputs.

    Attributes:
        root: the folder that contains dvc.yaml.
        digests: of every file.
        stages: the stage that writes each output, by the output's path.
        broken: paths, relative to the root, that already have a finding; no conclusions are drawn from them.
    """

    root: Path
    digests: Digests
    stages: dict[str, str]
    broken: frozenset[str]

    def has(self, path: str) -> bool:
        """Whether a file exists and is intact."""
        return (self.root / path) in self.digests and not any(part in self.broken for part in _with_parents(path))

    def sha256(self, path: str) -> str:
        """SHA-256 of a file."""
        return self.digests[self.root / path].sha256

    def json(self, path: str) -> Any:
        """Value of a JSON file."""
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def stage_of(self, path: str) -> str:
        """The stage that writes a path."""
        return next(self.stages[part] for part in _with_parents(path) if part in self.stages)


def verify(locked: Locked, allow_missing: bool = False, strays: Sequence[str] = ()) -> Verified:
    """Read every output once, and compare it with dvc.lock, the manifests and the other outputs.

    Args:
        locked: the pipeline (`read_lock`).
        allow_missing: do not report missing files, as on a fresh clone.
        strays: files and folders of models that are not in params.yaml (`find_strays`).
    """
    hashed = digests(output_files(locked))
    findings = list(check_outputs(locked, hashed, strays))
    findings += check_chain(locked, hashed, [finding.path for finding in findings], strays)
    findings += _check_relations(tree_of(locked, hashed, findings))
    first = {(finding.path, finding.stage): finding for finding in reversed(findings)}
    kept = tuple(
        finding
        for finding in findings
        if first[finding.path, finding.stage] is finding and not (allow_missing and finding.missing)
    )
    return Verified(len(hashed), sum(file.size for file in hashed.values()), kept)


def tree_of(locked: Locked, digests: Digests, findings: Sequence[Finding]) -> Tree:
    """The tree, given the findings of the comparison with dvc.lock."""
    stages = {pin.path: stage.name for stage in locked.stages for pin in stage.outputs}
    return Tree(locked.root, digests, stages, frozenset(finding.path for finding in findings))


def _check_relations(tree: Tree) -> Iterator[Finding]:
    prepared, findings = check_prepared(tree)
    yield from findings
    if prepared is not None:
        yield from check_raw(tree, prepared)
    yield from check_models(tree, prepared)
    yield from check_comparison(tree)


def _with_parents(path: str) -> list[str]:
    """The path and its parent folders, nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]


def check_arrays(tree: Tree, manifest: str, listed: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Check the arrays of one folder.

    Args:
        tree: the outputs.
        manifest: its path, in the arrays' folder.
        listed: the manifest's entries by file name, with any of `sha256`, `shape` and `dtype`.
    """
    folder = manifest.rpartition("/")[0]
    for name, expected in listed.items():
        path = f"{folder}/{name}"
        if tree.has(path):
            yield from check_array(tree, path, manifest, expected)
        elif not (tree.root / path).exists() and path not in tree.broken:
            yield Finding(path, f"an array listed in {manifest}", "nothing", tree.stage_of(path), missing=True)
    for file in tree.digests:
        if file.parent == tree.root / folder and file.suffix == ".npy" and file.name not in listed:
            path = f"{folder}/{file.name}"
            if tree.has(path):
                yield Finding(path, f"only arrays listed in {manifest}", "an unlisted array", tree.stage_of(path))


def check_array(tree: Tree, path: str, manifest: str, expected: Mapping[str, Any]) -> Iterator[Finding]:
    """Check an existing array; one finding for each property that differs."""
    actual = {"sha256": tree.sha256(path), **_header(tree.root / path)}
    for key in ("sha256", "shape", "dtype"):
        if key in expected and expected[key] != actual.get(key):
            yield Finding(
                path, f"{key} {_short(expected[key])} ({manifest})", _short(actual.get(key)), tree.stage_of(path)
            )


def _header(path: Path) -> dict[str, Any]:
    """Shape and dtype from the file's header; empty if the file is truncated or not an array."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return {}
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else "not a valid .npy file" if value is None else str(value)


def check_comparison(tree: Tree) -> Iterator[Finding]:
    """Check the mean maps and spreads of the classes: existing, float32, of the listed shape."""
    if not tree.has(OVERLAYS):
        return
    models = tree.json(OVERLAYS)["models"]
    for described in (entry for views in models.values() for entry in views.values()):
        for file in filter(None, (described["mean"], described["spread"])):
            path = f"data/comparison/{file}"
            if tree.has(path):
                yield from check_array(tree, path, OVERLAYS, {"shape": described["shape"], "dtype": "float32"})
            elif (tree.root / "data/comparison").is_dir() and path not in tree.broken:
                yield Finding(path, f"an array listed in {OVERLAYS}", "nothing", tree.stage_of(path), missing=True)


def check_prepared(tree: Tree) -> tuple[Prepared | None, list[Finding]]:
    """Check the prepared data: hashes as in its audit, arrays consistent with each other.

    Returns:
        The data, or None if it is missing or damaged, and the findings.
    """
    if not tree.has(AUDIT) or any(path.startswith(f"{PREPARED}/") for path in tree.broken):
        return None, []
    findings = [
        finding
        for name, sha256 in tree.json(AUDIT)["sha256"].items()
        if tree.has(f"{PREPARED}/{name}")
        for finding in check_array(tree, f"{PREPARED}/{name}", AUDIT, {"sha256": sha256})
    ]
    try:
        return load_prepared(tree.root / PREPARED), findings
    except InputError as error:
        return None, findings or [Finding(PREPARED, "a consistent index and arrays", str(error), "prepare")]


def check_raw(tree: Tree, prepared: Prepared) -> Iterator[Finding]:
    """Check the raw images that the index lists, if the raw data is here."""
    raw = tree.root / "data/raw"
    if not raw.is_dir():
        return
    if packed := packed_files(raw, "images"):
        yield from _check_packed(packed, prepared)
        return
    for image_id, sha256 in zip(prepared.index["image_id"], prepared.index["sha256"], strict=True):
        path = f"data/raw/images/{image_id}"
        expected = f"the file that {PREPARED} was made from (sha256 {sha256[:12]})"
        if tree.has(path) and tree.sha256(path) != sha256:
            yield Finding(path, expected, tree.sha256(path)[:12], "prepare")
        elif path not in tree.broken and not (tree.root / path).exists():
            yield Finding(path, expected, "nothing", "prepare", missing=True)


def _check_packed(packed: Mapping[str, PackedFile], prepared: Prepared) -> Iterator[Finding]:
    for image_id, sha256 in zip(prepared.index["image_id"], prepared.index["sha256"], strict=True):
        path = f"data/raw/images: {image_id}"
        expected = f"the file that {PREPARED} was made from (sha256 {sha256[:12]})"
        if image_id not in packed:
            yield Finding(path, expected, "nothing", "prepare", missing=True)
        elif (found := hashlib.sha256(packed[image_id].read_bytes()).hexdigest()) != sha256:
            yield Finding(path, expected, found[:12], "prepare")


def check_models(tree: Tree, prepared: Prepared | None) -> Iterator[Finding]:
    """Check that each model's file, maps and results belong together.

    Args:
        tree: the outputs.
        prepared: the current data; None if it is missing or damaged.
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
            yield from _check_model_hash(tree, result, "results of", model, tree.json(result)["model"]["sha256"])


def _check_card(tree: Tree, path: str, prepared: Prepared | None, trained: bool) -> Iterator[Finding]:
    try:
        check_weights_file(tree.root / path)
        card = read_card(tree.root / path)
    except InputError as error:
        yield Finding(path, "a model file of this project", str(error), tree.stage_of(path), (path,))
        return
    if prepared is not None:
        yield from _check_data(tree, path, card, prepared, trained)


def _check_data(tree: Tree, path: str, card: Card, prepared: Prepared, trained: bool) -> Iterator[Finding]:
    if trained and card.data.get("sha256") != prepared.sha256:
        found = str(card.data.get("sha256"))[:12]
        yield Finding(
            path, f"a model trained on {PREPARED} (sha256 {prepared.sha256[:12]})", found, tree.stage_of(path)
        )
    if set(card.class_names) != set(prepared.class_names):
        classes, found = ", ".join(prepared.class_names), ", ".join(card.class_names)
        yield Finding(path, f"a model with the classes {classes}", found, tree.stage_of(path))


def _check_maps(tree: Tree, path: str, model: str, copy: str, prepared: Prepared | None) -> Iterator[Finding]:
    try:
        manifest = read_manifest(tree.root / path)
    except InputError as error:
        yield Finding(path, "a manifest of maps", str(error), tree.stage_of(path))
        return
    yield from check_arrays(tree, path, manifest["arrays"])
    if tree.has(model):
        yield from _check_model_hash(tree, path, "maps of", model, manifest["model"]["sha256"])
    if tree.has(copy) and tree.sha256(copy) != tree.sha256(path):
        yield Finding(copy, f"a copy of {path}", "a different manifest", tree.stage_of(copy))
    if prepared is not None and manifest["data"]["sha256"] != prepared.sha256:
        found = manifest["data"]["sha256"][:12]
        yield Finding(path, f"maps of {PREPARED} (sha256 {prepared.sha256[:12]})", found, tree.stage_of(path))


def _check_model_hash(tree: Tree, path: str, kind: str, model: str, found: str) -> Iterator[Finding]:
    """Check that a file records the hash of the current model file."""
    current = tree.sha256(model)
    if found != current:
        yield Finding(
            path, f"{kind} {model} (sha256 {current[:12]})", f"{kind} another file ({found[:12]})", tree.stage_of(path)
        )
