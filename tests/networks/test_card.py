import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.networks.small import card
from wheretolook.base.errors import InputError
from wheretolook.networks.card import card_from_json, card_to_json
from wheretolook.networks.layered import LookNet

PLAIN = card(LookNet(2, width=4, depth=2))


FIGURES = {"train_loss": 0.5, "train_accuracy": 0.75, "val_loss": 1, "val_accuracy": 0.5}
EPOCH = {"epoch": 1} | FIGURES | {"layers": {"block2": FIGURES}}


def text_with(**changes: object) -> str:
    return json.dumps(json.loads(card_to_json(PLAIN)) | changes)


def test_a_card_comes_back_as_it_was():
    assert card_from_json(card_to_json(PLAIN), Path("x")) == PLAIN


def test_a_history_comes_back_as_it_was():
    assert card_from_json(text_with(history=[EPOCH]), Path("x")).history == [EPOCH]


def test_the_order_of_keys_does_not_matter():
    permuted = replace(PLAIN, arguments={"depth": 2, "width": 4}, data=dict(reversed(PLAIN.data.items())))
    assert card_to_json(permuted) == card_to_json(PLAIN)
    values = json.loads(card_to_json(PLAIN))
    assert card_from_json(json.dumps(dict(reversed(values.items()))), Path("x")) == PLAIN


def test_nan_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        card_to_json(replace(PLAIN, history=[{"val_loss": float("nan")}]))


def test_an_older_card_has_no_fit():
    assert card_from_json(text_with(fit="pad"), Path("x")).fit == "pad"
    values = json.loads(card_to_json(PLAIN))
    del values["fit"]
    assert card_from_json(json.dumps(values), Path("x")).fit is None


def refusal(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        card_from_json(text, Path("x"))
    assert caught.value.subject == "x"
    return caught.value


@pytest.mark.parametrize("name", ["class_names", "history", "mean"])
def test_a_missing_field_is_named(name: str):
    values = json.loads(card_to_json(PLAIN))
    del values[name]
    error = refusal(json.dumps(values))
    assert (error.expected, error.found) == (f"{name} in the card", "no such field")


@pytest.mark.parametrize(
    ("changes", "expected", "found"),
    [
        ({"format": 7}, "a card of format 1", "7"),
        ({"class_names": ["cat"]}, "two unique names .* as class_names", "cat"),
        ({"class_names": ["cat", "cat"]}, "two unique names .* as class_names", "cat"),
        ({"class_names": ["a\nb", "c"]}, "without control characters.* as class_names", r"['a\nb'"),
        ({"class_names": ["\ud800", "c"]}, "without control characters.* as class_names", "c"),
        ({"class_names": ["\x1b[31mred", "c"]}, "without control characters.* as class_names", "red"),
        ({"architecture": "look\x1bnet"}, "a name without control characters.* as architecture", "look"),
        ({"class_names": ["x" * 100_000, "c"]}, "at most 255 bytes.* as class_names", "..."),
        ({"layers": ["x" * 256]}, "at most 255 bytes.* as layers", "..."),
        ({"input_size": 0}, "a number of pixels, at most 2048 as input_size", "0"),
        ({"input_size": 2049}, "a number of pixels, at most 2048 as input_size", "2049"),
        ({"std": [0.1, 0.0, 0.1]}, "three numbers above 0 as std", "[0.1, 0.0, 0.1]"),
        ({"mean": [0.1, 0.2]}, "three numbers as mean", "[0.1, 0.2]"),
        ({"loss": "both"}, "last or every as loss", "'both'"),
        ({"trained_heads": ["block9"]}, "as trained_heads", "block9"),
        ({"trained_heads": ["block1"]}, "among block1, block2, including block2, as trained_heads", "block1"),
        ({"mean": [10**400, 0, 0]}, "three numbers as mean", "..."),
        ({"history": [EPOCH, {}]}, "a finite number as epoch in entry 2", "None"),
        ({"history": [EPOCH | {"train_loss": "low"}]}, "a finite number as train_loss", "'low'"),
        ({"history": [EPOCH | {"val_loss": float("nan")}]}, "a finite number as val_loss", "nan"),
        ({"history": [EPOCH | {"val_accuracy": True}]}, "a finite number as val_accuracy", "True"),
        ({"history": [EPOCH | {"layers": [1]}]}, r"figures of the trained heads \(block2\) under layers", "[1]"),
        ({"history": [EPOCH | {"layers": {"block1": FIGURES}}]}, "figures of the trained heads", "block1"),
        ({"history": [EPOCH | {"layers": {"block2": {}}}]}, "a finite number as train_loss of block2", "None"),
        ({"fit": "squeeze"}, "one of stretch, pad, crop, or null as fit", "'squeeze'"),
        ({"arguments": [1]}, "a mapping as arguments", "[1]"),
    ],
)
def test_a_wrong_field_is_refused(changes: dict, expected: str, found: str):
    error = refusal(text_with(**changes))
    assert re.search(expected, error.expected) and found in error.found


@pytest.mark.parametrize("text", ["{", "[]", "3", "9" * 5000, "[" * 100_000])
def test_what_is_no_card_is_refused(text: str):
    assert refusal(text).expected.startswith("a card")
