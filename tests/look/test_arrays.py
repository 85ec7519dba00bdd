"""`wheretolook look --arrays`: maps of many images as arrays, which replace nothing but their like."""

import numpy as np
import pytest

from wheretolook.mapstore.store import load_maps


def test_arrays_hold_the_maps_of_all_images_that_are_some(look, tmp_path):
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    words = ("--class", "all", "--layer", "all", "--method", "gradcam", "--method", "cam")
    look(*words)
    done, files = look(*words, "--arrays", images=("a.png", "cut.png", "b.png"))
    assert done.exit_code == 1 and "cut.png" in done.stderr
    assert "1 of 3 files could not be read as images" in done.stderr
    assert "arrays" in files and not [name for name in files if ".part-" in name]
    maps = load_maps(tmp_path / "out/arrays")
    assert maps.manifest["map_classes"] == ["cat", "dog"] and maps.logits().shape == (2, 2)
    assert len(maps.names) == 6
    for method, layer in maps.names:
        for image, values in zip("ab", maps.open(method, layer), strict=True):
            for name, found in zip(("cat", "dog"), values, strict=True):
                expected = np.load(tmp_path / f"out/{image}.{method}.{layer}.{name}.npy")
                np.testing.assert_allclose(found, expected, atol=1e-5)
    rows = (tmp_path / "out/arrays/predictions.csv").read_text(encoding="utf-8").splitlines()
    assert rows == (tmp_path / "out/predictions.csv").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("place", ["a file of mine", "the images", "no folder"])
def test_arrays_replace_nothing_but_arrays(look, tmp_path, place):
    (tmp_path / "out").mkdir()
    if place == "no folder":
        (tmp_path / "out/arrays").write_text("mine")
    else:
        (tmp_path / "out/arrays").mkdir()
        (tmp_path / "out/arrays/mine.png").write_bytes((tmp_path / "a.png").read_bytes())
    done, _ = look("--arrays", images=("out/arrays/mine.png",) if place == "the images" else ("b.png",))
    assert done.exit_code == 1 and "Choose another --out" in done.output
    assert (tmp_path / ("out/arrays" if place == "no folder" else "out/arrays/mine.png")).is_file()


def test_arrays_are_replaced_by_a_later_look(look, tmp_path):
    look("--arrays", "--layer", "all")
    done, _ = look("--arrays")
    assert done.exit_code == 0, done.output
    assert load_maps(tmp_path / "out/arrays").names == [("cam", "block3")]


def test_arrays_of_the_predicted_class_have_one_map_an_image(look, tmp_path):
    done, _ = look("--arrays")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"Arrays of their maps in {tmp_path / 'out/arrays'}"
    maps = load_maps(tmp_path / "out/arrays")
    assert maps.manifest["map_classes"] == ["predicted"] and maps.open("cam", "block3").shape == (2, 1, 4, 4)
