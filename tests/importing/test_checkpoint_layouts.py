"""Checkpoints as people have them: nesting, prefixes, precision, extras. Each loads, or is refused with a hint."""

import argparse
import builtins
import collections
import datetime
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.networks.made_models import foreign_state, small_network
from wheretolook.base.errors import InputError
from wheretolook.importing.foreign_fit import convert_state
from wheretolook.networks.checkpoint import load_model

State = dict[str, Tensor]
DESCRIPTION = {
    "architecture": "looknet",
    "arguments": {"width": 4, "depth": 2},
    "class_names": ["infected", "uninfected"],
    "input_size": 32,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.2, 0.2, 0.2],
    "fit": None,
    "key": "",
}
HEAD = "classifier.0."


class Config(dict):
    """A class of a training's own."""


class Settings:
    """Another one, no mapping."""

    def __init__(self) -> None:
        self.rate = 0.1


def convert(folder: Path, value: object, **changes: object) -> list[str]:
    torch.save(value, folder / "foreign.pt")
    return convert_state(folder / "foreign.pt", "drive.x", folder / "m.safetensors", DESCRIPTION | changes)


def logits(folder: Path) -> Tensor:
    network, _ = load_model(folder / "m.safetensors", torch.device("cpu"))
    return run(network)


def run(network: nn.Module) -> Tensor:
    with torch.no_grad():
        return network(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))


