"""What was found in the data, as `audit.json` tells it.

Keys (counts are of images, if nothing else is said; lists of examples end at EXAMPLES):

- `class_names`: in the order of the class index.
- `images`: prepared; `files`: found in the class folders; `ignored`: {`count`, `examples`} of files that are no images
  by their suffix.
- `classes.CLASS`: `files`, `unreadable`, `images`, and `splits.SPLIT`.
- `splits.SPLIT`: `images`, `groups` (how many), and `class_share.CLASS` (0 to 1).
- `unreadable`: [{`image_id`, `reason`}], left out of the arrays.
- `dropped_classes.CLASS`: {`images`, `reason`}, left out of the arrays.
- `duplicates`: the same pixels more than once in one class; `conflicts`: the same pixels under two labels. Each
  {`sets`, `images`, `splits.SPLIT` (images), `examples`: [[image_id, ...], ...]}; unreadable and dropped images are not
  looked at. `conflicts` has `certain_errors.SPLIT` besides: errors that any network makes, since one picture has two
  labels.
- `near_copies`: images that show the same picture, equal pixels included (`wheretolook.prepare.near_copies`), as prepared:
  `compared` (images that were compared with all others; 0: too small for that), `units` (lists of rows of the index,
  each one picture), `sets`, `images`, `splits`, `examples` as above; `of_trained`: {`splits.SPLIT`: images of val and
  test whose picture is in train too, `examples`}; `across_groups` and `two_labels` as `duplicates`.
- `groups`: null without a pattern, else {`pattern`, `count`, `one_class`: {`count`, `by_class.CLASS`,
  `examples.CLASS`}}: groups all of whose images have one label.
- `sizes`: `width` and `height` of the files, each {`least`, `median`, `most`} in pixels.
- `prepared`: {`size`, `fit`}.
- `masks`: null without masks, else {`images`, `without`, `labels.LABEL`: {`images`, `area_share`}}: images that have
  the label, and the share of all masks' area that it takes.
- `mask_names`, where there is anything to say: `of_no_image`, masks that belong to none, and `missing`, images without
  one where others of their class have one, each {`count`, `examples`}.
- `official_splits`, where folders of the data are splits: `kept`, those that they are; `drawn`, those that were drawn
  from train; and `leaks`, groups and images with the same pixels that stand in two splits: {`count`, `examples`}.
- `depth`, where grey images of 16 bits use fewer: `images`, how many are of 16 bits; `bits` that they use at most;
  and `levels`, the grey levels of 8 bits that are left of them.
- `sha256`: of each file of the prepared data.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from wheretolook.images.scan import ImageFile, Masks
from wheretolook.prepare.near_copies import EXAMPLES, audit_equal


@dataclass(frozen=True)
class Row:
    """One prepared image: what the index says of it, and the hash of its pixels."""

    image_id: str
    class_name: str
    class_index: int
    split: str
    group: str
    width: int
    height: int
    sha256: str
    pixels: str


def audit_rows(rows: Sequence[Row], splits: Sequence[str]) -> dict[str, Any]:
    """The keys of the audit that follow from the prepared images alone."""
    class_names = sorted({row.class_name for row in rows})
    return {
        "class_names": class_names,
        "images": len(rows),
        "splits": {split: _split([row for row in rows if row.split == split], class_names) for split in splits},
        "sizes": {side: _range([getattr(row, side) for row in rows]) for side in ("width", "height")},
        **audit_equal(rows, splits),
    }


def audit_sentence(audit: Mapping[str, Any]) -> str:
    """The whole audit in one line: how many images of how many files, in which splits, and what was found odd."""
    names = audit.get("mask_names")
    splits = ", ".join(f"{split['images']} {name}" for name, split in audit["splits"].items())
    odd = {
        "unreadable": len(audit["unreadable"]),
        "duplicates": audit["duplicates"]["images"],
        "with two labels": audit["conflicts"]["images"],
        **{
            f"of {split} with a near copy in train": count
            for split, count in (audit["near_copies"]["of_trained"]["splits"]).items()
        },
        "with a near copy in another group": audit["near_copies"]["across_groups"]["images"],
        "with a near copy of another label": audit["near_copies"]["two_labels"]["images"]
        - audit["conflicts"]["images"],
        "of dropped classes": sum(dropped["images"] for dropped in audit["dropped_classes"].values()),
        "files that are no images": audit["ignored"]["count"],
        "masks of no image": names["of_no_image"]["count"] if names else 0,
        "without a mask, of classes that have some": names["missing"]["count"] if names else 0,
    }
    if leaks := audit.get("official_splits", {}).get("leaks"):
        odd["groups in two splits"] = leaks["groups"]["count"]
        odd["with the same pixels in two splits"] = leaks["images"]["count"]
    if depth := audit.get("depth"):
        what = f"of 16-bit grey that use {depth['bits']} bits, of which {depth['levels']} grey levels are left"
        odd[what] = depth["images"]
    found = ", ".join(f"{count} {what}" for what, count in odd.items() if count)
    return f"{audit['images']} of {audit['files']} images ({splits}); found: {found or 'nothing odd'}"


def audit_classes(
    files: Sequence[ImageFile], bad: Mapping[str, str], rows: Sequence[Row], splits: Sequence[str]
) -> dict[str, Any]:
    """What became of the files of each class: `classes` in the audit.

    Args:
        files: all that were found.
        bad: those that could not be decoded, by image_id.
        rows: those that were prepared.
        splits: names of the splits.
    """
    found = Counter(file.class_name for file in files)
    unreadable = Counter(file.class_name for file in files if file.image_id in bad)
    kept = Counter((row.class_name, row.split) for row in rows)
    return {
        name: {
            "files": count,
            "unreadable": unreadable[name],
            "images": sum(kept[name, split] for split in splits),
            "splits": {split: kept[name, split] for split in splits},
        }
        for name, count in sorted(found.items())
    }


def audit_groups(rows: Sequence[Row], pattern: str) -> dict[str, Any] | None:
    """How many groups there are, and which have images of one class only: a classifier can learn the group instead."""
    if not pattern:
        return None
    classes: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        classes[row.group].add(row.class_name)
    alone: dict[str, list[str]] = defaultdict(list)
    for group in sorted(classes):
        if len(classes[group]) == 1:
            alone[next(iter(classes[group]))].append(group)
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
    """Masks of no image, and images that lack one: `mask_names` in the audit; nothing where there are neither."""
    if not (masks.unused or masks.without):
        return {}
    return {"mask_names": {"of_no_image": some(masks.unused), "missing": some(masks.without)}}


def audit_official(rows: Sequence[Row], kept: Sequence[str]) -> dict[str, Any]:
    """The splits that folders say, and what stands in two of them: `official_splits`; nothing where they say none."""
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
    """How many levels are left of grey images of 16 bits that use fewer: `depth`; nothing where none do.

    Args:
        deepest: the largest grey value of each image of 16 bits; 0 for others.
    """
    most = max(deepest, default=0)
    bits = most.bit_length()
    if not 0 < bits < 16:
        return {}
    count = sum(value > 0 for value in deepest)
    return {"depth": {"images": count, "bits": bits, "levels": most // 257 + (most % 257 > 128) + 1}}


def some(names: Sequence[str]) -> dict[str, Any]:
    """A count and the first examples."""
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
