import json
import re
from pathlib import Path

import pytest

from tests.report.fake import World, page_html, write_world
from wheretolook.report.charts import Measured, Scale, interval_chart, line_chart, round_up
from wheretolook.report.site import PARTS


@pytest.fixture(scope="module")
def html(reports: Path) -> str:
    return (reports / "site/index.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(html: str):
    # Addresses of name spaces are names: nothing is fetched from them.
    outside = set(re.findall(r"""(?:https?:)?//[a-z][^\s"'<>)]*""", html)) - {"http://www.w3.org/2000/svg"}
    assert {address for address in outside if re.match(r"(https?:)?//[\w-]+\.[a-z]", address)} == set()
    assert re.findall(r"<(?:link|script|img)[^>]+(?:src|href)=(?!\"data:)", html) == []


def test_every_section_of_the_table_of_contents_exists(html: str):
    linked = set(re.findall(r'<li><a href="#(\w+)">', html)) - {"glossary"}
    assert set(PARTS) - set(linked) == {"regions", "cues", "occlusion", "stability"}, "not measured in these results"
    for part in linked:
        assert html.count(f'id="{part}"') == 1


def test_every_link_within_the_page_has_a_target(html: str):
    targets = set(re.findall(r'href="#([^"?]+)"', html))
    assert {target for target in targets if f'id="{target}"' not in html} == set()
    assert {"glossary", "agreement-of-0", "rule-same-places", "term-ece"} <= targets


def test_answers_come_before_everything_else(html: str):
    assert html.index('id="answers"') < html.index('id="models"') < html.index('id="gallery"')


def test_nothing_of_this_machine_or_this_hour_is_in_the_report(reports: Path, world: World):
    for path in reports.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(world.root).encode() not in content, path
            assert b"matplotlib version" not in content, path


def test_names_from_outside_cannot_become_markup(tmp_path: Path):
    hostile = ("</script><script>alert(1)</script>", "it's <b>&")
    write_world(tmp_path, names=("one",), class_names=hostile, per_class=4, grids=(4, 2), masks=False)
    html = page_html(tmp_path)
    assert "alert(1)</script>" not in html
    assert "<b>&" not in html
    described = re.search(r'<script type="application/json" id="described">(.*?)</script>', html, re.S)
    assert json.loads(described[1])["classNames"] == list(hostile)


def test_one_model_and_no_masks_make_a_page_too(tmp_path: Path):
    write_world(tmp_path, names=("one",), per_class=4, grids=(4, 2), masks=False)
    html = page_html(tmp_path)
    assert "there is nothing to compare" in html
    assert '<th scope="col">Energy inside</th>' not in html


def test_an_image_of_four_models_and_all_layers_takes_a_fortieth_of_a_megabyte(tmp_path: Path):
    # So that a page of 400 images stays below ten megabytes.
    write_world(tmp_path, per_class=20, size=112, grids=(56, 28, 14, 7))
    large, small = (len(page_html(tmp_path, images=images)) for images in (20, 10))
    assert (large - small) / 10 <= 25_000


def test_more_than_two_classes_make_a_page_too(tmp_path: Path):
    write_world(tmp_path, names=("one", "two"), class_names=("a", "b", "c"), per_class=4, grids=(4, 2))
    assert "c minus the rest" in page_html(tmp_path)


def test_of_more_than_ten_classes_the_true_class_is_drawn_and_contrasts_are_compared(tmp_path: Path):
    write_world(tmp_path, names=("one", "two"), class_names=tuple("abcdefghijk"), per_class=4, grids=(4, 2))
    html = page_html(tmp_path, images=11)
    assert '"everyClass":false' in html
    assert "(cam, last layer, true class, as a contrast); 0 equal" in html


def test_a_gallery_that_leaves_images_out_says_which(tmp_path: Path):
    write_world(tmp_path, names=("one", "two"), per_class=10, grids=(4, 2))
    html = page_html(tmp_path, images=6)
    assert "6 of the 10 images of the test split: of each class, as many images that all models" in html


def test_finer_maps_are_averaged_and_the_page_says_so(tmp_path: Path):
    write_world(tmp_path, names=("one",), per_class=4, grids=(8, 2))
    html = page_html(tmp_path, cells=4)
    described = json.loads(re.search(r'id="described">(.*?)</script>', html, re.S)[1])
    first = next(view for view in described["views"] if view["method"] == "gradcam")["models"][0]
    assert (first["shape"], first["native"]) == ([2, 4, 4], [8, 8])


def test_lines_share_an_axis_that_starts_at_zero():
    chart = line_chart("a", ("epoch", "loss"), [("val", "val", [1, 2], [0.0, 2.0])], y_high=4)
    assert [tick.label for tick in chart.y_ticks] == ["0.0", "2.0", "4.0"]
    assert chart.lines[0].path == f"M{chart.left} {chart.bottom:g} L{chart.width - 8} {(8 + chart.bottom) / 2:g}"
    assert chart.lines[0].said == "val: 0.00 at 1, 2.00 at 2"


def test_one_epoch_is_a_chart_too():
    chart = line_chart("a", ("epoch", "loss"), [("val", "val", [1], [0.5])], y_high=1)
    assert len(chart.x_ticks) == 1
    assert chart.lines[0].point, "a path of one point draws nothing"


def test_an_axis_goes_below_zero_where_a_figure_does():
    def chart(low: float):
        return interval_chart("r", [Measured("a, b", "seeds", 0.5, low, 0.6, (("other", 0.1),), "said")])

    assert chart(0.4).x_ticks[0].label == "0"
    assert chart(-0.2).x_ticks[0].label == "−0.5"
    assert chart(-0.7).x_ticks[0].label == "−1"


@pytest.mark.parametrize(("value", "top"), [(0.03, 0.04), (0.7, 0.8), (1.0, 1.0), (2.3, 2.5), (4.9, 5.0), (0.0, 1.0)])
def test_the_top_of_an_axis_reads_well(value: float, top: float):
    assert round_up(value) == pytest.approx(top)


def test_a_scale_runs_straight_between_its_ends():
    assert [Scale(0, 10, 100, 0)(value) for value in (0, 5, 10)] == [100, 50, 0]
