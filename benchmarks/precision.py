"""What bfloat16 costs the maps: each method at each layer, held against its float32 maps of the same images.

    python benchmarks/precision.py MODEL... [--prepared data/prepared] [--images 200] [--out benchmarks/precision.json]

For each array, over all maps of all models: the median and the lowest hundredth of Pearson's r with the float32
map, the median error (RMS of the difference over RMS of the map), and how often another cell is the highest. Beside
it, how many predictions change.
"""

import json
import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

METHODS = ("cam", "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "activation")


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--prepared", type=click.Path(path_type=Path), default=Path("data/prepared"), show_default=True)
@click.option("--images", type=click.IntRange(2), default=200, show_default=True, help="Of the test split, at most.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(models, prepared, images, out):
    """Print a table, and the predictions that changed."""
    from wheretolook.base.prepared import load_prepared

    data = load_prepared(prepared)
    rows = data.rows("test")[:images]
    pixels = np.array(data.images[rows])
    changed, found = 0, {}
    for model in models:
        exact, rough = (explained(model, pixels, precision) for precision in ("float32", "bfloat16"))
        changed += int((exact.logits.argmax(1) != rough.logits.argmax(1)).sum())
        for pair in exact.maps:
            figures = compared(exact[pair], rough[pair])
            found.setdefault(pair, []).append(figures)
    table = [
        summary(pair, [np.concatenate(part) for part in zip(*parts, strict=True)]) for pair, parts in found.items()
    ]
    click.echo(f"{'method':12}{'layer':10}{'r, median':>11}{'r, 1 %':>9}{'error':>9}{'peak moves':>12}")
    for row in table:
        click.echo(
            f"{row['method']:12}{row['layer']:10}{row['r_median']:11.5f}{row['r_lowest_hundredth']:9.4f}"
            f"{row['error']:9.4f}{row['peak_moves']:12.3f}"
        )
    click.echo(f"predictions that changed: {changed} of {len(rows) * len(models)}")
    if out:
        result = {"models": len(models), "images": len(rows), "predictions_changed": changed, "maps": table}
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def explained(model: Path, pixels: np.ndarray, precision: str):
    """Maps of every method, layer and class."""
    import torch

    from wheretolook.cams.explain import explain
    from wheretolook.networks.checkpoint import load_model
    from wheretolook.networks.inputs import to_input

    network, card = load_model(model, torch.device("cpu"))
    inputs = to_input(torch.from_numpy(pixels), card.mean, card.std)
    heads = card.trained_heads
    return explain(network, inputs, METHODS, card.layers, precision=precision, trained_heads=heads, fast=True)


def compared(exact: np.ndarray, rough: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each map that varies: Pearson's r, relative error, and whether its highest cell is another: (n,) each."""
    a, b = (maps.reshape(-1, maps.shape[-1] * maps.shape[-2]).astype(np.float64) for maps in (exact, rough))
    varies = (a.std(1) > 0) & (b.std(1) > 0)
    a, b = a[varies], b[varies]
    centred = [x - x.mean(1, keepdims=True) for x in (a, b)]
    r = (centred[0] * centred[1]).sum(1) / np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    error = np.sqrt(((a - b) ** 2).mean(1) / (a**2).mean(1))
    return r, error, a.argmax(1) != b.argmax(1)


def summary(pair: tuple[str, str], parts: list[np.ndarray]) -> dict:
    """One row of the table."""
    r, error, moved = parts
    return {
        "method": pair[0],
        "layer": pair[1],
        "maps": len(r),
        "r_median": float(np.median(r)),
        "r_lowest_hundredth": float(np.quantile(r, 0.01)),
        "error": float(np.median(error)),
        "peak_moves": float(moved.mean()),
    }


if __name__ == "__main__":
    main()
