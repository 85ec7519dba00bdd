"""Figures of results for print: agreement, training, confusion, and energy inside the evidence."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.mapstore.store import cam_first
from wheretolook.report.drawing import ACCENT, MODELS, SOFT, WRONG, bare, drawing, legend_below, title
from wheretolook.report.guessing import baseline_of
from wheretolook.report.loaded import FIGURE, MARK, PAGE, TARGET, Results, fails_sanity, shown_classes
from wheretolook.report.plots import shared_evidence_of
from wheretolook.report.words import all_models, count, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 3.6  # inches of a matrix of too many classes for numbers
LONGEST, TITLE = 24, 44  # letters of a class's name beside a matrix, and above a panel
BESIDE = 6  # models that a legend inside the panel has room for
LETTER = 0.06  # inches of a letter of 7 points
MARKERS = {"other": "x", "centre": "+", "mean_map": "s", "random": "^"}


def draw_agreement(path: Path, results: Results) -> None:
    """For each class and pair of models the mean correlation of their maps, with its interval, beside the baselines.

    Of many classes those at both ends of the agreement, the lower ones first.
    """
    rows = results.primary()
    shown = shown_classes(results, FIGURE, set(rows["class_name"]))
    classes = shown.names
    lines = 2 if shown.note else 1
    columns = max(1, len(classes) // lines)
    drawn = {null: label for null, label in NULLS.items() if rows[null].notna().any()}
    pairs = len(rows[["model_a", "model_b"]].drop_duplicates())
    with drawing(path, 3.4 * columns + 1, lines * (0.24 * pairs + 1.3)) as figure:
        panels = list(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flat)
        figure.suptitle(shown.note, fontsize=7) if shown.note else None
        for axes, class_name in zip(panels, classes, strict=False):
            of_class = rows[rows["class_name"] == class_name].reset_index(drop=True)
            places = np.arange(len(of_class))
            errors = [of_class["mean"] - of_class["low"], of_class["high"] - of_class["mean"]]
            axes.errorbar(
                of_class["mean"],
                places,
                xerr=errors,
                fmt="o",
                color=ACCENT,
                markersize=4,
                label="two models (95 % interval)",
            )
            for null, label in drawn.items():
                marker = {"marker": MARKERS[null], "facecolors": SOFT if MARKERS[null] in "x+" else "none"}
                edge = {} if MARKERS[null] in "x+" else {"edgecolors": SOFT}
                axes.scatter(of_class[null].astype(float), places, s=16, linewidths=0.9, label=label, **marker, **edge)
            axes.axvline(0, color=SOFT, linewidth=0.6)
            if not of_class["mean"].notna().any():
                axes.text(
                    0.5,
                    0.5,
                    "too few images, or constant maps",
                    ha="center",
                    transform=axes.transAxes,
                    fontsize=7,
                )
            axes.set_yticks(places, of_class["model_a"] + ", " + of_class["model_b"])
            axes.set_title(title(class_name, TITLE))
            axes.set_xlabel("correlation r of two models' maps of one image")
            axes.invert_yaxis() if axes is panels[0] else None
        if not classes:
            bare(panels[0])
            panels[0].text(0.5, 0.5, "one model: no agreement to show", ha="center", transform=panels[0].transAxes)
            return
        handles, labels = panels[0].get_legend_handles_labels()
        legend_below(figure, dict(zip(labels, handles, strict=True)))


def draw_training(path: Path, results: Results) -> None:
    """Loss on val (full) and train (dashed) by epoch, a colour for each model."""
    from matplotlib.ticker import MaxNLocator

    with drawing(path, 4.6, 2.8) as figure:
        axes = figure.subplots()
        for name, colour in zip(results.names, _colours(len(results.names)), strict=True):
            history = results.models[name]["history"]
            if not history:
                continue
            epochs = [epoch["epoch"] for epoch in history]
            # One epoch is no line.
            marker = "o" if len(epochs) == 1 else ""
            train, val = ([epoch[f"{kind}_loss"] for epoch in history] for kind in ("train", "val"))
            axes.plot(epochs, val, color=colour, marker=marker, label=name)
            axes.plot(epochs, train, color=colour, marker=marker, fillstyle="none", linestyle="--", linewidth=0.9)
        if not axes.lines:
            bare(axes)
            axes.text(0.5, 0.5, "no model file has a training history", ha="center", transform=axes.transAxes)
            return
        axes.set(xlabel="epoch", ylabel="loss (solid: val, dashed: train)")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(results.names) <= BESIDE:
            axes.legend(fontsize=7)
        else:
            handles, labels = axes.get_legend_handles_labels()
            legend_below(figure, dict(zip(labels, handles, strict=True)))


def draw_confusion(path: Path, results: Results) -> None:
    """Counts of actual and predicted classes for each model; shade is the share of the row.

    Beyond PAGE classes the shade alone, and all of one size.
    """
    count = len(results.class_names)
    columns = min(4, len(results.names))
    lines = -(-len(results.names) // columns)
    side = max(1.1, 0.45 * count) if count <= PAGE else SIDE
    # Names are horizontal beside the matrix and slanted below it: long ones need room.
    longest = max(len(title(name, LONGEST)) for name in results.class_names) if count <= PAGE else 0
    more = max(0.0, LETTER * longest - 0.5 * side - 0.2)
    with drawing(path, (side + 0.3 + more) * columns + 1, (side + 0.9 + more / 2) * lines + 0.2) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(results.names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, results.names, strict=False):
            split = results.models[name]["splits"].get(results.split) or {}
            _matrix(axes, name, np.array(split.get("confusion") or np.zeros((count, count), int)), results.class_names)
        many = f"; {count} classes in the order of the data, shade: share of the actual class" if count > PAGE else ""
        figure.supxlabel(f"predicted, {results.split} split{many}", fontsize=7)
        figure.supylabel("actual", fontsize=7)


def _matrix(axes: "Axes", name: str, counts: np.ndarray, class_names: tuple[str, ...]) -> None:
    from matplotlib.colors import to_rgb

    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    # Numbers need a light background; without numbers, a cell of two pixels must be visible.
    darkest = 0.5 if len(class_names) <= PAGE else 1.0
    shade = 1 - darkest * share[..., None] * (1 - np.array(to_rgb(ACCENT)))
    axes.imshow(shade)
    axes.set_title(name)
    if len(class_names) > PAGE:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for (row, column), value in np.ndenumerate(counts):
        axes.text(column, row, f"{value}", ha="center", va="center", fontsize=7)
    names = [title(name, LONGEST) for name in class_names]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def draw_localisation(path: Path, results: Results) -> bool:
    """Energy inside the evidence by layer and model, beside the evidence's share of area; False without evidence."""
    keys = {key for name in results.names for key in results.models[name]["localisation"] or {}}
    methods = cam_first({key.split(".", 1)[0] for key in keys})
    if not any(shared_evidence_of(results.models[name], results.split, key) for name in results.names for key in keys):
        return False
    with drawing(path, 3.1 * len(methods) + 0.5, 2.8) as figure:
        panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
        for axes, method in zip(panels, methods, strict=True):
            _energies(axes, results, method)
        panels[0].set_ylabel("positive energy inside the evidence")
        panels[0].set_ylim(0, 1)
        known = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        order = sorted(known, key=[*results.names, *known].index)  # the models first
        legend_below(figure, {label: known[label] for label in order})
    return True


