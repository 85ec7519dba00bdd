"""State dicts from elsewhere: found in what holds them, fitted, or refused with what doesn't fit."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.networks.made_models import DESCRIPTION, foreign_state, small_network, write_model
from wheretolook.base.errors import InputError
from wheretolook.importing.foreign_fit import convert_state
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.foreign_file import read_foreign
from wheretolook.networks.foreign_state import find_state

LOOKNET = DESCRIPTION | {"fit": "pad"}


def saved(folder: Path, value: object) -> Path:
    torch.save(value, folder / "foreign.pth")
    return folder / "foreign.pth"


def converted(path: Path, **changes: object) -> torch.nn.Module:
    target = path.parent / "model.safetensors"
    convert_state(path, str(path), target, LOOKNET | changes)
    return load_model(target, torch.device("cpu"))[0]


def same(network: torch.nn.Module) -> bool:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return torch.equal(network(images), small_network()(images))


def test_heads_of_inner_layers_are_taken_too(tmp_path: Path) -> None:
    assert same(converted(saved(tmp_path, dict(small_network().state_dict()))))


def test_the_old_format_and_safetensors_are_read_too(tmp_path: Path) -> None:
    torch.save(foreign_state(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert same(converted(tmp_path / "old.pt"))
    save_file(foreign_state(), tmp_path / "foreign.safetensors")
    assert same(converted(tmp_path / "foreign.safetensors"))


def test_the_card_says_what_is_known_and_no_more(tmp_path: Path) -> None:
    path = saved(tmp_path, foreign_state())
    convert_state(path, str(path), tmp_path / "model.safetensors", LOOKNET)
    card = load_model(tmp_path / "model.safetensors", torch.device("cpu"))[1]
    assert (card.loss, card.layers, card.trained_heads) == ("last", ("block1", "block2"), ("block2",))
    assert (card.class_names, card.input_size, card.mean) == (("infected", "uninfected"), 32, (0.5, 0.5, 0.5))
    assert (card.data, card.training, card.history) == ({}, {}, [])


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path, foreign_state())
    convert_state(path, str(path), tmp_path / "a", LOOKNET)
    torch.manual_seed(5)
    convert_state(path, str(path), tmp_path / "b", LOOKNET)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_does_not_fit_is_an_error_with_expected_and_found(tmp_path: Path) -> None:
    state = foreign_state()
    state["classifier.0.weight"] = torch.zeros(1000, 8)
    state["extra"] = torch.zeros(1)
    del state["classifier.0.bias"]
    with pytest.raises(InputError) as refused:
        converted(saved(tmp_path, state))
    assert "classifier.0.weight is float32 (1000, 8) instead of float32 (2, 8)" in refused.value.found
    assert "unexpected: extra" in refused.value.found
    assert "missing: classifier.0.bias" in refused.value.found
    assert not (tmp_path / "model.safetensors").exists()


class _RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("place", ["whole", "inside"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(place: str, new_format: bool, tmp_path: Path) -> None:
    evil = _RunsCode(tmp_path / "ran")
    value = evil if place == "whole" else {"state_dict": foreign_state(), "extra": evil}
    torch.save(value, tmp_path / "evil.pth", _use_new_zipfile_serialization=new_format)
    with pytest.raises(InputError, match=r"run code when loaded \(posix\.system\)\. Nothing was run"):
        converted(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()
    # The careless way does run it: the test can fail.
    torch.load(tmp_path / "evil.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


NO_STATE = {
    "a list": [1, 2],
    "a tensor": torch.zeros(2),
    "empty": {},
    "no tensors": {"epoch": 1, "best": 0.5},
    "numbers for names": {1: torch.zeros(1)},
    "sparse": {"w": torch.zeros(2, 2).to_sparse()},
    "complex": {"w": torch.zeros(2, dtype=torch.complex64)},
}


@pytest.mark.parametrize("case", NO_STATE)
@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
def test_what_holds_no_state_dict_is_refused(case: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected (a state dict|tensors)"):
        find_state(read_foreign(saved(tmp_path, NO_STATE[case]), "x"), "x")


def test_a_model_file_of_ours_is_no_other_format(tmp_path: Path) -> None:
    assert set(read_foreign(write_model(tmp_path / "own.safetensors"), "x")) == set(small_network().state_dict())


DAMAGED = {
    "empty": (lambda _: b"", "another format"),
    "a page": (lambda _: b"<!DOCTYPE html><html></html>", "another format"),
    "text": (lambda _: b"hello world", "another format"),
    "cut short": (lambda whole: whole[: len(whole) // 2], "a damaged file"),
    "a zip of something else": (lambda _: b"PK\x03\x04" + bytes(99), "a damaged file"),
    "half a pickle": (lambda _: b"\x80\x02]", "a damaged file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_or_another_format_is_refused(case: str, tmp_path: Path) -> None:
    change, found = DAMAGED[case]
    path = saved(tmp_path, foreign_state())
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as refused:
        read_foreign(path, "x")
    assert refused.value.subject == "x" and found in refused.value.found


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_torchscript_archive_is_refused_with_the_way_to_save_its_weights(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "script.pt"))
    with pytest.raises(InputError, match=r"found a TorchScript archive.*torch\.jit\.load"):
        read_foreign(tmp_path / "script.pt", "x")


def test_a_network_of_torchvision_keeps_its_predictions(tmp_path: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    original = models.mobilenet_v3_small(num_classes=3).eval()
    path = saved(tmp_path, original.state_dict())
    target = tmp_path / "model.safetensors"
    description = LOOKNET | {
        "architecture": "mobilenet_v3_small", "arguments": {}, "class_names": ["a", "b", "c"], "input_size": 64,
    }  # fmt: skip
    convert_state(path, str(path), target, description)
    network, card = load_model(target, torch.device("cpu"))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(network(images), original(images), atol=1e-5)
    assert card.trained_heads == card.layers[-1:]
