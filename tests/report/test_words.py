import pytest

from wheretolook.report.words import (
    all_models,
    capitalised,
    count,
    in_words,
    link_terms,
    listed,
    number,
    number_with_interval,
    percent,
    percent_span,
    percent_with_interval,
    place_in_grid,
    shortened,
    span,
)


def test_a_figure_that_does_not_exist_is_a_dash_and_never_zero():
    assert percent(None) == number(None) == "–"


def test_a_figure_without_an_interval_is_shown_alone():
    assert number_with_interval(0.15, 0.1, 0.2) == "0.15 (0.10 to 0.20)"
    assert percent_with_interval(0.973, 0.95, 0.986) == "97.3 % (95.0 to 98.6)"
    assert number_with_interval(0.15, None, None) == "0.15"
    assert percent_with_interval(0.973, None, None) == "97.3 %"


def test_shares_read_in_percent():
    assert percent(0.97333) == "97.3 %"
    assert percent(0.5, 0) == "50 %"


def test_negative_numbers_have_a_true_minus_sign():
    assert number(-0.254) == "−0.25"
    assert number_with_interval(-0.05, -0.1, 0.2) == "−0.05 (−0.10 to 0.20)"


def test_a_long_name_keeps_both_ends():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 6) == "ab…ijk"


def test_a_span_of_figures_that_read_the_same_is_one_figure():
    assert span([0.151, 0.149]) == "0.15"
    assert span([0.9, 0.1]) == "0.10 to 0.90"
    assert percent_span([0.973, 0.9]) == "90.0 to 97.3 %"


COUNTS = [
    (1, "image", "1 image"),
    (0, "image", "0 images"),
    (2, "class", "2 classes"),
    (27558, "image", "27,558 images"),
]


@pytest.mark.parametrize(("how_many", "noun", "told"), COUNTS)
def test_nouns_follow_their_count(how_many, noun, told):
    assert count(how_many, noun) == told


def test_lists_end_in_and():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


PLACES = [
    ((4, 4), (1, 1), (4, 4), "the lower left corner"),
    ((1, 2), (3, 4), (4, 4), "the upper right corner"),
    ((1, 1), (1, 7), (7, 7), "the upper edge"),
    ((1, 1), (3, 5), (7, 7), "the middle of the upper edge"),
    ((1, 7), (7, 7), (7, 7), "the right edge"),
    ((3, 5), (3, 5), (7, 7), "the middle"),
    ((1, 7), (1, 7), (7, 7), "the whole image"),
    ((2, 6), (3, 3), (7, 7), "rows 2 to 6, column 3 of 7 × 7 cells"),
]


@pytest.mark.parametrize(("rows", "columns", "grid", "words"), PLACES)
def test_cells_are_placed_in_words(rows, columns, grid, words: str):
    assert place_in_grid(rows, columns, grid) == words


def test_an_interval_that_excludes_nothing_is_not_shown():
    assert percent_with_interval(0.098, 0.0, 1.0) == "9.8 %"
    assert percent_with_interval(0.098, 0.0, 0.6) == "9.8 % (0.0 to 60.0)"


def test_small_numbers_of_models_are_words():
    assert [all_models(n) for n in (1, 2, 4, 12)] == ["the model", "both models", "all four models", "all 12 models"]
    assert (in_words(3), in_words(1200)) == ("three", "1,200")
    assert capitalised("an HD image") == "An HD image"


def test_the_first_use_of_a_term_in_a_paragraph_links_to_the_glossary():
    page = '<p class="note">CAMs and <a href="#x">CAMs</a> and CAMs</p><p>CAM</p><span class="text">an ECE</span>'
    linked = link_terms(page)
    assert linked.count('href="#term-cam"') == 1 and linked.startswith(
        '<p class="note"><a class="term" href="#term-cam">'
    )
    assert '<a href="#x">CAMs</a>' in linked and "<p>CAM</p>" in linked
    assert '<a class="term" href="#term-ece">ECE</a>' in linked


def test_longer_terms_come_before_those_they_contain():
    linked = link_terms('<p class="see">odds ratio of map energy</p>')
    assert (
        linked
        == '<p class="see"><a class="term" href="#term-odds-ratio-of-map-energy">odds ratio of map energy</a></p>'
    )
