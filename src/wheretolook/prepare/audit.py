"""The audit of the data, `audit.json`.

Keys (counts are of images unless stated otherwise; lists of examples have at most EXAMPLES entries):

- `class_names`: in the order of the class index.
- `images`: prepared; `files`: images found in the class folders; `ignored`: {`count`, `examples`} of files without an
  image suffix.
- `classes.CLASS`: `files`, `unreadable`, `images`, and `splits.SPLIT`.
- `splits.SPLIT`: `images`, `groups` (how many), and `class_share.CLASS` (0 to 1).
- `unreadable`: [{`image_id`, `reason`}], not prepared.
- `dropped_classes.CLASS`: {`images`, `reason`}, not prepared.
- `duplicates`: equal pixels within a class; `conflicts`: equal pixels in different classes. Each {`sets`, `images`,
  `splits.SPLIT` (images), `examples`: [[image_id, ...], ...]}, of the prepared images. `conflicts` also has
  `certain_errors.SPLIT`: the number of errors that any network makes, because one picture has two labels.
- `near_copies`: images that show the same picture, including equal pixels, at the prepared size
  (`wheretolook.prepare.copies`): `compared` (images that were searched for copies), `smallest` (only if
  `compared` is 0: the size in pixels from which near copies are searched for),
  `units` (lists of rows of the index, one for each picture), `sets`, `images`, `splits`, `examples` as above;
  `of_trained`: {`splits.SPLIT`: images of val and test whose picture is in train too, `examples`}; `across_groups` and
  `two_labels` as `duplicates`.
- `label_table`, only for data with a table of labels: `tables`, `columns`, `attributes`, `multi_labels`, `on_bad_row`,
  and `bad_rows`, {`count`, `examples`} of the rows and files that were left out, by kind.
- `groups`: null without groups, else {`pattern` (or the table's column), `count`,
  `one_class`: {`count`, `by_class.CLASS`, `examples.CLASS`}}; `one_class`: groups whose images all belong to one class.
- `sizes`: `width` and `height` of the files, each {`least`, `median`, `most`} in pixels.
- `prepared`: {`size`, `fit`}.
- `masks`: null without masks, else {`images`, `without`, `labels.LABEL`: {`images`, `area_share`}}: number of images
  with the label, and its share of the area of all masks.
- `mask_names`, only if there are any: `of_no_image`, masks that belong to no image, and `missing`, images without a
  mask in classes that have masks, each {`count`, `examples`}.
- `official_splits`, only for data with split folders: `kept`, the official splits; `drawn`, the splits drawn from
  train; `leaks`, `groups` and `images` (equal pixels) that occur in more than one split, each {`count`, `examples`}.
- `leaks_dropped`, only if `on_leak` is "drop" and there are any: {`count`, `examples`} of images that were left out
  because their picture is also in a later split.
- `copies_of_training`, only for a further test set: {`count`, `examples`, `compared`} of its images whose picture is
  among the training images of the models; `compared`: "near copies", or "equal pixels" where there are too many images.
- `depth`, only if 16-bit grey images use fewer bits: `images`, the number of 16-bit images; `bits`, the most that any
  of them uses; `levels`, the number of 8-bit grey levels that they are reduced to.
- `sha256`: SHA-256 of each file of the prepared data.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from wheretolook.base.prepared import SPLITS, Prepared
from wheretolook.images.scan import ImageFile, Masks
from wheretolook.prepare.copies import SMALLEST, NearPairs, Row, equal_pixels, find_near_copies, pictures

EXAMPLES = 20


def audit_rows(rows: Sequence[Row], splits: Sequence[str]) -> dict[str, Any]:
    """The keys of the audit that depend only on the prepared images."""
    class_names = sorted({row.class_name for row in rows})
    return {
        "class_names": class_names,
        "images": len(rows),
        "splits": {split: _split([row for row in rows if row.split == split], class_names) for split in splits},
        "sizes": {side: _range([getattr(row, side) for row in rows]) for side in ("width", "height")},
        **audit_equal(rows, splits),
    }


def audit_sentence(audit: Mapping[str, Any]) -> str:
    """The audit in one line: number of images, files and splits, and irregularities."""
    names = audit.get("mask_names")
    splits = ", ".join(f"{split['images']} {name}" for name, split in audit["splits"].items())
    odd = {
        "unreadable": len(audit["unreadable"]),
        "duplicates": audit["duplicates"]["images"],
        "with equal pixels in another class": audit["conflicts"]["images"],
        **{
            f"of {split} with a near copy in train": count
            for split, count in (audit["near_copies"]["of_trained"]["splits"]).items()
        },
        "with a near copy in another group": audit["near_copies"]["across_groups"]["images"],
        "with a near copy in another class": audit["near_copies"]["two_labels"]["images"]
        - audit["conflicts"]["images"],
        "of dropped classes": sum(dropped["images"] for dropped in audit["dropped_classes"].values()),
        "files without an image suffix": audit["ignored"]["count"],
        "masks that belong to no image": names["of_no_image"]["count"] if names else 0,
        "without a mask in classes that have masks": names["missing"]["count"] if names else 0,
    }
    if leaks := audit.get("official_splits", {}).get("leaks"):
        odd["groups in more than one split"] = leaks["groups"]["count"]
        odd["with equal pixels in another split"] = leaks["images"]["count"]
    if dropped := audit.get("leaks_dropped"):
        odd["dropped because a later split has their picture"] = dropped["count"]
    if groups := audit["groups"]:
        odd[f"of {groups['count']} groups with images of one class only"] = groups["one_class"]["count"]
    if copies := audit.get("copies_of_training"):
        odd[f"that show a training image ({copies['compared']})"] = copies["count"]
    if depth := audit.get("depth"):
        odd[f"of 16-bit grey that use {depth['bits']} bits, reduced to {depth['levels']} grey levels"] = depth["images"]
    listed = ", ".join(f"{count} {what}" for what, count in odd.items() if count)
    return f"{audit['images']} of {audit['files']} images ({splits}); found: {listed or 'nothing odd'}"


def audit_classes(
    files: Sequence[ImageFile], bad: Mapping[str, str], rows: Sequence[Row], splits: Sequence[str]
) -> dict[str, Any]:
    """`classes` of the audit: the number of files and images of each class.

    Args:
        files: all images of the class folders.
        bad: image_id to reason of those that could not be decoded.
        rows: the prepared images.
        splits: names of the splits.
    """
    files_of = Counter(file.class_name for file in files)
    unreadable = Counter(file.class_name for file in files if file.image_id in bad)
    kept = Counter((row.class_name, row.split) for row in rows)
    return {
        name: {
            "files": count,
            "unreadable": unreadable[name],
            "images": sum(kept[name, split] for split in splits),
            "splits": {split: kept[name, split] for split in splits},
        }
        for name, count in sorted(files_of.items())
    }


def audit_groups(rows: Sequence[Row], pattern: str) -> dict[str, Any] | None:
    """`groups` of the audit. A classifier can learn a group with images of one class only instead of the class."""
    if not pattern:
        return None
    classes: dict[str, str | None] = {}  # None for several
    for row in rows:
        if classes.setdefault(row.group, row.class_name) != row.class_name:
            classes[row.group] = None
    alone: dict[str, list[str]] = defaultdict(list)
    for group in sorted(classes):
        if (name := classes[group]) is not None:
            alone[name].append(group)
    return {
        "pattern": pattern,
        "count": len(classes),
        "one_class": {
            "count": sum(map(len, alone.values())),
            "by_class": {name: len(groups) for name, groups in alone.items()},
            "examples": {name: groups[:EXAMPLES] for name, groups in alone.items()},
        },
    }


def audit_mask_names(masks: Masks) -> dict[str, Any]:
    """`mask_names` of the audit, as a dictionary with this key; empty if every mask has an image and vice versa."""
    if not (masks.unused or masks.without):
        return {}
    return {"mask_names": {"of_no_image": some(masks.unused), "missing": some(masks.without)}}


def audit_official(rows: Sequence[Row], kept: Sequence[str]) -> dict[str, Any]:
    """`official_splits` of the audit, as a dictionary with this key; empty without official splits."""
    if not kept:
        return {}
    splits = defaultdict(set)
    for row in rows:
        splits["group", row.group].add(row.split)
        splits["pixels", row.pixels].add(row.split)
    groups = sorted(name for (kind, name), found in splits.items() if kind == "group" and name and len(found) > 1)
    images = sorted(row.image_id for row in rows if len(splits["pixels", row.pixels]) > 1)
    drawn = sorted({row.split for row in rows} - set(kept))
    leaks = {"groups": some(groups), "images": some(images)}
    return {"official_splits": {"kept": list(kept), "drawn": drawn, "leaks": leaks}}


def audit_depth(deepest: Sequence[int]) -> dict[str, Any]:
    """`depth` of the audit, as a dictionary with this key; empty unless 16-bit images use fewer bits.

    Args:
        deepest: largest grey value of each 16-bit image; 0 for other images.
    """
    most = max(deepest, default=0)
    bits = most.bit_length()
    if not 0 < bits < 16:
        return {}
    count = sum(value > 0 for value in deepest)
    return {"depth": {"images": count, "bits": bits, "levels": most // 257 + (most % 257 > 128) + 1}}


MOST_BYTES = 2**29  # of prepared images, test set and training images together, that are searched for near copies


def audit_training_copies(images: np.ndarray, rows: Sequence[Row], trained_on: Prepared) -> dict[str, Any]:
    """`copies_of_training` of the audit of a test set.

    Args:
        images: (n, S, S, 3) uint8, of the test set, may be memory-mapped.
        rows: their rows of the index.
        trained_on: data of the models.
    """
    train = trained_on.rows(SPLITS[0])
    if (len(images) + len(train)) * int(np.prod(images.shape[1:])) <= MOST_BYTES:
        near = find_near_copies(np.concatenate([images, trained_on.images[train]]))
        found = {int(a) for a, b in near.pairs if a < len(images) <= b}
        if near.compared == len(images) + len(train):
            return {**some([rows[row].image_id for row in sorted(found)]), "compared": "near copies"}
    known = {hashlib.sha256(trained_on.images[row].tobytes()).digest() for row in train}
    equal = [
        row.image_id
        for row, image in zip(rows, images, strict=True)
        if hashlib.sha256(image.tobytes()).digest() in known
    ]
    return {**some(equal), "compared": "equal pixels"}


def some(names: Sequence[str]) -> dict[str, Any]:
    """Count and first examples."""
    return {"count": len(names), "examples": list(names[:EXAMPLES])}


def _split(rows: Sequence[Row], class_names: Sequence[str]) -> dict[str, Any]:
    counts = Counter(row.class_name for row in rows)
    return {
        "images": len(rows),
        "groups": len({row.group for row in rows if row.group}),
        "class_share": {name: counts[name] / len(rows) for name in class_names},
    }


def _range(values: Sequence[int]) -> dict[str, float]:
    return {"least": min(values), "median": median(values), "most": max(values)}


def audit_equal(rows: Sequence[Row], splits: Sequence[str]) -> dict[str, Any]:
    """`duplicates` and `conflicts` of the audit: equal pixels within a class, and in different classes."""
    sets = [[rows[row] for row in unit] for unit in equal_pixels(rows)]
    across = [alike for alike in sets if _different(alike, "class_name")]
    within = [alike for alike in sets if not _different(alike, "class_name")]
    wrong = {split: sum(_certain_errors(alike, split) for alike in across) for split in splits}
    return {"duplicates": _sets(within, splits), "conflicts": _sets(across, splits) | {"certain_errors": wrong}}


def audit_near(rows: Sequence[Row], near: NearPairs, splits: Sequence[str], trained: str) -> dict[str, Any]:
    """`near_copies` of the audit: images that show the same picture, including equal pixels.

    Args:
        rows: rows of the index.
        near: pairs of these rows, from `find_near_copies`.
        splits: names of the splits.
        trained: the split that models are trained on.
    """
    units = pictures(rows, near)
    sets = [[rows[row] for row in unit] for unit in units]
    leaked = [alike for alike in sets if any(row.split == trained for row in alike) and _different(alike, "split")]
    counts = Counter(row.split for alike in leaked for row in alike)
    return {
        "compared": near.compared,
        **({} if near.compared else {"smallest": SMALLEST}),
        "units": units,
        **_sets(sets, splits),
        "of_trained": {
            "splits": {split: counts[split] for split in splits if split != trained},
            "examples": [[row.image_id for row in alike] for alike in leaked[:EXAMPLES]],
        },
        "across_groups": _sets((alike for alike in sets if _different(alike, "group")), splits),
        "two_labels": _sets((alike for alike in sets if _different(alike, "class_name")), splits),
    }


def _different(alike: Sequence[Row], what: str) -> bool:
    return len({getattr(row, what) for row in alike}) > 1


def _certain_errors(alike: Sequence[Row], split: str) -> int:
    """Errors that any network makes on images of equal pixels: it predicts one class for all of them."""
    labels = Counter(row.class_name for row in alike if row.split == split)
    return sum(labels.values()) - max(labels.values(), default=0)


def _sets(sets: Iterable[Sequence[Row]], splits: Sequence[str]) -> dict[str, Any]:
    listed = list(sets)
    counts: Mapping[str, int] = Counter(row.split for alike in listed for row in alike)
    return {
        "sets": len(listed),
        "images": sum(map(len, listed)),
        "splits": {split: counts[split] for split in splits},
        "examples": [[row.image_id for row in alike] for alike in listed[:EXAMPLES]],
    }
