import numpy as np
import pytest

from tests.report.fake import World
from wheretolook.mapstore.store import Maps, load_maps
from wheretolook.report.views import View, layer_labels, overlays_of, views_of


def stored(layers: list[str], arrays: list[tuple[str, str]]) -> Maps:
    entries = {f"{method}.{layer}.npy": {"method": method, "layer": layer} for method, layer in arrays}
    return Maps(folder=None, manifest={"layers": layers, "arrays": entries})


def test_networks_of_unequal_depth_meet_at_their_last_layers():
    maps = {
        "small": stored(["block1", "block2"], [("gradcam", "block1"), ("gradcam", "block2")]),
        "large": stored(["a", "b", "c"], [("gradcam", "a"), ("gradcam", "b"), ("gradcam", "c")]),
    }
    views = views_of(maps)
    assert [view.depth for view in views] == [2, 1, 0]
    assert views[0].layers == {"small": None, "large": "a"}
    assert views[2].layers == {"small": "block2", "large": "c"}
    assert layer_labels(maps) == ["a", "block1 / b", "block2 / c"]


def test_a_head_that_was_not_trained_has_no_cam():
    maps = {
        "last": stored(["x", "y"], [("cam", "y")]),
        "every": stored(["x", "y"], [("cam", "x"), ("cam", "y")]),
    }
    assert [dict(view.layers) for view in views_of(maps)] == [
        {"last": None, "every": "x"},
        {"last": "y", "every": "y"},
    ]


def test_cam_comes_first():
    maps = {"one": stored(["x"], [("ablation", "x"), ("cam", "x"), ("gradcam", "x")])}
    assert [view.method for view in views_of(maps)] == ["cam", "ablation", "gradcam"]


@pytest.fixture
def described(tmp_path) -> dict:
    np.save(tmp_path / "a.npy", np.array([[[2.0, -4.0]], [[6.0, 2.0]]], np.float32))
    np.save(tmp_path / "b.npy", np.array([[[1.0, 5.0]], [[9.0, 1.0]]], np.float32))
    np.save(tmp_path / "a2.npy", np.array([[[8.0, -2.0]]], np.float32))
    np.save(tmp_path / "b2.npy", np.array([[[10.0, 6.0]]], np.float32))
    entry = {"mean": "a.npy", "difference": "a2.npy", "rms": 2.0}, {"mean": "b.npy", "difference": "b2.npy", "rms": 1.0}
    return {
        "classes": ["sick", "well"],
        "class_names": ["sick", "well"],
        "models": {"a": {"cam.x": entry[0]}, "b": {"cam.x": entry[1]}},
        "folder": tmp_path,
    }


VIEW = View("cam", 0, {"a": "x", "b": "x"}, "x")


def test_mean_maps_are_in_units_of_each_models_rms(described):
    made = overlays_of(VIEW, described, described["folder"])
    np.testing.assert_array_equal(made.models["a"][:2], [[[1, -2]], [[3, 1]]])
    np.testing.assert_array_equal(made.models["b"][:2], [[[1, 5]], [[9, 1]]])


def test_two_classes_are_set_apart_by_one_log_odds_map(described):
    made = overlays_of(VIEW, described, described["folder"])
    assert made.labels[2] == "log-odds of sick: its images minus those of well"
    np.testing.assert_array_equal(made.models["a"][2], [[4, -1]])


def test_consensus_is_the_value_nearest_to_zero_where_all_have_one_sign(described):
    made = overlays_of(VIEW, described, described["folder"])
    np.testing.assert_array_equal(made.consensus, [[[1, 0]], [[3, 1]], [[4, 0]]])


def test_more_classes_are_each_set_against_the_rest(described):
    np.save(described["folder"] / "c.npy", np.array([[[3.0]], [[5.0]], [[10.0]]], np.float32))
    np.save(described["folder"] / "c2.npy", np.array([[[1.0]], [[2.0]], [[4.0]]], np.float32))
    three = {
        **described,
        "classes": ["r", "s", "t"],
        "class_names": ["r", "s", "t"],
        "models": {"a": {"cam.x": {"mean": "c.npy", "difference": "c2.npy", "rms": 2.0}}},
    }
    made = overlays_of(View("cam", 0, {"a": "x"}, "x"), three, described["folder"])
    assert made.labels[3:] == tuple(f"{name} minus the rest" for name in "rst")
    np.testing.assert_allclose(made.models["a"][:, 0, 0], [1.5, 2.5, 5, 0.5, 1, 2])


def test_classes_whose_maps_are_not_stored_for_every_image_are_not_set_apart(described):
    entries = {name: {"cam.x": each["cam.x"] | {"difference": None}} for name, each in described["models"].items()}
    made = overlays_of(VIEW, described | {"models": entries}, described["folder"])
    assert made.labels == ("sick", "well")
    assert made.models["a"].shape == (2, 1, 2)


def test_a_model_without_the_layer_has_no_overlay_and_no_vote(described):
    made = overlays_of(View("cam", 1, {"a": "x", "b": None}, "x"), described, described["folder"])
    assert made.models["b"] is None
    np.testing.assert_array_equal(made.consensus, made.models["a"])


def test_every_view_of_finished_results_has_overlays(world: World):
    from wheretolook.report.loaded import load_results

    results = load_results(world.root / "reports", world.root / "data/prepared")
    maps = {name: load_maps(world.root / "data/cams" / name) for name in world.names}
    for view in views_of(maps):
        made = overlays_of(view, results.overlays, world.root / "data/comparison")
        assert {name for name, array in made.models.items() if array is not None} == {
            name for name, layer in view.layers.items() if layer
        }
