"""`wheretolook look`: class activation maps of some images, from a model file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wheretolook.base.terminal.command import Command

# Beyond this number of images, the terminal shows counts instead of predictions.
LISTED = 50


class _File(click.Path):
    """A path that is not empty: an unset shell variable would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail(
                "expected a path, found an empty text. Is a shell variable unset? Write a dot for this folder", param
            )
        return super().convert(value, param, ctx)


FILE = _File(path_type=Path)


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, type=FILE, metavar="IMAGE...")
@click.option("--model", required=True, type=FILE, help="A model file, NAME.safetensors.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="cam, gradcam, gradcam++, xgradcam, hirescam, layercam, eigencam, activation; slow (a forward pass for each "
    "channel): scorecam, ablationcam; for transformers: legrad, rollout. Can be repeated.  [default: cam; gradcam "
    "where a layer has no linear head]",
)
@click.option("--layer", "layers", multiple=True, help="Name, or all. Can be repeated.  [default: the last]")
@click.option("--class", "classes", multiple=True, help="Name, or all. Can be repeated.  [default: the predicted]")
@click.option(
    "--contrast",
    is_flag=True,
    help="Each class's map minus the mean of the other classes' maps; with two "
    "classes, the map of the log-odds. For cam, gradcam, xgradcam, hirescam.",
)
@click.option(
    "--finer-cam",
    is_flag=True,
    help="Each class's map against the three classes most similar to it in the image (Finer-CAM, arXiv:2501.11309). "
    "For the same methods.",
)
@click.option("--label", default="", help="Of a model of several labels, which one.  [default: as in the model file]")
@click.option(
    "--arrays",
    is_flag=True,
    help="Instead of pictures, write the maps of all images as one array per method and layer, (N, K, h, w), in "
    "--out/arrays: for thousands of images.",
)
@click.option(
    "--box",
    type=click.FloatRange(0, 1, min_open=True),
    help="Draw a box around the region of the map's maximum where the map is at least this share of it (0.2 in Zhou et "
    "al. 2016), and list it in manifest.json, in pixels of the image.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON instead of tables.")
@click.option("--grid", help="Grid of a layer's tokens, such as 14x14.  [default: as in the model file]")
@click.option(
    "--prefix-tokens",
    type=click.IntRange(0),
    help="Tokens before the grid (class token, registers).  [default: as in the model file]",
)
@click.option(
    "--layout",
    type=click.Choice(["channels_first", "channels_last", "tokens", "tokens_first"]),
    help="Order of the dimensions of the layers' outputs. --grid, --prefix-tokens and --layout are only for networks "
    "without predefined layers (timm, transformers, your own).  [default: as in the model file]",
)
@click.option(
    "--accept-code",
    is_flag=True,
    help="Use a network of your own code even if that code differs from the code that the model was trained with.",
)
@click.option("--out", type=FILE, default=Path("look"), show_default=True, help="Folder for the pictures and maps.")
@click.option(
    "--fit",
    type=click.Choice(["stretch", "pad", "crop"]),
    help="How an image becomes square, as in prepare.fit.  [default: as in training, if the model file says so, else "
    "stretch]",
)
@click.option(
    "--device", envvar="WHERETOLOOK_DEVICE", default="", help="cpu, cuda, cuda:1, mps; empty: the best available."
)
def look(
    images: tuple[Path, ...],
    model: Path,
    methods: tuple[str, ...],
    layers: tuple[str, ...],
    classes: tuple[str, ...],
    contrast: bool,
    finer_cam: bool,
    label: str,
    arrays: bool,
    box: float | None,
    as_json: bool,
    grid: str | None,
    prefix_tokens: int | None,
    layout: str | None,
    accept_code: bool,
    out: Path,
    fit: str | None,
    device: str,
) -> None:
    """Draw where a model looks in each IMAGE, a file or a folder.

    Prints the predictions, and writes them to --out as predictions.csv. For each image, method, layer and class, it
    also writes two files there. IMAGE.METHOD.LAYER.CLASS.png is the map over the image: red for the class, blue
    against it, in the image's own proportions (what --fit crop cuts off is faded, and --fit pad shows its borders).
    The .npy of the same name is the map itself: float32 (h, w), raw and signed, at the layer's own resolution.
    manifest.json lists them, with each image's scores. With --arrays, the maps of all images are in one .npy for each
    method and layer, in --out/arrays, in the order of the predictions.csv beside it.

    Output files of images with the same name include their folders' names. Files that cannot be read as images are
    skipped, and the exit status is then 1.

    \b
    wheretolook look cells --model models/last-0.safetensors
    wheretolook look cell.png --model models/every-0.safetensors --layer all --class all
    wheretolook look cell.png --model models/last-0.safetensors --box 0.2 --json | jq '.images[0].maps[0].box'
    """
    from wheretolook.base.errors import visible
    from wheretolook.base.files import sha256_of, write_json
    from wheretolook.look.image_files import check_model_path, find_images

    check_model_path(model)
    paths = find_images(images, out)

    from wheretolook.look.map_pictures import look_at
    from wheretolook.look.requests import (
        LOOK_MANIFEST,
        MapRequest,
        check_manifest,
        manifest_of,
        predictions_table,
        write_predictions,
    )

    wanted = MapRequest(
        methods, layers, classes, contrast, finer_cam, label, grid, prefix_tokens, layout, accept_code, box
    )
    if arrays:
        from wheretolook.look.map_arrays import write_arrays

        folder = out / "arrays"
        seen, written = write_arrays(paths, model, folder, wanted, fit, device), f"Arrays of their maps in {folder}"
    else:
        folder = out
        check_manifest(out)
        seen = look_at(paths, model, out, wanted, fit, device)
        write_predictions(out / "predictions.csv", seen.names, seen.paths, seen.class_names, seen.scores)
        written = f"{seen.pictures} picture{'s' if seen.pictures > 1 else ''} and as many maps in {out}"
    manifest = manifest_of({"name": model.stem, "sha256": sha256_of(model)}, seen, wanted, fit)
    if not arrays:
        write_json(out / LOOK_MANIFEST, manifest)
    table = folder / "predictions.csv"
    if as_json:
        click.echo(json.dumps(manifest if not arrays else {**manifest, "arrays": str(folder)}, indent=2))
    elif len(seen.names) > LISTED:
        click.echo(f"{visible(_counts_table(seen.class_names, seen.scores))}\nPredictions of all images are in {table}")
    else:
        click.echo(visible(predictions_table(seen.names, seen.class_names, seen.scores)))
    if not as_json:
        click.echo(written)
    if seen.refused:
        raise click.ClickException(f"{seen.refused} of {len(paths)} files could not be read as images")


def _counts_table(class_names: Sequence[str], scores: Any) -> str:
    """Text table with one line per predicted class: name and number of images, most frequent first.

    Args:
        class_names: in the order of the scores' columns.
        scores: (N, classes) float, N >= 1.
    """
    import numpy as np

    counts = np.bincount(scores.argmax(1), minlength=len(class_names))
    best = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    width = max(len(class_names[i]) for i in best)
    return "\n".join(f"{class_names[i]:{width}}  {counts[i]:,} image{'s' if counts[i] > 1 else ''}" for i in best)
