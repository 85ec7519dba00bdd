import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.networks.small import ALONE, OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.runtime import resumable as state_key
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions
from wheretolook.training import loop as training_module
from wheretolook.training import train_network as resume
from wheretolook.training.loop import Training
from wheretolook.training.train_network import Keeper, discard_states

# Four steps an epoch.
THREE_EPOCHS = replace(OPTIONS, epochs=3, loss="every")


class Beside(Ranks):
    """A process of two, each stepped by hand: it does not wait, and assumes that the other has the same steps."""

    def gathered(self, item: object) -> list[object]:
        return [item, item]

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        return values


class Killed(Exception):
    """What ends a training in these tests, before a step."""


def kill_before(monkeypatch: pytest.MonkeyPatch, step: int, by: int | None = None) -> None:
    """Before `step`, end the training by an exception, or send this process the signal `by` and go on."""
    advance = Training.advance

    def stopping(training: Training) -> bool:
        if training.progress.step == step:
            if by is None:
                raise Killed
            signal.raise_signal(by)
        return advance(training)

    monkeypatch.setattr(Training, "advance", stopping)


def trained_bytes(cache: Path, path: Path, options: TrainOptions = THREE_EPOCHS) -> bytes:
    save_model(path, *train(prepared(), options, cache))
    return path.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    return trained_bytes(folder / "cache", folder / "model")


@pytest.mark.parametrize(("killed", "resumed"), [(2, 0), (4, 4), (7, 4), (11, 8)])
def test_a_killed_training_goes_on_from_its_last_epoch_and_ends_with_the_same_bytes(
    killed: int, resumed: int, tmp_path: Path, undisturbed: bytes
):
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, killed)
        with pytest.raises(Killed):
            train(prepared(), THREE_EPOCHS, tmp_path)
    assert Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, ALONE)).restore() == resumed
    torch.manual_seed(5)
    assert trained_bytes(tmp_path, tmp_path / "model") == undisturbed


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "cosine", "warmup_epochs": 0.5, "augment": "faces"},
        {
            "schedule": "constant",
            "early_stopping": 1,
            "sampling": "balanced",
            "gradient_clip": 0.1,
            "label_smoothing": 0.1,
        },
    ],
    ids=["cosine", "constant"],
)
def test_a_killed_training_with_other_options_ends_with_the_same_bytes(changes: dict, tmp_path: Path):
    options = replace(THREE_EPOCHS, **changes)
    undisturbed = trained_bytes(tmp_path / "cache", tmp_path / "undisturbed", options)
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, 5)
        with pytest.raises(Killed):
            train(prepared(), options, tmp_path)
    assert trained_bytes(tmp_path, tmp_path / "model", options) == undisturbed


@pytest.mark.parametrize("killed", [1, 6])
def test_in_a_long_epoch_the_state_is_saved_by_the_clock(
    killed: int, tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resume, "SECONDS_BETWEEN", 0.0)
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, killed)
        with pytest.raises(Killed):
            train(prepared(), THREE_EPOCHS, tmp_path)
    assert Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, ALONE)).restore() == killed
    assert trained_bytes(tmp_path, tmp_path / "model") == undisturbed


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_it_finishes_the_step_saves_and_says_how_to_go_on(
    by: signal.Signals, tmp_path: Path, undisturbed: bytes
):
    before = signal.getsignal(by)
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, 5, by)
        with pytest.raises(
            InputError, match=rf'{by.name} after step 6 of 12\. The state is saved: .* "dvc repro", to resume'
        ):
            train(prepared(), THREE_EPOCHS, tmp_path)
    assert signal.getsignal(by) is before
    assert trained_bytes(tmp_path, tmp_path / "model") == undisturbed


def test_interrupted_twice_it_stops_at_once_and_the_last_state_stays_whole(tmp_path: Path, undisturbed: bytes):
    def twice(training: Training) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        step = Training._step
        patch.setattr(Training, "_step", lambda it: twice(it) if it.progress.step == 6 else step(it))
        with pytest.raises(KeyboardInterrupt):
            train(prepared(), THREE_EPOCHS, tmp_path)
    assert trained_bytes(tmp_path, tmp_path / "model") == undisturbed


@pytest.mark.parametrize("changed", ["option", "data", "code", "threads"])
def test_a_change_never_goes_on_from_the_old_state(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data, options = prepared(), THREE_EPOCHS
    keeper = Keeper(tmp_path, "tiny", Training(data, options, ALONE))
    keeper.training.advance()
    keeper.save()
    assert Keeper(tmp_path, "tiny", Training(data, options, ALONE)).restore() == 1
    if changed == "option":
        options = replace(options, learning_rate=0.02)
    if changed == "data":
        data = replace(data, sha256="1" * 64)
    if changed == "code":
        # A module of another package than training.
        original = state_key.sha256_of
        monkeypatch.setattr(state_key, "sha256_of", lambda p: "2" * 64 if p.name == "prepared.py" else original(p))
    if changed == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert Keeper(tmp_path, "tiny", Training(data, options, ALONE)).restore() == 0


def test_a_process_goes_on_only_from_a_step_that_the_first_of_its_machine_has_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What it has of its own is no whole state."""
    monkeypatch.setattr(training_module, "sharing_gradients", lambda module, ranks: module)
    second = Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, Beside(1, 2, 1, ALONE.device)))
    first = Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, Beside(0, 2, 0, ALONE.device)))
    assert first.folder == second.folder
    second.training.advance()
    second.save()
    assert second.restore() == 0
    first.training.advance()
    first.save()
    assert second.restore() == 1
    for process in (first, second):
        process.training.advance()
        process.save()
    statistics = second.training.own_state()["statistics"]
    kept = {name: tensor.clone() for name, tensor in statistics.items()}
    again = Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, Beside(1, 2, 1, ALONE.device)))
    assert again.restore() == 2
    for name, tensor in again.training.own_state()["statistics"].items():
        assert torch.equal(tensor, kept[name])
    assert not torch.equal(
        kept["blocks.block1.1.running_mean"],
        first.training.own_state()["statistics"]["blocks.block1.1.running_mean"],
    )


def test_only_the_newest_state_is_kept_and_none_after_success(tmp_path: Path):
    keeper = Keeper(tmp_path, "tiny", Training(prepared(), THREE_EPOCHS, ALONE))
    for _ in range(3):
        keeper.training.advance()
        keeper.save()
    assert [path.name for path in keeper.folder.iterdir()] == ["3.rank0.pt"]
    (tmp_path / "other").mkdir()
    discard_states(tmp_path, "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
