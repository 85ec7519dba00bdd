"""A whole training, from the first step or from where a killed one stopped, to the card."""

from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from wheretolook.data.prepared import Prepared
from wheretolook.data.refusal import Refusal
from wheretolook.execution.determinism import deterministic
from wheretolook.execution.interruption import Interruption, noting_interruption
from wheretolook.execution.ranks import Ranks
from wheretolook.models.card import Card
from wheretolook.models.layered import Network
from wheretolook.models.options import TrainingOptions
from wheretolook.models.resume import Keeper
from wheretolook.models.training import Training


def train_network(
    prepared: Prepared, options: TrainingOptions, ranks: Ranks, name: str, cache: Path, say: Callable[[str], None]
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
        Refusal: data or options that do not fit, a loss that is NaN or infinite, or an interruption (all is saved).
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
        raise Refusal(
            f"train {name}: {interruption.signal or 'interrupted'} after step {training.progress.step} of "
            f'{training.steps}; all of it is saved: the same command, or "dvc repro", goes on from there'
        )


def _bar(training: Training, name: str) -> tqdm:
    return tqdm(
        total=training.steps,
        initial=training.progress.step,
        desc=f"train {name}",
        unit="step",
        disable=None if training.ranks.leads else True,
    )
