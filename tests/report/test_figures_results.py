"""Figures of results whose models are not alike: warnings fail, as matplotlib's of an empty legend would."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageColor

from tests.report.fake import World, drawing_only, write_world
from wheretolook.mapstore.store import load_maps
from wheretolook.report.drawing import ACCENT
from wheretolook.report.figures_maps import draw_classes
from wheretolook.report.figures_results import (
    captions,
    draw_agreement,
    draw_confusion,
    draw_localisation,
    draw_training,
)
from wheretolook.report.loaded import Results, load_results


@pytest.fixture(autouse=True)
def _pictures_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """No PDF but in the test of it."""
    with drawing_only("all" if "vectors" in request.node.name else "png"):
        yield


@pytest.fixture
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def changed(results: Results, name: str, **values) -> Results:
    return replace(results, models={**results.models, name: {**results.models[name], **values}})


def test_a_model_of_one_epoch_is_seen(results, tmp_path):
    first = results.models["last-0"]["history"][:1]
    for name, history in (("one", first), ("none", [])):
        draw_training(tmp_path / f"{name}.png", changed(results, "last-0", history=history))
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "none.png").read_bytes()


def test_models_without_a_history_are_a_figure_too(results, tmp_path):
    none = {name: {**model, "history": []} for name, model in results.models.items()}
    draw_training(tmp_path / "training.png", replace(results, models=none))
    assert (tmp_path / "training.png").is_file()


def test_networks_of_unequal_depth_meet_at_their_last_layers(results, tmp_path):
    assert draw_localisation(tmp_path / "a.png", changed(results, "last-0", layers=["block2", "block3"]))
    assert draw_localisation(tmp_path / "b.png", results)
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_maps_that_fail_the_sanity_check_are_marked_in_the_figure(results, tmp_path):
    draw_localisation(tmp_path / "marked.png", results)
    unasked = {name: {**model, "sanity": None} for name, model in results.models.items()}
    draw_localisation(tmp_path / "plain.png", replace(results, models=unasked))
    assert (tmp_path / "marked.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_a_class_of_which_nothing_was_measured_says_so(results, tmp_path):
    rows = results.agreement.copy()
    rows.loc[rows["class_name"] == "uninfected", ["mean", "low", "high"]] = float("nan")
    draw_agreement(tmp_path / "agreement.png", replace(results, agreement=rows))
    assert (tmp_path / "agreement.png").is_file()


def pixels(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def with_classes(results: Results, count: int) -> Results:
    """The same of one model with so many classes: one image each, all called right."""
    names = [f"class {number}" for number in range(count)]
    split = {"confusion": np.eye(count, dtype=int).tolist()}
    first, model = next(iter(results.models.items()))
    models = {first: {**model, "splits": {"test": split}}}
    return replace(results, names=(first,), models=models, audit={**results.audit, "class_names": names})


def test_a_matrix_of_many_classes_has_one_size_and_no_numbers(results, tmp_path):
    sizes = {}
    for count in (20, 21, 200):
        draw_confusion(tmp_path / f"{count}.png", with_classes(results, count))
        sizes[count] = pixels(tmp_path / f"{count}.png")
    assert sizes[21] == sizes[200]
    assert sizes[200][0] < sizes[20][0] / 2
    with Image.open(tmp_path / "200.png") as image:
        full = np.asarray(image.convert("RGB")) == ImageColor.getrgb(ACCENT)
    assert full.all(axis=-1).sum() > 200, "what is right is a line that is seen"


def test_agreement_of_many_classes_is_drawn_of_those_at_both_ends(many: World, results, tmp_path):
    found = load_results(many.root / "reports", many.root / "data/prepared")
    draw_agreement(tmp_path / "many.png", found)
    assert pixels(tmp_path / "many.png")[0] == (3.4 * 5 + 1) * 160
    draw_agreement(tmp_path / "two.png", results)
    assert pixels(tmp_path / "two.png")[0] == (3.4 * 2 + 1) * 160


def test_of_many_classes_ten_mean_maps_are_drawn(many: World, tmp_path):
    found = load_results(many.root / "reports", many.root / "data/prepared")
    maps = {name: load_maps(many.root / "data/cams" / name) for name in found.names}
    draw_classes(tmp_path / "classes.png", found, maps, many.root / "data/comparison", "cam")
    assert pixels(tmp_path / "classes.png")[1] == round((1.4 * 10 + 0.4) * 120)


def test_class_names_of_any_length_leave_room_for_the_matrix(tmp_path):
    names = [f"{number}, a name that goes on, and on, and on, {'beyond all measure ' * 3}" for number in range(2)]
    long = write_world(tmp_path / "long", ("last-0",), names, per_class=4, size=28, grids=(4, 2))
    draw_confusion(tmp_path / "long.png", load_results(long.root / "reports", long.root / "data/prepared"))
    with Image.open(tmp_path / "long.png") as image:
        values = np.asarray(image.convert("RGB")).astype(int)
    shaded = np.ptp(values, axis=-1) > 15  # letters are grey
    assert shaded.sum() > (0.9 * 160) ** 2, "the matrix is about an inch wide and high"


@pytest.mark.parametrize("methods", [1, 2, 4])
def test_no_legend_is_cut(methods: int, tmp_path):
    from wheretolook.report.drawing import drawing, legend_below

    labels = ["last-0", "a model with a rather long name", "ceiling of the grid (each model's colour)"]
    labels += ["the evidence's share of the area (each model's colour)", "fails sanity"]
    with drawing(tmp_path / "legend.png", 3.1 * methods + 0.5, 2.8) as figure:
        panels = figure.subplots(1, methods, squeeze=False)[0]
        lines = {label: panels[0].plot([0, 1], [0, 1])[0] for label in labels}
        legend_below(figure, lines)
        figure.canvas.draw()
        box, page = figure.legends[0].get_window_extent(), figure.bbox
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0
        assert panels[0].get_window_extent().height > 1.5 * figure.dpi


def test_every_figure_has_a_caption_with_its_images_and_baselines(results: Results):
    names = ["agreement", "classes", "confusion", "images", "layers", "localisation", "training"]
    written = captions(results, "cam", names)
    by_name = dict(line.removeprefix("**").split(".pdf** ") for line in written.splitlines() if line.startswith("**"))
    assert list(by_name) == names
    assert "20 images of the test split" in by_name["agreement"]
    assert "always infected: 50.0 %" in by_name["confusion"]
    assert "same images" in by_name["localisation"]


def test_a_figure_is_written_as_picture_and_as_vectors(results: Results, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        draw_training(tmp_path / folder / "training.png", results)
    first, again = ((tmp_path / folder / "training.pdf").read_bytes() for folder in ("a", "b"))
    assert first == again and first.startswith(b"%PDF") and b"CreationDate" not in first
