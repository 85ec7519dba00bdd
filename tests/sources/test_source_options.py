from pathlib import Path

import pytest

from wheretolook.base.errors import InputError
from wheretolook.sources.source_registry import SOURCES, check_source_options

EVERY = {name: None for source in SOURCES.values() for name in source.needed + source.one_of}
FOLDER = {"path": "cells", "masks": ""}
ARCHIVE = {"sha256": "", "root": "", "masks": ""}


def test_the_options_of_a_source_are_given_back_without_the_others():
    assert check_source_options("folder", EVERY | FOLDER) == FOLDER
    assert check_source_options("archive", EVERY | ARCHIVE | {"url": "u"}) == ARCHIVE | {"url": "u"}
    synthetic = {"images_per_class": 3, "size": 32, "seed": 0, "shortcut_class": "infected", "shortcut_share": 0.0}
    assert check_source_options("synthetic", EVERY | synthetic) == synthetic


def test_an_option_of_another_source_is_refused_with_the_list():
    with pytest.raises(InputError) as error:
        check_source_options("folder", EVERY | FOLDER | {"size": 112, "seed": 0})
    assert error.value.subject == "fetch with source: folder"
    assert (error.value.expected, error.value.found) == ("only the parameters path, masks", "size, seed")


def test_a_missing_option_is_refused_with_the_list():
    with pytest.raises(InputError) as error:
        check_source_options("folder", EVERY | {"path": "cells"})
    assert (error.value.expected, error.value.found) == ("the parameters path, masks", "no masks")


def test_of_two_ways_to_name_an_archive_exactly_one_is_needed():
    with pytest.raises(InputError) as error:
        check_source_options("archive", EVERY | ARCHIVE)
    assert error.value.expected == "the parameters sha256, root, masks, path or url"
    assert error.value.found == "no path or url"
    with pytest.raises(InputError) as error:
        check_source_options("drive", EVERY | ARCHIVE | {"id": "1", "url": "u"})
    assert (error.value.expected, error.value.found) == ("one of id and url", "both")


@pytest.mark.parametrize(("source", "other"), [("archive", "path"), ("drive", "id")])
def test_an_empty_way_to_name_it_counts_as_not_given(source: str, other: str):
    nothing = {"url": "", other: Path() if other == "path" else ""}
    with pytest.raises(InputError, match=f"found no {other} or url"):
        check_source_options(source, EVERY | ARCHIVE | {"url": ""})
    with pytest.raises(InputError, match=f"found no {other} or url"):
        check_source_options(source, EVERY | ARCHIVE | nothing)
    assert check_source_options(source, EVERY | ARCHIVE | nothing | {"url": "u"}) == ARCHIVE | {"url": "u"}
    assert check_source_options(source, EVERY | ARCHIVE | nothing | {other: "x"}) == ARCHIVE | {other: "x"}
