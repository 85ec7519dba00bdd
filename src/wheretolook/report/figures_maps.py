"""Pictures for print: images and their maps, every layer, and the mean maps of the classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import numpy as np

from wheretolook.analysis.explained import open_target
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.params.train_options import AUGMENT_STEPS, read_augment
from wheretolook.report.drawing import INK, PICTURE, WRONG, bare, caption, drawing, show_overlay, strength, title
from wheretolook.report.gallery import Gallery
from wheretolook.report.loaded import FIGURE, MARK, Results, fails_sanity, shown_classes
from wheretolook.report.views import View, mean_images, of_rows, overlays_of, views_of
from wheretolook.report.words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST = 38  # letters of a title: more would be too small to read
SCALE = "Red: for the true class; blue: against it. Full colour: the 99th percentile of each model's |values|."


def draw_images(path: Path, results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery) -> None:
    """Images across all models: of each class the one with most agreement and the one with least, then two errors.

    Of many classes, some.
    """
    labels = prepared.labels[gallery.rows]
    shown = shown_classes(results, FIGURE, {prepared.class_names[k] for k in labels})
    positions = telling(gallery, labels, 2, [prepared.class_names.index(name) for name in shown.names])
    names = results.names
    with drawing(path, 1.25 * (len(names) + 1), 1.5 * len(positions) + 0.3, PICTURE) as figure:
        panels = figure.subplots(len(positions), len(names) + 1, squeeze=False)
        for name, column in zip(names, panels.T[1:], strict=True):
            mark = _mark(results, name, gallery.method, maps[name].manifest["layers"][-1])
            _column_of_maps(column, name, mark, prepared, maps[name], gallery, positions)
        for axes, position in zip(panels[:, 0], positions, strict=True):
            row = gallery.rows[position]
            show_overlay(axes, prepared.images[row], None, 1)
            class_name = title(prepared.index["class_name"].iloc[row], LONGEST)
            axes.set_title(class_name, fontsize=title_size(class_name))
        caption(figure, " ".join(filter(None, (f"{gallery.method}, last layer. {SCALE}", shown.note))))


def title_size(text: str) -> float:
    """Points at which a title stays within its picture."""
    letters = sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
    return min(7.0, 7.0 * 19 / max(letters, 1))


def telling(gallery: Gallery, labels: np.ndarray, wrong: int, classes: Sequence[int] | None = None) -> list[int]:
    """Positions in the gallery: for each class the least and the most disagreement, then up to `wrong` errors.

    Images of a class are ones that all models classify correctly; where there are none, any. The errors are of
    different classes, as far as possible.

    Args:
        gallery: the images.
        labels: (n,) class index of each.
        wrong: how many.
        classes: which ones, in this order; default: all.
    """
    difference = np.nan_to_num(gallery.disagreement, nan=1.0)
    erred = _erred(gallery, labels)
    chosen: list[int] = []
    for class_index in np.unique(labels) if classes is None else classes:
        own = np.flatnonzero((labels == class_index) & ~erred)
        own = own if len(own) else np.flatnonzero(labels == class_index)
        ordered = own[np.argsort(difference[own], kind="stable")]
        chosen += list(dict.fromkeys(int(position) for position in (*ordered[:1], *ordered[-1:])))
    left = [int(position) for position in np.flatnonzero(erred) if position not in chosen]
    first_of_class = {int(labels[position]): position for position in reversed(left)}.values()
    return chosen + [*sorted(first_of_class), *(each for each in left if each not in first_of_class)][:wrong]


def _erred(gallery: Gallery, labels: np.ndarray) -> np.ndarray:
    """(n,) bool: whether some model got the image wrong."""
    return np.any([scores.argmax(axis=1) != labels for scores in gallery.scores.values()], axis=0)


def _column_of_maps(
    column: np.ndarray, name: str, mark: str, prepared: Prepared, stored: Maps, gallery: Gallery, positions: list[int]
) -> None:
    target = open_target(stored, gallery.method, stored.manifest["layers"][-1], prepared.labels)
    values = target.true_class(gallery.rows)
    limit = strength(values)
    for axes, position in zip(column, positions, strict=True):
        show_overlay(axes, prepared.images[gallery.rows[position]], values[position], limit)
        scores = gallery.scores[name][position]
        top = int(scores.argmax())
        right = top == prepared.labels[gallery.rows[position]]
        predicted = f"{'' if right else '✗ '}{title(prepared.class_names[top], LONGEST)} {percent(scores[top], 0)}"
        model = title(name, LONGEST) + mark
        size = min(title_size(model), title_size(predicted))
        axes.set_title(f"{model}\n{predicted}", fontsize=size, color=INK if right else WRONG)


def draw_layers(path: Path, results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery) -> None:
    """One image, every method and layer: models trained on their last head beside those trained on every head."""
    position = telling(gallery, prepared.labels[gallery.rows], 1)[0]
    views = views_of(maps)
    depths = sorted({view.depth for view in views}, reverse=True)
    methods = list(dict.fromkeys(view.method for view in views))
    lines = [(method, name) for method in methods for name in results.names]
    with drawing(path, 1.2 * (len(depths) + 1) + 1.3, 1.25 * len(lines) + 0.3, PICTURE) as figure:
        panels = figure.subplots(len(lines), len(depths) + 1, squeeze=False)
        for axes in panels.flat:
            bare(axes)
        for view in views:
            for name, layer in view.layers.items():
                axes = panels[lines.index((view.method, name)), 1 + depths.index(view.depth)]
                _panel(axes, prepared, maps[name], view.method, layer, gallery, position)
                axes.set_xlabel(_mark(results, name, view.method, layer).strip(), fontsize=6, color=WRONG)
        for axes, (method, name) in zip(panels[:, 0], lines, strict=True):
            show_overlay(axes, prepared.images[gallery.rows[position]], None, 1)
            axes.set_ylabel(f"{title(name, 18)}\n{method}", rotation=0, ha="right", va="center", fontsize=7)
        panels[0, 0].set_title("image", fontsize=7)
        for axes, depth in zip(panels[0, 1:], depths, strict=True):
            axes.set_title(next(view.label for view in views if view.depth == depth), fontsize=7)
        caption(figure, f"{title(prepared.index['image_id'].iloc[gallery.rows[position]], 60)}. {SCALE}")


def _mark(results: Results, name: str, method: str, layer: str | None) -> str:
    """The mark beside the name of maps that fail the sanity check."""
    return f" ({MARK})" if fails_sanity(results, name, method, layer) else ""


def _panel(
    axes: "Axes", prepared: Prepared, stored: Maps, method: str, layer: str | None, gallery: Gallery, position: int
) -> None:
    if layer is None:
        axes.text(0.5, 0.5, "head not\ntrained", ha="center", va="center", fontsize=6, transform=axes.transAxes)
        return
    values = open_target(stored, method, layer, prepared.labels).true_class(gallery.rows)
    show_overlay(axes, prepared.images[gallery.rows[position]], values[position], strength(values))


def draw_classes(path: Path, results: Results, maps: Mapping[str, Maps], comparison: Path, method: str) -> None:
    """Mean maps of the classes over their mean images for each model; their difference; the consensus.

    Of many classes, some.
    """
    view: View = next(view for view in views_of(maps) if view.method == method and view.depth == 0)
    classes = results.overlays["classes"]
    shown = shown_classes(results, FIGURE, classes)
    made = of_rows(overlays_of(view, results.overlays, comparison), classes, shown.names)
    images = mean_images(results.overlays, comparison, shown.names)
    columns = [
        *((name, array) for name, array in made.models.items() if array is not None),
        ("consensus", made.consensus),
    ]
    limit = max(float(np.abs(array).max()) for _, array in columns) or 1.0
    marks = {name: _mark(results, name, method, layer).replace(" ", "\n", 1) for name, layer in view.layers.items()}
    with drawing(path, 1.3 * (len(columns) + 1) + 0.8, 1.4 * len(made.labels) + 0.4, PICTURE) as figure:
        panels = figure.subplots(len(made.labels), len(columns) + 1, squeeze=False)
        for row, label in enumerate(made.labels):
            behind = images[row] if row < len(images) else np.full_like(images[0], 255)
            show_overlay(panels[row, 0], behind, None, 1)
            panels[row, 0].set_ylabel(_wrapped(label), rotation=0, ha="right", va="center", fontsize=7)
            for axes, (name, array) in zip(panels[row, 1:], columns, strict=True):
                show_overlay(axes, behind, array[row], limit)
                named = title(name, LONGEST) + marks.get(name, "")
                axes.set_title(named if row == 0 else "", fontsize=title_size(name))
        panels[0, 0].set_title("mean image", fontsize=7)
        scale = f"{method}, last layer; each model divided by its RMS over the {results.split} split; full colour: "
        caption(figure, " ".join(filter(None, (f"{scale}{limit:.2f} RMS.", shown.note))))


def _wrapped(label: str) -> str:
    from textwrap import fill

    return fill(title(label, 2 * LONGEST), 18)


SAMPLE = 256  # training images whose mean colour is used


def augmentations(results: Results) -> dict[str, list[str]]:
    """The augmentations that models were trained with, such as "faces", each with its models; none left out."""
    found: dict[str, list[str]] = {}
    for name in results.names:
        value = (results.models[name]["model"].get("training") or {}).get("augment", False)
        if read_augment(value):
            found.setdefault("cells" if value is True else str(value), []).append(name)
    return found


def augmented(image: np.ndarray, steps: Mapping[str, float], mean: np.ndarray) -> dict[str, np.ndarray]:
    """What each step of the augmentation does to an image at its largest amount, by caption; first the image itself.

    Args:
        image: (S, S, 3) uint8.
        steps: of `read_augment`.
        mean: (3,) mean colour of the training images, which `light` and `tint` keep.
    """
    found = {"image": image}
    for name, amount in steps.items():
        caption_of = f"{name} {amount:g}{AUGMENT_STEPS[name].unit}" if amount else name
        found[caption_of] = _at_most(image, name, amount, mean)
    return found


def _at_most(image: np.ndarray, name: str, amount: float, mean: np.ndarray) -> np.ndarray:
    from PIL import Image

    side, part = len(image), amount / 100
    if name == "flip":
        return image[:, ::-1]
    if name == "turn":
        return np.rot90(image)
    if name in ("light", "tint"):
        factors = 1 + part * (np.ones(3) if name == "light" else np.array([1, 0, 0]))
        return np.clip(mean + (image - mean) * factors, 0, 255).round().astype(np.uint8)
    padded = np.pad(image, ((side, side), (side, side), (0, 0)), mode="edge")
    if name == "shift":
        start = side - round(part * side)
        return padded[start : start + side, start : start + side]
    whole = Image.fromarray(padded)
    if name == "rotate":
        whole = whole.rotate(amount, Image.Resampling.BILINEAR)
    width = {"zoom": side / (1 + part), "crop": side * (1 - part)}.get(name, side)
    corner = side if name == "crop" else 1.5 * side - width / 2
    box = (corner, corner, corner + width, corner + width)
    return np.asarray(whole.resize((side, side), Image.Resampling.BILINEAR, box=box))


def augmented_rows(results: Results, prepared: Prepared) -> dict[str, list[dict[str, np.ndarray]]]:
    """By augmentation: what its steps do to one training image of each of the first two classes."""
    train = prepared.rows("train")
    labels = prepared.labels[train]
    rows = [train[np.flatnonzero(labels == k)[0]] for k in range(len(prepared.class_names)) if (labels == k).any()][:2]
    mean = np.asarray(prepared.images[train[:SAMPLE]]).reshape(-1, 3).mean(axis=0) if len(train) else np.zeros(3)
    return {
        value: [augmented(np.asarray(prepared.images[row]), read_augment(value), mean) for row in rows]
        for value in augmentations(results)
    }


def draw_augmentation(path: Path, results: Results, prepared: Prepared) -> None:
    """Each step of the augmentation at its largest amount; no file where no model was trained with one."""
    found = [(value, row) for value, rows in augmented_rows(results, prepared).items() for row in rows]
    if not found:
        return
    columns = max(len(row) for _, row in found)
    with drawing(path, 1.1 * columns, 1.3 * len(found) + 0.3, PICTURE) as figure:
        panels = figure.subplots(len(found), columns, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for line, (value, row) in zip(panels, found, strict=True):
            for axes, (text, image) in zip(line, row.items(), strict=False):
                show_overlay(axes, image, None, 1)
                axes.set_title(value if text == "image" else text, fontsize=7)
        caption(figure, "Training images, and what each step of the augmentation does to them at its largest amount.")
