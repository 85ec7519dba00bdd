"""Figures of results for print: agreement, training, confusion, and energy inside the evidence."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wheretolook.analysis.agreement import NULLS
from wheretolook.report.canvas import ACCENT, MODELS, SOFT, bare, drawing
from wheretolook.report.results import Results
from wheretolook.report.summary import evidence_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"other": "x", "centre": "+", "mean_map": "s", "random": "^"}


def draw_agreement(path: Path, results: Results) -> None:
    """For each class and pair of models the mean correlation of their maps, with its interval, beside the nulls."""
    rows = results.primary()
    classes = [name for name in results.class_names if (rows["class_name"] == name).any()]
    pairs = len(rows[["model_a", "model_b"]].drop_duplicates())
    with drawing(path, 3.4 * max(1, len(classes)) + 1, 0.24 * pairs + 1.3) as figure:
        panels = figure.subplots(1, max(1, len(classes)), sharex=True, sharey=True, squeeze=False)[0]
        for axes, class_name in zip(panels, classes, strict=False):
            of_class = rows[rows["class_name"] == class_name].reset_index(drop=True)
            places = np.arange(len(of_class))
            errors = [of_class["mean"] - of_class["low"], of_class["high"] - of_class["mean"]]
            axes.errorbar(
                of_class["mean"], places, xerr=errors, fmt="o", color=ACCENT, markersize=4, label="two models"
            )
            for null, label in NULLS.items():
                marker = {"marker": MARKERS[null], "facecolors": SOFT if MARKERS[null] in "x+" else "none"}
                edge = {} if MARKERS[null] in "x+" else {"edgecolors": SOFT}
                axes.scatter(of_class[null].astype(float), places, s=16, linewidths=0.9, label=label, **marker, **edge)
            axes.axvline(0, color=SOFT, linewidth=0.6)
            axes.set_yticks(places, of_class["model_a"] + ", " + of_class["model_b"])
            axes.set_title(class_name)
            axes.set_xlabel("r of two models' maps of one image")
            axes.invert_yaxis() if axes is panels[0] else None
        if not classes:
            bare(panels[0])
            panels[0].text(0.5, 0.5, "one model: nothing to compare", ha="center", transform=panels[0].transAxes)
            return
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=6)


def draw_training(path: Path, results: Results) -> None:
    """Loss on val (full) and train (dashed) by epoch, a colour for each model."""
    with drawing(path, 4.6, 2.8) as figure:
        axes = figure.subplots()
        for name, colour in zip(results.names, _colours(len(results.names)), strict=True):
            history = results.models[name]["history"]
            epochs = [epoch["epoch"] for epoch in history]
            axes.plot(epochs, [epoch["val_loss"] for epoch in history], color=colour, label=name)
            axes.plot(epochs, [epoch["train_loss"] for epoch in history], color=colour, linestyle="--", linewidth=0.9)
        axes.set(xlabel="epoch", ylabel="loss (val; train dashed)")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=7)


def draw_confusion(path: Path, results: Results) -> None:
    """Counts of actual and predicted classes for each model; shade is the share of the row."""
    count = len(results.class_names)
    columns = min(4, len(results.names))
    lines = -(-len(results.names) // columns)
    side = max(1.1, 0.45 * count)
    with drawing(path, (side + 0.3) * columns + 1, (side + 0.9) * lines + 0.2) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(results.names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, results.names, strict=False):
            split = results.models[name]["splits"].get(results.split) or {}
            _matrix(axes, name, np.array(split.get("confusion") or np.zeros((count, count), int)), results.class_names)
        figure.supxlabel(f"predicted, {results.split} split", fontsize=7)
        figure.supylabel("actual", fontsize=7)


def _matrix(axes: "Axes", name: str, counts: np.ndarray, class_names: tuple[str, ...]) -> None:
    from matplotlib.colors import to_rgb

    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    shade = 1 - 0.5 * share[..., None] * (1 - np.array(to_rgb(ACCENT)))
    axes.imshow(shade)
    for (row, column), value in np.ndenumerate(counts):
        axes.text(column, row, f"{value}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right", fontsize=7)
    axes.set_yticks(range(len(class_names)), class_names, fontsize=7)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(name)


def draw_localisation(path: Path, results: Results) -> bool:
    """Energy inside the evidence by layer and model, beside the evidence's share of area; False without evidence."""
    keys = {key for name in results.names for key in results.models[name]["localisation"] or {}}
    methods = sorted({key.split(".", 1)[0] for key in keys}, key=lambda method: (method != "cam", method))
    if not any(evidence_of(results.models[name], results.split, key) for name in results.names for key in keys):
        return False
    with drawing(path, 3.1 * len(methods) + 0.5, 2.7) as figure:
        panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
        for axes, method in zip(panels, methods, strict=True):
            for name, colour in zip(results.names, _colours(len(results.names)), strict=True):
                result = results.models[name]
                found = [evidence_of(result, results.split, f"{method}.{layer}") for layer in result["layers"]]
                # Layers count from the last, where networks of unequal depth meet.
                points = [(i - len(found) + 1, row) for i, row in enumerate(found) if row]
                depths = [depth for depth, _ in points]
                axes.plot(depths, [row["energy"] for _, row in points], "o-", color=colour, markersize=3, label=name)
                axes.plot(depths, [row["ceiling"] for _, row in points], ":", color=SOFT, linewidth=0.7)
                axes.plot(depths, [row["area_share"] for _, row in points], "--", color=SOFT, linewidth=0.7)
            axes.set(title=method, xlabel="layer (0: the last)")
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylabel("energy inside the evidence")
        panels[0].set_ylim(0, 1)
        panels[0].legend(fontsize=6)
        figure.supxlabel("dotted: ceiling of the grid; dashed: the evidence's share of the area", fontsize=6)
    return True


def _colours(count: int) -> list[str]:
    return [MODELS[i % len(MODELS)] for i in range(count)]
