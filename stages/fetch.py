"""Get the raw images from where they come from, into one folder for each class."""

from pathlib import Path
from typing import Any

import click

from wheretolook.terminal.command import FiniteRange
from wheretolook.terminal.options import CachePath, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage

# Which options are needed depends on the source, so click cannot demand them: wheretolook.sources.source_registry does.


@click.command(cls=StageCommand)
@click.option(
    "--source",
    type=click.Choice(["synthetic", "folder", "archive", "drive"]),
    required=True,
    help="Where images come from: rendered blood cells, class folders on this machine, a zip or tar archive by path or"
    " URL, or an archive or folder on Google Drive. Each source takes its own options, and only those.",
)
@click.option(
    "--images_per_class", type=click.IntRange(3), help="synthetic: how many cells of each class are rendered."
)
@click.option(
    "--size", type=click.IntRange(32, 4096), help="synthetic: width and height of each cell's image, in pixels."
)
@click.option("--seed", type=click.IntRange(0), help="synthetic: all chance. The same seed gives the same bytes.")
@click.option(
    "--shortcut_class",
    type=click.Choice(["infected", "uninfected"]),
    help="synthetic: the class that bears the planted mark, a small square in a corner that has nothing to do with it.",
)
@click.option(
    "--shortcut_share",
    type=FiniteRange(0, 1),
    help="synthetic: the share of that class' images that bear the mark, 0 to 1; 0 for none.",
)
@click.option(
    "--path",
    type=click.Path(path_type=Path),
    help="folder: the folder that holds one folder of images for each class. archive: the archive file (or give url).",
)
@click.option("--url", help="archive: its http(s) address (or give path). drive: the sharing link (or give id).")
@click.option("--id", help="drive: the id in the sharing link (or give url).")
@click.option(
    "--sha256",
    help="archive, drive: SHA-256 of the archive, 64 hexadecimal digits. '' prints the one found, ready to paste.",
)
@click.option(
    "--root",
    help="archive, drive: the folder inside that holds the class folders, from the archive's top on, such as"
    " cells/images, or '.' for the top; '' finds it by itself.",
)
@click.option(
    "--masks",
    help="folder: a folder of evidence masks that mirrors the images' (same names, any suffix). archive, drive: such a"
    " folder inside, from the archive's top on, such as cells/masks. '' for none.",
)
# They change no byte of what is fetched; params.yaml may set them for a slow server.
@click.option(
    "--timeout",
    type=FiniteRange(0, min_open=True),
    default=60,
    show_default=True,
    help="archive, drive: seconds without an answer or progress, after which an attempt has failed.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="archive, drive: attempts after the first.",
)
@click.option("--cache", cls=CachePath, default=".cache")
@click.option("--raw", cls=OutputPath, default="data/raw")
def fetch(source: str, raw: Path, timeout: float, retries: int, cache: Path, **options: Any) -> None:
    """Get the raw images: RAW/images/CLASS/FILE, and RAW/masks/CLASS/FILE where the source has evidence masks."""
    from wheretolook.base.display import visible
    from wheretolook.base.files import replacing_folder
    from wheretolook.downloads.attempts import Patience
    from wheretolook.images.scan import find_masks, scan_classes
    from wheretolook.sources.source_registry import check_source_options, oddities, write_raw

    given = check_source_options(source, options)
    click.echo(f"fetch: {source} images into {raw}")
    with replacing_folder(raw) as folder:
        ignored = write_raw(source, given, folder, cache, Patience(timeout, retries))
        scan = scan_classes(folder / "images")
        masks = find_masks(folder / "masks", scan, options["masks"] or "masks")
    found = oddities(ignored, masks)
    if scan.splits:
        found = f"; the splits {', '.join(scan.splits)} are kept as their folders say{found}"
    click.echo(visible(f"fetch: {len(scan.files)} images of {', '.join(scan.class_names)}, in {raw}{found}"))


if __name__ == "__main__":
    run_stage(fetch)
