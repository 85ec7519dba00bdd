"""Training a network on prepared images: one step after the other, the same bytes each time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wheretolook.base.errors import InputError
from wheretolook.dataset.prepared import Prepared
from wheretolook.networks.architectures import code_of
from wheretolook.networks.build_network import build_network
from wheretolook.networks.card import Card
from wheretolook.networks.inputs import channel_statistics, to_device, to_input
from wheretolook.networks.layered import Network
from wheretolook.networks.looknet_arguments import LOOKNET, check_looknet_size
from wheretolook.params.train import RANDOM, UNWEIGHTED, TrainOptions
from wheretolook.runtime.distributed import Ranks
from wheretolook.training.batches import epoch_batches, jitter, mixed_seed, move, steps_per_epoch
from wheretolook.training.objective import (
    Objective,
    Tally,
    average_statistics,
    balanced_weights,
    check_losses,
    computing_in,
    epoch_entry,
    evaluate,
    kept_epoch,
    running_statistics,
    sharing_gradients,
    summed_tally,
)
from wheretolook.training.start import check_trainable


@dataclass
class Progress:
    """What changes from step to step, beside weights, optimiser and schedule.

    Attributes:
        step: steps done, over all epochs.
        tally: totals of the running epoch.
        history: the epochs that are done.
        best: the state dict of the best epoch so far, where it is kept.
    """

    step: int
    tally: Tally
    history: list[dict[str, Any]]
    best: dict[str, torch.Tensor] | None


class Training:
    """One training, advanced step by step.

    All chance comes from the seed and the step's number, none from what ran before: a training that goes on from a
    saved state meets the same order and the same augmentation as one that was never stopped.

    Args:
        prepared: images, labels and splits.
        options: how to train.
        ranks: the processes that share the work; rank and device of this one.

    Raises:
        InputError: no training or validation images, more processes than images in a batch, images that are too small
            for the network, batches too small for its normalisation, or an architecture that isn't known.
    """

    def __init__(self, prepared: Prepared, options: TrainOptions, ranks: Ranks):
        self.prepared, self.options, self.ranks = prepared, options, ranks
        self.rows, self.val_rows = prepared.rows("train"), prepared.rows("val")
        smallest = _checked(prepared, options, ranks, len(self.rows), len(self.val_rows))
        self.labels = prepared.labels
        torch.manual_seed(options.seed)
        arguments = options.architecture_arguments(prepared.images.shape[1])
        network = build_network(options.architecture, len(prepared.class_names), arguments)
        self.epoch_steps = steps_per_epoch(len(self.rows), options.batch_size)
        check_trainable(network, options.architecture, prepared.images.shape[1], smallest, ranks)
        if options.weights == RANDOM:
            self.mean, self.std = channel_statistics(prepared.images, self.rows)
        else:
            from wheretolook.training.start import load_pretrained

            self.mean, self.std = load_pretrained(network, options.architecture, options.weights, ranks)
        network = network.to(ranks.device, memory_format=torch.channels_last).train()
        weights = None
        if options.class_weights != UNWEIGHTED:
            of_classes = balanced_weights(self.labels[self.rows], len(prepared.class_names))
            weights = torch.from_numpy(of_classes).to(ranks.device)
        self.objective = Objective(network, options.loss, weights)
        self.shared = sharing_gradients(self.objective, ranks)
        self.steps = options.epochs * self.epoch_steps
        self.optimiser = _optimiser(self.objective, options)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, options.learning_rate, total_steps=self.steps
        )
        self.progress = Progress(0, self._empty_tally(), [], None)
        self._epoch_batches: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def network(self) -> Network:
        """The network as it is now."""
        return self.objective.network

    @property
    def done(self) -> bool:
        """Whether every step was made."""
        return self.progress.step == self.steps

    @property
    def at_epoch_start(self) -> bool:
        """Whether an epoch has just ended, and the next one not begun."""
        return self.progress.step % self.epoch_steps == 0

    def advance(self) -> bool:
        """Make one step; after an epoch's last, also evaluate. Gives whether an epoch ended.

        Raises:
            InputError: a loss that is NaN or infinite; the weights are those before the step.
        """
        self._step()
        self.progress.step += 1
        if self.at_epoch_start:
            self._end_epoch()
        return self.at_epoch_start

    def state(self) -> dict[str, Any]:
        """All that a training needs to go on: tensors, numbers and texts; the tensors are the live ones, no copies."""
        progress = self.progress
        return self.own_state() | {
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": progress.step,
            "history": progress.history,
            "best": progress.best,
        }

    def own_state(self) -> dict[str, Any]:
        """What of `state` is this process's own: the running epoch's totals, and running statistics, of its share."""
        tally = self.progress.tally
        return {"tally": [tally.images, tally.sums], "statistics": running_statistics(self.network)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.objective.load_state_dict(state["objective"])
        for name, statistic in running_statistics(self.network).items():
            statistic.copy_(state["statistics"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        images, sums = state["tally"]
        tally = Tally(images, sums.to(self.progress.tally.sums.device))
        self.progress = Progress(state["step"], tally, state["history"], state["best"])

    def finish(self) -> tuple[Network, Card]:
        """The trained network in evaluation mode, of the epoch that is kept, and its card."""
        if self.progress.best is not None:
            self.network.load_state_dict(self.progress.best)
        return self.network.eval(), self._card()

    def _step(self) -> None:
        epoch, number = divmod(self.progress.step, self.epoch_steps)
        whole = self._batches(epoch)[number]
        batch = self.ranks.share(whole)
        seed = mixed_seed(self.options.seed, self.progress.step, self.ranks.rank)
        # Dropout and stochastic depth draw from the global generator.
        torch.manual_seed(seed)
        inputs = self._inputs(batch, torch.Generator().manual_seed(seed))
        labels = to_device(torch.from_numpy(self.labels[batch]), self.ranks.device)
        with computing_in(self.options.precision, self.ranks.device):
            logits = self.shared(inputs)
        losses = self.objective.losses(logits, labels)
        check_losses(losses, self.objective.layers, self.prepared, batch, f"epoch {epoch + 1}, step {number + 1}")
        self.progress.tally.add(losses, logits, labels)
        # Processes average their gradients: each counts by its share of the batch.
        loss = losses.mean(0).sum() * self.ranks.count / len(whole)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()

    def _batches(self, epoch: int) -> list[np.ndarray]:
        if self._epoch_batches[0] != epoch:
            batches = epoch_batches(self.rows, self.options.batch_size, self.options.seed, epoch)
            self._epoch_batches = (epoch, batches)
        return self._epoch_batches[1]

    def _inputs(self, batch: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        # A GPU is still at work on the step before while these are read.
        images = to_device(torch.from_numpy(self.prepared.images[batch]), self.ranks.device)
        if not self.options.augment:
            return to_input(images, self.mean, self.std)
        return jitter(to_input(move(images, generator), self.mean, self.std), generator)

    def _end_epoch(self) -> None:
        progress, options = self.progress, self.options
        average_statistics(self.network, self.ranks)
        epoch = len(progress.history) + 1
        val = evaluate(
            self.objective,
            self.prepared,
            self.val_rows,
            (self.mean, self.std),
            options.precision,
            options.batch_size,
            self.ranks,
            f"validation of epoch {epoch}",
        )
        train = summed_tally(progress.tally, self.ranks)
        progress.history.append(epoch_entry(epoch, self.objective.layers, train, val))
        progress.tally = self._empty_tally()
        if options.keep == "best" and kept_epoch(progress.history, "best") is progress.history[-1]:
            progress.best = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def _empty_tally(self) -> Tally:
        return Tally.empty(len(self.objective.layers), self.ranks.device)

    def _card(self) -> Card:
        prepared, options = self.prepared, self.options
        return Card(
            architecture=options.architecture,
            arguments=options.architecture_arguments(prepared.images.shape[1]),
            class_names=prepared.class_names,
            input_size=prepared.images.shape[1],
            mean=self.mean,
            std=self.std,
            loss=options.loss,
            layers=self.network.layer_names,
            trained_heads=self.objective.layers,
            data={"sha256": prepared.sha256, "images": len(self.rows)},
            training=options.as_dict(),
            history=self.progress.history,
            fit=prepared.fit,
            code=code_of(options.architecture),
        )


def _optimiser(objective: Objective, options: TrainOptions) -> torch.optim.Optimizer:
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    # Biases and normalisation scale or shift what weights compute: decay would only pull them from where they belong.
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate)


def _checked(prepared: Prepared, options: TrainOptions, ranks: Ranks, train: int, val: int) -> int:
    """The images of the smallest batch, where all is such that a training can begin."""
    for split, count in {"train": train, "val": val}.items():
        if count == 0:
            raise InputError(
                f"split {split} of the prepared data",
                expected="images",
                found="none",
                hint="change the shares of prepare",
            )
    smallest = train // steps_per_epoch(train, options.batch_size)
    if smallest < ranks.count:
        raise InputError(
            f"batches of {smallest} images",
            expected=f"one image or more for each of {ranks.count} processes",
            hint="raise train.batch_size or start fewer processes",
        )
    if options.architecture == LOOKNET:
        check_looknet_size(options.depth, prepared.images.shape[1])
    return smallest
