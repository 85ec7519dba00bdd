"""Tables of labels beside images, as people have them: read right from every source, or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.sources.archives import write_zip
from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.base.prepared import load_prepared
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.images.raw_data import read_raw_table
from wheretolook.images.scan import scan_classes
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.prepare_images import prepare
from wheretolook.sources.source_registry import write_raw

FLAT = ("1.png", "2.png", "3.png", "4.png")
PLAIN = "file,label\n1.png,a\n2.png,a\n3.png,b\n4.png,b\n"
IDS = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
CELEBA = "4\nMale Young\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n000004.jpg -1  1\n"
PARTITION = "000001.jpg 0\n000002.jpg 0\n000003.jpg 2\n000004.jpg 2\n"
FACES = tuple(f"00000{number}.jpg" for number in range(1, 5))

# Files; tables by name; options; expected image_ids.
READ: dict[str, tuple[tuple[str, ...], dict[str, bytes], dict[str, str], tuple[str, ...]]] = {
    "a flat folder": (FLAT, {"t.csv": PLAIN.encode()}, {}, IDS),
    "semicolons": (FLAT, {"t.csv": PLAIN.replace(",", ";").encode()}, {}, IDS),
    "tabs": (FLAT, {"t.tsv": PLAIN.replace(",", "\t").encode()}, {}, IDS),
    "a byte order mark": (FLAT, {"t.csv": PLAIN.encode("utf-8-sig")}, {}, IDS),
    "UTF-16": (FLAT, {"t.csv": PLAIN.encode("utf-16")}, {}, IDS),
    "Latin-1": (
        FLAT, {"t.csv": PLAIN.replace(",b", ",é").encode("latin-1")}, {}, ("a/1.png", "a/2.png", "é/3.png", "é/4.png"),
    ),
    "Windows line ends and paths": (
        ("x/1.png", "x/2.png", "y/1.png", "y/2.png"),
        {"t.csv": b"path,class\r\nx\\1.png,a\r\nx\\2.png,b\r\ny\\1.png,b\r\ny\\2.png,a\r\n"}, {},
        ("a/x/1.png", "a/y/2.png", "b/x/2.png", "b/y/1.png"),
    ),
    "identifiers without a suffix": (FLAT, {"t.csv": PLAIN.replace(".png", "").encode()}, {}, IDS),
    "more folders in the table": (FLAT, {"t.csv": PLAIN.replace("\n", "\nimages/", 4).encode()}, {}, IDS),
    "fewer folders in the table": (
        tuple(f"part/{name}" for name in FLAT), {"t.csv": PLAIN.encode()}, {},
        ("a/part/1.png", "a/part/2.png", "b/part/3.png", "b/part/4.png"),
    ),
    "a column named": (
        FLAT, {"t.csv": b"n,file,kind\n1,1.png,a\n2,2.png,a\n3,3.png,b\n4,4.png,b\n"}, {"label_column": "kind"}, IDS,
    ),
    "quoted cells with commas": (
        FLAT, {"t.csv": b'file,label\n1.png,"a, x"\n2.png,"a, x"\n3.png,b\n4.png,b\n'}, {},
        ("a, x/1.png", "a, x/2.png", "b/3.png", "b/4.png"),
    ),
    "splits": (
        FLAT, {"t.csv": b"file,label,split\n1.png,a,Train\n2.png,a,test\n3.png,b,train\n4.png,b,TEST\n"}, {},
        ("test/a/2.png", "test/b/4.png", "train/a/1.png", "train/b/3.png"),
    ),
    "split folders of flat images": (
        ("Train/1.png", "Train/2.png", "Test/1.png", "Test/2.png"),
        {"t.csv": b"file,label\nTrain/1.png,a\nTrain/2.png,b\nTest/1.png,a\nTest/2.png,b\n"}, {},
        ("test/a/1.png", "test/b/2.png", "train/a/1.png", "train/b/2.png"),
    ),
    "only train": (
        FLAT, {"t.csv": PLAIN.replace("\n", ",train\n").replace("label,train", "label,split").encode()}, {}, IDS,
    ),
    "CelebA": (
        FACES, {"list_attr.txt": CELEBA.encode(), "list_eval_partition.txt": PARTITION.encode()},
        {"labels": "list_attr.txt,list_eval_partition.txt", "label_column": "Male", "multi_labels": "Male,Young"},
        ("test/Male/000003.jpg", "test/no Male/000004.jpg", "train/Male/000001.jpg", "train/no Male/000002.jpg"),
    ),
    "lists of labels": (
        FLAT, {"t.csv": b"file,Finding Labels\n1.png,Mass|Edema\n2.png,Edema\n3.png,Mass\n4.png,None\n"},
        {"multi_labels": "Finding Labels", "label_column": "Mass"},
        ("Mass/1.png", "Mass/3.png", "no Mass/2.png", "no Mass/4.png"),
    ),
    "a number, by its median": (
        FLAT, {"t.csv": b"file,age\n1.png,30\n2.png,40\n3.png,50.5\n4.png,61\n"}, {"value_column": "age"},
        ("age above 45.25/3.png", "age above 45.25/4.png", "age up to 45.25/1.png", "age up to 45.25/2.png"),
    ),
    "a number, by a threshold": (
        FLAT, {"t.csv": b"file,age,label\n1.png,-3,a\n2.png,4e1,b\n3.png,50,a\n4.png,61,b\n"},
        {"value_column": "age", "value_threshold": 50.0},
        ("age above 50/4.png", "age up to 50/1.png", "age up to 50/2.png", "age up to 50/3.png"),
    ),
    "a number most of whose values are the largest": (
        FLAT, {"t.csv": b"file,grade\n1.png,1\n2.png,3\n3.png,3\n4.png,3\n"}, {"value_column": "grade"},
        ("grade above 1/2.png", "grade above 1/3.png", "grade above 1/4.png", "grade up to 1/1.png"),
    ),
    "class folders and a table without labels": (
        ("a/1.png", "a/2.png", "b/3.png", "b/4.png"),
        {"t.csv": b"file,patient,age\n1.png,P1,30\n2.png,P1,30\n3.png,P2,50\n4.png,P3,\n"}, {}, IDS,
    ),
    "composed and decomposed names": (
        ("Cafe\u0301.png", "2.png", "3.png", "4.png"), {"t.csv": PLAIN.replace("1.png", "Café.png").encode()}, {},
        ("a/2.png", "a/Café.png", "b/3.png", "b/4.png"),
    ),
    "the index that pandas writes": (
        FLAT, {"t.csv": b",file,label\n0,1.png,a\n1,2.png,a\n2,3.png,b\n3,4.png,b\n"}, {}, IDS,
    ),
}  # fmt: skip

# Tables; options; parts of `found` and of `hint`.
ROW = PLAIN.replace("4.png,b\n", "")
REFUSED = {
    "a row without a file": (PLAIN + "5.png,b\n", {}, "1 rows without a file, such as 5.png", "on_bad_row: drop"),
    "a file without a row": (ROW, {}, "1 files without a row, such as 4.png", "on_bad_row: drop"),
    "a double row": (PLAIN + "4.png,b\n", {}, "1 double rows, such as 4.png", "on_bad_row: drop"),
    "contradictory rows": (PLAIN + "4.png,a\n", {}, "1 contradictory rows, such as 4.png", "on_bad_row: drop"),
    "no label": (ROW + "4.png,\n", {}, "1 rows without a label, such as 4.png", "on_bad_row: drop"),
    "more cells than columns": (ROW + "4.png,b,c\n", {}, "more or fewer cells", "on_bad_row: drop"),
    "a missing column": (PLAIN, {"label_column": "dx"}, "file, label", "label_column"),
    "no column of labels": ("file,age\n1.png,3\n2.png,4\n3.png,5\n4.png,6\n", {}, "file, age", "label_column"),
    "no column of paths": ("name of it,label\n1.png,a\n", {}, "name of it", "path_column"),
    "an absolute path": (ROW + "/data/4.png,b\n", {}, "/data/4.png", "relative"),
    "a path of Windows": (ROW + "C:\\4.png,b\n", {}, "4.png", "relative"),
    "a path that escapes": (ROW + "../4.png,b\n", {}, "../4.png", "relative"),
    "two columns of one name": ("file,label,label\n1.png,a,b\n", {}, "two of the name", ""),
    "a class that no folder can be": (ROW + "4.png,x/y\n", {}, "4.png", "rename"),
    "a class in test only": (
        "file,label,split\n1.png,a,train\n2.png,b,train\n3.png,c,test\n4.png,a,test\n", {}, "'c'", "remove it",
    ),
    "a number beside a label column": (
        PLAIN, {"value_column": "label", "label_column": "label"}, "label", "remove one",
    ),
    "no numbers": (PLAIN, {"value_column": "label"}, "no numbers", "value_column"),
    "one number": (PLAIN.replace(",a", ",1").replace(",b", ",1"), {"value_column": "label"}, "from 1 to 1", "between"),
    "a row without a number": (
        "file,age\n1.png,1\n2.png,2\n3.png,nan\n4.png,4\n", {"value_column": "age"}, "3.png", "on_bad_row: drop",
    ),
    "a threshold outside": (
        "file,age\n1.png,1\n2.png,2\n3.png,3\n4.png,4\n", {"value_column": "age", "value_threshold": 9.0},
        "from 1 to 4", "value_threshold",
    ),
    "uncertain labels": (
        "file,label,Edema\n1.png,a,-1\n2.png,a,0\n3.png,b,1\n4.png,b,1\n", {"multi_labels": "Edema"},
        "-1, 0, 1", "empty",
    ),
    "a box outside": (
        "file,label,x0,y0,x1,y1\n1.png,a,0,0,4,4\n2.png,a,,,,\n3.png,b,0,0,9,4\n4.png,b,,,,\n", {},
        "boxes outside", "drop",
    ),
    "a box of three numbers": (
        "file,label,bbox\n1.png,a,0 0 4\n2.png,a,\n3.png,b,\n4.png,b,\n", {}, "four numbers", "drop",
    ),
    "a missing mask": (
        "file,label,mask\n1.png,a,m1.png\n2.png,a,\n3.png,b,\n4.png,b,\n", {}, "without their mask", "drop",
    ),
    "binary data": ("file,label\n\0\n", {}, "null characters", "UTF-8"),
    "a spreadsheet": ("PK\3\4", {}, "spreadsheet", "CSV"),
    "nothing but names": ("file,label\n", {}, "none", "labels"),
}  # fmt: skip


def picture(number: int, size: int = 8) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (size, size, 3), np.uint8))


def fetch(source: str, names: tuple[str, ...], tables: dict[str, bytes], options: dict[str, str], folder: Path) -> Path:
    data, raw = folder / "data", folder / "raw"
    for number, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(data / name, "PNG")
    for name, content in tables.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    raw.mkdir()
    given: dict[str, Any] = {"masks": "", "labels": next(iter(tables))} | options
    if source == "folder":
        given["path"] = data
    else:
        files = sorted(path for path in data.rglob("*") if path.is_file())
        write_zip(folder / "a.zip", [(path.relative_to(data).as_posix(), path.read_bytes()) for path in files])
        given |= {"path": folder / "a.zip", "sha256": sha256_of(folder / "a.zip"), "root": ""}
    write_raw(source, given, raw, folder / "cache", RetryPolicy(1, 0))
    return raw


@pytest.mark.parametrize("source", ["folder", "archive"])
@pytest.mark.parametrize("layout", READ)
def test_a_table_gives_the_classes_and_splits(layout: str, source: str, tmp_path: Path):
    names, tables, options, expected = READ[layout]
    raw = fetch(source, names, tables, options, tmp_path)
    scan = scan_classes(raw / "images")
    assert tuple(file.image_id for file in scan.files) == expected
    assert sorted(read_raw_table(raw).cells) == list(expected)


@pytest.mark.parametrize("source", ["folder", "archive"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_table_is_refused_with_the_remedy(case: str, source: str, tmp_path: Path):
    table, options, found, hint = REFUSED[case]
    with pytest.raises(InputError) as refused:
        fetch(source, FLAT, {"t.csv": table.encode()}, options, tmp_path)
    assert found in refused.value.found and hint in refused.value.hint
    assert not (tmp_path / "raw/images").exists() or case == "a class in test only"


def test_rows_that_do_not_fit_are_left_out_and_recorded(tmp_path: Path):
    table = b"file,label\n1.png,a\n1.png,a\n2.png,b\n3.png,a\n3.png,b\n9.png,b\n5.png,b\n5.png,\n"
    raw = fetch("folder", (*FLAT, "5.png"), {"t.csv": table}, {"on_bad_row": "drop"}, tmp_path)
    assert sorted(read_raw_table(raw).cells) == ["a/1.png", "b/2.png"]
    bad = json.loads((raw / "table.json").read_text())["bad_rows"]
    assert {kind: found["examples"] for kind, found in bad.items()} == {
        "contradictory rows": ["3.png", "5.png"],
        "double rows": ["1.png"],
        "files without a row": ["4.png"],
        "rows without a file": ["9.png"],
    }


def test_groups_attributes_and_labels_are_kept_for_each_image(tmp_path: Path):
    table = b"file,label,patient,Age,Mass\n1.png,a,P1,30,1\n2.png,a,P1,,-1\n3.png,b,P2,50,1\n4.png,b,P3,7,\n"
    raw = read_raw_table(fetch("folder", FLAT, {"t.csv": table}, {"multi_labels": "Mass"}, tmp_path))
    assert raw.columns == ("attribute:Age", "label:Mass")
    assert raw.cells["a/2.png"] == ("", "0") and raw.cells["b/4.png"] == ("7", "")
    assert raw.groups == {"a/1.png": "P1", "a/2.png": "P1", "b/3.png": "P2", "b/4.png": "P3"}


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("x0,y0,x1,y1", "1,2,5,4"),
        ("x,y,w,h", "1,2,4,2"),
        ("x_1,y_1,width,height", "1,2,4,2"),
        ("bbox", '"[1, 2, 4, 2]"'),
    ],
)
def test_a_box_becomes_a_mask_of_the_size_of_its_image(header: str, cells: str, tmp_path: Path):
    empty = "," * header.count(",")
    table = f"file,label,{header}\n1.png,a,{cells}\n2.png,a,{empty}\n3.png,b,{empty}\n4.png,b,{empty}\n"
    raw = fetch("folder", FLAT, {"t.csv": table.encode()}, {}, tmp_path)
    mask = np.asarray(Image.open(raw / "masks/a/1.png"))
    expected = np.zeros((8, 8), np.uint8)
    expected[2:4, 1:5] = 255
    assert np.array_equal(mask, expected) and len(list((raw / "masks").rglob("*.png"))) == 1


def test_several_boxes_of_one_image_are_one_mask(tmp_path: Path):
    table = b"file,label,x,y,w,h,area\n1.png,a,0,0,2,2,4\n1.png,a,4,4,2,1,2\n2.png,a,,,,,\n3.png,b,,,,,\n4.png,b,,,,,\n"
    raw = fetch("archive", FLAT, {"t.csv": table}, {}, tmp_path)
    assert (np.asarray(Image.open(raw / "masks/a/1.png")) > 0).sum() == 6
    assert read_raw_table(raw).cells["a/1.png"] == ("",)


def test_masks_come_from_a_column_or_from_a_folder_of_the_same_paths(tmp_path: Path):
    table = b"file,label,mask\n1.png,a,m/one.png\n2.png,a,\n3.png,b,m/three.png\n4.png,b,\n"
    raw = fetch("folder", (*FLAT, "m/one.png", "m/three.png"), {"t.csv": table}, {}, tmp_path / "column")
    assert sorted(path.name for path in (raw / "masks").rglob("*.png")) == ["1.png", "3.png"]
    names = (*(f"images/{name}" for name in FLAT), "masks/2.png")
    for source, masks in (("archive", "masks"), ("folder", str(tmp_path / "folder/data/masks"))):
        raw = fetch(source, names, {"t.csv": PLAIN.encode()}, {"masks": masks}, tmp_path / source)
        assert [path.relative_to(raw).as_posix() for path in (raw / "masks").rglob("*.png")] == ["masks/a/images/2.png"]


def test_a_table_may_lie_beside_the_archive(tmp_path: Path):
    (tmp_path / "t.csv").write_text(PLAIN, encoding="utf-8")
    raw = fetch("archive", FLAT, {"readme.txt": b"x"}, {"labels": str(tmp_path / "t.csv")}, tmp_path / "x")
    assert sorted(read_raw_table(raw).cells) == list(IDS)


def test_the_index_has_the_groups_and_further_columns(tmp_path: Path):
    names = tuple(f"{number:02d}.png" for number in range(24))
    lines = [f"{name},{'ab'[n % 2]},P{n // 3},0{n % 4},{n % 3 - 1 or 1}" for n, name in enumerate(names)]
    table = "\n".join(["file,label,patient,hospital,Mass", *lines]).encode()
    raw = fetch("folder", names, {"t.csv": table}, {"multi_labels": "Mass"}, tmp_path)
    options = PrepareOptions(16, "stretch", "", "0:background", 0.25, 0.25, 0, "refuse", "error")
    audit = prepare(raw, tmp_path / "prepared", options)
    index = load_prepared(tmp_path / "prepared").index
    assert index.groupby("group")["split"].nunique().max() == 1 and index["group"].nunique() == 8
    assert set(index["attribute:hospital"]) == {"00", "01", "02", "03"} and set(index["label:Mass"]) == {"0", "1"}
    assert audit["groups"]["pattern"] == "column patient" and audit["label_table"]["attributes"] == ["hospital"]


def coco(annotations: list[tuple[int, int, list[float]]]) -> bytes:
    """COCO's JSON of four images and two categories."""
    found = {
        "images": [{"id": 7 * i, "file_name": f"{i}.png", "width": 24, "height": 24} for i in range(1, 5)],
        "categories": [{"id": 3, "name": "a"}, {"id": 9, "name": "b"}],
        "annotations": [{"id": n, "image_id": 7 * i, "category_id": k, "bbox": box}
                        for n, (i, k, box) in enumerate(annotations)],
    }  # fmt: skip
    return json.dumps(found).encode()


