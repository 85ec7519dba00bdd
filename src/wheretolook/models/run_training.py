"""A whole training, from the first step to the card."""

from tqdm import tqdm

from wheretolook.data.prepared import Prepared
from wheretolook.models.card import Card
from wheretolook.models.determinism import deterministic
from wheretolook.models.layered import Network
from wheretolook.models.options import TrainingOptions
from wheretolook.models.ranks import Ranks
from wheretolook.models.training import Training


def train_network(prepared: Prepared, options: TrainingOptions, ranks: Ranks, name: str) -> tuple[Network, Card]:
    """Train a network: the same options, data and processes give the same bytes on the same machine.

    Args:
        prepared: images, labels and splits.
        options: how to train.
        ranks: the processes that share the work.
        name: the model's name, for the progress bar.

    Returns:
        The network in evaluation mode, of the epoch that is kept, and its card.

    Raises:
        Refusal: data or options that do not fit, or a loss that is NaN or infinite.
    """
    with deterministic():
        training = Training(prepared, options, ranks)
        with tqdm(
            total=training.steps, desc=f"train {name}", unit="step", disable=None if ranks.leads else True
        ) as bar:
            while not training.done:
                if training.advance():
                    epoch = training.progress.history[-1]
                    bar.set_postfix(val_loss=f"{epoch['val_loss']:.4f}", val_accuracy=f"{epoch['val_accuracy']:.4f}")
                bar.update()
        return training.finish()
