import io

import numpy as np
import pytest
from PIL import Image

from wheretolook.prepare.copies import SMALLEST, find_near_copies
from wheretolook.sources.synthetic import CLASS_NAMES, render_cell

COPIED = 24  # of the cells


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """The same picture moved by some pixels; its edge is repeated."""
    edge = max(abs(down), abs(right))
    padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    return padded[edge - down : edge - down + len(image), edge - right : edge - right + len(image)]


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


def lighter(image: np.ndarray, factor: float) -> np.ndarray:
    return np.rint(image * factor).clip(0, 255).astype(np.uint8)


COPIES = {
    "equal": lambda image: image,
    "moved to the right": lambda image: moved(image, 0, 1),
    "moved both ways": lambda image: moved(image, -1, 1),
    "jpeg 75": lambda image: as_jpeg(image, 75),
    "jpeg 50": lambda image: as_jpeg(image, 50),
    "lighter": lambda image: lighter(image, 1.03),
    "darker": lambda image: lighter(image, 0.97),
    "all of it": lambda image: lighter(as_jpeg(moved(image, 1, 0), 75), 1.03),
}


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    """Distinct synthetic cells."""
    return np.stack(
        [render_cell(0, name, number, 112, marked=False)[0] for name in CLASS_NAMES for number in range(50)]
    )


def test_distinct_cells_raise_no_alarm(cells):
    found = find_near_copies(cells)
    assert found.compared == len(cells)
    assert len(found.pairs) == 0


@pytest.mark.parametrize("kind", COPIES)
def test_near_copies_are_found_and_nothing_else(cells, kind: str):
    original = np.arange(COPIED) * len(cells) // COPIED
    copies = np.stack([COPIES[kind](cells[row]) for row in original])
    found = {tuple(pair) for pair in find_near_copies(np.concatenate([cells, copies])).pairs.tolist()}
    expected = {(int(row), len(cells) + i) for i, row in enumerate(original)}
    assert len(found & expected) >= 0.95 * COPIED
    assert found <= expected


@pytest.fixture(scope="module", params=[SMALLEST, 56])
def small_cells(request: pytest.FixtureRequest) -> np.ndarray:
    numbers = [(name, number) for name in CLASS_NAMES for number in range(100)]
    return np.stack([render_cell(0, name, number, request.param, marked=False)[0] for name, number in numbers])


@pytest.mark.parametrize("kind", ["equal", "moved to the right", "moved both ways", "jpeg 75", "all of it"])
def test_near_copies_of_small_images_are_found_and_nothing_else(small_cells: np.ndarray, kind: str):
    original = np.arange(0, len(small_cells), 4)
    copies = np.stack([COPIES[kind](small_cells[row]) for row in original])
    pairs = {tuple(pair) for pair in find_near_copies(np.concatenate([small_cells, copies])).pairs.tolist()}
    expected = {(int(row), len(small_cells) + i) for i, row in enumerate(original)}
    assert len(pairs & expected) >= 0.95 * len(expected)
    assert pairs <= expected


def test_equal_images_with_one_bright_spot_are_found():
    # One cell of a thumbnail is six times as bright as all cells on average.
    dark = np.random.default_rng(0).integers(0, 8, (6, 64, 64, 3)).astype(np.uint8)
    for number in range(6):
        dark[number, 10 * number : 10 * number + 10, 20:30] += 240
    pairs = find_near_copies(np.concatenate([dark, dark])).pairs.tolist()
    assert pairs == [[number, 6 + number] for number in range(6)]


def test_images_without_structure_are_no_copies_of_each_other():
    flat = np.full((4, 48, 48, 3), 90, np.uint8)
    assert len(find_near_copies(flat).pairs) == 0


@pytest.mark.parametrize("size", [SMALLEST - 1, SMALLEST, 40, 100, 200])
def test_images_of_any_size_are_compared_from_the_smallest_on(size: int):
    noise = np.random.default_rng(0).integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    noise[5] = noise[2]
    found = find_near_copies(noise)
    assert found.pairs.tolist() == ([[2, 5]] if size >= SMALLEST else [])
    assert found.compared == (6 if size >= SMALLEST else 0)


@pytest.mark.parametrize("size", [SMALLEST, 112])
def test_many_images_are_compared_in_buckets_of_similar_thumbnails(size: int, monkeypatch: pytest.MonkeyPatch):
    numbers = [(name, number) for name in CLASS_NAMES for number in range(150)]
    cells = np.stack([render_cell(0, name, number, size, marked=False)[0] for name, number in numbers])
    copies = np.stack([moved(as_jpeg(cell, 75), 1, 0) for cell in cells[::5]])
    expected = {(5 * i, len(cells) + i) for i in range(len(copies))}
    monkeypatch.setattr("wheretolook.prepare.copies.ALL_WITH_ALL", 0)
    found = find_near_copies(np.concatenate([cells, copies]))
    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    assert pairs <= expected and len(pairs) >= 0.95 * len(expected)
    assert found.compared == len(cells) + len(copies)
