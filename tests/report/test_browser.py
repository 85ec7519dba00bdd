"""The page in a real browser: it draws what the arrays say, and anyone can use it."""

import numpy as np

from tests.report.fake import World, page_html, write_world
from tests.report.page import Page, open_page
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.report.drawing import colour, opacity
from wheretolook.report.page_data import quantise


def restored(world: World, name: str, method: str, layer: str) -> tuple[list[str], np.ndarray]:
    """Image ids of the test split, and their maps as eight bits hold them: (n, K, h, w)."""
    prepared = load_prepared(world.root / "data/prepared")
    rows = prepared.rows("test")
    scales, steps = quantise(np.asarray(load_maps(world.root / "data/cams" / name).open(method, layer)[rows]))
    return list(prepared.index["image_id"].iloc[rows]), steps * scales[:, None, None, None]


def contrast_of(maps: np.ndarray, class_index: int) -> np.ndarray:
    return maps[:, class_index] - maps[:, 1 - class_index]


def assert_colours(drawn: np.ndarray, values: np.ndarray, signed: bool) -> None:
    """Pixels (h, w, 4) that a canvas holds against normalised values (h, w)."""
    values = np.clip(values, -1 if signed else 0, 1)
    np.testing.assert_allclose(drawn[..., 3], 255 * opacity(values), atol=1.5)
    # A canvas keeps colours multiplied by their opacity: only where that is full are they exact.
    full = np.abs(values) >= 0.5
    assert full.any()
    difference = np.abs(drawn[..., :3].astype(int) - colour(values, signed).astype(int))
    assert difference[full].max() <= 3  # one row of the table, where 32 and 64 bit round differently


def test_a_canvas_holds_the_map_itself(page: Page, world: World):
    page.choose(smooth="cells", scale="image")
    for model, name in enumerate(world.names):
        ids, maps = restored(world, name, "cam", "block3")
        for image in page.images()[:3]:
            values = contrast_of(maps, 0 if image.startswith("infected") else 1)[ids.index(image)]
            assert_colours(page.canvas(image, model), values / np.abs(values).max(), signed=True)


def test_method_and_layer_draw_those_maps(page: Page, world: World):
    page.choose(method="gradcam", smooth="cells", scale="image", **{"filter-class": "0"})
    for layer in world.layers:
        page.choose(layer=page.layer_value(layer))
        ids, maps = restored(world, "every-1", "gradcam", layer)
        values = contrast_of(maps, 0)[ids.index("infected/0004.png")]
        drawn = page.canvas("infected/0004.png", 3)
        assert drawn.shape[:2] == values.shape
        assert_colours(drawn, values / np.abs(values).max(), signed=True)


def test_a_class_own_map_and_another_class_contrast_can_be_drawn(page: Page, world: World):
    ids, maps = restored(world, "last-0", "cam", "block3")
    row = ids.index("infected/0004.png")
    expected = {"map-1": maps[row, 1], "contrast-1": maps[row, 1] - maps[row, 0], "map-0": maps[row, 0]}
    for target, values in expected.items():
        page.choose(target=target, smooth="cells", scale="image")
        assert_colours(page.canvas("infected/0004.png", 0), values / np.abs(values).max(), signed=True)


def test_a_pair_of_three_classes_can_be_drawn(browser, tmp_path):
    small = write_world(tmp_path, names=("one",), class_names=("a", "b", "c"), per_class=4, size=16, grids=(4, 2))
    page_file = tmp_path / "reports/site/index.html"
    page_file.parent.mkdir()
    page_file.write_text(page_html(tmp_path), encoding="utf-8")
    with open_page(browser, tmp_path / "reports") as page:
        page.choose(target="pair-2-0", smooth="cells", scale="image")
        ids, maps = restored(small, "one", "cam", "block2")
        values = (maps[:, 2] - maps[:, 0])[ids.index(page.images()[0])]
        assert_colours(page.canvas(page.images()[0], 0), values / np.abs(values).max(), signed=True)


