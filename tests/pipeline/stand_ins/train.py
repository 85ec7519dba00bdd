"""Stands in for stages/train.py: the same arguments and output, drawn at random instead of learnt."""

from pathlib import Path

import click


@click.command("stand-in", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def train(name: str, options: tuple[str, ...]) -> None:
    """Write a model file that is another for every other option."""
    import zlib

    import numpy as np
    from safetensors.numpy import save_file

    from wheretolook.base.prepared import load_prepared
    from wheretolook.networks.card import METADATA_KEY, Card, card_to_json

    prepared = load_prepared(Path("data/prepared"))
    size = prepared.images.shape[1]
    history = {"epoch": 1, "train_loss": 0.5, "val_loss": 0.6, "train_accuracy": 0.8, "val_accuracy": 0.7, "layers": {}}
    card = Card(
        "looknet", {"width": 4, "depth": 2}, prepared.class_names, size, (0.5,) * 3, (0.2,) * 3, "last",
        ("block1", "block2"), ("block2",), {"sha256": prepared.sha256}, {"seed": 0}, [history],
    )  # fmt: skip
    weights = np.random.default_rng(zlib.crc32(repr((name, options)).encode())).normal(size=99).astype(np.float32)
    Path("models").mkdir(exist_ok=True)
    save_file({"weight": weights}, Path(f"models/{name}.safetensors"), {METADATA_KEY: card_to_json(card)})


if __name__ == "__main__":
    train()
