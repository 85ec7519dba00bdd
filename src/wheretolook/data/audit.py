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
- `near_copies`: images that show the same picture, equal pixels included (`wheretolook.data.near_copies`), as prepared:
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
- `sha256`: of each file of the prepared data.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from wheretolook.data.audit_copies import EXAMPLES, audit_equal
from wheretolook.data.scan import ImageFile, Masks


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
