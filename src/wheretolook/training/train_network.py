"""Resumable training: an interrupted training continues from its saved state and gives the same bytes."""

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
from wheretolook.base.prepared import Prepared
from wheretolook.networks.architectures import code_of
from wheretolook.networks.card import Card
from wheretolook.networks.layered import Network
from wheretolook.networks.pretrained import weights_sha256
from wheretolook.networks.runtime.device import deterministic
from wheretolook.networks.runtime.processes import Interruption, Ranks, noting_interruption
from wheretolook.networks.runtime.resumable import remove_states, state_key
from wheretolook.params.train_options import RANDOM, TrainOptions
from wheretolook.training.loop import Training

# Seconds between saves within an epoch, which may take hours.
SECONDS_BETWEEN = 90.0
# What dvc.yaml lists for the stage: an edit elsewhere does not restart a training.
CODE = ("base", "networks", "params/train_options.py", "training")


class Keeper:
    """Saves and restores the state of one training.

    The first process of each machine saves the whole state. The others save only their own part, since weights,
    optimiser and best epoch are the same in all processes.

    The folder of a state is named by a hash of everything that the result depends on: options, data, code, versions,
    device, threads and processes. So a training never resumes from the state of another one.

    Args:
        cache: the folder of states; git ignores it.
        name: the model's name.
        training: the training, before its first step.
    """

    def __init__(self, cache: Path, name: str, training: Training):
        self.training = training
        self._rank, self._first = training.ranks.rank, training.ranks.first_here
        self.folder = cache / name / _key(training)
        self._saved_at = time.monotonic()

    def restore(self) -> int:
        """Restore the last step that every process has saved; returns that step, 0 if there is none."""
        step = self.training.ranks.last_common(self._steps(self._rank) & self._steps(self._first))
        if step:
            state = _load(self._path(step, self._first))
            if self._rank != self._first:
                state |= _load(self._path(step, self._rank))
            self.training.restore(state)
        return step

    def due(self) -> bool:
        """Whether the last save is longer ago than SECONDS_BETWEEN."""
        return time.monotonic() - self._saved_at > SECONDS_BETWEEN

    def save(self) -> None:
        """Save the state, then remove older ones, so that all processes always have a state of the same step."""
        training, step = self.training, self.training.progress.step
        # Serialised in memory first: torch.save does not report a full disk.
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
    """Remove all states of a model's trainings, also those with other options; called once its file is written."""
    remove_states(cache, name)


def _key(training: Training) -> str:
    first = training.ranks.first_here  # the files of a state depend on the distribution of processes over machines
    options, network = training.options, code_of(training.options.architecture)
    weights = None if options.weights == RANDOM else weights_sha256(options.weights)
    depends_on = {"options": asdict(options), "network": network, "data": training.prepared.sha256, "first": first}
    depends_on |= {"weights": weights}
    # The key of each process has its own device; the folder's name combines them.
    keys = training.ranks.gathered(state_key(depends_on, training.ranks, CODE))
    return keys[0] if training.ranks.alone else hashlib.sha256("".join(keys).encode()).hexdigest()[:32]


def _load(path: Path) -> dict[str, Any]:
    # On the CPU: `restore` copies tensors to their devices, and AdamW's step counters remain on the CPU.
    return torch.load(path, map_location="cpu", weights_only=True)


def train_network(
    prepared: Prepared, options: TrainOptions, ranks: Ranks, name: str, cache: Path, say: Callable[[str], None]
) -> tuple[Network, Card]:
    """Train a network; equal options, data and processes give equal bytes on the same machine.

    The state is saved at the end of each epoch and every 90 seconds, and an interrupted training resumes from it. The
    caller calls `discard_states` after it has written the model's file.

    Args:
        prepared: images, labels and splits.
        options: how to train.
        ranks: the processes that share the work.
        name: the model's name.
        cache: the folder of states of unfinished trainings.
        say: called with a line if the training resumes.

    Returns:
        The network of the kept epoch, in evaluation mode, and its card.

    Raises:
        InputError: invalid data or options, a loss that is NaN or infinite, or an interruption (the state is saved).
    """
    with deterministic(), noting_interruption() as interruption:
        training = Training(prepared, options, ranks)
        keeper = Keeper(cache, name, training)
        if step := keeper.restore():
            say(f"train {name}: resumes after step {step} of {training.steps}, from {keeper.folder}")
        with _bar(training, name) as bar:
            while not training.done:
                if training.advance():
                    last = training.progress.history[-1]
                    bar.set_postfix(val_loss=f"{last['val_loss']:.4f}", val_accuracy=f"{last['val_accuracy']:.4f}")
                bar.update()
                _keep(keeper, training, name, interruption)
        return training.finish()


def _keep(keeper: Keeper, training: Training, name: str, interruption: Interruption) -> None:
    """Save the state if it is due, or if the run was interrupted; then stop."""
    if training.done:
        return
    stopping, due = training.ranks.agreed(bool(interruption.signal), keeper.due())
    if stopping or due or training.at_epoch_start:
        keeper.save()
    if stopping:
        raise InputError(
            f"train {name}: interrupted by {interruption.signal or 'another process'} after step "
            f"{training.progress.step} of {training.steps}",
            hint='the state is saved: run the same command, or "dvc repro", to resume',
        )


def _bar(training: Training, name: str) -> tqdm:
    return tqdm(
        total=training.steps,
        initial=training.progress.step,
        desc=f"train {name}",
        unit="step",
        disable=None if training.ranks.leads else True,
    )
