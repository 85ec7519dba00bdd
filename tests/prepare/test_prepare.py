import hashlib
import json
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.made_classes import MASK_VALUES, write_classes, write_image, write_mask
from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.base.prepared import BACKGROUND, COLUMNS, EVIDENCE, UNKNOWN, load_prepared
from wheretolook.images import decode
from wheretolook.images.decode import to_square
from wheretolook.images.scan import ImageFile
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare.pixels import decode_images, write_masks
from wheretolook.prepare.prepare_images import prepare

OPTIONS = PrepareOptions(
    size=16,
    fit="stretch",
    group_pattern="",
    mask_values=MASK_VALUES,
    val_share=0.2,
    test_share=0.2,
    seed=0,
    rare_classes="refuse",
    on_bad_image="error",
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "raw", {"b": 30, "a": 20})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "prepared"


def test_row_i_of_the_index_describes_image_i(raw: Path, out: Path):
    prepare(raw, out, OPTIONS)
    prepared = load_prepared(out)
    assert prepared.images.shape == (50, 16, 16, 3) and tuple(prepared.index.columns) == COLUMNS
    assert list(prepared.index["image_id"]) == sorted(prepared.index["image_id"])
    for row in (0, 19, 20, 49):
        path = raw / "images" / prepared.index["image_id"][row]
        np.testing.assert_array_equal(prepared.images[row], to_square(Image.open(path), 16, "stretch"))
        assert prepared.index["sha256"][row] == sha256_of(path)
        assert (prepared.index["width"][row], prepared.index["height"][row]) == (20, 20)


def test_classes_are_numbered_in_sorted_order(raw: Path, out: Path):
    prepare(raw, out, OPTIONS)
    prepared = load_prepared(out)
    assert prepared.class_names == ("a", "b")
    assert prepared.labels.tolist() == [0] * 20 + [1] * 30 and prepared.labels.dtype == np.int64


