"""Decode the raw images once, split them, and say what was found."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, OnTestSet, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.prepare_options import PrepareOptions


@click.command(cls=StageCommand)
@takes(PrepareOptions)
@click.option("--test_set", cls=OnTestSet, places={"raw": "data/tests/{}/raw", "prepared": "data/tests/{}/prepared"})
@click.option("--raw", cls=InputPath, default="data/raw")
@click.option("--prepared", cls=OutputPath, default="data/prepared")
@click.option("--trained_on", cls=InputPath, default="data/prepared", help="Data of the models that a test set is for.")
def prepare(options: PrepareOptions, test_set: str, raw: Path, prepared: Path, trained_on: Path) -> None:
    """Prepare RAW: images.npy, masks.npy (where there are masks), index.csv and audit.json in PREPARED.

    All images of a test set are in the split test, and its classes are those of the data that models are trained on.
    """
    from wheretolook.base.prepared import load_prepared
    from wheretolook.prepare.audit import audit_sentence
    from wheretolook.prepare.prepare_images import prepare as write_prepared

    click.echo(f"prepare: images of {raw}, each {options.size} x {options.size} pixels by {options.fit}")
    audit = write_prepared(raw, prepared, options, load_prepared(trained_on) if test_set else None)
    click.echo(f"prepare: {audit_sentence(audit)}")


if __name__ == "__main__":
    run_stage(prepare)
