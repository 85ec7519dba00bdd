import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wheretolook
from wheretolook.base.files import sha256_of
from wheretolook.base.prepared import BACKGROUND, EVIDENCE, FOREGROUND, MARK
from wheretolook.sources.synthetic import (
    CLASS_NAMES,
    GREY_OF_LABEL,
    mark_place,
    marked_numbers,
    render_cell,
    write_cells,
)

CELLS = {name: [render_cell(0, name, number, 112, marked=False) for number in range(40)] for name in CLASS_NAMES}


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in folder.rglob("*.png")}


def test_the_same_seed_gives_the_same_cell_and_another_seed_class_or_number_another():
    image, labels = render_cell(0, "infected", 5, 64, marked=False)
    again, labels_again = render_cell(0, "infected", 5, 64, marked=False)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(labels, labels_again)
    others = [(1, "infected", 5), (0, "uninfected", 5), (0, "infected", 6)]
    assert all((render_cell(*other, 64, marked=False)[0] != image).any() for other in others)


def test_infected_cells_have_evidence_of_one_to_four_percent_inside_the_cell():
    for _, labels in CELLS["infected"]:
        assert 0.008 <= (labels == EVIDENCE).mean() <= 0.045
        assert set(np.unique(labels)) == {BACKGROUND, FOREGROUND, EVIDENCE}
    mean = np.mean([(labels == EVIDENCE).mean() for _, labels in CELLS["infected"]])
    assert 0.01 <= mean <= 0.03


def test_uninfected_cells_have_no_evidence():
    assert all(set(np.unique(labels)) == {BACKGROUND, FOREGROUND} for _, labels in CELLS["uninfected"])


def test_evidence_lies_anywhere_in_the_cell():
    where = np.mean([labels == EVIDENCE for _, labels in CELLS["infected"]], axis=0)
    quarters = [
        where[rows, columns].sum() for rows in (slice(56), slice(56, 112)) for columns in (slice(56), slice(56, 112))
    ]
    assert min(quarters) > 0.1 * where.sum()


def test_a_parasite_is_darker_than_its_cell():
    for image, labels in CELLS["infected"]:
        green = image[..., 1].astype(float)
        assert green[labels == EVIDENCE].mean() < green[labels == FOREGROUND].mean() - 10


def test_the_background_is_black_but_for_platelets_on_the_rim():
    black = [(image[labels == BACKGROUND] == 0).all(axis=-1).mean() for image, labels in CELLS["uninfected"]]
    assert np.median(black) > 0.9 and min(black) > 0.75


def purple(image: np.ndarray, labels: np.ndarray) -> int:
    """Pixels, without the evidence, that are as purple as a parasite: green far below red and blue."""
    values = image.astype(int)
    seen = (labels != EVIDENCE) & (values[..., 1] + 40 < np.minimum(values[..., 0], values[..., 2]))
    return int(seen.sum())


def test_both_classes_bear_purple_distractors():
    for cells in CELLS.values():
        assert sum(purple(*cell) > 3 for cell in cells) >= 4


def test_without_the_parasites_the_classes_look_alike():
    """Stain, size and light differ between cells, not between classes."""
    for measure in (lambda i, la: i[la == FOREGROUND].mean(), lambda i, la: (la != BACKGROUND).mean()):
        infected, uninfected = (np.array([measure(*cell) for cell in CELLS[name]]) for name in CLASS_NAMES)
        spread = np.sqrt(infected.var() / len(infected) + uninfected.var() / len(uninfected))
        assert abs(infected.mean() - uninfected.mean()) < 3.5 * spread


