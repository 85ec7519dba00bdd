"""A model, its maps and its results: all of one model file, made from one data set."""

from collections.abc import Iterator

from wheretolook.cams.manifest import read_manifest
from wheretolook.data.prepared import Prepared
from wheretolook.data.refusal import Refusal
from wheretolook.models.card import Card, read_card
from wheretolook.models.weights_file import check_weights_file
from wheretolook.verify.arrays import check_arrays
from wheretolook.verify.finding import Finding
from wheretolook.verify.tree import Tree

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
    except Refusal as refusal:
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
    except Refusal as refusal:
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