def put(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def cast(dtype: torch.dtype) -> Callable[[State], State]:
    return lambda state: {n: t.to(dtype) if t.is_floating_point() else t for n, t in state.items()}


def averaged(_: State) -> Any:
    return torch.optim.swa_utils.AveragedModel(small_network()).state_dict()


def split_names(body: str, head: str) -> Callable[[State], State]:
    return lambda state: {(head + n[len(HEAD) :] if n.startswith(HEAD) else body + n): t for n, t in state.items()}


def program(state: State) -> Any:
    network = small_network()
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return {
        "net_state_dict": state,
        "optim_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": schedule.state_dict(),
        "best_val_acc": np.float64(0.97),
        "epoch": 3,
    }


LOADED: dict[str, Callable[[State], Any]] = {
    # nesting
    **{f"under {key}": lambda state, key=key: {key: state, "epoch": 3} for key in (
        "state_dict", "model_state_dict", "net_state_dict", "model_state", "model", "net", "network", "module",
        "params", "weights", "ema", "model_ema", "params_ema", "state_dict_ema",
    )},
    "under an unusual key alone": lambda state: {"best": state, "epoch": 1},
    "nested twice": lambda state: {"model": {"state_dict": state}},
    "nested thrice": lambda state: {"checkpoint": {"model": {"state_dict": state}}},
    "numbers of tensors beside": lambda state: {"state_dict": state, "epoch": torch.tensor(3), "best": torch.zeros(1)},
    "the program's own": program,
    # prefixes
    "data parallel": put("module."),
    "compiled": put("_orig_mod."),
    "lightning": lambda state: {"state_dict": put("model.")(state), "pytorch-lightning_version": "2.4.0"},
    "lightning net": lambda state: {"state_dict": put("net.")(state), "hyper_parameters": Config(lr=0.1)},
    "data parallel and compiled": put("module._orig_mod."),
    "three wrappers": lambda state: {"model": put("_orig_mod.module.model.")(state)},
    "a prefix of its own": put("my_classifier."),
    "averaged, with n_averaged": averaged,
    "backbone": put("backbone."),
    "backbone and head": split_names("backbone.", "head.fc."),
    "encoder and classifier": split_names("encoder.", "fc."),
    "head behind a dropout": split_names("", "classifier.1."),
    # beside the weights
    "criterion.weight": lambda state: {"state_dict": put("model.")(state) | {"criterion.weight": torch.ones(2)}},
    "criterion.weight without a prefix": lambda state: state | {"criterion.weight": torch.ones(2)},
    "metrics": lambda state: {"state_dict": put("model.")(state) | {"val_acc.tp": torch.zeros(2)}},
    "normalisation": lambda state: {"state_dict": put("model.")(state) | {"mean": torch.zeros(1, 3, 1, 1)}},
    "ema beside": lambda state: {"state_dict": state, "state_dict_ema": cast(torch.float16)(state)},
    "numpy scalar": lambda state: {"state_dict": state, "best": np.float64(0.9), "epoch": np.int64(3)},
    "numpy array": lambda state: {"state_dict": state, "classes": np.array(["a", "b"])},
    "Namespace": lambda state: {"state_dict": state, "args": argparse.Namespace(lr=0.1, path=Path("x"))},
    "time": lambda state: {"state_dict": state, "when": datetime.datetime(2026, 1, 1)},
    "defaultdict": lambda state: {"state_dict": state, "history": collections.defaultdict(list, loss=[1])},
    "deque": lambda state: {"state_dict": state, "last": collections.deque([1, 2], 3)},
    "set and range": lambda state: {"state_dict": state, "kept": {1, 2}, "steps": range(3), "of": frozenset([1])},
    "own classes": lambda state: {"state_dict": state, "config": Config(a=1), "settings": Settings()},
    "a pickled network beside": lambda state: {"net": small_network(), "state_dict": state},
    # precision and kind of tensor
    "double": cast(torch.float64),
    "parameters": lambda state: {n: nn.Parameter(t, t.is_floating_point()) for n, t in state.items()},
    "no counters": lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
    "ordered": collections.OrderedDict,
}  # fmt: skip
ROUNDED = {"half": torch.float16, "brain half": torch.bfloat16}


@pytest.mark.parametrize("layout", LOADED)
def test_a_checkpoint_loads_whatever_it_is_nested_in(layout: str, tmp_path: Path) -> None:
    convert(tmp_path, LOADED[layout](foreign_state()))
    assert torch.equal(logits(tmp_path), run(small_network()))


@pytest.mark.parametrize("layout", ROUNDED)
def test_half_precision_is_widened(layout: str, tmp_path: Path) -> None:
    convert(tmp_path, cast(ROUNDED[layout])(foreign_state()))
    assert torch.allclose(logits(tmp_path), run(small_network()), atol=1e-1)


class _Calls:
    """Its pickle calls a function when it is loaded."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def one_output(state: State) -> State:
    return state | {HEAD + "weight": state[HEAD + "weight"][:1], HEAD + "bias": state[HEAD + "bias"][:1]}


def wide_head(state: State) -> State:
    return state | {HEAD + "weight": torch.zeros(7, 8), HEAD + "bias": torch.zeros(7)}


def gone(state: State, name: str) -> State:
    return {n: t for n, t in state.items() if n != name}


REFUSED: dict[str, tuple[Callable[[State], Any], str, str]] = {
    "eval": (lambda s: {"state_dict": s, "x": _Calls(builtins.eval, "1")}, "(eval)", "Nothing was run"),
    "system": (lambda s: {"state_dict": s, "x": _Calls(os.system, "true")}, "(posix.system)", "Nothing was run"),
    "a network": (lambda s: small_network(), "LookNet", "torch.save(model.state_dict()"),
    "a network under a key": (lambda s: {"model": small_network()}, 'LookNet under "model"', "torch.save(model.state"),
    "student and teacher": (lambda s: {"student": s, "teacher": s}, "student, teacher", "key: student"),
    "a list of two": (lambda s: [s, s], "under 0, 1", "key: 0"),
    "a wide head": (wide_head, "7 outputs", "List the classes of all outputs"),
    "grey images": (
        lambda s: s | {"blocks.block1.0.weight": s["blocks.block1.0.weight"][:, :1]},
        "one for 1",
        "repeat(1, 3, 1, 1) / 3",
    ),
    "no bias": (lambda s: gone(s, "blocks.block2.1.bias"), "missing: blocks.block2.1.bias", "Set the arch"),
    "one layer more": (
        lambda s: s | {"blocks.block2.4.weight": torch.ones(1)},
        "unexpected: blocks.block2.4",
        "Set the arch",
    ),
    "NaN": (lambda s: s | {HEAD + "bias": torch.tensor([0.0, float("nan")])}, f"NaN or infinity in {HEAD}bias", "Ask"),
    "no weights": (lambda s: {"epoch": 1, "best": 0.5}, "'epoch', 'best'", "torch.save(model.state_dict()"),
}


@pytest.mark.parametrize("layout", REFUSED)
def test_what_does_not_load_is_refused_with_what_to_do(layout: str, tmp_path: Path) -> None:
    make, found, hint = REFUSED[layout]
    with pytest.raises(InputError) as refused:
        convert(tmp_path, make(foreign_state()))
    assert (refused.value.subject, found in refused.value.found, hint in refused.value.hint) == ("drive.x", True, True)
    assert not (tmp_path / "m.safetensors").exists()


def test_the_globals_of_a_pickle_of_a_newer_protocol_are_found(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    for value, found in ((_Calls(builtins.eval, "1"), "(eval)"), (Settings(), "Settings")):
        path.write_bytes(pickle.dumps(value, protocol=4))
        with pytest.raises(InputError) as refused:
            convert_state(path, "drive.x", tmp_path / "m.safetensors", DESCRIPTION)
        assert found in refused.value.found


def test_there_are_forty_layouts_or_more() -> None:
    assert len(LOADED) + len(ROUNDED) + len(REFUSED) >= 40


def test_one_output_becomes_two_of_the_same_probabilities(tmp_path: Path) -> None:
    reports = convert(tmp_path, one_output(foreign_state()))
    z = run(small_network())[:, 0]
    assert torch.allclose(logits(tmp_path).softmax(1)[:, 1], z.sigmoid(), atol=1e-6)
    assert "-z/2 for infected and z/2 for uninfected" in " ".join(reports)


def test_of_several_state_dicts_the_choice_is_reported_and_a_key_decides(tmp_path: Path) -> None:
    other = {name: tensor * 2 for name, tensor in foreign_state().items()}
    value = {"model": foreign_state(), "model_ema": {"module": other}}
    reports = convert(tmp_path, value)
    assert torch.equal(logits(tmp_path), run(small_network()))
    assert 'under "model", not under model_ema.module' in reports[0]
    convert(tmp_path, value, key="model_ema.module")
    assert not torch.equal(logits(tmp_path), run(small_network()))
    with pytest.raises(InputError) as refused:
        convert(tmp_path, value, key="best")
    assert "model, model_ema.module" in refused.value.found


def test_a_removed_prefix_and_ignored_tensors_are_reported(tmp_path: Path) -> None:
    state = {"state_dict": put("model.")(foreign_state()) | {"criterion.weight": torch.ones(2)}}
    assert convert(tmp_path, state) == [
        'weights under "state_dict"',
        'prefix "model." removed',
        "ignored: criterion.weight",
    ]


def test_a_mismatch_names_the_architecture_whose_shapes_these_are(tmp_path: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    state = models.squeezenet1_1(num_classes=3).state_dict()
    with pytest.raises(InputError) as refused:
        convert(tmp_path, put("module.")(state), architecture="squeezenet1_0", arguments={})
    assert "squeezenet1_1" in refused.value.hint and "shape or dtype" in refused.value.found
    convert(tmp_path, state, architecture="squeezenet1_1", arguments={}, class_names=["a", "b", "c"])


def test_looknets_width_and_depth_are_guessed_too(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        convert(tmp_path, foreign_state(), arguments={"width": 8, "depth": 2})
    assert "`arguments: width=4,depth=2`" in refused.value.hint
