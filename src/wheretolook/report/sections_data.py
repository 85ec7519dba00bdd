"""The page's sections about the data, and about what made the results."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from wheretolook.base.prepared import SPLITS
from wheretolook.mapstore.store import Maps
from wheretolook.report.guessing import trained_on
from wheretolook.report.loaded import PAGE, Results, loss_of
from wheretolook.report.words import NOTHING, count, listed, percent


def audit_section(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Counts by class and split, and what was found, in sentences."""
    splits = sorted(audit["splits"], key=SPLITS.index)
    classes = [
        {
            "name": name,
            "cells": [figures["files"], figures["unreadable"], figures["images"]]
            + [figures["splits"][split] for split in splits],
        }
        for name, figures in audit["classes"].items()
    ]
    folded = f"Images of {count(len(classes), 'class')}" if len(classes) > PAGE else ""
    return {"splits": splits, "classes": classes, "folded": folded, "lines": list(_audit_lines(audit))}


def data_costs(audit: Mapping[str, Any], split: str) -> list[str]:
    """What copies and contradictory labels do to the figures of a split; empty where they do nothing."""
    images, found = audit["splits"][split]["images"], []
    wrong = audit["conflicts"]["certain_errors"][split]
    if wrong:
        found.append(
            f"{count(wrong, 'image')} of the {split} split cannot be classified correctly: the same pixels have two "
            f"labels. Accuracy is at most {percent(1 - wrong / images)}."
        )
    near = audit["near_copies"]
    seen = near["of_trained"]["splits"].get(split, 0)
    if seen:
        have = "has a near copy" if seen == 1 else "have near copies"
        found.append(
            f"{seen:,} of {count(images, 'image')} of the {split} split ({percent(seen / images, 0)}) {have} among the "
            "images of the train split. A model trained on that split may have memorised them."
        )
    doubted = near["two_labels"]["splits"][split] - audit["conflicts"]["splits"][split]
    if doubted > 0:
        have = "has a near copy" if doubted == 1 else "have near copies"
        found.append(f"{count(doubted, 'image')} of the {split} split {have} under another label.")
    return found


def no_groups(audit: Mapping[str, Any]) -> str:
    """Why images have no groups."""
    table = audit.get("label_table")
    return (
        "No group pattern is set, and the table of labels has no column of groups"
        if table
        else "No group pattern is set"
    )


def _table_lines(audit: Mapping[str, Any]) -> Iterable[str]:
    """What the table of labels says, and which rows were left out."""
    table = audit.get("label_table")
    if not table:
        return
    files = listed(f"{each['file']} ({each['rows']:,} rows)" for each in table["tables"])
    columns = ", ".join(f"{role} from {column}" for role, column in table["columns"].items())
    more = f" Attributes: {', '.join(table['attributes'])}." if table["attributes"] else ""
    yield f"Table of labels: {files}; {columns}.{more}"
    for kind, found in table["bad_rows"].items():
        yield f"Left out: {found['count']:,} {kind}, such as {', '.join(found['examples'][:3])}."


def _audit_lines(audit: Mapping[str, Any]) -> Iterable[str]:
    yield from _table_lines(audit)
    yield _sets("The same pixels more than once in a class", audit["duplicates"])
    yield _sets("The same pixels under two labels", audit["conflicts"])
    yield from _near_copies(audit)
    yield from classes_left_out(audit)
    if audit["unreadable"]:
        yield f"Unreadable: {listed(entry['image_id'] for entry in audit['unreadable'][:20])}."
    groups = audit["groups"]
    if groups is None:
        yield f"{no_groups(audit)}: each image is its own group, so two splits may share a patient or a person."
    else:
        alone = groups["one_class"]["count"]
        yield f"{count(groups['count'], 'group')}, none in two splits; {alone} of them have a single class."
    width, height = audit["sizes"]["width"], audit["sizes"]["height"]
    size = audit["prepared"]["size"]
    yield (
        f"Files of {' to '.join(dict.fromkeys(f'{width[end]} × {height[end]}' for end in ('least', 'most')))} pixels, "
        f"prepared as {size} × {size} ({audit['prepared']['fit']})."
    )


