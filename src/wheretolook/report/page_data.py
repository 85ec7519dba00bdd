"""Data that the page's script draws: images, outlines of regions and packed maps."""

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.analysis.explained import checked
from wheretolook.analysis.grid import to_grid
from wheretolook.base.errors import visible
from wheretolook.base.prepared import EVIDENCE, MARK, Prepared
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO, Maps, array_name, stores_every_class
from wheretolook.params.train_options import AUGMENT_STEPS, PRESETS, describe_augment, read_augment
from wheretolook.report.drawing import diverging, sequential
from wheretolook.report.figures_maps import augmentations, augmented_rows
from wheretolook.report.gallery import Cell, Gallery
from wheretolook.report.guessing import baseline_of
from wheretolook.report.loaded import PAGE, Results, fails_sanity, shown_classes
from wheretolook.report.views import View, layer_labels, mean_images, of_rows, overlays_of, views_of
from wheretolook.report.words import listed, percent

if TYPE_CHECKING:
    from jinja2 import Environment


def outline(inside: np.ndarray) -> str:
    """Every edge between a pixel inside and one outside; edges in a row are one stroke.

    Args:
        inside: (H, W) bool.

    Returns:
        Strokes such as "M3 5h2" (two edges to the right from column 3 under row 4) and "M3 5v1"; empty for no region.
    """
    padded = np.pad(inside, 1).astype(np.int8)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # (H + 1, W): an edge above pixel (row, column)
    down = np.diff(padded, axis=1)[1:-1] != 0  # (H, W + 1): an edge left of it
    lines = [f"M{start} {row}h{end - start}" for row, start, end in _runs(across)]
    lines += [f"M{column} {start}v{end - start}" for column, start, end in _runs(down.T)]
    return "".join(lines)


def _runs(marked: np.ndarray) -> list[tuple[int, int, int]]:
    """(row, start, end) of each run of True along the rows."""
    steps = np.diff(np.pad(marked, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(row), int(start), int(end)) for row, start, end in zip(rows, starts, ends, strict=True)]


STEPS = 127


def quantise(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed maps in 8 bits, with one scale for each image, so that its classes can still be subtracted.

    Args:
        maps: (n, K, h, w) float32.

    Returns:
        scales (n,) float32 and steps (n, K, h, w) int8, with maps ≈ steps * scale; off by at most half a scale, that is
        1/254 of the image's largest value.
    """
    scales = (np.abs(maps).max(axis=(1, 2, 3)) / STEPS).astype(np.float32)
    divisor = np.where(scales > 0, scales, 1)[:, None, None, None]
    return scales, np.rint(maps / divisor).clip(-STEPS, STEPS).astype(np.int8)


def limit_cells(maps: np.ndarray, cells: int) -> np.ndarray:
    """Maps (n, K, h, w) averaged by area down to `cells` a side, where they are finer."""
    return to_grid(maps, (min(maps.shape[2], cells), min(maps.shape[3], cells)))


def pack_maps(maps: np.ndarray) -> str:
    """What `loadMaps` in unpack.js reads: deflated scales (float32, little-endian) and steps (int8), in base64.

    The last class is replaced by the sum of all classes, modulo 256. What counts for one class counts against the
    others, so the sum is mostly small and compresses well (a quarter of the page).
    """
    scales, steps = quantise(maps)
    steps[:, -1] = steps.sum(axis=1, dtype=np.int8)
    return deflated(scales.astype("<f4").tobytes() + steps.tobytes())


def deflated(content: bytes) -> str:
    """Bytes, deflated without a header (the browser's "deflate-raw"), in base64."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeeze.compress(content) + squeeze.flush()).decode("ascii")


def picture(image: np.ndarray, quality: int = 85) -> str:
    """An image (S, S, 3) uint8 as the data address of a WebP."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(image).save(written, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode("ascii")


@dataclass(frozen=True)
class PageData:
    """What the page has besides text.

    Attributes:
        described: JSON for the script.
        blocks: packed maps that the script unpacks when a view needs them, by their element's id.
        augmentation: each augmentation with its pictures.
        cells: which images the gallery has, of how many.
    """

    described: dict[str, Any]
    blocks: dict[str, str]
    augmentation: list[dict[str, Any]]
    cells: tuple[Cell, ...] = ()


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
    return PageData(described, blocks, augmentation_rows(results, prepared), gallery.cells)


def augmentation_rows(results: Results, prepared: Prepared) -> list[dict[str, Any]]:
    """Each augmentation in words, with its models and pictures of its steps."""
    models = augmentations(results)
    return [
        {
            "value": value,
            "models": listed(models[value]),
            "for": PRESETS[value][1] if value in PRESETS else "",
            "steps": [{"name": name, "assumes": AUGMENT_STEPS[name].assumes} for name in read_augment(value)],
            "words": describe_augment(read_augment(value)),
            "pictures": [{"text": text, "picture": picture(image)} for row in rows for text, image in row.items()],
        }
        for value, rows in augmented_rows(results, prepared).items()
    ]


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
    arrays: list[dict[str, Any] | None] = []
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
        fails = fails_sanity(results, name, view.method, layer)
        native = list(stored.shape[2:])
        arrays.append({"block": block, "shape": shape, "native": native, "layer": layer, "fails": fails})
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
        return stored[:, :2]  # the third is the mean of all classes, for contrasts
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
            "disagreement": round(float(difference), 6) if np.isfinite(difference) else None,
            "picture": picture(np.asarray(prepared.images[gallery.rows[i]])),
            "outlines": _outlines(prepared, gallery.rows[i]),
        }
        for i, (image_id, group, label, difference) in enumerate(
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


@cache
def page_templates() -> "Environment":
    """The templates of the page; each is compiled once in a process."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("wheretolook.report"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
