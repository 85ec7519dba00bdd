"""Train one network on the prepared images and write it as a model file."""

import os
from pathlib import Path
from typing import Any

import click

from wheretolook.terminal.command import FiniteRange
from wheretolook.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@click.option(
    "--architecture",
    required=True,
    help="looknet, resnet18 and other names of torchvision, timm/NAME, networks/mine.py:Class: docs/add-a-network.md.",
)
# Only a network that is not the project's takes these two.
@click.option("--arguments", default="", help="Of a network that is not the project's, like width=16,depth=4.")
@click.option(
    "--layers", multiple=True, help="Names of its modules to look at.  [default: the last of each resolution]"
)
@click.option(
    "--width", type=click.IntRange(1), required=True, help="Channels of looknet's first block; doubled by each."
)
@click.option(
    "--depth", type=click.IntRange(1, 10), required=True, help="looknet's blocks; each halves the resolution."
)
@click.option(
    "--loss", type=click.Choice(["last", "every"]), required=True, help="Train the last layer's head, or all."
)
@click.option("--seed", type=click.IntRange(0), required=True, help="Of first weights, order and augmentation.")
@click.option("--epochs", type=click.IntRange(1), required=True, help="Passes over the training images.")
@click.option("--batch_size", type=click.IntRange(1), required=True, help="Images a step, over all processes together.")
@click.option("--learning_rate", type=FiniteRange(0, min_open=True), required=True, help="Peak of the one cycle.")
@click.option("--weight_decay", type=FiniteRange(0), required=True, help="Of AdamW, on weights alone.")
@click.option("--augment/--no-augment", required=True, help="Flips, quarter turns, shifts, light.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), required=True, help="What layers compute in.")
@click.option("--keep", type=click.Choice(["best", "last"]), required=True, help="Which epoch, by validation loss.")
@click.option(
    "--class_weights",
    type=click.Choice(["none", "balanced"]),
    required=True,
    help="Weight of each class in the loss: none, or balanced (inverse to its share of the training images).",
)
@click.option(
    "--weights",
    required=True,
    help="To start from: random, or pretrained ones of a torchvision network by their name there, like IMAGENET1K_V1.",
)
@click.option("--device", cls=DeviceOption)
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--models", cls=OutputPath, default="models", of_model="{name}.safetensors")
@click.option("--cache", cls=CachePath, default=".cache/train")
def train(
    name: str,
    device: str,
    arguments: str,
    layers: tuple[str, ...],
    prepared: Path,
    models: Path,
    cache: Path,
    **options: Any,
) -> None:
    """Train the network NAME on the prepared images; write MODELS/NAME.safetensors."""
    from wheretolook.dataset.prepared import load_prepared
    from wheretolook.networks.checkpoint import save_model
    from wheretolook.runtime.device import choose_device, describe_device
    from wheretolook.runtime.distributed import joined_ranks
    from wheretolook.training.objective import balanced_weights, kept_epoch, loss_of_guessing
    from wheretolook.training.train_network import discard_states, train_network
    from wheretolook.training.training_options import TrainingOptions

    data = load_prepared(prepared)
    size, classes = data.images.shape[1], len(data.class_names)
    options["wrapped"] = wrapped_of(options["architecture"], classes, arguments, layers, size)
    with joined_ranks(os.environ, choose_device(device)) as ranks:
        say = click.echo if ranks.leads else lambda line: None
        processes = "" if ranks.alone else f"{ranks.count} processes, each "
        images, epochs = len(data.rows("train")), options["epochs"]
        how_long = f"{epochs} epoch{'s' if epochs > 1 else ''}"
        say(f"train {name}: {images} images, {how_long}, {processes}on {describe_device(ranks.device)}")
        network, card = train_network(data, TrainingOptions(**options), ranks, name, cache, say)
        if ranks.leads:
            save_model(models / f"{name}.safetensors", network, card)
        ranks.wait()
        if ranks.local_rank == 0:
            discard_states(cache, name)
    keep, images = options["keep"], card.data["images"]
    kept = kept_epoch(card.history, keep)
    trained, validated = data.labels[data.rows("train")], data.labels[data.rows("val")]
    weights = balanced_weights(trained, len(data.class_names)) if options["class_weights"] == "balanced" else None
    guessing = loss_of_guessing(trained, validated, weights)
    learned = "" if kept["val_loss"] < guessing else f", no better than guessing ({guessing:.4f})"
    say(
        f"train {name}: {card.architecture}, loss {card.loss}, {images} images, {keep} of {len(card.history)} epochs: "
        f"{kept['epoch']}, validation loss {kept['val_loss']:.4f}, accuracy {kept['val_accuracy']:.4f}{learned}"
    )


def wrapped_of(
    architecture: str, classes: int, arguments: str, layers: tuple[str, ...], size: int
) -> dict[str, Any] | None:
    """Arguments of a network that is not the project's, its layers found by trying; None for another."""
    from wheretolook.networks.build_network import is_wrapped

    if not is_wrapped(architecture):
        if arguments or layers:
            from wheretolook.base.errors import InputError

            given = " and ".join(name for name, value in (("arguments", arguments), ("layers", layers)) if value)
            raise InputError(architecture, "layers and arguments of its own alone", given, "Leave them out")
        return None
    from wheretolook.layers.wrap import wrapped_arguments
    from wheretolook.networks.architectures import parse_arguments

    return wrapped_arguments(architecture, classes, parse_arguments(arguments), layers, size)


if __name__ == "__main__":
    run_stage(train)
