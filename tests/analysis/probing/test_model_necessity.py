"""Hand-built networks: what is needed, what is enough and what decides is known."""

from typing import Any

import pytest

from tests.analysis.probing import worlds
from tests.analysis.probing.worlds import ByBlob, ByHue, dark_maps, world
from wheretolook.analysis.probing import necessity as model_necessity
from wheretolook.analysis.probing import occlusion as model_occlusion
from wheretolook.analysis.probing.cues import CUES, DESTROYED, model_cues
from wheretolook.analysis.probing.effects import Probed

DRAWS = 199


def needed(probed: Probed) -> dict[str, list[dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_necessity, "open_foremost", lambda *_: dark_maps(probed))
        return model_necessity.model_necessity(probed, None, probed.labels, DRAWS, 0)


@pytest.fixture(scope="module")
def by_blob() -> Probed:
    return world(ByBlob(), hue=False, blobs=(True, False), masked=(True, False))


@pytest.fixture(scope="module")
def by_hue() -> Probed:
    """Things bear blobs that do not matter."""
    return world(ByHue(), hue=True, blobs=(True, False), masked=(True, False))


@pytest.fixture(scope="module")
def of_blob(by_blob: Probed) -> dict[str, list[dict[str, Any]]]:
    return needed(by_blob)


def test_the_worlds_are_what_they_say(by_blob: Probed, by_hue: Probed) -> None:
    for probed in (by_blob, by_hue):
        assert (probed.whole.argmax(axis=1) == probed.labels).all()


def test_evidence_that_is_read_is_necessary_by_both_infills_and_controls_are_not(of_blob) -> None:
    rows = [row for row in of_blob["necessity"] if row["region"] == "evidence"]
    assert [(row["class_name"], row["infill"]) for row in rows] == [("sick", "imputation"), ("sick", "patches")]
    for row in rows:
        assert (row["images"], row["groups"]) == (24, 24)
        assert row["control_images"] >= 20
        assert row["flips_low"] > 0.8
        assert row["control_flips"] < 0.05
        assert row["excess_low"] > 2
        assert row["excess_flips_low"] > 0.7  # of 22 images or more that all flip, on a scale from -1 to 1


def test_evidence_that_is_read_is_sufficient_beyond_any_other_place(of_blob) -> None:
    rows = [row for row in of_blob["sufficiency"] if row["region"] == "evidence"]
    assert {row["infill"] for row in rows} == {"imputation", "blur"}
    for row in rows:
        assert row["kept"] == 1 - row["flips"]
        assert row["kept_low"] <= row["kept"] <= row["kept_high"]
        assert row["excess_low"] > 0


def test_a_region_of_most_of_the_image_has_no_control_and_says_why(of_blob) -> None:
    rows = [row for row in of_blob["necessity"] if row["region"] == "foreground"]
    assert len(rows) == 4
    for row in rows:
        assert row["control_images"] == 0
        assert row["control_reason"]
        assert [row[key] for key in ("control_flips", "control_log_odds", "excess", "excess_flips_low")] == [None] * 4


def test_evidence_that_is_not_read_is_not_necessary(by_hue: Probed) -> None:
    for row in needed(by_hue)["necessity"]:
        if row["region"] == "evidence":
            assert row["flips_high"] < 0.2
            assert row["excess_high"] < 0.5


def test_blobs_of_both_classes_are_worth_as_much_though_masks_have_one_classs() -> None:
    alike = world(ByBlob(), hue=False, blobs=(True, True), masked=(True, False))
    (row,) = needed(alike)["look_alikes"]
    assert (row["class_name"], row["other_class"], row["region"]) == ("sick", "well", "evidence")
    assert row["own"] > 2
    assert abs(row["difference"]) < 0.25 * row["own"]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_blobs_of_one_class_are_worth_more_than_what_looks_like_them_elsewhere(of_blob) -> None:
    (row,) = of_blob["look_alikes"]
    assert row["difference_low"] > 0.5 * row["own"]


def test_without_masks_there_are_no_regions_and_still_cues(by_hue: Probed) -> None:
    bare = worlds.replace(by_hue, masks=None)
    found = model_necessity.model_necessity(bare, None, bare.labels, DRAWS, 0)
    assert found == {"necessity": [], "sufficiency": [], "look_alikes": []}
    rows = model_cues(bare, DRAWS, 0)
    assert "outside object" not in {row["cue"] for row in rows}
    assert min(row["excess_flips_low"] for row in rows if row["cue"] == "hue") > 0.5


def test_a_network_that_decides_by_hue_follows_the_hue_of_another_class_and_no_other_cue(by_hue: Probed) -> None:
    rows = model_cues(by_hue, DRAWS, 0)
    assert {(row["cue"], row["class_name"]) for row in rows} == {(cue, k) for cue in CUES for k in by_hue.class_names}
    for row in rows:
        assert row["exchanged"] == (row["cue"] not in DESTROYED)
        if row["cue"] == "hue":
            assert row["flips_low"] > 0.8
            assert row["floor_flips"] < 0.05
            assert row["excess_low"] > 1
        elif row["exchanged"]:
            assert row["flips_high"] < 0.25


def test_a_network_that_reads_a_blob_follows_no_exchanged_cue(by_blob: Probed) -> None:
    for row in model_cues(by_blob, DRAWS, 0):
        if row["cue"] in ("hue", "outside object"):
            assert row["flips_high"] < 0.25


def test_occlusion_agrees_with_maps_of_the_blobs_that_are_read_and_not_with_those_of_hue(
    by_blob: Probed, by_hue: Probed, monkeypatch
) -> None:
    found = {}
    for name, probed in (("blob", by_blob), ("hue", by_hue)):
        monkeypatch.setattr(model_occlusion, "open_foremost", lambda *_, probed=probed: dark_maps(probed))
        rows = model_occlusion.model_occlusion(probed, None, probed.labels, DRAWS, 0)
        found[name] = next(row for row in rows if row["class_name"] == "sick")
    assert found["blob"]["r_low"] > 0.5
    assert found["hue"]["r"] < 0.3
    assert (found["blob"]["method"], found["blob"]["maps"], found["blob"]["images"]) == ("occlusion", "cam.block1", 24)


def test_same_seed_gives_the_same_rows() -> None:
    few = world(ByBlob(), hue=False, blobs=(True, False), masked=(True, False), count=3)
    assert needed(few) == needed(few)
    assert model_cues(few, DRAWS, 0) == model_cues(few, DRAWS, 0)
