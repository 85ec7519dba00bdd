import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.networks.small import card
from wheretolook.base.errors import InputError
from wheretolook.networks.card import card_from_json, card_to_json
from wheretolook.networks.looknet import LookNet

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


def test_of_an_older_card_nobody_knows_how_an_image_became_a_square():
    assert card_from_json(text_with(fit="pad"), Path("x")).fit == "pad"
    values = json.loads(card_to_json(PLAIN))
    del values["fit"]
    assert card_from_json(json.dumps(values), Path("x")).fit is None


@pytest.mark.parametrize("name", ["class_names", "history", "mean"])
def test_a_missing_field_is_named(name: str):
    values = json.loads(card_to_json(PLAIN))
    del values[name]
    with pytest.raises(InputError, match=f"x: the card lacks {name}"):
        card_from_json(json.dumps(values), Path("x"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 7}, "expected a card of format 1, found 7"),
        ({"class_names": ["cat"]}, "class_names in the card: expected two names or more"),
        ({"class_names": ["cat", "cat"]}, "two names or more, each once"),
        ({"class_names": ["a\nb", "c"]}, r"class_names in the card: .* without control characters.*found \['a\\nb'"),
        ({"class_names": ["\ud800", "c"]}, "class_names in the card: .* without control characters"),
        ({"class_names": ["\x1b[31mred", "c"]}, "class_names in the card: .* without control characters"),
        ({"architecture": "look\x1bnet"}, "architecture in the card: expected a name without control characters"),
        ({"class_names": ["x" * 100_000, "c"]}, "class_names in the card: .* of at most 255 characters, found"),
        ({"layers": ["x" * 256]}, "layers in the card: .* of at most 255 characters"),
        ({"input_size": 0}, "input_size in the card: expected a number of pixels, at most 2048, found 0"),
        ({"input_size": 2049}, "input_size in the card: expected a number of pixels, at most 2048, found 2049"),
        ({"std": [0.1, 0.0, 0.1]}, "std in the card: expected three numbers above 0"),
        ({"mean": [0.1, 0.2]}, "mean in the card: expected three numbers"),
        ({"loss": "both"}, "loss in the card: expected last or every, found 'both'"),
        ({"trained_heads": ["block9"]}, "trained_heads in the card: expected some of"),
        ({"trained_heads": ["block1"]}, "expected some of block1, block2, block2 among them, found block1"),
        ({"mean": [10**400, 0, 0]}, "mean in the card: expected three numbers"),
        ({"history": [EPOCH, {}]}, "history in the card, entry 2: expected epoch as a finite number, found None"),
        ({"history": [EPOCH | {"train_loss": "low"}]}, "expected train_loss as a finite number, found 'low'"),
        ({"history": [EPOCH | {"val_loss": float("nan")}]}, "expected val_loss as a finite number, found nan"),
        ({"history": [EPOCH | {"val_accuracy": True}]}, "expected val_accuracy as a finite number, found True"),
        ({"history": [EPOCH | {"layers": [1]}]}, r"figures by trained head \(block2\) under layers, found \[1\]"),
        ({"history": [EPOCH | {"layers": {"block1": FIGURES}}]}, "figures by trained head"),
        ({"history": [EPOCH | {"layers": {"block2": {}}}]}, "expected train_loss of block2 as a finite number"),
        ({"fit": "squeeze"}, "fit in the card: expected one of stretch, pad, crop, or null, found 'squeeze'"),
        ({"arguments": [1]}, "arguments in the card: expected a mapping"),
    ],
)
def test_a_wrong_field_is_refused(changes: dict, message: str):
    with pytest.raises(InputError, match=message):
        card_from_json(text_with(**changes), Path("x"))


@pytest.mark.parametrize("text", ["{", "[]", "3", "9" * 5000, "[" * 100_000])
def test_what_is_no_card_is_refused(text: str):
    with pytest.raises(InputError, match="x: expected a card"):
        card_from_json(text, Path("x"))
