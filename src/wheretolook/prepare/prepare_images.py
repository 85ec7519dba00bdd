"""Turn raw images into the prepared arrays: decode, split, leave out copies of other splits, audit."""

import csv
from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing_folder, sha256_of, write_json
from wheretolook.base.prepared import COLUMNS, SPLITS, TEST, Prepared
from wheretolook.images.raw_data import RawTable, read_raw_table
from wheretolook.images.scan import ImageFile, find_raw_masks, scan_raw
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.audit import (
    audit_classes,
    audit_depth,
    audit_groups,
    audit_mask_names,
    audit_near,
    audit_official,
    audit_rows,
    audit_training_copies,
    some,
)
from wheretolook.prepare.copies import NearPairs, Row, find_near_copies, pictures
from wheretolook.prepare.masks import parse_mask_values
from wheretolook.prepare.pixels import Decoded, decode_images, keep_rows, write_masks
from wheretolook.prepare.splits import (
    assign_splits,
    check_classes,
    check_test_set,
    complete_splits,
    connected_units,
    groups_of,
)


def prepare(raw: Path, prepared: Path, options: PrepareOptions, trained_on: Prepared | None = None) -> dict[str, Any]:
    """Write images.npy, masks.npy (where there are masks), index.csv and audit.json.

    Args:
        raw: what `fetch` wrote: images, and perhaps masks, in class folders or packed.
        prepared: the folder to write, completely or not at all.
        options: parameters of the stage.
        trained_on: data of the models that these images test: all are in the split test, under the classes of these
            data. None: the images are split.

    Returns:
        The audit, as in audit.json (`wheretolook.prepare.audit`).

    Raises:
        InputError: the data cannot be prepared with these options.
    """
    options.check()
    labels_of = parse_mask_values(options.mask_values)
    scan = scan_raw(raw)
    table = read_raw_table(raw)
    ids = [file.image_id for file in scan.files]
    if table.groups and not options.group_pattern:
        groups = [table.groups.get(image_id, "") for image_id in ids]
    else:
        groups = groups_of([image_id.rpartition("/")[2] for image_id in ids], options.group_pattern)
    masks = find_raw_masks(raw, scan)
    with replacing_folder(prepared) as folder:
        decoded = decode_images(scan.files, folder / "decoded.npy", options.size, options.fit)
        bad = _bad_images(scan.files, decoded, options.on_bad_image)
        readable = [row for row, one in enumerate(decoded) if not one.reason]
        official = [scan.files[row].split for row in readable] if scan.splits and trained_on is None else ()
        units = connected_units([groups[row] for row in readable], [decoded[row].pixels for row in readable])
        found = [scan.files[row].class_name for row in readable]
        if trained_on is None:
            dropped = check_classes(found, units, options.rare_classes, official)
        else:
            dropped = {}
            check_test_set(found, options, trained_on)
        kept = [
            (row, unit) for row, unit in zip(readable, units, strict=True) if scan.files[row].class_name not in dropped
        ]
        rows = _rows(
            [(scan.files[row], decoded[row], groups[row]) for row, _ in kept],
            np.array([unit for _, unit in kept]),
            options,
            trained_on,
        )
        keep_rows(folder / "decoded.npy", np.array([row for row, _ in kept]), folder / "images.npy")
        near = find_near_copies(np.load(folder / "images.npy", mmap_mode="r"))
        clean = without_leaks(rows, near, options.on_leak)
        leaks_dropped = [rows[row].image_id for row in np.setdiff1d(np.arange(len(rows)), clean)]
        if leaks_dropped:
            (folder / "images.npy").rename(folder / "leaky.npy")
            keep_rows(folder / "leaky.npy", clean, folder / "images.npy")
            near = kept_pairs(near, clean, len(rows))
            rows = [rows[row] for row in clean]
            _check_splits(rows, "none after the copies were dropped", "remove the copies, or set on_leak to report")
        splits = SPLITS if trained_on is None else (TEST,)
        _write_index(folder / "index.csv", rows, table)
        audit = {
            **audit_rows(rows, splits),
            "near_copies": audit_near(rows, near, splits, trained=SPLITS[0]),
            "files": len(scan.files),
            "classes": audit_classes(scan.files, bad, rows, splits),
            "unreadable": [{"image_id": image_id, "reason": reason} for image_id, reason in bad.items()],
            "dropped_classes": dropped,
            "ignored": some(scan.ignored),
            "groups": audit_groups(rows, options.group_pattern or _group_column(table)),
            "prepared": {"size": options.size, "fit": options.fit},
            "masks": None,
            **({"label_table": dict(table.choices)} if table.choices else {}),
            **audit_mask_names(masks),
            **(audit_official(rows, scan.splits) if trained_on is None else {}),
            **({"leaks_dropped": some(leaks_dropped)} if leaks_dropped else {}),
            **audit_depth([one.deepest for one in decoded]),
        }
        if trained_on is not None:
            audit["class_names"] = list(trained_on.class_names)
            images = np.load(folder / "images.npy", mmap_mode="r")
            audit["copies_of_training"] = audit_training_copies(images, rows, trained_on)
        files = [masks.paths.get(row.image_id) for row in rows]
        if any(files):
            sizes = [(row.width, row.height) for row in rows]
            audit["masks"] = write_masks(files, sizes, folder / "masks.npy", labels_of, options.size, options.fit)
        audit["sha256"] = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        write_json(folder / "audit.json", audit)
    return audit