def _energies(axes: "Axes", results: Results, method: str) -> None:
    """One method: energy by layer, what the grid allows and what the area is; maps that fail sanity have a cross."""
    from matplotlib.ticker import MaxNLocator

    found = {name: _by_depth(results.models[name], results.split, method) for name in results.names}
    alike = _same_grids(found.values())
    for name, colour in zip(results.names, _colours(len(results.names)), strict=True):
        depths = list(found[name])
        energy, ceiling, area = (
            [row[key] for _, row in found[name].values()] for key in ("energy", "ceiling", "area_share")
        )
        axes.plot(depths, energy, "o-", color=colour, markersize=3, label=name)
        failing = [
            (depth, row["energy"])
            for depth, (layer, row) in found[name].items()
            if fails_sanity(results, name, method, layer)
        ]
        axes.plot(*zip(*failing, strict=True), "x", color=WRONG, zorder=3, label=MARK) if failing else None
        thin: Any = {"color": SOFT if alike else colour, "linewidth": 0.7, "marker": "." if len(depths) == 1 else ""}
        whose = "" if alike else " (each model's colour)"
        axes.plot(depths, ceiling, ":", markersize=3, label=f"highest possible on the grid{whose}", **thin)
        axes.plot(depths, area, "--", markersize=3, label=f"chance: share of the area{whose}", **thin)
    axes.set_title(method)
    names = [results.models[name]["layers"] for name in results.names]
    if all(layers == names[0] for layers in names):
        axes.set_xticks(range(1 - len(names[0]), 1), names[0])
        axes.set_xlabel("layer")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("layer (0: the last)")


