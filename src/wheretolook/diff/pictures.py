"""The images whose maps moved most: each with its map in A and in B."""

from pathlib import Path

import numpy as np

from wheretolook.analysis.maps.target import open_target
from wheretolook.cams.manifest import array_name
from wheretolook.diff.difference import Compared
from wheretolook.diff.models import ModelChange
from wheretolook.diff.side import Side
from wheretolook.report.canvas import drawing, show_overlay, strength
from wheretolook.report.words import number


def draw_moved(compared: Compared, folder: Path) -> dict[str, Path]:
    """Write a PNG for each model that has images whose maps moved.

    Returns:
        The file of each model, by its name.
    """
    written = {}
    for model in compared.difference.models:
        if model.moved:
            stem = model.name_a if model.name_a == model.name_b else f"{model.name_a}-{model.name_b}"
            written[model.name] = folder / f"moved-{stem}.png"
            _draw(compared, model, written[model.name])
    return written


def _draw(compared: Compared, model: ModelChange, path: Path) -> None:
    places = [image.place for image in model.moved]
    rows_a, rows_b = model.shared.rows_a[places], model.shared.rows_b[places]
    maps_a, maps_b = (
        _maps(compared.a, model.name_a, model.method, rows_a),
        _maps(compared.b, model.name_b, model.method, rows_b),
    )
    titles = (f"A: {model.name_a}", f"B: {model.name_b}")
    with drawing(path, 1.35 * len(places) + 0.5, 4.6) as figure:
        panels = figure.subplots(3, len(places), squeeze=False)
        for column, image in enumerate(model.moved):
            behind = compared.b.prepared.images[rows_b[column]]
            show_overlay(panels[0, column], behind, None, 1)
            panels[0, column].set_title(f"{image.image_id}\ndrift {number(image.drift)}", fontsize=6)
            for axes, maps, called in zip(
                panels[1:, column], (maps_a, maps_b), (image.predicted_a, image.predicted_b), strict=True
            ):
                show_overlay(axes, behind, maps[column], strength(maps))
                axes.set_title(called, fontsize=6)
        for axes, title in zip(panels[1:, 0], titles, strict=True):
            axes.set_ylabel(title, fontsize=7)
        told = f"{model.method}, last layer, contrast of the true class. Red: for it, blue: against."
        figure.supxlabel(f"{told} Full colour: each side's 99th percentile of |value|.", fontsize=6)


def _maps(side: Side, name: str, method: str, rows: np.ndarray) -> np.ndarray:
    layer = side.manifest(name)["layers"][-1]
    maps = side.maps(name, [array_name(method, layer)])
    return open_target(maps, method, layer, side.prepared.labels).true_class(rows)
