"""Print a difference: tables for the terminal, Markdown and HTML, pictures, and JSON."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from wheretolook.analysis.explained import open_target
from wheretolook.analysis.results.comparison_result import ALL_CLASSES
from wheretolook.base.errors import markdown_text, visible
from wheretolook.diff.changes import Compared, Difference
from wheretolook.diff.model_changes import ModelChange
from wheretolook.diff.sides import SharedImages, Side
from wheretolook.mapstore.store import array_name
from wheretolook.report.drawing import drawing, show_overlay, strength
from wheretolook.report.words import NOTHING, count, listed, number

# Metrics of the training and validation split appear only in the JSON.
LEFT_OUT = ("train.", "val.")
DRIFT = (
    "Drift: 1 minus the mean correlation between an image's maps in A and B (test split, last layer, contrast of the "
    "true class): 0 identical, 1 uncorrelated, 2 inverted."
)


@dataclass(frozen=True)
class Table:
    """A table with title and note; every cell is text."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sentences_of(difference: Difference) -> list[str]:
    """Sentences beside the tables: added and removed models, and what could not be compared."""
    sentences = []
    for word, names in (("added", difference.added), ("removed", difference.removed)):
        if names:
            sentences.append(f"{count(len(names), 'model')} {word}: {listed(names)}.")
    for model in difference.models:
        if model.unknown:
            missing = "maps" if model.predictions else "predictions and maps"
            reason = model.unknown if model.unknown.endswith((".", "?", "!")) else f"{model.unknown}."
            sentences.append(f"{model.name}: {missing} could not be compared. Reason: {reason}")
        if model.drift and model.drift.left_out:
            left_out = count(model.drift.left_out, "image")
            sentences.append(f"{model.name}: {left_out} left out of the drift, because a map is constant.")
        if model.shared and (model.shared.only_a or model.shared.only_b):
            only_a, only_b = (count(n, "test image") for n in (model.shared.only_a, model.shared.only_b))
            sentences.append(f"{model.name}: the data changed; {only_a} only in A, {only_b} only in B.")
    return sentences or (["Nothing changed."] if _nothing_changed(difference) else [])


def tables_of(difference: Difference) -> list[Table]:
    """Tables of models, changed metrics, changed agreement and changed images; empty tables are left out."""
    tables = [
        _models_table(difference),
        _metrics_table(difference),
        _agreement_table(difference),
        _images_table(difference),
    ]
    return [table for table in tables if table.rows]


def _nothing_changed(difference: Difference) -> bool:
    moved = any(m.drift is None or m.drift.mean or (m.predictions and m.predictions.changed) for m in difference.models)
    return not moved and not list(_metric_rows(difference)) and not _agreement_table(difference).rows


def _models_table(difference: Difference) -> Table:
    rows = [_model_row(model) for model in difference.models]
    head = ("model", "images", "drift", "largest in class", "predictions changed", "wrong → right", "right → wrong")
    return Table("Maps and predictions", DRIFT, head, tuple(rows))


def _model_row(model: ModelChange) -> tuple[str, ...]:
    drift, predictions = model.drift, model.predictions
    return (
        model.name,
        str(predictions.images) if predictions else NOTHING,
        number(drift.mean, 4) if drift else NOTHING,
        _largest(drift.classes) if drift else NOTHING,
        *(
            (str(n) for n in (predictions.changed, predictions.fixed, predictions.broken))
            if predictions
            else [NOTHING] * 3
        ),
    )


def _metrics_table(difference: Difference) -> Table:
    head = ("model", "metric", "A", "B", "change")
    note = f"A: {difference.a}. B: {difference.b}. Unchanged metrics are left out."
    return Table("Metrics", note, head, tuple(_metric_rows(difference)))


def _metric_rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    for model in difference.models:
        for metric in model.metrics:
            if metric.a != metric.b and not metric.name.startswith(LEFT_OUT):
                yield model.name, metric.name, number(metric.a, 4), number(metric.b, 4), signed(metric.change)


def _agreement_table(difference: Difference) -> Table:
    pair_of_models = any(model.name_a != model.name_b for model in difference.models)
    kept = [change for change in difference.agreement if pair_of_models or change.a != change.b]
    if pair_of_models:
        one_side = [(f"{c.model_a}, {c.model_b}", _class(c.class_name), number(c.b, 4)) for c in kept]
        return Table("Agreement", "", ("models", "class", "mean correlation"), tuple(one_side))
    rows = [
        (
            f"{c.model_a}, {c.model_b}",
            _class(c.class_name),
            number(c.a, 4),
            number(c.b, 4),
            signed(None if c.a is None or c.b is None else c.b - c.a),
        )
        for c in kept
    ]
    return Table(
        "Agreement", "Mean correlation of two models' maps.", ("models", "class", "A", "B", "change"), tuple(rows)
    )


def _images_table(difference: Difference) -> Table:
    rows = [
        (model.name, image.image_id, image.class_name, number(image.drift, 4), image.predicted_a, image.predicted_b)
        for model in difference.models
        for image in model.moved
    ]
    head = ("model", "image", "class", "drift", "predicted in A", "predicted in B")
    return Table("Images whose maps changed most", "", head, tuple(rows))


