"""Train one network on the prepared images and write it as a model file."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import CachePath, DeviceOption, InputPath, ModelName, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.train_options import LABELS, UNWEIGHTED, VALUE, WRAPPED_ONLY, TrainOptions


@click.command(cls=StageCommand)
@click.argument("name", type=ModelName())
@takes(TrainOptions)
@click.option("--device", cls=DeviceOption)
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--models", cls=OutputPath, default="models", of_model="{name}.safetensors")
@click.option("--cache", cls=CachePath, default=".cache/train")
def train(name: str, options: TrainOptions, device: str, prepared: Path, models: Path, cache: Path) -> None:
    """Train the network NAME on the prepared images; write MODELS/NAME.safetensors."""
    import numpy as np

    from wheretolook.base.prepared import load_prepared
    from wheretolook.networks.checkpoint import save_model
    from wheretolook.networks.runtime.device import choose_device, describe_device
    from wheretolook.networks.runtime.processes import joined_ranks
    from wheretolook.training.batches import balanced_weights, constant_loss, targets_of
    from wheretolook.training.objective import kept_epoch, loss_of_guessing
    from wheretolook.training.train_network import discard_states, train_network

    data = load_prepared(prepared)
    size, classes = data.images.shape[1], len(data.class_names)
    targets = targets_of(data, options.outputs)
    outputs = options.output_count(classes, len(data.label_names))
    options = replace(options, wrapped=wrapped_of(options, outputs, size))
    with joined_ranks(os.environ, choose_device(device)) as ranks:
        say = click.echo if ranks.leads else lambda line: None
        processes = "" if ranks.alone else f"{ranks.count} processes, each "
        images, epochs = len(data.rows("train")), options.epochs
        how_long = f"{epochs} epoch{'s' if epochs > 1 else ''}"
        say(f"train {name}: {images} images, {how_long}, {processes}on {describe_device(ranks.device)}")
        network, card = train_network(data, options, ranks, name, cache, say)
        if ranks.leads:
            save_model(models / f"{name}.safetensors", network, card)
        ranks.wait()
        if ranks.local_rank == 0:
            discard_states(cache, name)
    keep, images = options.keep, card.data["images"]
    kept = kept_epoch(card.history, keep)
    trained, validated = data.labels[data.rows("train")], data.labels[data.rows("val")]
    weights = balanced_weights(trained, len(data.class_names)) if options.class_weights != UNWEIGHTED else None
    if options.sampling == "balanced":
        trained = np.unique(trained)  # each class as often
    guessing = loss_of_guessing(trained, validated, weights)
    if options.outputs in (LABELS, VALUE):
        guessing = constant_loss(targets, data.rows("train"), data.rows("val"))
    learned = "" if kept["val_loss"] < guessing else f", no better than guessing ({guessing:.4f})"
    say(
        f"train {name}: {card.architecture}, loss {card.loss}, {images} images, {keep} of {len(card.history)} epochs: "
        f"{kept['epoch']}, validation loss {kept['val_loss']:.4f}, accuracy {kept['val_accuracy']:.4f}{learned}"
    )


def wrapped_of(options: TrainOptions, outputs: int, size: int) -> dict[str, Any] | None:
    """Arguments of a network without predefined layers, with the layers that a trial finds; None for another."""
    from wheretolook.networks.checkpoint import is_wrapped

    if not is_wrapped(options.architecture):
        given = [name for name in WRAPPED_ONLY if getattr(options, name) not in ("", (), None)]
        if given:
            from wheretolook.base.errors import InputError

            expected = f"none of {', '.join(WRAPPED_ONLY)} (the layers of this architecture are predefined)"
            raise InputError(options.architecture, expected, " and ".join(given), "Remove them")
        return None
    from wheretolook.networks.architectures import parse_arguments
    from wheretolook.networks.layers.layer import wrapped_arguments
    from wheretolook.networks.layers.layout import make_hints

    keywords = parse_arguments(options.arguments)
    hints = make_hints(options.grid, options.prefix_tokens, options.layout)
    return wrapped_arguments(options.architecture, outputs, keywords, options.layers, size, hints)


if __name__ == "__main__":
    run_stage(train)