def test_the_same_input_gives_the_same_bytes(raw: Path, out: Path, tmp_path: Path):
    write_mask(raw / "masks/a/p0_000.png")
    prepare(raw, out, OPTIONS)
    # Copied in another order: nothing may depend on how a file system lists its files.
    other = tmp_path / "other"
    for path in sorted((path for path in raw.rglob("*.png")), reverse=True):
        (other / path.relative_to(raw)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, other / path.relative_to(raw))
    prepare(other, tmp_path / "again", OPTIONS)
    for name in ("images.npy", "masks.npy", "index.csv", "audit.json"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_audit_pins_every_file_beside_it(raw: Path, out: Path):
    audit = prepare(raw, out, OPTIONS)
    assert json.loads((out / "audit.json").read_text()) == audit
    assert audit["sha256"] == {name: sha256_of(out / name) for name in ("images.npy", "index.csv")}
    assert {path.name for path in out.iterdir()} == {"images.npy", "index.csv", "audit.json"}


def test_no_group_is_in_two_splits(raw: Path, out: Path):
    audit = prepare(raw, out, replace(OPTIONS, group_pattern=r"^(p\d)"))
    index = load_prepared(out).index
    assert (index.groupby("group")["split"].nunique() == 1).all()
    assert audit["groups"]["count"] == 10 and audit["groups"]["one_class"]["count"] == 0


def test_the_same_pixels_stay_in_one_split(raw: Path, out: Path):
    for number in range(8):
        shutil.copyfile(raw / "images/a/p0_000.png", raw / f"images/a/copy{number}.png")
    audit = prepare(raw, out, OPTIONS)
    index = load_prepared(out).index
    copies = index["image_id"].str.contains("copy") | (index["image_id"] == "a/p0_000.png")
    assert index["split"][copies].nunique() == 1
    assert audit["duplicates"]["sets"] == 1 and audit["duplicates"]["images"] == 9


def test_the_same_pixels_in_another_format_are_found(raw: Path, out: Path):
    Image.open(raw / "images/a/p0_000.png").save(raw / "images/b/same.bmp")
    assert prepare(raw, out, OPTIONS)["conflicts"]["examples"] == [["a/p0_000.png", "b/same.bmp"]]


def test_pixels_that_are_equal_only_after_resizing_are_not_the_same(tmp_path: Path):
    pixels = np.full((64, 64, 3), 90, np.uint8)
    other = pixels.copy()
    other[0, 0] = 92
    for number, picture in enumerate((pixels, other, pixels)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png", compress_level=number)
    files = [ImageFile(f"a/{number}.png", "a", tmp_path / f"{number}.png") for number in range(3)]
    decoded = decode_images(files, tmp_path / "array.npy", 16, "stretch")
    squares = np.load(tmp_path / "array.npy")
    assert (squares[0] == squares[1]).all() and len({one.sha256 for one in decoded}) == 3
    assert decoded[0].pixels == decoded[2].pixels != decoded[1].pixels


class TestBadImages:
    @pytest.fixture(autouse=True)
    def _damage(self, raw: Path):
        (raw / "images/a/p1_001.png").write_bytes((raw / "images/a/p1_001.png").read_bytes()[:200])
        (raw / "images/b/p2_002.png").write_bytes(b"<html>")

    def test_they_are_refused_by_name_with_the_remedy(self, raw: Path, out: Path):
        with pytest.raises(InputError) as error:
            prepare(raw, out, OPTIONS)
        assert error.value.found.startswith("2 of 50") and "prepare.on_bad_image: skip" in error.value.hint
        assert "a/p1_001.png: truncated" in error.value.found and "b/p2_002.png: no image" in error.value.found
        assert not out.exists() and not list(out.parent.glob("*.part*"))

    def test_they_are_skipped_and_named_in_the_audit(self, raw: Path, out: Path):
        audit = prepare(raw, out, replace(OPTIONS, on_bad_image="skip"))
        prepared = load_prepared(out)
        assert [bad["image_id"] for bad in audit["unreadable"]] == ["a/p1_001.png", "b/p2_002.png"]
        assert audit["classes"]["a"]["unreadable"] == 1 and audit["files"] == 50
        assert len(prepared.images) == len(prepared.index) == audit["images"] == 48
        # Rows after a gap still hold their own image.
        path = raw / "images" / prepared.index["image_id"][47]
        np.testing.assert_array_equal(prepared.images[47], to_square(Image.open(path), 16, "stretch"))

    def test_an_image_for_which_memory_ran_out_is_none_of_them(
        self, raw: Path, out: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def full(image: Image.Image) -> Image.Image:
            raise MemoryError

        monkeypatch.setattr(decode, "_to_rgb", full)
        with pytest.raises(MemoryError, match=r"p0_000\.png: no room for its pixels"):
            prepare(raw, out, replace(OPTIONS, on_bad_image="skip"))
        assert not out.exists() and not list(out.parent.glob("*.part*"))

    def test_all_of_them_bad_is_refused_even_with_skip(self, raw: Path, out: Path):
        for path in (raw / "images").rglob("*.png"):
            path.write_bytes(b"nothing")
        with pytest.raises(InputError, match="none of 50"):
            prepare(raw, out, replace(OPTIONS, on_bad_image="skip"))


class TestRareClasses:
    @pytest.fixture(autouse=True)
    def _rare(self, raw: Path):
        write_image(raw / "images/aa/only.png", 77)

    def test_one_is_refused_with_the_remedy(self, raw: Path, out: Path):
        with pytest.raises(InputError) as error:
            prepare(raw, out, OPTIONS)
        assert error.value.found == "aa (1 image)" and "prepare.rare_classes: drop" in error.value.hint

    def test_one_is_dropped_and_the_audit_says_so(self, raw: Path, out: Path):
        audit = prepare(raw, out, replace(OPTIONS, rare_classes="drop"))
        prepared = load_prepared(out)
        assert audit["dropped_classes"] == {"aa": {"images": 1, "reason": "1 image"}}
        assert prepared.class_names == ("a", "b") and set(prepared.labels) == {0, 1} and len(prepared.images) == 50
        assert audit["classes"]["aa"] == {
            "files": 1,
            "images": 0,
            "unreadable": 0,
            "splits": dict.fromkeys(("train", "val", "test"), 0),
        }


class TestMasks:
    def test_they_become_labels_and_an_image_without_one_is_unknown(self, raw: Path, out: Path):
        write_mask(raw / "masks/a/p0_010.png")
        audit = prepare(raw, out, OPTIONS)
        masks = load_prepared(out).masks
        row = load_prepared(out).index["image_id"].tolist().index("a/p0_010.png")
        assert masks.shape == (50, 16, 16)
        assert (masks[row, :8, :8] == EVIDENCE).all() and (masks[row, 8:] == BACKGROUND).all()
        assert (np.delete(masks, row, axis=0) == UNKNOWN).all()
        assert (audit["masks"]["images"], audit["masks"]["without"]) == (1, 49)
        assert audit["masks"]["labels"]["evidence"] == {"images": 1, "area_share": 0.25}

    def test_text_files_of_yolo_are_masks(self, raw: Path, out: Path):
        (raw / "masks/a").mkdir(parents=True)
        (raw / "masks/a/p0_000.txt").write_text("3 0.25 0.25 0.5 0.5\n")
        (raw / "masks/a/classes.txt").write_text("cell\n")
        audit = prepare(raw, out, OPTIONS)
        masks = load_prepared(out).masks
        row = load_prepared(out).index["image_id"].tolist().index("a/p0_000.png")
        assert (masks[row, :8, :8] == EVIDENCE).all() and (masks[row] == EVIDENCE).sum() == 64
        assert audit["masks"]["images"] == 1 and audit["mask_names"]["of_no_image"]["count"] == 0

    def test_without_any_there_is_no_array(self, raw: Path, out: Path):
        assert prepare(raw, out, OPTIONS)["masks"] is None
        assert load_prepared(out).masks is None and not (out / "masks.npy").exists()

    def test_masks_of_images_that_are_left_out_alone_are_none(self, raw: Path, out: Path):
        write_image(raw / "images/rare/only.png", 77)
        write_mask(raw / "masks/rare/only.png")
        assert prepare(raw, out, replace(OPTIONS, rare_classes="drop"))["masks"] is None
        assert load_prepared(out).masks is None

    def test_memory_stays_flat_however_many_there_are(self, tmp_path: Path):
        masks = [write_mask(tmp_path / "mask.png", 1, 1), *[None] * 7999]
        tracemalloc.start()
        write_masks(masks, [(1, 1)] * 8000, tmp_path / "masks.npy", {0: BACKGROUND}, 1, "stretch")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8000 * 1024  # bytes

    def test_one_of_another_size_than_its_image_is_refused(self, raw: Path, out: Path):
        write_mask(raw / "masks/a/p1_001.png", width=21)
        with pytest.raises(InputError) as error:
            prepare(raw, out, OPTIONS)
        assert error.value.subject.endswith("masks/a/p1_001.png")
        assert (error.value.expected, error.value.found) == ("the size of its image, 20 × 20 pixels", "21 × 20")

    def test_a_grey_value_without_a_label_is_refused(self, raw: Path, out: Path):
        write_mask(raw / "masks/a/p1_001.png")
        with pytest.raises(InputError) as error:
            prepare(raw, out, replace(OPTIONS, mask_values="0:background"))
        assert error.value.found == "200"


def test_a_group_pattern_that_does_not_match_is_refused(raw: Path, out: Path):
    with pytest.raises(InputError) as error:
        prepare(raw, out, replace(OPTIONS, group_pattern=r"^(C\d+)"))
    assert "50 of 50" in error.value.found and "p0_000.png" in error.value.found


def test_a_split_left_without_a_class_is_refused_with_the_remedy(tmp_path: Path, out: Path):
    # Groups 1, 2, 3 must be in different splits because of a, and 1, 2, 4 because of b: 3 and 4 share one, against c.
    for name, groups in {"a": "123", "b": "124", "c": "345"}.items():
        for group in groups:
            write_image(tmp_path / "raw" / "images" / name / f"g{group}.png", ord(name) * 10 + int(group))
    with pytest.raises(InputError, match=r"images of the class [abc]") as error:
        prepare(tmp_path / "raw", out, replace(OPTIONS, group_pattern=r"^(g\d)"))
    assert error.value.subject.startswith("split ") and "prepare.group_pattern" in error.value.hint


def test_shares_that_leave_nothing_to_train_on_are_refused(raw: Path, out: Path):
    with pytest.raises(InputError, match="a sum below 1"):
        prepare(raw, out, replace(OPTIONS, val_share=0.5, test_share=0.5))


def test_the_audit_contains_the_range_of_sizes(raw: Path, out: Path):
    write_image(raw / "images/a/wide.png", 5, width=64, height=8)
    sizes = prepare(raw, out, replace(OPTIONS, fit="pad"))["sizes"]
    assert sizes["width"] == {"least": 20, "median": 20, "most": 64}
    assert sizes["height"] == {"least": 8, "median": 20, "most": 20}


def test_another_size_or_seed_gives_another_sha256(raw: Path, tmp_path: Path):
    ways = [OPTIONS, replace(OPTIONS, size=17), replace(OPTIONS, seed=1)]
    for number, options in enumerate(ways):
        prepare(raw, tmp_path / str(number), options)
    hashes = [load_prepared(tmp_path / str(number)).sha256 for number in range(3)]
    assert len(set(hashes)) == 3 and all(len(bytes.fromhex(value)) == hashlib.sha256().digest_size for value in hashes)