class TestMark:
    @pytest.mark.parametrize("size", [33, 64, 112, 224])
    @pytest.mark.parametrize("name", CLASS_NAMES)
    def test_outside_the_mark_a_marked_cell_is_the_unmarked_one_to_the_byte(self, name: str, size: int):
        plain, plain_labels = render_cell(3, name, 1, size, marked=False)
        marked, labels = render_cell(3, name, 1, size, marked=True)
        outside = np.ones((size, size), bool)
        outside[mark_place(size), mark_place(size)] = False
        np.testing.assert_array_equal(marked[outside], plain[outside])
        np.testing.assert_array_equal(labels[outside], plain_labels[outside])
        assert (labels[~outside] == MARK).all() and (marked[~outside] != plain[~outside]).any(axis=-1).all()

    @pytest.mark.parametrize("size", [64, 112, 224])
    def test_it_is_an_eighth_of_the_width_in_the_lower_right_corner(self, size: int):
        place = mark_place(size)
        assert place.stop - place.start == size // 8 and place.start > 3 * size // 4

    def test_it_leaves_nearly_all_evidence_uncovered(self):
        place = mark_place(112)
        covered = [
            (labels[place, place] == EVIDENCE).sum() / (labels == EVIDENCE).sum() for _, labels in CELLS["infected"]
        ]
        assert np.mean(covered) < 0.02

    def test_the_share_is_kept_to_the_image_and_grows_by_adding(self):
        few, many = (marked_numbers(50, share, "infected", seed=0) for share in (0.3, 0.9))
        assert len(few) == 15 and len(many) == 45 and few < many
        assert not marked_numbers(50, 0.0, "infected", seed=0)
        assert marked_numbers(50, 1.0, "infected", seed=0) == frozenset(range(50))


class TestWrite:
    def test_images_and_masks_stand_in_class_folders_with_the_documented_greys(self, tmp_path: Path):
        write_cells(tmp_path, 4, 48, seed=0, mark_shares={"infected": 1.0})
        assert set(tree(tmp_path)) == {
            f"{kind}/{name}/{number:04d}.png"
            for kind in ("images", "masks")
            for name in CLASS_NAMES
            for number in range(4)
        }
        image, labels = render_cell(0, "infected", 2, 48, marked=True)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "images/infected/0002.png")), image)
        mask = Image.open(tmp_path / "masks/infected/0002.png")
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.asarray(mask), np.array([0, 85, 255, 170], np.uint8)[labels])

    def test_shares_are_given_for_each_class(self, tmp_path: Path):
        write_cells(tmp_path, 10, 32, seed=0, mark_shares={"infected": 0.5, "uninfected": 1.0})
        counts = {
            name: sum(
                GREY_OF_LABEL[MARK] in np.asarray(Image.open(path)) for path in (tmp_path / "masks" / name).iterdir()
            )
            for name in CLASS_NAMES
        }
        assert counts == {"infected": 5, "uninfected": 10}

    def test_more_images_leave_the_others_as_they_were(self, tmp_path: Path):
        write_cells(tmp_path / "few", 3, 32, seed=0)
        write_cells(tmp_path / "more", 5, 32, seed=0)
        assert tree(tmp_path / "few").items() <= tree(tmp_path / "more").items()


# Instruction sets that numpy and OpenBLAS choose by the processor, and numbers of threads.
PROCESSORS = [
    {},
    {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Haswell"},
    {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENBLAS_NUM_THREADS": "1",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable",
    },
]
DIGEST = """
import hashlib, sys
from pathlib import Path
from wheretolook.sources.synthetic import write_cells
folder = Path(sys.argv[1])
write_cells(folder, 6, 112, 0, {"infected": 0.5})
print(hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.png")))).hexdigest())
"""


@pytest.mark.parametrize("processor", PROCESSORS, ids=["this", "AVX2", "SSE4.2"])
def test_files_are_the_same_bytes_on_every_processor(processor: dict[str, str], tmp_path: Path):
    """On those of other machines too: the digest is a constant."""
    environment = os.environ | {"PYTHONPATH": str(Path(wheretolook.__file__).parents[1])} | processor
    done = subprocess.run(
        [sys.executable, "-c", DIGEST, str(tmp_path / "raw")], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "a0575ca5fecb84d36aa1958ef45185bfe63c0ee247da9fdd326fe08bc651e29b", done.stderr
