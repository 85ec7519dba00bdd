"""Get the raw images from where they come from, into one folder for each class."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import CachePath, OnTestSet, OutputPath, RetriesOption, TimeoutOption
from wheretolook.base.terminal.section import takes
from wheretolook.params.fetch_options import FetchOptions


@click.command(cls=StageCommand)
@takes(FetchOptions)
@click.option("--test_set", cls=OnTestSet, places={"raw": "data/tests/{}/raw"})
@click.option("--timeout", cls=TimeoutOption)
@click.option("--retries", cls=RetriesOption)
@click.option("--cache", cls=CachePath, default=".cache")
@click.option("--raw", cls=OutputPath, default="data/raw")
def fetch(options: FetchOptions, test_set: str, raw: Path, timeout: float, retries: int, cache: Path) -> None:
    """Get the raw images: RAW/images/CLASS/FILE, and RAW/masks/CLASS/FILE where the source has evidence masks."""
    from wheretolook.base.errors import visible
    from wheretolook.base.files import replacing_folder
    from wheretolook.downloads.attempts import RetryPolicy
    from wheretolook.images.raw_data import choice_lines, pack_raw, read_raw_table
    from wheretolook.images.scan import find_raw_masks, scan_raw
    from wheretolook.sources.source_registry import check_source_options, oddities, write_raw

    given = check_source_options(options.source, options.of_source())
    click.echo(f"fetch: {options.source} images into {raw}")
    with replacing_folder(raw) as folder:
        ignored = write_raw(options.source, given, folder, cache, RetryPolicy(timeout, retries))
        pack_raw(folder)
        scan = scan_raw(folder)
        masks = find_raw_masks(folder, scan, options.masks or "masks")
        table = read_raw_table(folder)
    for line in choice_lines(table.choices):
        click.echo(visible(f"fetch: {line}"))
    found = oddities(ignored, masks)
    if scan.splits:
        found = f"; the splits {', '.join(scan.splits)} are kept{found}"
    click.echo(visible(f"fetch: {len(scan.files)} images of {', '.join(scan.class_names)}, in {raw}{found}"))


if __name__ == "__main__":
    run_stage(fetch)
