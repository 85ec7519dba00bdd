"""`wheretolook look`: the maps of some images, by a model file alone."""

from pathlib import Path

import click

from wheretolook.command import Command

FILE = click.Path(path_type=Path)


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, type=FILE, metavar="IMAGE...")
@click.option("--model", required=True, type=FILE, help="A model file, NAME.safetensors.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="cam, gradcam, gradcam++, xgradcam, hirescam, layercam, eigencam, activation; slow (a forward pass for each "
    "channel): scorecam, ablationcam. Can be repeated.  [default: cam; gradcam where a layer has no linear head]",
)
@click.option("--layer", "layers", multiple=True, help="Name, or all. Can be repeated.  [default: the last]")
@click.option("--class", "classes", multiple=True, help="Name, or all. Can be repeated.  [default: the predicted]")
@click.option("--out", type=FILE, default=Path("look"), show_default=True, help="Folder for the pictures and maps.")
@click.option(
    "--fit",
    type=click.Choice(["stretch", "pad", "crop"]),
    default="stretch",
    show_default=True,
    help="How an image becomes a square, as prepare.fit when the model was trained.",
)
@click.option("--device", envvar="WHERETOLOOK_DEVICE", default="", help="cpu, cuda, cuda:1, mps; empty: the best here.")
def look(
    images: tuple[Path, ...],
    model: Path,
    methods: tuple[str, ...],
    layers: tuple[str, ...],
    classes: tuple[str, ...],
    out: Path,
    fit: str,
    device: str,
) -> None:
    """Where does a model look in each IMAGE?

    Prints the predictions. For each image, method, layer and class it writes to --out a picture, the map over the
    image, red where it speaks for the class and blue where against, as IMAGE.METHOD.LAYER.CLASS.png; and the map
    itself, float32 (h, w), raw and signed, at the layer's own resolution, under the same name as .npy.

    \b
    wheretolook look cells/*.png --model models/last-0.safetensors
    wheretolook look cell.png --model models/every-0.safetensors --layer all --class all
    """
    from wheretolook.look_files import check_image_paths, check_model_path

    check_model_path(model)
    check_image_paths(images)

    from wheretolook.look import look_at
    from wheretolook.report.overlay import write_overlay
    from wheretolook.report.table import predictions_table

    looked = look_at(images, model, methods, layers, classes, fit, device)
    click.echo(predictions_table(looked.names, looked.class_names, looked.scores))
    overlays = list(looked.overlays())
    for overlay in overlays:
        write_overlay(out, overlay)
    click.echo(f"{len(overlays)} picture{'s' if len(overlays) > 1 else ''} and as many maps in {out}")
