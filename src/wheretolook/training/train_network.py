"""The state of a training that isn't done, so that a killed one goes on, and ends with the bytes of one that wasn't."""

import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from wheretolook.base import files as atomic
from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import Prepared
from wheretolook.networks.architectures import code_of
from wheretolook.networks.card import Card
from wheretolook.networks.layered import Network
from wheretolook.params.train import TrainOptions
from wheretolook.runtime.device import deterministic
from wheretolook.runtime.distributed import Ranks
from wheretolook.runtime.resumable import remove_states, state_key
from wheretolook.runtime.workers import Interruption, noting_interruption
from wheretolook.training.loop import Training

# An epoch may take hours: no more than this is lost of it, and a step.
SECONDS_BETWEEN = 90.0
# What dvc.yaml lists for the stage: an edit elsewhere does not restart a training.
CODE = ("base", "dataset", "layers", "networks", "params/train.py", "runtime", "terminal", "training")


class Keeper:
    """Saves and restores the state of one training.

    The first process of each machine saves all; the others save what is their own alone, and read the rest from there:
    weights, optimiser and the best epoch are the same in all of them.

    The folder of a state is named by a hash of everything that the training's bytes depend on: options, data, code,
    versions, device, threads and processes. So no training ever goes on from the state of another one.

    Args:
        cache: the folder for states; git ignores it.
        name: the model's name.
        training: the training, at its beginning.
    """

    def __init__(self, cache: Path, name: str, training: Training):
        self.training = training
        self._rank, self._first = training.ranks.rank, training.ranks.first_here
        self.folder = cache / name / _key(training)
        self._saved_at = time.monotonic()

    def restore(self) -> int:
        """Go on from the last step that every process has saved; gives that step, 0 where there is none."""
        step = self.training.ranks.last_common(self._steps(self._rank) & self._steps(self._first))
        if step:
            state = _load(self._path(step, self._first))
            if self._rank != self._first:
                state |= _load(self._path(step, self._rank))
            self.training.restore(state)
        return step

    def due(self) -> bool:
        """Whether so much time has passed since the last save that it is time for the next."""
        return time.monotonic() - self._saved_at > SECONDS_BETWEEN

    def save(self) -> None:
        """Save the state, then remove older ones: at each moment every process has one of the same step."""
        training, step = self.training, self.training.progress.step
        # First into memory: torch.save into a full disk fails without saying so.
        buffer = io.BytesIO()
        torch.save(training.state() if self._rank == self._first else training.own_state(), buffer)
        with atomic.replacing(self._path(step, self._rank)) as scratch:
            scratch.write_bytes(buffer.getbuffer())
        training.ranks.wait()
        for older in self._steps(self._rank) - {step}:
            self._path(older, self._rank).unlink()
        self._saved_at = time.monotonic()

    def _steps(self, rank: int) -> set[int]:
        return {int(path.name.split(".")[0]) for path in self.folder.glob(f"*.rank{rank}.pt")}

    def _path(self, step: int, rank: int) -> Path:
        return self.folder / f"{step}.rank{rank}.pt"


def discard_states(cache: Path, name: str) -> None:
    """Remove the states of all trainings of this name, those with other options too: the model's file is written."""
    remove_states(cache, name)


def _key(training: Training) -> str:
    first = training.ranks.first_here  # which process saves for which: laid out in another way, files are others
    options, network = training.options, code_of(training.options.architecture)
    depends_on = {"options": asdict(options), "network": network, "data": training.prepared.sha256, "first": first}
    # Each process names its own device: the folder is that of all of them.
    keys = training.ranks.gathered(state_key(depends_on, training.ranks, CODE))
    return keys[0] if training.ranks.alone else hashlib.sha256("".join(keys).encode()).hexdigest()[:32]


def _load(path: Path) -> dict[str, Any]:
    # Onto the CPU: each part knows where it belongs, and AdamW's counters belong there.
    return torch.load(path, map_location="cpu", weights_only=True)


def train_network(
    prepared: Prepared, options: TrainOptions, ranks: Ranks, name: str, cache: Path, say: Callable[[str], None]
) -> tuple[Network, Card]:
    """Train a network: the same options, data and processes give the same bytes on the same machine.

    The state is saved at the end of each epoch and every minute and a half; a training that was stopped goes on from
    there. Who has written the model's file calls `discard_states`.

    Args:
        prepared: images, labels and splits.
        options: how to train.
        ranks: the processes that share the work.
        name: the model's name.
        cache: the folder for states of trainings that are not done.
        say: is given one line where a training goes on.

    Returns:
        The network in evaluation mode, of the epoch that is kept, and its card.

    Raises:
        InputError: data or options that do not fit, a loss that is NaN or infinite, or an interruption (all is saved).
    """
    with deterministic(), noting_interruption() as interruption:
        training = Training(prepared, options, ranks)
        keeper = Keeper(cache, name, training)
        if step := keeper.restore():
            say(f"train {name}: goes on after step {step} of {training.steps}, from {keeper.folder}")
        with _bar(training, name) as bar:
            while not training.done:
                if training.advance():
                    last = training.progress.history[-1]
                    bar.set_postfix(val_loss=f"{last['val_loss']:.4f}", val_accuracy=f"{last['val_accuracy']:.4f}")
                bar.update()
                _keep(keeper, training, name, interruption)
        return training.finish()


def _keep(keeper: Keeper, training: Training, name: str, interruption: Interruption) -> None:
    """Save the state where it is time, and stop in order where somebody asked for it."""
    if training.done:
        return
    stopping, due = training.ranks.agreed(bool(interruption.signal), keeper.due())
    if stopping or due or training.at_epoch_start:
        keeper.save()
    if stopping:
        raise InputError(
            (
                f"train {name}: {interruption.signal or 'interrupted'} after step {training.progress.step} of "
                f"{training.steps}"
            ),
            hint='all of it is saved: the same command, or "dvc repro", goes on from there',
        )


def _bar(training: Training, name: str) -> tqdm:
    return tqdm(
        total=training.steps,
        initial=training.progress.step,
        desc=f"train {name}",
        unit="step",
        disable=None if training.ranks.leads else True,
    )
