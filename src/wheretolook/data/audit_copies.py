"""What the audit says of images that are there more than once: equal pixels, near copies, and what they cost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from wheretolook.data.near_copies import NearPairs

EXAMPLES = 20


class Copied(Protocol):
    """What is read of a row of the index."""

    image_id: str
    class_name: str
    split: str
    group: str
    pixels: str


def audit_equal(rows: Sequence[Copied], splits: Sequence[str]) -> dict[str, Any]:
    """`duplicates` and `conflicts`: images of the same pixels within one class, and under two labels."""
    sets = [[rows[row] for row in unit] for unit in _with_equal_pixels(rows)]
    across = [alike for alike in sets if _different(alike, "class_name")]
    within = [alike for alike in sets if not _different(alike, "class_name")]
    wrong = {split: sum(_certain_errors(alike, split) for alike in across) for split in splits}
    return {"duplicates": _sets(within, splits), "conflicts": _sets(across, splits) | {"certain_errors": wrong}}


def audit_near(rows: Sequence[Copied], found: NearPairs, splits: Sequence[str], trained: str) -> dict[str, Any]:
    """`near_copies`: units of images that show the same picture, equal pixels included.

    Args:
        rows: of the index.
        found: by `find_near_copies`, of the same rows.
        splits: names of the splits.
        trained: the split that models are trained on.
    """
    units = _units(len(rows), [*found.pairs.tolist(), *_links(_with_equal_pixels(rows))])
    sets = [[rows[row] for row in unit] for unit in units]
    leaked = [alike for alike in sets if any(row.split == trained for row in alike) and _different(alike, "split")]
    counts = Counter(row.split for alike in leaked for row in alike)
    return {
        "compared": found.compared,
        "units": units,
        **_sets(sets, splits),
        "of_trained": {
            "splits": {split: counts[split] for split in splits if split != trained},
            "examples": [[row.image_id for row in alike] for alike in leaked[:EXAMPLES]],
        },
        "across_groups": _sets((alike for alike in sets if _different(alike, "group")), splits),
        "two_labels": _sets((alike for alike in sets if _different(alike, "class_name")), splits),
    }


def _with_equal_pixels(rows: Sequence[Copied]) -> list[list[int]]:
    same: dict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(rows):
        same[each.pixels].append(row)
    return [unit for unit in same.values() if len(unit) > 1]


def _links(units: Iterable[list[int]]) -> Iterable[tuple[int, int]]:
    return ((unit[0], other) for unit in units for other in unit[1:])


def _units(count: int, links: Iterable[Sequence[int]]) -> list[list[int]]:
    """Rows that are linked, directly or through others, ascending; rows without a link are in no unit."""
    first = np.arange(count)

    def root(row: int) -> int:
        while first[row] != row:
            first[row] = row = first[first[row]]
        return int(row)

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        first[high] = low
    units: dict[int, list[int]] = defaultdict(list)
    for row in range(count):
        units[root(row)].append(row)
    return [unit for unit in units.values() if len(unit) > 1]


def _different(alike: Sequence[Copied], what: str) -> bool:
    return len({getattr(row, what) for row in alike}) > 1


def _certain_errors(alike: Sequence[Copied], split: str) -> int:
    """Errors that any network makes on one set of equal pixels: it gives them one answer, of several labels."""
    labels = Counter(row.class_name for row in alike if row.split == split)
    return sum(labels.values()) - max(labels.values(), default=0)


def _sets(sets: Iterable[Sequence[Copied]], splits: Sequence[str]) -> dict[str, Any]:
    listed = list(sets)
    counts: Mapping[str, int] = Counter(row.split for alike in listed for row in alike)
    return {
        "sets": len(listed),
        "images": sum(map(len, listed)),
        "splits": {split: counts[split] for split in splits},
        "examples": [[row.image_id for row in alike] for alike in listed[:EXAMPLES]],
    }
