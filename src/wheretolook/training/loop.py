"""The training loop: steps, epochs, and the state from which a training resumes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wheretolook.base.prepared import Prepared, class_names_of
from wheretolook.networks.architectures import code_of
from wheretolook.networks.card import Card, parse_channels
from wheretolook.networks.checkpoint import build_network, with_two_logits
from wheretolook.networks.inputs import Channels, channel_statistics, to_device
from wheretolook.networks.layered import Network, load_weights
from wheretolook.networks.pretrained import head_names, is_of_head, load_pretrained, weights_sha256
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import BACKBONE, RANDOM, UNWEIGHTED, VALUE, TrainOptions, read_augment
from wheretolook.training.batches import (
    Augmentation,
    balanced_weights,
    epoch_batches,
    mixed_seed,
    steps_per_epoch,
    targets_of,
)
from wheretolook.training.objective import (
    Objective,
    Tally,
    check_losses,
    computing_in,
    epoch_entry,
    evaluate,
    kept_epoch,
    stopped_early,
    summed_tally,
)
from wheretolook.training.start import (
    average_statistics,
    check_trainable,
    check_two_logits,
    make_optimiser,
    make_schedule,
    running_statistics,
    sharing_gradients,
    smallest_batch,
)


@dataclass
class Progress:
    """State of a training besides weights, optimiser and schedule.

    Attributes:
        step: number of finished steps, over all epochs.
        tally: totals of the current epoch.
        history: finished epochs.
        best: state dict of the best epoch so far, if that epoch is to be kept.
    """

    step: int
    tally: Tally
    history: list[dict[str, Any]]
    best: dict[str, torch.Tensor] | None


class Training:
    """One training, advanced step by step.

    All randomness derives from the seed and the number of the step, so a resumed training has the same order of images
    and the same augmentation as an uninterrupted one.

    Args:
        prepared: images, labels and splits.
        options: how to train.
        ranks: the processes that share the work.

    Raises:
        InputError: no training or validation images, more processes than images in a batch, images too small for the
            network, batches too small for batch normalisation, or an unknown architecture.
    """

    def __init__(self, prepared: Prepared, options: TrainOptions, ranks: Ranks):
        self.prepared, self.options, self.ranks = prepared, options, ranks
        self.rows, self.val_rows = prepared.rows("train"), prepared.rows("val")
        smallest = smallest_batch(prepared, options, ranks, len(self.rows), len(self.val_rows))
        self.labels, self.targets = prepared.labels, targets_of(prepared, options.outputs)
        torch.manual_seed(options.seed)
        arguments = options.architecture_arguments(prepared.images.shape[1])
        self.outputs = options.output_count(len(prepared.class_names), len(prepared.label_names))
        network = build_network(options.architecture, self.outputs, arguments)
        self.epoch_steps = steps_per_epoch(len(self.rows), options.batch_size)
        check_trainable(network, options.architecture, prepared.images.shape[1], smallest, ranks)
        if options.outputs != "classes":
            check_two_logits(network, options, prepared.images.shape[1])
        self.mean, self.std = self._start(network)
        self.heads = head_names(network, self.outputs)
        network = network.to(ranks.device).to(memory_format=torch.channels_last).train()
        weights = None
        if options.class_weights != UNWEIGHTED:
            of_classes = balanced_weights(self.labels[self.rows], len(prepared.class_names))
            weights = torch.from_numpy(of_classes).to(ranks.device)
        frozen = self._frozen(network)
        self.objective = Objective(network, options.loss, weights, options.label_smoothing, frozen, self.targets)
        self.shared = sharing_gradients(self.objective, ranks)
        self.steps = options.epochs * self.epoch_steps
        self.optimiser = make_optimiser(self.objective, options, self.heads)
        self.schedule = make_schedule(self.optimiser, options, self.epoch_steps)
        self.augmentation = Augmentation(read_augment(options.augment))
        self.progress = Progress(0, self._empty_tally(), [], None)
        self._epoch_batches: tuple[int, list[np.ndarray]] = (-1, [])

    @property
    def network(self) -> Network:
        """The network with its current weights."""
        return self.objective.network

    @property
    def done(self) -> bool:
        """Whether all steps are finished, or the training stopped early."""
        progress = self.progress
        stopped = self.at_epoch_start and stopped_early(progress.history, self.options.early_stopping)
        return progress.step == self.steps or stopped

    @property
    def at_epoch_start(self) -> bool:
        """Whether the next step is the first of an epoch."""
        return self.progress.step % self.epoch_steps == 0

    def advance(self) -> bool:
        """Run one step, and evaluate after the last step of an epoch.

        Returns:
            Whether an epoch ended.

        Raises:
            InputError: the loss is NaN or infinite; the weights are those before the step.
        """
        self._step()
        self.progress.step += 1
        if self.at_epoch_start:
            self._end_epoch()
        return self.at_epoch_start

    def state(self) -> dict[str, Any]:
        """The state from which a training resumes. Its tensors are not copies."""
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
        """The part of `state` that differs between processes: totals and running statistics of its share of images."""
        tally = self.progress.tally
        return {"tally": [tally.images, tally.sums], "statistics": running_statistics(self.network)}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`."""
        self.objective.load_state_dict(state["objective"])
        for name, statistic in running_statistics(self.network).items():
            statistic.copy_(state["statistics"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        images, sums = state["tally"]
        tally = Tally(images, sums.to(self.progress.tally.sums.device))
        self.progress = Progress(state["step"], tally, state["history"], state["best"])

    def finish(self) -> tuple[Network, Card]:
        """The trained network of the kept epoch, in evaluation mode, and its card."""
        if self.progress.best is not None:
            load_weights(self.network, self.progress.best)
        network, card = self.network, self._card()
        if self.targets.kind in ("sigmoid", VALUE):
            network = with_two_logits(network, card.architecture, card.arguments).to(self.ranks.device)
        return network.eval(), card

    def _start(self, network: Network) -> tuple[Channels, Channels]:
        """Load pretrained weights, if there are any; returns mean and standard deviation of the input channels."""
        options, ranks = self.options, self.ranks
        if options.weights == RANDOM:
            mean, std = channel_statistics(self.prepared.images, self.rows)
        else:
            arguments = options.architecture_arguments(self.prepared.images.shape[1])
            keywords = arguments.get("keywords", arguments)
            # The first process of a machine downloads the file.
            if ranks.local_rank != 0:
                ranks.wait()
            mean, std = load_pretrained(
                network, options.architecture, options.weights, self.outputs, keywords, ranks.leads
            )
            if ranks.local_rank == 0:
                ranks.wait()
        given = {name: ",".join(getattr(options, name)) for name in ("mean", "std")}
        mean = parse_channels("mean", given["mean"]) if given["mean"] else mean
        return mean, parse_channels("std", given["std"]) if given["std"] else std

    def _frozen(self, network: Network) -> tuple[str, ...]:
        """Names of the parameters that are not trained."""
        if self.options.freeze != BACKBONE:
            return ()
        return tuple(name for name, _ in network.named_parameters() if not is_of_head(name, self.heads))

    def _step(self) -> None:
        epoch, number = divmod(self.progress.step, self.epoch_steps)
        whole = self._batches(epoch)[number]
        batch = self.ranks.share(whole)
        seed = mixed_seed(self.options.seed, self.progress.step, self.ranks.rank)
        # Dropout and stochastic depth use the global generator.
        torch.manual_seed(seed)
        inputs = self._inputs(batch, torch.Generator().manual_seed(seed))
        labels = to_device(torch.from_numpy(self.targets.array[batch]), self.ranks.device)
        with computing_in(self.options.precision, self.ranks.device):
            logits = self.shared(inputs)
        losses = self.objective.losses(logits, labels)
        check_losses(losses, self.objective.layers, self.prepared, batch, f"epoch {epoch + 1}, step {number + 1}")
        self.progress.tally.add(losses, self.objective.right(logits, labels))
        # Gradients are averaged over processes, so each loss is scaled by the process's share of the batch.
        loss = losses.mean(0).sum() * self.ranks.count / len(whole)
        self.optimiser.zero_grad()
        loss.backward()
        if self.options.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.objective.parameters(), self.options.gradient_clip)
        self.optimiser.step()
        self.schedule.step()

    def _batches(self, epoch: int) -> list[np.ndarray]:
        if self._epoch_batches[0] != epoch:
            options = self.options
            labels = self.labels[self.rows] if options.sampling == "balanced" else None
            batches = epoch_batches(self.rows, options.batch_size, options.seed, epoch, labels)
            self._epoch_batches = (epoch, batches)
        return self._epoch_batches[1]

    def _inputs(self, batch: np.ndarray, generator: torch.Generator) -> torch.Tensor:
        # Runs while the GPU still computes the previous step.
        images = to_device(torch.from_numpy(self.prepared.images[batch]), self.ranks.device)
        return self.augmentation.inputs(images, self.mean, self.std, generator)

    def _end_epoch(self) -> None:
        progress, options = self.progress, self.options
        average_statistics(self.network, self.ranks)
        epoch = len(progress.history) + 1
        val = evaluate(
            self.objective,
            self.prepared,
            self.targets,
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
            class_names=class_names_of(self.targets.described, prepared.class_names),
            outputs=self.targets.described,
            input_size=prepared.images.shape[1],
            mean=self.mean,
            std=self.std,
            loss=options.loss,
            layers=self.network.layer_names,
            trained_heads=self.objective.layers,
            data={"sha256": prepared.sha256, "images": len(self.rows)},
            training=self._recorded_options(),
            history=self.progress.history,
            fit=prepared.fit,
            code=code_of(options.architecture),
        )

    def _recorded_options(self) -> dict[str, Any]:
        """The options for the card; of weights from a file, also its hash."""
        options = self.options
        digest = None if options.weights == RANDOM else weights_sha256(options.weights)
        return options.as_dict() | ({"weights_sha256": digest} if digest else {})
