"""Names of classes that look like markup, hide characters, or are in a script that no font here has."""

import json
import re
import warnings

import pytest

from tests.report.fake import World, page_html, read, write_report, write_world
from wheretolook.report.drawing import drawable, font_families, undrawable
from wheretolook.report.loaded import load_results
from wheretolook.report.plots import agreement_table
from wheretolook.report.summary import summary_of

NAMES = ("*", "<b>bold", "a|b _c_", "tur\u202ened", "血", "$x_1$")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> World:
    return write_world(tmp_path_factory.mktemp("foreign"), ("last-0", "last-1"), NAMES, 4, 28, (4, 2))


def test_the_summary_shows_names_as_they_are(foreign: World):
    summary = summary_of(load_results(foreign.root / "reports", foreign.root / "data/prepared"))
    assert "\u202e" not in summary and "tur\\\\u202ened" in summary
    assert "<b" not in summary and "&lt;b>bold" in summary
    assert "a\\|b \\_c\\_" in summary
    widths = {line.replace("\\|", "").count("|") for line in summary.splitlines() if "last-0, last-1" in line}
    assert len(widths) == 1  # no name adds a cell


def test_the_page_hides_no_character(foreign: World):
    html = page_html(foreign.root)
    assert "\u202e" not in html and "tur\\u202ened" in html
    assert "<b>bold" not in html
    described = json.loads(re.search(r'id="described">(.*?)</script>', html, re.S)[1])
    assert described["classNames"][3] == "tur\\u202ened"
    assert described["overlays"]["counts"].keys() == set(described["classNames"])


def test_a_class_called_like_the_sign_for_all_has_its_own_rows(foreign: World):
    table = agreement_table(load_results(foreign.root / "reports", foreign.root / "data/prepared"))
    assert sorted(table["class_name"].unique()) == sorted(NAMES)
    assert (table["class_name"] == "*").sum() == 2


def test_pictures_are_drawn_without_a_raw_warning_and_missing_letters_are_said_in_one_line(foreign: World):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = write_report(foreign.root, figures="png")
    lines = [line for line in output.splitlines() if "no font here" in line]
    assert len(lines) == (1 if undrawable(NAMES) else 0)
    assert "\u202e" not in output
    names = read(foreign.root / "reports/data.json")["class_names"]
    assert list(names) == list(NAMES)  # for scripts, names stay what they are


def test_a_letter_that_no_font_has_is_an_escape():
    assert drawable("Café ≤ \u0378") == "Café ≤ \\u0378"
    assert drawable("a\u200bb") == "a\\u200bb"
    assert font_families()[0] == "DejaVu Sans"
