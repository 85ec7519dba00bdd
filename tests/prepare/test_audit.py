from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from wheretolook.images.scan import ImageFile
from wheretolook.prepare.audit import EXAMPLES, audit_classes, audit_equal, audit_groups, audit_near, audit_rows, some
from wheretolook.prepare.copies import NearPairs, Row

SPLITS = ("train", "val", "test")


def row(number: int, class_name: str, pixels: str = "", split: str = "train", group: str = "") -> Row:
    name = f"{class_name}/{number}.png"
    return Row(name, class_name, 0, split, group, 10 + number, 20, "", pixels or f"own {class_name} {number}")


def alike(rows: Sequence[Row]) -> tuple[list, list]:
    found = audit_equal(rows, SPLITS)
    return found["duplicates"]["examples"], found["conflicts"]["examples"]


def test_the_same_pixels_in_one_class_are_duplicates():
    rows = [row(1, "a", "x"), row(2, "a", "x"), row(3, "a"), row(1, "b")]
    assert alike(rows) == ([["a/1.png", "a/2.png"]], [])


def test_the_same_pixels_under_two_labels_are_a_conflict_and_no_duplicate():
    rows = [row(1, "a", "x"), row(2, "a", "x"), row(1, "b", "x")]
    assert alike(rows) == ([], [["a/1.png", "a/2.png", "b/1.png"]])


def test_sets_and_images_are_counted_beyond_the_examples():
    rows = [row(number, "a", f"pixels {number // 2}") for number in range(100)]
    found = audit_equal(rows, SPLITS)["duplicates"]
    assert (found["sets"], found["images"], len(found["examples"])) == (50, 100, EXAMPLES)


def test_contradictory_labels_cost_an_error_each_whatever_the_network():
    labels = {"train": "ab", "test": "aab"}
    rows = [row(n, name, f"of {split}", split) for split, names in labels.items() for n, name in enumerate(names)]
    found = audit_equal(rows, SPLITS)["conflicts"]
    assert found["splits"] == {"train": 2, "val": 0, "test": 3}
    assert found["certain_errors"] == {"train": 1, "val": 0, "test": 1}


def test_near_copies_are_units_and_counted_where_they_cost():
    rows = [
        row(0, "a", "x", group="p1"),
        row(1, "a", "x", group="p1"),  # equal pixels: a unit without a near copy
        row(2, "a", group="p2"),
        row(3, "a", split="test", group="p2"),  # of 2
        row(4, "b", split="test", group="p3"),  # of 3: of 2 through it, and of another label and group
        row(5, "b", split="val", group="p4"),
        row(6, "b", split="test", group="p4"),  # of 5, which nothing was trained on
        row(7, "b", group="p5"),
    ]
    found = audit_near(rows, NearPairs(np.array([[2, 3], [3, 4], [5, 6]]), 8), SPLITS, "train")
    assert found["units"] == [[0, 1], [2, 3, 4], [5, 6]]
    assert (found["sets"], found["images"], found["compared"]) == (3, 7, 8)
    assert found["splits"] == {"train": 3, "val": 1, "test": 3}
    assert found["of_trained"] == {
        "splits": {"val": 0, "test": 2},
        "examples": [["a/2.png", "a/3.png", "b/4.png"]],
    }
    assert found["across_groups"]["examples"] == found["two_labels"]["examples"] == [["a/2.png", "a/3.png", "b/4.png"]]


def test_groups_of_one_class_are_counted_by_class():
    rows = [row(1, "a", group="p1"), row(1, "b", group="p1"), row(2, "b", group="p2"), row(3, "b", group="p3")]
    assert audit_groups(rows, "^(p)") == {
        "pattern": "^(p)",
        "count": 3,
        "one_class": {"count": 2, "by_class": {"b": 2}, "examples": {"b": ["p2", "p3"]}},
    }
    assert audit_groups(rows, "") is None


def test_splits_tell_images_groups_and_the_classes_shares():
    rows = [row(n, name, split=split, group=f"p{n}") for n, name in enumerate("aaab") for split in SPLITS]
    found = audit_rows(rows, SPLITS)
    assert found["splits"]["val"] == {"images": 4, "groups": 4, "class_share": {"a": 0.75, "b": 0.25}}
    assert found["class_names"] == ["a", "b"] and found["images"] == 12
    assert found["sizes"] == {
        "width": {"least": 10, "median": 11.5, "most": 13},
        "height": {"least": 20, "median": 20, "most": 20},
    }


def test_classes_tell_what_became_of_every_file():
    files = [ImageFile(f"{name}/{n}.png", name, Path()) for name in "ab" for n in range(3)]
    rows = [row(n, "a", split=split) for n, split in enumerate(("train", "test"))]
    found = audit_classes(files, {"a/2.png": "no image"}, rows, SPLITS)
    assert found["a"] == {"files": 3, "unreadable": 1, "images": 2, "splits": {"train": 1, "val": 0, "test": 1}}
    assert found["b"] == {"files": 3, "unreadable": 0, "images": 0, "splits": {"train": 0, "val": 0, "test": 0}}


@pytest.mark.parametrize("count", [0, 3, 100])
def test_some_gives_the_count_and_the_first(count: int):
    names = [str(number) for number in range(count)]
    assert some(names) == {"count": count, "examples": names[:EXAMPLES]}
