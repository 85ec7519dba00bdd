"""What the page says about the data."""

from collections.abc import Iterable, Mapping
from typing import Any

from wheretolook.data.prepared import SPLITS
from wheretolook.report.shown import PAGE
from wheretolook.report.words import count, listed, percent


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
        are = "is" if wrong == 1 else "are"
        found.append(
            f"{count(wrong, 'image')} of the {split} split {are} wrong whatever a model says: the same pixels have two "
            f"labels. Accuracy is at most {percent(1 - wrong / images)}."
        )
    near = audit["near_copies"]
    seen = near["of_trained"]["splits"].get(split, 0)
    if seen:
        have = "has a near copy" if seen == 1 else "have near copies"
        found.append(
            f"{seen:,} of {count(images, 'image')} of the {split} split ({percent(seen / images, 0)}) {have} among the "
            "images of the train split: figures on them show memory, not what holds on new images."
        )
    doubted = near["two_labels"]["splits"][split] - audit["conflicts"]["splits"][split]
    if doubted > 0:
        have = "has a near copy" if doubted == 1 else "have near copies"
        found.append(f"{count(doubted, 'image')} of the {split} split {have} under another label.")
    return found


def _audit_lines(audit: Mapping[str, Any]) -> Iterable[str]:
    yield _sets("The same pixels more than once in a class", audit["duplicates"])
    yield _sets("The same pixels under two labels", audit["conflicts"])
    yield from _near_copies(audit)
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


def _near_copies(audit: Mapping[str, Any]) -> Iterable[str]:
    near = audit["near_copies"]
    if not near["compared"]:
        yield "Near copies were not looked for: the prepared images are too small."
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
