"""What the page's own script draws from: images, predictions and maps, packed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.analysis.maps.target import checked
from wheretolook.cams.manifest import EVERY_CLASS_UP_TO, array_name, stores_every_class
from wheretolook.cams.store import Maps
from wheretolook.data.labels import EVIDENCE, MARK
from wheretolook.data.prepared import Prepared
from wheretolook.report.baselines import baseline_of
from wheretolook.report.colours import diverging, sequential
from wheretolook.report.gallery import Gallery
from wheretolook.report.outlines import outline
from wheretolook.report.packing import limit_cells, pack_maps, picture
from wheretolook.report.results import Results
from wheretolook.report.sanity import fails_sanity
from wheretolook.report.shown import PAGE, shown_classes
from wheretolook.report.views import View, layer_labels, mean_images, of_rows, overlays_of, views_of
from wheretolook.report.words import percent


@dataclass(frozen=True)
class PageData:
    """JSON for the script, and the packed blocks that it unpacks when a view needs them, by their element's id."""

    described: dict[str, Any]
    blocks: dict[str, str]


def page_data(
    results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery, comparison: Path, cells: int
) -> PageData:
    """Pack everything that is drawn in the browser.

    Args:
        results: finished results.
        prepared: images and masks.
        maps: by model.
        gallery: the images chosen.
        comparison: the folder of the classes' mean maps.
        cells: maps finer than this a side are averaged by area.
    """
    views, baseline = views_of(maps), baseline_of(results)
    shown = shown_classes(results, PAGE, results.overlays["classes"]).names
    blocks: dict[str, str] = {}
    described = {
        "classNames": list(results.class_names),
        "everyClass": all(_has_every_class(stored) for stored in maps.values()),
        "models": [_model(results, name) for name in results.names],
        "layers": layer_labels(maps),
        "views": [_view(view, results, prepared, maps, gallery, cells, blocks) for view in views],
        "images": _images(results, prepared, gallery),
        "size": int(prepared.images.shape[1]),
        "cells": cells,
        "total": gallery.total,
        "majority": f" (always {baseline.majority_class}: {percent(baseline.majority, 0)})" if baseline else "",
        "split": results.split,
        "method": gallery.method,
        "colours": {"sequential": _table(sequential()), "diverging": _table(diverging())},
        "overlays": {
            "classes": list(shown),
            "images": [picture(image) for image in mean_images(results.overlays, comparison, shown)],
            "counts": results.overlays["counts"],
            "views": [_overlays(i, view, results, comparison, shown, cells, blocks) for i, view in enumerate(views)],
        },
        "masks": prepared.masks is not None,
    }
    return PageData(described, blocks)


def _model(results: Results, name: str) -> dict[str, Any]:
    result = results.models[name]
    split = result["splits"].get(results.split) or {}
    heads = {head: figures["accuracy"] for head, figures in split.get("heads", {}).items()}
    return {"name": name, "loss": result["model"].get("loss"), "layers": result["layers"], "heads": heads}


def _view(
    view: View,
    results: Results,
    prepared: Prepared,
    maps: Mapping[str, Maps],
    gallery: Gallery,
    cells: int,
    blocks: dict[str, str],
) -> dict[str, Any]:
    arrays = []
    for number, (name, layer) in enumerate(view.layers.items()):
        if layer is None:
            arrays.append(None)
            continue
        file = maps[name].folder / array_name(view.method, layer)
        stored = checked(shown_maps(maps[name], view.method, layer, gallery.rows, prepared.labels), file, gallery.rows)
        packed = limit_cells(stored, cells)
        block = f"maps-{number}-{view.method}-{view.depth}"
        blocks[block] = pack_maps(packed)
        shape = [int(size) for size in packed.shape[1:]]
        arrays.append({"block": block, "shape": shape, "native": list(stored.shape[2:]), "layer": layer})
        arrays[-1]["fails"] = fails_sanity(results, name, view.method, layer)
    return {"method": view.method, "depth": view.depth, "label": view.label, "models": arrays}


def _has_every_class(maps: Maps) -> bool:
    """Whether the page has maps of every class: of many it would grow beyond what a browser opens."""
    return stores_every_class(maps.manifest) and len(maps.class_names) <= EVERY_CLASS_UP_TO


def shown_maps(maps: Maps, method: str, layer: str, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Maps of some images, (n, K, h, w): of every class, or of the true and the predicted one alone."""
    stored = np.asarray(maps.open(method, layer)[rows])
    if _has_every_class(maps) or not maps.knows_class(method, layer):
        return stored
    if not stores_every_class(maps.manifest):
        return stored[:, :2]  # behind them stands the mean of all, for contrasts
    shown = np.stack([labels[rows], maps.logits()[rows].argmax(axis=1)], axis=1)
    return np.take_along_axis(stored, shown[:, :, None, None], axis=1)


def _images(results: Results, prepared: Prepared, gallery: Gallery) -> list[dict[str, Any]]:
    chosen = prepared.index.iloc[gallery.rows]
    scores = np.stack([gallery.scores[name] for name in results.names], axis=1)
    return [
        {
            "id": image_id,
            "group": group,
            "label": int(label),
            "scores": [[round(float(score), 4) for score in of_model] for of_model in scores[i]],
            "disagreement": round(float(apart), 6) if np.isfinite(apart) else None,
            "picture": picture(np.asarray(prepared.images[gallery.rows[i]])),
            "outlines": _outlines(prepared, gallery.rows[i]),
        }
        for i, (image_id, group, label, apart) in enumerate(
            zip(chosen["image_id"], chosen["group"], chosen["class_index"], gallery.disagreement, strict=True)
        )
    ]


def _outlines(prepared: Prepared, row: int) -> dict[str, str]:
    """Paths around the evidence and the mark of an image, as far as it has them."""
    if prepared.masks is None:
        return {}
    paths = {kind: outline(prepared.masks[row] == label) for kind, label in (("evidence", EVIDENCE), ("mark", MARK))}
    return {kind: path for kind, path in paths.items() if path}


def _overlays(
    number: int,
    view: View,
    results: Results,
    comparison: Path,
    shown: Sequence[str],
    cells: int,
    blocks: dict[str, str],
) -> dict[str, Any]:
    made = of_rows(overlays_of(view, results.overlays, comparison), results.overlays["classes"], shown)
    arrays = [*made.models.values(), made.consensus]
    shapes: list[list[int] | None] = []
    for column, array in enumerate(arrays):
        # A row has its own scale, as an image has.
        packed = None if array is None else limit_cells(array[:, None], cells)
        shapes.append(None if packed is None else [int(size) for size in packed.shape[1:]])
        if packed is not None:
            blocks[f"overlays-{number}-{column}"] = pack_maps(packed)
    there = [results.overlays["models"][name][f"{view.method}.{layer}"] for name, layer in view.layers.items() if layer]
    contrast = all(entry["contrast"] for entry in there)
    return {"labels": list(made.labels), "shapes": shapes, "contrast": contrast}


def _table(colours: np.ndarray) -> list[int]:
    return colours.reshape(-1).tolist()