def _bad_images(files: Sequence[ImageFile], decoded: Sequence[Decoded], on_bad_image: str) -> dict[str, str]:
    """image_id to reason of the images that could not be decoded.

    Raises:
        InputError: there are some and `on_bad_image` is "error", or all of them.
    """
    bad = {file.image_id: one.reason for file, one in zip(files, decoded, strict=True) if one.reason}
    shown = "; ".join(f"{image_id}: {reason}" for image_id, reason in list(bad.items())[:3])
    if len(bad) == len(files):
        raise InputError("images", "image files", f"none of {len(files)} that can be decoded: {shown}", "check fetch")
    if bad and on_bad_image == "error":
        raise InputError(
            "images",
            expected="image files that can be decoded",
            found=f"{len(bad)} of {len(files)} that cannot: {shown}{'; …' if len(bad) > 3 else ''}",
            hint="repair or remove them, or set `prepare.on_bad_image: skip`",
        )
    return bad


def _rows(
    kept: Sequence[tuple[ImageFile, Decoded, str]],
    units: np.ndarray,
    options: PrepareOptions,
    trained_on: Prepared | None,
) -> list[Row]:
    """The rows of the index, with their splits."""
    class_names = sorted({file.class_name for file, _, _ in kept}) if trained_on is None else trained_on.class_names
    number = {name: index for index, name in enumerate(class_names)}
    class_index = np.array([number[file.class_name] for file, _, _ in kept])
    units = np.unique(units, return_inverse=True)[1]
    official = [file.split for file, _, _ in kept]
    draw = partial(complete_splits, official) if any(official) else assign_splits
    if trained_on is None:
        splits = draw(class_index, units, options.val_share, options.test_share, options.seed)
    else:
        splits = np.full(len(kept), SPLITS.index(TEST))
    rows = [
        Row(
            file.image_id,
            file.class_name,
            int(index),
            SPLITS[split],
            group,
            one.width,
            one.height,
            one.sha256,
            one.pixels,
        )
        for (file, one, group), index, split in zip(kept, class_index, splits, strict=True)
    ]
    if trained_on is None:
        _check_splits(
            rows,
            "none, since its groups are too few or too large",
            "set another prepare.group_pattern, seed or share, or add images of other groups",
        )
    return rows


def _check_splits(rows: Sequence[Row], found: str, hint: str) -> None:
    """Raise InputError, with this cause and hint, for a split without images of a class."""
    present = {(row.split, row.class_name) for row in rows}
    names = sorted({name for _, name in present})
    for split in SPLITS:
        for name in names:
            if (split, name) not in present:
                raise InputError(f"split {split}", f"images of the class {name}", found, hint)


def _group_column(table: RawTable) -> str:
    """How the groups of a table are described in the audit; '' without them."""
    return f"column {table.choices['columns']['group']}" if table.groups else ""


def _write_index(path: Path, rows: Sequence[Row], table: RawTable) -> None:
    empty = ("",) * len(table.columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *table.columns])
        values = attrgetter(*COLUMNS)
        writer.writerows((*values(row), *table.cells.get(row.image_id, empty)) for row in rows)


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