def _largest(classes: Mapping[str, float]) -> str:
    """The class with the largest drift, and that drift."""
    name = max(classes, key=lambda name: classes[name], default="")
    return f"{name} {number(classes[name], 4)}" if name else NOTHING


def _class(name: str) -> str:
    """A class's name in tables."""
    return "all" if name == ALL_CLASSES else name


def signed(value: float | None) -> str:
    """A change, with its sign even if positive."""
    text = number(value, 4)
    return f"+{text}" if value is not None and value > 0 else text


def draw_moved(compared: Compared, folder: Path) -> dict[str, Path]:
    """Draw the images whose maps changed, one PNG per model.

    Returns:
        The file of each model, by name.
    """
    written = {}
    for model in compared.difference.models:
        if model.moved and model.shared:
            stem = model.name_a if model.name_a == model.name_b else f"{model.name_a}-{model.name_b}"
            written[model.name] = folder / f"moved-{stem}.png"
            _draw(compared, model, model.shared, written[model.name])
    return written


def _draw(compared: Compared, model: ModelChange, shared: SharedImages, path: Path) -> None:
    """Draw one column per image: the image, its map in A, its map in B."""
    indices = [image.shared_index for image in model.moved]
    rows_a, rows_b = shared.rows_a[indices], shared.rows_b[indices]
    maps_a, maps_b = (
        _maps(compared.a, model.name_a, model.method, rows_a),
        _maps(compared.b, model.name_b, model.method, rows_b),
    )
    titles = (f"A: {model.name_a}", f"B: {model.name_b}")
    with drawing(path, 1.35 * len(indices) + 0.5, 4.6) as figure:
        panels = figure.subplots(3, len(indices), squeeze=False)
        for column, image in enumerate(model.moved):
            photo = compared.b.prepared.images[rows_b[column]]
            show_overlay(panels[0, column], photo, None, 1)
            panels[0, column].set_title(f"{image.image_id}\ndrift {number(image.drift)}", fontsize=6)
            for axes, maps, predicted in zip(
                panels[1:, column], (maps_a, maps_b), (image.predicted_a, image.predicted_b), strict=True
            ):
                show_overlay(axes, photo, maps[column], strength(maps))
                axes.set_title(predicted, fontsize=6)
        for axes, title in zip(panels[1:, 0], titles, strict=True):
            axes.set_ylabel(title, fontsize=7)
        legend = (
            f"{model.method}, last layer, contrast of the true class. Red: evidence for the class, blue: against it."
        )
        figure.supxlabel(f"{legend} Colour saturates at each side's 99th percentile of |value|.", fontsize=6)


def _maps(side: Side, name: str, method: str, rows: np.ndarray) -> np.ndarray:
    layer = side.manifest(name)["layers"][-1]
    maps = side.maps(name, [array_name(method, layer)])
    return open_target(maps, method, layer, side.prepared.labels).true_class(rows)


def terminal_text(difference: Difference) -> str:
    """Plain text with aligned tables."""
    parts = [f"{difference.a} → {difference.b}", *sentences_of(difference)]
    for table in tables_of(difference):
        parts += ["", table.title, *([table.note] if table.note else []), "", _table(table, "simple")]
    return visible("\n".join(parts) + "\n")


def markdown(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """Markdown for a pull request; long tables are folded.

    Args:
        difference: the changes.
        pictures: files by model name, linked by these paths.
    """
    parts = [f"### {markdown_text(f'{difference.a} → {difference.b}')}", *map(markdown_text, sentences_of(difference))]
    for table in tables_of(difference):
        rows = tuple(tuple(map(markdown_text, row)) for row in table.rows)
        body = _table(Table("", "", table.head, rows), "pipe")
        if len(table.rows) > 12:
            body = f"<details><summary>{len(table.rows)} rows</summary>\n\n{body}\n\n</details>"
        parts += [f"**{table.title}**", *([table.note] if table.note else []), body]
    parts += [f"![Images of {name} whose maps changed most]({path.as_posix()})" for name, path in pictures.items()]
    return "\n\n".join(parts) + "\n"


def as_json(difference: Difference, broken: Sequence[str]) -> str:
    """JSON with all details, including metrics of all splits.

    Args:
        difference: the changes.
        broken: sentences about exceeded limits.
    """
    models = [asdict(model) for model in difference.models]
    for model in models:
        shared = model.pop("shared")
        model["only_a"], model["only_b"] = (shared["only_a"], shared["only_b"]) if shared else (0, 0)
        for image in model["moved"]:
            del image["shared_index"]
    value = asdict(difference) | {"models": models, "broken": list(broken)}
    return json.dumps({"format": 1, **value}, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table, form: str) -> str:
    from tabulate import tabulate

    # disable_numparse: a model may have a name such as 1e5.
    return tabulate(table.rows, table.head, tablefmt=form, disable_numparse=True)


def page_of(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """A self-contained HTML page with embedded pictures.

    Args:
        difference: the changes.
        pictures: PNG files by model name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("wheretolook.diff"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    styles = (files("wheretolook.report") / "templates" / "style.css").read_text(encoding="utf-8")
    return templates.get_template("diff.html.j2").render(
        difference=difference,
        sentences=sentences_of(difference),
        tables=tables_of(difference),
        pictures={name: base64.b64encode(path.read_bytes()).decode("ascii") for name, path in pictures.items()},
        styles=Markup(styles),
    )
