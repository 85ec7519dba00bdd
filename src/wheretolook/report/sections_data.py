"""What the page says about the data."""

from collections.abc import Iterable, Mapping
from typing import Any

from wheretolook.data.prepared import SPLITS
from wheretolook.report.shown import PAGE
from wheretolook.report.words import count, listed


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


def _audit_lines(audit: Mapping[str, Any]) -> Iterable[str]:
    duplicates, conflicts = audit["duplicates"], audit["conflicts"]
    yield _sets("The same pixels more than once in a class", duplicates)
    yield _sets("The same pixels under two labels", conflicts)
    yield from classes_left_out(audit)
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


def classes_left_out(audit: Mapping[str, Any]) -> Iterable[str]:
    """A sentence for each class that is in no split, since it cannot be in all of them."""
    for name, dropped in audit["dropped_classes"].items():
        yield f"Class {name} was left out, being too rare to stand in every split: {dropped['reason']}."


def _sets(what: str, found: Mapping[str, Any]) -> str:
    if not found["sets"]:
        return f"{what}: none found."
    first = listed(found["examples"][0]) if found["examples"] else ""
    return f"{what}: {count(found['images'], 'image')} in {count(found['sets'], 'set')}, for instance {first}."
