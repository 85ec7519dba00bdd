from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import BACKGROUND, EVIDENCE, FOREGROUND, MARK, UNKNOWN
from wheretolook.images.decode import to_square
from wheretolook.prepare.masks import labels_to_square, parse_mask_values, read_mask, read_yolo
from wheretolook.project.params_file import read_params

VALUES = {0: BACKGROUND, 128: FOREGROUND, 255: EVIDENCE}


def saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


class TestParse:
    def test_values_are_read_with_their_labels(self):
        assert parse_mask_values("0:background, 128:foreground,255:evidence") == VALUES
        assert parse_mask_values("1:mark,2:unknown") == {1: MARK, 2: UNKNOWN}
        assert parse_mask_values("") == {}

    @pytest.mark.parametrize("text", ["0", "0:cell", "256:evidence", "-1:evidence", "a:evidence", "0=evidence", "0:"])
    def test_other_forms_are_refused(self, text: str):
        with pytest.raises(InputError, match="mask_values: expected VALUE:LABEL"):
            parse_mask_values(text)

    def test_a_value_that_is_given_twice_is_refused(self):
        with pytest.raises(InputError, match="the value 7 is given twice"):
            parse_mask_values("7:evidence,7:mark")


class TestYolo:
    def test_boxes_and_polygons_become_evidence(self, tmp_path: Path):
        path = tmp_path / "m.txt"
        path.write_text("0 0.5 0.25 0.2 0.1\n\n7 0.0 0.5 0.5 0.5 0.5 1.0 0.0 1.0\n1 0.9 0.9 0.2 0.2 0.83\n")
        expected = np.full((20, 10), BACKGROUND, np.uint8)
        expected[4:6, 4:6] = expected[10:, :5] = expected[16:, 8:] = EVIDENCE
        assert np.array_equal(read_yolo(path, (10, 20)), expected)

    def test_an_empty_file_means_no_evidence(self, tmp_path: Path):
        (tmp_path / "m.txt").write_text("")
        assert (read_yolo(tmp_path / "m.txt", (4, 4)) == BACKGROUND).all()

    @pytest.mark.parametrize("line", ["0 9 9 5 5", "0 0.5 0.5", "a dog 1 1 1", "0 0.9 0.5 0.4 0.1", "0 1 1 0 0 1 1 1"])
    def test_other_lines_are_refused_by_number(self, line: str, tmp_path: Path):
        (tmp_path / "m.txt").write_text(f"0 0.5 0.5 0.1 0.1\n{line}\n")
        with pytest.raises(InputError) as error:
            read_yolo(tmp_path / "m.txt", (10, 10))
        assert error.value.subject.endswith("m.txt, line 2") and line in error.value.found


class TestRead:
    def test_grey_values_become_labels(self, tmp_path: Path):
        mask = saved(tmp_path / "m.png", Image.fromarray(np.array([[0, 128], [255, 0]], np.uint8)))
        assert read_mask(mask, VALUES).tolist() == [[0, 1], [2, 0]]

    def test_a_palette_is_read_by_its_indices_and_bits_as_0_and_255(self, tmp_path: Path):
        indices = Image.frombytes("P", (2, 1), b"\x00\x80")
        indices.putpalette([1, 2, 3] * 256)
        assert read_mask(saved(tmp_path / "p.png", indices), VALUES).tolist() == [[0, 1]]
        bits = Image.fromarray(np.array([[False, True]]))
        assert read_mask(saved(tmp_path / "b.png", bits), VALUES).tolist() == [[0, 2]]

    def test_three_equal_channels_are_read_as_one(self, tmp_path: Path):
        mask = saved(tmp_path / "m.bmp", Image.new("RGB", (2, 2), (128, 128, 128)))
        assert (read_mask(mask, VALUES) == FOREGROUND).all()

    def test_a_value_without_a_label_is_refused_with_the_remedy(self, tmp_path: Path):
        mask = saved(tmp_path / "m.png", Image.fromarray(np.array([[0, 3, 7]], np.uint8)))
        with pytest.raises(InputError) as error:
            read_mask(mask, VALUES)
        assert (error.value.subject, error.value.found) == (str(mask), "3, 7")
        assert "3:unknown" in error.value.hint

    def test_colours_and_16_bits_are_refused(self, tmp_path: Path):
        colour, deep = Image.new("RGB", (2, 2), (1, 2, 3)), Image.fromarray(np.zeros((2, 2), np.uint16))
        for mask in (colour, deep):
            with pytest.raises(InputError) as error:
                read_mask(saved(tmp_path / "m.png", mask), VALUES)
            assert error.value.expected == "one channel of 8 bits" and mask.mode in error.value.found

    def test_what_is_no_image_or_cut_off_is_refused(self, tmp_path: Path):
        (tmp_path / "m.png").write_bytes(b"no mask")
        with pytest.raises(InputError) as error:
            read_mask(tmp_path / "m.png", VALUES)
        assert (error.value.subject, error.value.found) == (str(tmp_path / "m.png"), "no image")
        whole = saved(tmp_path / "w.bmp", Image.new("L", (50, 50))).read_bytes()
        (tmp_path / "w.bmp").write_bytes(whole[:-900])
        with pytest.raises(InputError) as error:
            read_mask(tmp_path / "w.bmp", VALUES)
        assert error.value.subject == str(tmp_path / "w.bmp") and "truncated" in error.value.found

    def test_a_file_that_cannot_be_read_is_not_called_damaged(self, tmp_path: Path):
        with pytest.raises(IsADirectoryError):
            read_mask(tmp_path, VALUES)