BOXES = [
    (1, 3, [2.0, 3, 4, 5]),
    (1, 3, [10, 10, 4, 4]),
    (2, 3, [0, 0, 2, 2]),
    (3, 9, [1, 1, 9, 9]),
    (4, 9, [5, 5, 6, 6]),
]


def write_coco(folder: Path, annotations: list[tuple[int, int, list[float]]] | bytes, **options: str) -> None:
    images = folder / "images"
    images.mkdir(parents=True)
    for name in FLAT:
        Image.new("RGB", (24, 24), (len(name), 9, int(name[0]) * 40)).save(images / name)
    (folder / "boxes.json").write_bytes(annotations if isinstance(annotations, bytes) else coco(annotations))
    given = {"path": images, "masks": "", "labels": str(folder / "boxes.json"), **options}
    write_raw("folder", given, folder / "raw", folder / "cache", RetryPolicy(1, 0))


def test_boxes_of_coco_become_classes_and_masks(tmp_path: Path) -> None:
    write_coco(tmp_path, BOXES)
    assert tuple(file.image_id for file in scan_classes(tmp_path / "raw/images").files) == IDS
    mask = np.asarray(Image.open(tmp_path / "raw/masks/a/1.png"))
    expected = np.zeros((24, 24), np.uint8)
    expected[3:8, 2:6] = expected[10:14, 10:14] = 255
    assert np.array_equal(mask, expected)