def test_the_predicted_class_is_drawn_where_the_model_errs(page: Page, world: World):
    page.choose(target="contrast-predicted", smooth="cells", scale="image")
    ids, maps = restored(world, "last-0", "cam", "block3")
    row = next(i for i, name in enumerate(ids) if maps[i].mean((1, 2)).argmax() != int(name.startswith("uninf")))
    page.choose(**{"filter-right": "wrong-0"})
    values = contrast_of(maps, int(maps[row].mean((1, 2)).argmax()))[row]
    assert_colours(page.canvas(ids[row], 0), values / np.abs(values).max(), signed=True)


def test_positive_alone_leaves_what_is_against_clear(page: Page, world: World):
    page.choose(sign="positive", smooth="cells", scale="image")
    ids, maps = restored(world, "last-0", "cam", "block3")
    values = contrast_of(maps, 0)[ids.index("infected/0004.png")]
    assert (values < 0).any()
    drawn = page.canvas("infected/0004.png", 0)
    assert_colours(drawn, values / np.abs(values).max(), signed=False)
    assert (drawn[values < 0][:, 3] == 0).all()


def test_one_models_strength_is_the_99th_percentile_of_its_maps(page: Page, world: World):
    page.choose(scale="model", smooth="cells")
    ids, maps = restored(world, "every-0", "cam", "block3")
    labels = np.array([int(name.startswith("uninf")) for name in ids])
    values = np.where(labels[:, None, None] == 0, contrast_of(maps, 0), contrast_of(maps, 1))
    ordered = np.sort(np.abs(values), axis=None)
    limit = ordered[int(0.99 * (ordered.size - 1))]
    assert_colours(page.canvas("infected/0004.png", 2), values[ids.index("infected/0004.png")] / limit, signed=True)


def test_one_strength_for_all_can_be_set_by_hand(page: Page, world: World):
    page.choose(scale="fixed", smooth="cells")
    page.fill("limit", "50")
    ids, maps = restored(world, "last-1", "cam", "block3")
    values = contrast_of(maps, 0)[ids.index("infected/0004.png")]
    assert_colours(page.canvas("infected/0004.png", 1), values / 50, signed=True)
    assert "full colour at 50.0 in every picture" in page.text("#said")


def test_smoothing_meets_the_cells_at_their_middles(page: Page):
    page.choose(smooth="cells", scale="image")
    cells = page.canvas("infected/0004.png", 0)
    page.choose(smooth="smooth")
    pixels = page.canvas("infected/0004.png", 0)
    assert pixels.shape[:2] == (56, 56)
    middles = pixels[4::8, 4::8, 3].astype(int)
    # 56 pixels on 7 cells: a cell's middle lies half a pixel from the nearest one.
    assert np.abs(middles - cells[..., 3]).mean() < 12


def test_what_is_drawn_is_said_beside_the_pictures(page: Page):
    assert page.text("#said").startswith(
        "Drawn: cam at block3, 7 × 7 cells, smoothed, of the true class, as a contrast; red"
    )
    page.choose(scale="image", sign="positive")
    assert "positive values only" in page.text("#said")
    assert "each map's maximum" in page.text("#said")
    for section in ("layers", "classes"):
        assert page.text(f"#{section}-said").startswith("Drawn: ")


def test_only_what_stays_far_below_full_colour_is_called_faint(page: Page):
    said = page.page.locator("#cards .faint:visible").all_text_contents()
    assert said, "the maps of uninfected cells are weak"
    assert all(float(text.split()[3]) < 25 for text in said)


def test_the_slider_sets_the_opacity_of_every_map(page: Page):
    page.fill("opacity", "30")
    assert page.evaluate("getComputedStyle(document.querySelector('#cards canvas')).opacity") == "0.3"


def test_evidence_is_outlined_until_it_is_not_wanted(page: Page):
    shown = "[...document.querySelectorAll('.outline')].filter(o => o.getBoundingClientRect().width).length"
    assert page.evaluate(shown) > 0
    page.uncheck("evidence")
    assert page.evaluate(shown) == 0
