from pathlib import Path

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from tests.analysis.made import SIZE, make
from wheretolook.analysis.explained import Target
from wheretolook.analysis.localisation.foreground import (
    BINS,
    estimate,
    estimate_foreground,
    has_foreground,
    otsu_thresholds,
    stream_foreground,
)
from wheretolook.analysis.localisation.localise import Sample
from wheretolook.analysis.statistics.bootstrap import group_codes
from wheretolook.base.prepared import EVIDENCE, FOREGROUND, Prepared, load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.sources.synthetic import render_cell

RNG = np.random.default_rng(0)


def disc(side: int = 40) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (y - side / 2) ** 2 + (x - side / 2) ** 2 < (side / 4) ** 2


def picture(inside: tuple[int, int, int], outside: tuple[int, int, int]) -> np.ndarray:
    image = np.where(disc()[..., None], inside, outside) + RNG.normal(0, 4, (40, 40, 3))
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("outside", [(0, 0, 0), (235, 235, 230), (120, 160, 90)])
def test_disc_is_found_on_a_background_of_any_colour(outside: tuple[int, int, int]) -> None:
    found = estimate_foreground(np.stack([picture((200, 110, 130), outside)]))[0]
    assert (found & disc()).sum() / (found | disc()).sum() > 0.95


def test_estimate_is_nearly_the_foreground_that_was_painted() -> None:
    for number in range(4):
        image, labels = render_cell(0, "infected", number, 64, marked=False)
        found, true = estimate_foreground(image[None])[0], np.isin(labels, [FOREGROUND, EVIDENCE])
        assert (found & true).sum() / (found | true).sum() > 0.9


def test_hole_of_the_backgrounds_colour_belongs_to_the_object() -> None:
    image = picture((200, 110, 130), (0, 0, 0))
    image[18:22, 18:22] = 0
    assert estimate_foreground(image[None])[0][18:22, 18:22].all()


def test_even_image_has_no_foreground() -> None:
    assert not estimate_foreground(np.full((1, 20, 20, 3), 90, np.uint8)).any()
    noisy = RNG.integers(100, 103, (1, 20, 20, 3), dtype=np.uint8)
    assert not estimate_foreground(noisy).any()


@pytest.mark.parametrize("kind", ["texture", "gradient", "close-up"])
def test_what_fills_the_image_has_no_foreground(kind: str) -> None:
    draw = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 64)
    image = {
        "texture": draw.integers(0, 256, (64, 64)),
        "gradient": np.broadcast_to(ramp, (64, 64)),
        "close-up": np.kron(draw.integers(40, 220, (8, 8)), np.ones((8, 8))),
    }[kind]
    assert not estimate_foreground(np.repeat(image[None, :, :, None], 3, axis=3).astype(np.uint8)).any()


def test_object_that_touches_the_border_is_found() -> None:
    image = np.full((1, 64, 64, 3), 240, np.uint8)
    image[0, 20:, 20:40] = (120, 60, 80)
    found = estimate_foreground(image)[0]
    assert found[30:, 25:35].all() and not found[:, :15].any()


def test_thresholds_are_those_of_scikit_image() -> None:
    values = np.concatenate([RNG.normal(20, 4, (3, 500)), RNG.normal(90, 10, (3, 300))], axis=1).clip(0)
    found = otsu_thresholds(values.astype(np.float32))
    for threshold, own in zip(found, values, strict=True):
        edges = np.arange(BINS) * own.max() / BINS
        counts = np.histogram(own, BINS, (0, own.max()))[0]
        wanted = threshold_otsu(hist=(counts, edges)) + own.max() / BINS
        assert ((own > threshold) == (own > wanted)).all()


def test_energy_of_an_even_map_is_the_area_share() -> None:
    images = np.stack([picture((200, 110, 130), (0, 0, 0))] * 3)
    maps = np.ones((3, 2, 8, 8), np.float32)
    maps[:, 1] = 0
    maps[1] *= -1
    target = Target(maps, np.zeros(3, np.int64), every_class=True)
    found = stream_foreground({"cam.block1": target}, images)["cam.block1"]
    np.testing.assert_allclose(found["foreground.energy"][[0, 2]], found["foreground.area_share"][[0, 2]])
    np.testing.assert_allclose(found["foreground.area_share"], disc().mean(), atol=0.01)
    assert found["positive"].tolist() == [True, False, True]


def test_foreground_is_estimated_only_where_no_mask_names_it(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0",), per_class=30, groups=20)
    data, maps = load_prepared(tmp_path / "data/prepared"), load_maps(tmp_path / "data/cams/last-0")
    names = data.index["group"].to_numpy(dtype=str)
    sample = Sample(made.labels, group_codes(names), {"test": data.rows("test")}, data.class_names)
    assert estimate(maps, data, sample, 199, 0) is None
    bare = Prepared(**{**vars(data), "masks": None})
    found, primary = estimate(maps, bare, sample, 199, 0)
    assert set(found) == {"cam.block2", "gradcam.block1", "gradcam.block2"}
    figures = found["cam.block2"]["test"]["infected"]
    assert set(figures) == {"images", "area_share", "energy", "energy_low", "energy_high", "ratio"}
    assert len(primary["foreground.energy"]) == 60


def test_masks_of_evidence_alone_name_no_foreground() -> None:
    assert not has_foreground(None)
    assert not has_foreground(np.full((2, SIZE, SIZE), 2, np.uint8))
    assert has_foreground(np.stack([np.zeros((SIZE, SIZE), np.uint8), np.ones((SIZE, SIZE), np.uint8)]))
