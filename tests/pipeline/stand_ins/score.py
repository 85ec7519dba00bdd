"""Stands in for stages/score.py: a result in its layout, of which the accuracy alone is measured."""

from pathlib import Path

import click


@click.command("stand-in", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def score(name: str, options: tuple[str, ...]) -> None:
    """Write reports/models/NAME.json."""
    from wheretolook.base.files import write_json
    from wheretolook.base.prepared import load_prepared
    from wheretolook.mapstore.store import load_maps
    from wheretolook.networks.card import read_card

    prepared, maps = load_prepared(Path("data/prepared")), load_maps(Path(f"data/cams/{name}"))
    card, manifest = read_card(Path(f"models/{name}.safetensors")), maps.manifest
    right = maps.logits().argmax(axis=1) == prepared.labels
    model = {"architecture": "looknet", "loss": "last", "seed": 0, "sha256": manifest["model"]["sha256"]}
    result = {
        "format": 1,
        "name": name,
        "model": model
        | {"arguments": {}, "layers": list(card.layers), "heads": ["block2"], "trained_on": prepared.sha256},
        "class_names": list(prepared.class_names),
        "layers": list(card.layers),
        "heads": ["block2"],
        "history": card.history,
        "splits": {split: of_split(right[prepared.rows(split)], prepared) for split in ("train", "val", "test")},
        "groups": None,
        "localisation": None,
        "faithfulness": None,
    }
    write_json(Path(f"reports/models/{name}.json"), result)


def of_split(right, prepared) -> dict:
    """One split's figures."""
    accuracy, images = float(right.mean()), len(right)
    each = {"images": images // 2, "recall": accuracy, "precision": accuracy}
    return {
        "images": images,
        "accuracy": accuracy,
        "balanced_accuracy": accuracy,
        "balanced_accuracy_low": None,
        "balanced_accuracy_high": None,
        "auroc": accuracy,
        "ece": 0.1,
        "brier": 0.1,
        "log_loss": 1 - accuracy / 2,
        "confusion": [[images // 2, 0], [0, images // 2]],
        "classes": dict.fromkeys(prepared.class_names, each),
        "heads": {"block2": {"accuracy": accuracy, "log_loss": 0.5}},
    }


if __name__ == "__main__":
    score()
