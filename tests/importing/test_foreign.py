"""What an entry says of a foreign state dict."""

import pytest

from wheretolook.base.errors import InputError
from wheretolook.importing.foreign import Description, describe, parse_classes
from wheretolook.networks.architectures import parse_arguments
from wheretolook.networks.card import IMAGENET_MEAN, IMAGENET_STD, parse_channels


def test_an_entry_describes_a_foreign_file() -> None:
    found = describe("drive.x", "looknet", "width=16, depth=4", ("infected,uninfected",), 112, "", "0.2,0.3,0.4")
    assert found == Description(
        "looknet", {"width": 16, "depth": 4}, ("infected", "uninfected"), 112, IMAGENET_MEAN, (0.2, 0.3, 0.4)
    )
    assert IMAGENET_STD == (0.229, 0.224, 0.225)


def test_looknets_arguments_are_those_that_it_is_built_with() -> None:
    with pytest.raises(
        InputError, match=r"looknet: expected positive integers width and depth.* `arguments: width=16,depth=4`"
    ):
        describe("drive.x", "looknet", "width=16", ("a,b",), 112, "", "")


def test_an_input_size_beyond_what_images_are_made_is_refused() -> None:
    with pytest.raises(InputError, match=r"drive\.x: input_size: expected at most 2048 pixels, found 99999999999"):
        describe("drive.x", "resnet18", "", "a,b", 99999999999, "", "")


def test_class_names_with_control_characters_are_refused_before_a_file_is_written() -> None:
    with pytest.raises(InputError, match=r"drive\.x: classes: .* control or invisible characters, found 'a\\x1b'"):
        describe("drive.x", "resnet18", "", ["a\x1b", "b"], 112, "", "")


def test_an_entry_without_any_of_it_describes_nothing() -> None:
    assert describe("drive.x", "", "", (), None, "", "") is None
    assert describe("drive.x", "", "", ("",), None, "", "") is None


def test_half_a_description_names_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"drive\.x: expected .* found no classes, input_size"):
        describe("drive.x", "resnet18", "", (), None, "", "")


def test_arguments_are_numbers_truths_or_text() -> None:
    assert parse_arguments("a=1,b=0.5,c=true,d=false,e=x,") == {"a": 1, "b": 0.5, "c": True, "d": False, "e": "x"}


@pytest.mark.parametrize("text", ["width", "width=1,width=2", "2=1", "a b=1"])
def test_arguments_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="such as width=16,depth=4"):
        parse_arguments(text)


@pytest.mark.parametrize("given", [(), ("",), ("one",), ("a,a",), (",",), ("a", "a"), ("a", " ")])
def test_fewer_than_two_classes_or_one_twice_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="such as infected,uninfected"):
        parse_classes(given)


def test_of_a_list_of_classes_each_is_whole() -> None:
    assert parse_classes(("tench, Tinca tinca", " goldfish")) == ("tench, Tinca tinca", "goldfish")
    assert parse_classes(("tench, Tinca tinca",)) == ("tench", "Tinca tinca")


@pytest.mark.parametrize("text", ["0.5", "a,b,c", "0.1,0.2,nan", "0,0.1,0.1", "124,116,104", "0.1,0.1,0.1,0.1"])
def test_standard_deviations_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"std: expected three numbers in 0\.\.1"):
        parse_channels("std", text)


def test_a_mean_may_be_zero() -> None:
    assert parse_channels("mean", "0,0,0") == (0, 0, 0)
