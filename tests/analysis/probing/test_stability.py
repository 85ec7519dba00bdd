import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis.untrained import make_untrained
from wheretolook import explain
from wheretolook.analysis.explained import contrast, open_target
from wheretolook.analysis.probing.cues import CHANGES, ChangedImage, changes_for
from wheretolook.analysis.probing.faithfulness import choose_images
from wheretolook.analysis.probing.stability import (
    FEWEST_CHANGED,
    correlations,
    in_one_frame,
    model_stability,
    moved,
    of_other_images,
    stability_row,
)
from wheretolook.analysis.results.changed_images import StabilityRow
from wheretolook.analysis.results.schema import checked
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.inputs import model_input

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 12, 3)).astype(np.uint8)
MAPS = RNG.normal(size=(40, 6, 6)).astype(np.float32)


@pytest.mark.parametrize("name", [name for name in CHANGES if name.startswith("shift")])
def test_shift_moves_the_content_and_replicates_the_border(name: str) -> None:
    for seed in range(8):
        found = CHANGES[name](PICTURE, np.random.default_rng(seed))
        assert abs(found.down) + abs(found.across) == int(name.split()[2])
        rows, columns = (np.clip(np.arange(12) - by, 0, 11) for by in (found.down, found.across))
        np.testing.assert_array_equal(found.picture, PICTURE[np.ix_(rows, columns)])


def test_other_changes_are_small_and_stay_in_place() -> None:
    for name in ("noise", "jpeg", "brightness"):
        smooth = np.full((16, 16, 3), 120, np.uint8)
        found = CHANGES[name](smooth, np.random.default_rng(1))
        assert (found.down, found.across, found.mirrored, found.picture.dtype) == (0, 0, False, np.uint8)
        assert np.abs(found.picture.astype(float) - 120).mean() < 8
    np.testing.assert_array_equal(CHANGES["flip"](PICTURE, RNG).picture, PICTURE[:, ::-1])


@pytest.mark.parametrize(
    ("augment", "flips"),
    [(True, True), (False, False), ("none", False), ("cells", True), ("rotate:10+light", False), ("flip+light", True)],
)
def test_images_are_flipped_only_where_training_flips_them(augment: bool | str, flips: bool) -> None:
    assert ("flip" in changes_for(augment)) == flips


def test_maps_that_follow_the_content_by_whole_cells_correlate_by_one() -> None:
    """A map that moves with the content is stable, however far the content moves."""
    inner = np.zeros((1, 8, 8), np.float32)
    inner[0, 2:5, 2:5] = RNG.normal(size=(3, 3))
    pictures = np.zeros((32, 32, 3), np.uint8)
    for down, across in ((4, 0), (0, -4), (8, 0)):  # a cell has 4 x 4 pixels
        after = np.roll(inner, (down // 4, across // 4), axis=(1, 2))
        r = correlations(*in_one_frame(inner, after, [ChangedImage(pictures, down, across)]))
        np.testing.assert_allclose(r, 1, atol=1e-6)
        assert correlations(inner, after)[0] < 0.9
    flipped = in_one_frame(inner, inner[:, :, ::-1], [ChangedImage(pictures, mirrored=True)])
    np.testing.assert_allclose(correlations(*flipped), 1, atol=1e-6)


def test_moving_by_part_of_a_cell_interpolates_linearly() -> None:
    ramp = np.tile(np.arange(6, dtype=np.float32), (1, 6, 1))
    np.testing.assert_allclose(moved(ramp, np.array([0.25]), 2)[0, 0, 1:], np.arange(1, 6) - 0.25)
    np.testing.assert_allclose(moved(ramp, np.array([0.25]), 1), ramp)


def test_baseline_is_the_mean_over_images_of_other_groups_of_the_class() -> None:
    labels, groups = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3])
    maps = MAPS[:5].copy()
    maps[4] = 1  # constant
    r = np.corrcoef(maps[:4].reshape(4, -1))
    found = of_other_images(maps, labels, groups)
    np.testing.assert_allclose(found[:3], [r[0, 2], r[1, 2], (r[2, 0] + r[2, 1]) / 2], atol=1e-6)
    assert np.isnan(found[3:]).all()