def _by_depth(result: dict[str, Any], split: str, method: str) -> dict[int, tuple[str, dict[str, float]]]:
    """Layer and evidence by depth: layers count from the last (0), where networks of different depth are aligned."""
    layers = result["layers"]
    each = {layer: shared_evidence_of(result, split, f"{method}.{layer}") for layer in layers}
    return {i - len(layers) + 1: (layer, each[layer]) for i, layer in enumerate(layers) if each[layer]}


def _same_grids(found: Iterable[dict[int, tuple[str, dict[str, float]]]]) -> bool:
    """Whether all models share the ceiling and area at each depth, to a hundredth, so that one line is enough."""
    values: dict[int, set[tuple[float, float]]] = {}
    for rows in found:
        for depth, (_, row) in rows.items():
            values.setdefault(depth, set()).add((round(row["ceiling"], 2), round(row["area_share"], 2)))
    return all(len(each) == 1 for each in values.values())


def _colours(count: int) -> list[str]:
    return [MODELS[i % len(MODELS)] for i in range(count)]


def captions(results: Results, method: str, drawn: Sequence[str]) -> str:
    """A caption of each figure as Markdown: what it shows, what a reader should see, and of how many images.

    Args:
        results: finished results.
        method: of the maps in the pictures of images and classes.
        drawn: names of the figures, without suffix.
    """
    models = all_models(len(results.names)) if len(results.names) > FIGURE else listed(results.names)
    images, split = results.audit["splits"][results.split]["images"], results.split
    of = f"{count(images, 'image')} of the {split} split"
    baseline = baseline_of(results)
    words = {
        "images": f"Last-layer maps ({method}, {TARGET}) of {models}, over images of the {split} split. For each "
        "class: the image on which the maps agree most and the one on which they agree least, among those that all "
        "models classify correctly; then images that some model classifies wrongly (marked with a cross). Red counts "
        "for the true class, blue against it; full colour is each model's 99th percentile of |values|. The percentage "
        "is the score of the predicted class.",
        "layers": f"One image of the {split} split through every layer and method of {models} (true class, as a "
        "contrast). Each panel has its own full colour: the 99th percentile of |values| of that model and layer. A "
        "head that was not trained has no CAM.",
        "classes": f"Mean map of each class ({method}, last layer, {TARGET}) over its mean image, {of}; each model in "
        "units of its root mean square. Below: the difference of the classes. Consensus: where all models have the "
        "same sign, the value nearest to zero. A picture, not a test.",
        "agreement": "Mean Pearson correlation of two models' maps of one image, by class, with 95 % intervals "
        f"({of}). Grey marks are baselines, which do not depend on the image: models agree as far as a dot lies to the "
        "right of every grey mark.",
        "augmentation": "Training images, and what each step of the augmentation does to them at its largest amount.",
        "training": "Loss by epoch on the val split (solid) and the train split (dashed).",
        "confusion": f"Actual and predicted classes of {of}; shade: the share of the actual class."
        + (f" Baselines of the accuracy: {baseline.words}." if baseline else ""),
        "localisation": "Share of the positive map energy inside the evidence mask, by method and layer. Within a "
        f"method and model, every layer is averaged over the same images of the {split} split. Dashed: the mask's "
        "share of the area, which is the chance level; dotted: the most that a map on that grid can reach.",
    }
    return "# Captions\n" + "".join(f"\n**{name}.pdf** {words[name]}\n" for name in drawn)