def test_polygons_of_coco_become_masks_and_run_lengths_their_box(tmp_path: Path) -> None:
    polygons = {0: [[2, 3, 6, 3, 6, 8, 2, 8], [12, 12, 20, 12, 12, 20]], 2: {"counts": [1], "size": [24, 24]}}
    found = json.loads(coco(BOXES))
    for place, segmentation in polygons.items():
        found["annotations"][place]["segmentation"] = segmentation
    write_coco(tmp_path, json.dumps(found).encode())
    expected = np.zeros((24, 24), np.uint8)
    expected[3:8, 2:6] = expected[10:14, 10:14] = 255
    for row in range(8):
        expected[12 + row, 12 : 20 - row] = 255
    mask = np.asarray(Image.open(tmp_path / "raw/masks/a/1.png"))
    # The diagonal goes through the centres of pixels, which are outside.
    differ = np.argwhere(mask != expected)
    assert all(down + right == 31 for down, right in differ.tolist())
    assert np.argwhere(np.asarray(Image.open(tmp_path / "raw/masks/a/2.png"))).max(axis=0).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("annotations", "found"),
    [
        (BOXES[:4], "1 rows without a label, such as 4.png"),
        ([*BOXES, (4, 3, [1, 1, 2, 2])], "1 contradictory rows, such as 4.png"),
        ([*BOXES[:4], (4, 9, [20, 20, 9, 9])], "1 boxes outside of their image"),
        ([*BOXES, (5, 9, [1, 1, 2, 2])], "other JSON (KeyError(35))"),
        ([*BOXES, (4, 8, [1, 1, 2, 2])], "other JSON (KeyError(8))"),
    ],
)
def test_annotations_of_coco_that_do_not_fit_are_refused(
    tmp_path: Path, annotations: list[tuple[int, int, list[float]]], found: str
) -> None:
    with pytest.raises(InputError) as error:
        write_coco(tmp_path, annotations)
    assert found in error.value.found