def disc(size: int, radius: float, label: int) -> np.ndarray:
    down, across = np.indices((size, size)) - (size - 1) / 2
    return np.where(np.hypot(down, across) < radius, label, FOREGROUND).astype(np.uint8)


class TestResize:
    def test_labels_of_the_size_are_not_touched(self):
        labels = np.random.default_rng(0).choice([0, 1, 2, 3, 255], (9, 9)).astype(np.uint8)
        for fit in ("stretch", "pad", "crop"):
            np.testing.assert_array_equal(labels_to_square(labels, 9, fit), labels)

    def test_a_pixel_gets_the_label_that_covers_most_of_it(self):
        labels = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [255, 1, 0, 0], [255, 255, 0, 1]], np.uint8)
        assert labels_to_square(labels, 2, "stretch").tolist() == [[0, 1], [255, 0]]

    def test_no_new_label_appears(self):
        labels = disc(100, 30, EVIDENCE)
        assert set(np.unique(labels_to_square(labels, 37, "stretch"))) == {FOREGROUND, EVIDENCE}

    @pytest.mark.parametrize("label", [EVIDENCE, MARK])
    @pytest.mark.parametrize("size", [28, 37, 224])
    def test_evidence_keeps_its_share_of_the_area(self, size: int, label: int):
        labels = disc(112, 9, label)
        resized = labels_to_square(labels, size, "stretch")
        assert (resized == label).mean() == pytest.approx((labels == label).mean(), rel=0.1)

    def test_a_large_disc_is_resized_as_nearest_neighbours_would_but_at_its_rim(self):
        labels = disc(120, 40, EVIDENCE)
        nearest = ndimage.zoom(labels, 0.5, order=0, grid_mode=True, mode="grid-constant")
        differ = labels_to_square(labels, 60, "stretch") != nearest
        rim = np.abs(np.hypot(*(np.indices((60, 60)) - 29.5)) - 20) < 1.5
        assert not (differ & ~rim).any()

    def test_a_thread_thinner_than_a_pixel_is_not_lost(self):
        labels = np.full((64, 64), FOREGROUND, np.uint8)
        labels[:, 13] = EVIDENCE
        resized = labels_to_square(labels, 16, "stretch")
        assert (resized[:, 3] == EVIDENCE).all() and (resized == EVIDENCE).sum() == 16

    def test_a_single_pixel_of_evidence_is_not_lost(self):
        labels = np.zeros((200, 200), np.uint8)
        labels[150, 51] = EVIDENCE
        resized = labels_to_square(labels, 20, "stretch")
        assert np.argwhere(resized == EVIDENCE).tolist() == [[15, 5]]

    def test_evidence_that_loses_a_pixel_leaves_the_next_label_there(self):
        labels = np.full((4, 4), FOREGROUND, np.uint8)
        labels[:2, :2] = [[EVIDENCE, EVIDENCE], [BACKGROUND, FOREGROUND]]  # half of one pixel of four
        labels[2:, 2:] = [[EVIDENCE, EVIDENCE], [EVIDENCE, EVIDENCE]]
        resized = labels_to_square(labels, 2, "stretch")
        assert resized[1, 1] == EVIDENCE and resized[0, 1] == FOREGROUND

    def test_what_the_crop_cuts_off_is_gone_and_the_padding_is_background(self):
        labels = np.full((4, 8), FOREGROUND, np.uint8)
        labels[:, 0] = EVIDENCE
        assert (labels_to_square(labels, 4, "crop") == FOREGROUND).all()
        padded = labels_to_square(labels, 8, "pad")
        assert (padded[:2] == BACKGROUND).all() and (padded[2:6, 0] == EVIDENCE).all()

    @pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
    @pytest.mark.parametrize(("width", "height"), [(90, 60), (61, 97)])
    def test_a_mask_is_placed_as_its_image(self, fit: str, width: int, height: int):
        labels = np.zeros((height, width), np.uint8)
        labels[height // 3 : height // 2, width // 2 : width * 2 // 3] = EVIDENCE
        image = Image.fromarray(np.repeat(np.where(labels, 255, 0).astype(np.uint8)[..., None], 3, axis=-1))
        seen = to_square(image, 48, fit)[..., 0] > 127
        resized = labels_to_square(labels, 48, fit) == EVIDENCE
        np.testing.assert_allclose(np.argwhere(resized).mean(axis=0), np.argwhere(seen).mean(axis=0), atol=0.6)


def test_white_on_black_is_evidence_by_default(tmp_path):
    """What most tools write: a mask of another meaning would pass in silence."""
    values = read_params((Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8"))["prepare"][
        "mask_values"
    ]
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "mask.png")
    found = read_mask(tmp_path / "mask.png", parse_mask_values(values))
    np.testing.assert_array_equal(found == EVIDENCE, [[False, True], [True, False]])
