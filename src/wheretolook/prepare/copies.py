"""Images that show the same picture, and what to do if they are in different splits (`on_leak`)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import SPLITS
from wheretolook.prepare.near_copies import NearPairs


@dataclass(frozen=True)
class Row:
    """One prepared image: its row in the index, and the hash of its pixels."""

    image_id: str
    class_name: str
    class_index: int
    split: str
    group: str
    width: int
    height: int
    sha256: str
    pixels: str


def pictures(rows: Sequence[Row], near: NearPairs) -> list[list[int]]:
    """Lists of rows that show the same picture, directly or through others; only those of two or more rows.

    Args:
        rows: rows of the index.
        near: pairs of these rows, from `find_near_copies`. Rows with equal pixels are joined too.
    """
    return _units(len(rows), [*near.pairs.tolist(), *_links(equal_pixels(rows))])


def without_leaks(rows: Sequence[Row], near: NearPairs, on_leak: str) -> np.ndarray:
    """Choose the rows to keep where a picture is in more than one split.

    Of the copies, those in the last of train, val and test are kept, so that official test splits stay complete.

    Args:
        rows: rows of the index.
        near: as in `pictures`.
        on_leak: "report" keeps all rows, "drop" leaves out the other copies, "refuse" raises an error.

    Returns:
        (K,) int64, ascending positions of the rows to keep.

    Raises:
        InputError: a picture is in more than one split and `on_leak` is "refuse".
    """
    kept = np.ones(len(rows), bool)
    if on_leak == "report":
        return np.flatnonzero(kept)
    leaked = [unit for unit in pictures(rows, near) if len({rows[row].split for row in unit}) > 1]
    if leaked and on_leak == "refuse":
        shown = "; ".join(" and ".join(rows[row].image_id for row in unit[:2]) for unit in leaked[:3])
        raise InputError(
            "splits",
            expected="each picture in one split only (equal pixels or near copies)",
            found=f"{len(leaked)} pictures in more than one, such as {shown}",
            hint="remove the copies, or set `prepare.on_leak: drop`",
        )
    for unit in leaked:
        last = max(SPLITS.index(rows[row].split) for row in unit)
        kept[[row for row in unit if SPLITS.index(rows[row].split) < last]] = False
    return np.flatnonzero(kept)


def kept_pairs(near: NearPairs, kept: np.ndarray, count: int) -> NearPairs:
    """The pairs among the kept rows, renumbered; `count` is the number of rows before."""
    number = np.full(count, -1)
    number[kept] = np.arange(len(kept))
    pairs = number[near.pairs]
    return NearPairs(pairs[(pairs >= 0).all(axis=1)], min(near.compared, len(kept)))


def equal_pixels(rows: Sequence[Row]) -> list[list[int]]:
    """Lists of rows with equal pixels."""
    same: dict[str, list[int]] = defaultdict(list)
    for row, each in enumerate(rows):
        same[each.pixels].append(row)
    return [unit for unit in same.values() if len(unit) > 1]


def _links(units: Iterable[list[int]]) -> Iterable[tuple[int, int]]:
    return ((unit[0], other) for unit in units for other in unit[1:])


def _units(count: int, links: Iterable[Sequence[int]]) -> list[list[int]]:
    """Connected components of two or more rows, each in ascending order."""
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
