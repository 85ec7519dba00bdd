"""Decode the raw images once, split them, and say what was found."""

from pathlib import Path
from typing import Any

import click

from wheretolook.terminal.command import FiniteRange
from wheretolook.terminal.options import InputPath, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.option(
    "--size",
    type=click.IntRange(16, 2048),
    required=True,
    help="Width and height of the prepared images, in pixels. Twice the size is four times the training time.",
)
@click.option(
    "--fit",
    type=click.Choice(["stretch", "pad", "crop"]),
    required=True,
    help="How an image becomes square. stretch: proportions change, nothing is lost. pad: black borders, nothing is"
    " lost. crop: the ends of the longer side are cut off.",
)
@click.option(
    "--group_pattern",
    required=True,
    help="Regular expression searched in each file name; its first parentheses hold the group (a patient, a slide, a"
    " person), such as '^(C\\d+)'. No group stands in two splits, or the score is inflated. '' for no groups.",
)
@click.option(
    "--mask_values",
    required=True,
    help="What the masks' grey values mean, as VALUE:LABEL,VALUE:LABEL; the labels: background, foreground, evidence"
    " (what shows the class), mark (a planted shortcut), unknown. Other values are refused. Unused without masks.",
)
@click.option(
    "--val_share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    required=True,
    help="Share of each class' images to choose the epoch by (split val).",
)
@click.option(
    "--test_share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    required=True,
    help="Share of each class' images that no training sees (split test). What is left trains.",
)
@click.option("--seed", type=click.IntRange(0), required=True, help="Who goes into which split.")
@click.option(
    "--rare_classes",
    type=click.Choice(["refuse", "drop"]),
    required=True,
    help="A class with fewer than three images (or groups) cannot stand in train, val and test: refuse the data, or"
    " drop the class and say so in the audit.",
)
@click.option(
    "--on_bad_image",
    type=click.Choice(["error", "skip"]),
    required=True,
    help="A file that cannot be decoded: refuse the data, or leave it out and say so in the audit.",
)
@click.option("--raw", cls=InputPath, default="data/raw")
@click.option("--prepared", cls=OutputPath, default="data/prepared")
def prepare(raw: Path, prepared: Path, **options: Any) -> None:
    """Prepare RAW: images.npy, masks.npy (where there are masks), index.csv and audit.json in PREPARED."""
    from wheretolook.prepare.audit import audit_sentence
    from wheretolook.prepare.prepare_images import PrepareOptions
    from wheretolook.prepare.prepare_images import prepare as write_prepared

    size, fit = options["size"], options["fit"]
    click.echo(f"prepare: images of {raw}, each {size} x {size} pixels by {fit}")
    audit = write_prepared(raw, prepared, PrepareOptions(**options))
    click.echo(f"prepare: {audit_sentence(audit)}")


if __name__ == "__main__":
    run_stage(prepare)
