"""Decode the raw images once, split them, and say what was found."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.prepare_options import PrepareOptions


@click.command(cls=StageCommand)
@takes(PrepareOptions)
@click.option("--raw", cls=InputPath, default="data/raw")
@click.option("--prepared", cls=OutputPath, default="data/prepared")
def prepare(options: PrepareOptions, raw: Path, prepared: Path) -> None:
    """Prepare RAW: images.npy, masks.npy (where there are masks), index.csv and audit.json in PREPARED."""
    from wheretolook.prepare.audit import audit_sentence
    from wheretolook.prepare.prepare_images import prepare as write_prepared

    click.echo(f"prepare: images of {raw}, each {options.size} x {options.size} pixels by {options.fit}")
    audit = write_prepared(raw, prepared, options)
    click.echo(f"prepare: {audit_sentence(audit)}")


if __name__ == "__main__":
    run_stage(prepare)