def classes_left_out(audit: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each class that is in no split, since it cannot be in all of them."""
    for name, dropped in audit["dropped_classes"].items():
        yield f"Class {name} was left out because it is too rare for every split: {dropped['reason']}."


def _near_copies(audit: Mapping[str, Any]) -> Iterable[str]:
    near = audit["near_copies"]
    if not near["compared"]:
        yield "Near copies were not searched: the prepared images are too small."
        return
    which = "" if near["compared"] == audit["images"] else f" (of {count(near['compared'], 'image')}, spread evenly)"
    yield _sets(f"Near copies, or equal pixels{which}", near)
    for split, images in near["of_trained"]["splits"].items():
        if images:
            example = listed(near["of_trained"]["examples"][0])
            yield f"{count(images, 'image')} of {split} with a near copy in train, for instance {example}."
    for what, key in (("in another group", "across_groups"), ("under another label", "two_labels")):
        if near[key]["sets"]:
            yield _sets(f"Near copies {what}", near[key])


def _sets(what: str, found: Mapping[str, Any]) -> str:
    if not found["sets"]:
        return f"{what}: none found."
    first = f"; for instance {listed(found['examples'][0])}" if found["examples"] else ""
    splits = ", ".join(f"{images:,} in {split}" for split, images in found["splits"].items() if images)
    return f"{what}: {count(found['images'], 'image')} ({splits}) in {count(found['sets'], 'set')}{first}."


PACKAGES = ("dvc", "matplotlib", "numpy", "pandas", "pillow", "safetensors", "scikit-learn", "scipy", "torch")
# Sections of params.yaml in the order of the pipeline; BY_MODEL have an entry for each model.
SECTIONS = ("fetch", "prepare", "test_sets", "train", "models", "drive", "export", "score", "compare", "report")
BY_MODEL = ("models", "drive")


def provenance_section(results: Results, maps: Mapping[str, Maps]) -> dict[str, Any]:
    """Each model by content, how it was trained, the parameters of every stage, and what made the page."""
    return {
        "models": [_model(results, maps[name], name) for name in results.names],
        "names": results.names,
        "training": training_rows(results),
        "parameters": parameter_rows(results),
        "lines": list(_lines(results)),
    }


def _model(results: Results, stored: Maps, name: str) -> dict[str, str]:
    model = results.models[name]["model"]
    arguments = ", ".join(f"{key} {value}" for key, value in sorted((model.get("arguments") or {}).items()))
    methods = sorted({method for method, _ in stored.names})
    return {
        "name": name,
        "network": f"{model['architecture']}{f' ({arguments})' if arguments else ''}",
        "origin": origin_of(results, name),
        "trained_on": trained_on(results, name).value,
        "maps": f"{listed(methods)}, {results.exports[name]['precision']}",
        "sha256": model["sha256"],
    }


def training_rows(results: Results) -> list[dict[str, Any]]:
    """For each training option, its value in each model file."""
    each = [results.models[name]["model"].get("training") or {} for name in results.names]
    keys = dict.fromkeys(key for training in each for key in training)
    return [{"name": key, "cells": [value_text(training.get(key)) for training in each]} for key in keys]


def parameter_rows(results: Results) -> list[dict[str, str]]:
    """Every section of params.yaml in one line; `models` and `drive` have a line for each of their entries."""
    rows = []
    for section in SECTIONS:
        values = results.parameters.get(section, {})
        if section == "test_sets":
            rows += [
                {"name": f"{section}.{name}.{part}", "text": _values(own[part])}
                for name, own in values.items()
                for part in own
            ]
        elif section in BY_MODEL:
            named = [name for name in results.names if name in values]
            rows += [{"name": f"{section}.{name}", "text": _values(values[name])} for name in named]
        else:
            rows.append({"name": section, "text": _values(values)})
    return rows


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value_text(value)}" for key, value in values.items())


def value_text(value: Any) -> str:
    """A value as params.yaml would have it: true, [cam, gradcam], ''; a dash where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value) if value != "" else "''"


def _lines(results: Results) -> Iterable[str]:
    import platform
    from importlib.metadata import version

    hashes = results.audit["sha256"]
    yield f"Images: SHA-256 {hashes['images.npy']}; index: {hashes['index.csv']}."
    yield "Maps: SHA-256 of every array in reports/exports/, one manifest for each model."
    packages = listed(f"{name} {version(name)}" for name in PACKAGES)
    yield f"This page was made with Python {platform.python_version()}, {packages}."


DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


def origin_of(results: Results, name: str) -> str:
    """Where a model came from."""
    if name not in results.drive:
        return f"trained here, loss {loss_of(results.models[name])}"
    given = results.parameters.get("drive", {}).get(name) or {}
    if given.get("id"):
        return "Google Drive"
    url = str(given.get("url") or "")
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return "Google Drive" if parts.hostname in DRIVE_HOSTS else f"downloaded from {parts.hostname}"
    return f"a file: {url.replace(chr(92), '/').rsplit('/', 1)[-1]}" if url else "elsewhere"