def row(r: np.ndarray, kept: np.ndarray, other: float = 0.0) -> dict:
    count = len(r)
    whole = np.ones(count, bool)
    figures = stability_row("A", whole, kept, r, np.full(count, other), r, np.arange(count), 199, 0)
    assert figures is not None
    checked(StabilityRow, {"maps": "cam.last", "change": "flip", **figures})
    return figures


def test_verdict_compares_the_way_moved_with_that_to_another_image() -> None:
    kept, spread = np.ones(40, bool), np.tile([-0.05, 0.05, 0.02, -0.02], 10)
    assert row(0.9 + spread, kept)["verdict"] == "stable"
    assert row(0.1 + spread, kept)["verdict"] == "unstable"
    assert row(0.5 + spread, kept)["verdict"] == "open"
    # What is far for maps that are all alike is near for maps that differ.
    assert row(0.9 + spread, kept, other=0.95)["verdict"] == "unstable"
    assert row(0.9 + spread[:12], kept[:12])["verdict"] == "open", "too few images"
    assert row(np.full(40, 0.7), kept, other=0.4)["distance"] == pytest.approx(0.5)


def test_responsiveness_is_over_images_whose_prediction_changes_and_consistency_over_the_others() -> None:
    r = np.where(np.arange(40) < 30, 0.9, 0.2)
    found = row(r, np.arange(40) < 30)
    assert (found["changed_images"], found["kept"]) == (10, 0.75)
    assert found["consistency"] == pytest.approx(0.9)
    assert found["responsiveness"] == pytest.approx(0.8)
    assert row(r, np.arange(40) > FEWEST_CHANGED - 2)["responsiveness"] is None
    r[0] = np.nan
    assert row(r, np.ones(40, bool))["images"] == 39


def test_figures_equal_those_of_maps_that_explain_gives(tmp_path: Path) -> None:
    root = make_untrained(tmp_path)
    data, maps = load_prepared(root / "data/prepared"), load_maps(root / "data/cams/last-0")
    network, card = load_model(root / "models/last-0.safetensors", torch.device("cpu"))
    rows = model_stability(network, card, maps, data, 6, 199, 0)
    assert rows is not None
    json.dumps(rows, allow_nan=False)
    assert {each["maps"] for each in rows} == {".".join(pair) for pair in maps.names}
    assert {each["change"] for each in rows} == set(changes_for(card.training.get("augment", False)))
    assert rows == model_stability(network, card, maps, data, 6, 199, 0)

    chosen = choose_images(data.labels, data.rows("test"), 6, 2, 0)
    number = list(changes_for(card.training.get("augment", False))).index("noise")
    noisy = [CHANGES["noise"](data.images[row], np.random.default_rng([0, number, int(row)])).picture for row in chosen]
    inputs = model_input(card, np.stack(noisy), torch.device("cpu"))
    both = np.asarray(explain(network, inputs, ["gradcam"], ["block2"], [0, 1])["gradcam", "block2"])
    labels = data.labels[chosen]
    after = contrast(both, labels)
    before = open_target(maps, "gradcam", "block2", data.labels).true_class(chosen)
    for k, name in enumerate(data.class_names):
        (found,) = [
            each
            for each in rows
            if (each["maps"], each["change"], each["class_name"]) == ("gradcam.block2", "noise", name)
        ]
        r = [np.corrcoef(before[i].ravel(), after[i].ravel())[0, 1] for i in np.flatnonzero(labels == k)]
        if found["kept"] == 1:
            assert found["consistency"] == pytest.approx(np.mean(r), abs=1e-5)
