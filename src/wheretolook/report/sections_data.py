"""What the page says about the data and about where everything comes from."""

from collections.abc import Iterable, Mapping
from typing import Any

from wheretolook.cams.store import Maps
from wheretolook.report.results import Results
from wheretolook.report.summary import loss_of
from wheretolook.report.words import count, listed


def audit_section(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Counts by class and split, and what was found, in sentences."""
    splits = list(audit["splits"])
    classes = [
        {
            "name": name,
            "cells": [figures["files"], figures["unreadable"], figures["images"]]
            + [figures["splits"][split] for split in splits],
        }
        for name, figures in audit["classes"].items()
    ]
    return {"splits": splits, "classes": classes, "lines": list(_audit_lines(audit))}


def _audit_lines(audit: Mapping[str, Any]) -> Iterable[str]:
    duplicates, conflicts = audit["duplicates"], audit["conflicts"]
    yield _sets("The same pixels more than once in a class", duplicates)
    yield _sets("The same pixels under two labels", conflicts)
    for name, dropped in audit["dropped_classes"].items():
        yield f"Class {name} was left out ({count(dropped['images'], 'image')}): {dropped['reason']}"
    if audit["unreadable"]:
        yield f"Unreadable: {listed(entry['image_id'] for entry in audit['unreadable'][:20])}."
    groups = audit["groups"]
    if groups is None:
        yield "No group pattern was given: each image is its own group, and two splits may share a patient or a person."
    else:
        alone = groups["one_class"]["count"]
        yield f"{count(groups['count'], 'group')}, none in two splits; {alone} of them hold one class only."
    width, height = audit["sizes"]["width"], audit["sizes"]["height"]
    size = audit["prepared"]["size"]
    yield (
        f"Files of {width['least']} × {height['least']} to {width['most']} × {height['most']} pixels, "
        f"prepared as {size} × {size} ({audit['prepared']['fit']})."
    )


def _sets(what: str, found: Mapping[str, Any]) -> str:
    if not found["sets"]:
        return f"{what}: none found."
    first = listed(found["examples"][0]) if found["examples"] else ""
    return f"{what}: {count(found['images'], 'image')} in {count(found['sets'], 'set')}, for instance {first}."


def provenance_section(results: Results, maps: Mapping[str, Maps]) -> dict[str, Any]:
    """Each model by content, the data, and the versions of what made this page."""
    return {"models": [_model(results, maps[name], name) for name in results.names], "lines": list(_lines(results))}


def _model(results: Results, stored: Maps, name: str) -> dict[str, str]:
    model = results.models[name]["model"]
    arguments = ", ".join(f"{key} {value}" for key, value in sorted((model.get("arguments") or {}).items()))
    methods = sorted({method for method, _ in stored.names})
    return {
        "name": name,
        "network": f"{model['architecture']}{f' ({arguments})' if arguments else ''}",
        "origin": "Google Drive" if name in results.drive else f"trained here, loss {loss_of(results.models[name])}",
        "maps": f"{listed(methods)}, {results.exports[name]['precision']}",
        "sha256": model["sha256"],
    }


def _lines(results: Results) -> Iterable[str]:
    from importlib.metadata import version

    hashes = results.audit["sha256"]
    yield f"Images: SHA-256 {hashes['images.npy']}; index: {hashes['index.csv']}."
    packages = ("dvc", "matplotlib", "numpy", "pillow", "scikit-learn", "scipy", "torch")
    yield "This page was made beside " + listed(f"{name} {version(name)}" for name in packages) + "."
    yield "Parameters: params.yaml of the same commit; every value of a stage stands in its command in dvc.lock."
