"""A difference as tables of text, the same for the terminal, a pull request and the page."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from wheretolook.analysis.explained import open_target
from wheretolook.base.display import markdown_text, visible
from wheretolook.diff.changes import Compared, Difference
from wheretolook.diff.model_changes import ModelChange
from wheretolook.diff.sides import Side
from wheretolook.mapstore.store import array_name
from wheretolook.report.drawing import drawing, show_overlay, strength
from wheretolook.report.words import NOTHING, count, listed, number
from wheretolook.results.agreement_row import ALL_CLASSES

# Figures of images that were trained on, or chose the epoch, stand in the JSON alone.
LEFT_OUT = ("train.", "val.")
DRIFT = (
    "Drift: 1 less the mean correlation of an image's two maps (test split, last layer, true class, as a contrast): "
    "0 the same gaze, 1 unrelated, 2 opposed."
)


@dataclass(frozen=True)
class Table:
    """A table with its title; every cell is text."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sentences_of(difference: Difference) -> list[str]:
    """What the tables do not say: models that came and went, what could not be compared."""
    told = []
    for word, names in (("added", difference.added), ("removed", difference.removed)):
        if names:
            told.append(f"{count(len(names), 'model')} {word}: {listed(names)}.")
    for model in difference.models:
        if model.unknown:
            what = "maps" if model.predictions else "predictions and maps"
            told.append(f"{model.name}: {what} were not compared: {model.unknown}.")
        if model.drift and model.drift.left_out:
            told.append(f"{model.name}: {count(model.drift.left_out, 'image')} left out, one of the maps is constant.")
        if model.shared and (model.shared.only_a or model.shared.only_b):
            only_a, only_b = (count(n, "test image") for n in (model.shared.only_a, model.shared.only_b))
            told.append(f"{model.name}: the data changed; {only_a} stand in A alone, {only_b} in B alone.")
    return told or (["Nothing changed."] if _nothing(difference) else [])


def tables_of(difference: Difference) -> list[Table]:
    """Models, figures that changed, agreement that changed, images that moved most; no empty table."""
    tables = [_models(difference), _metrics(difference), _agreement(difference), _moved(difference)]
    return [table for table in tables if table.rows]


def _nothing(difference: Difference) -> bool:
    moved = any(m.drift is None or m.drift.mean or (m.predictions and m.predictions.changed) for m in difference.models)
    return not moved and not list(_changed(difference)) and not _agreement(difference).rows


def _models(difference: Difference) -> Table:
    rows = [_model(model) for model in difference.models]
    head = ("model", "images", "drift", "most in class", "predictions changed", "wrong → right", "right → wrong")
    return Table("Maps and predictions", DRIFT, head, tuple(rows))


def _model(model: ModelChange) -> tuple[str, ...]:
    drift, predictions = model.drift, model.predictions
    return (
        model.name,
        str(predictions.images) if predictions else NOTHING,
        number(drift.mean, 4) if drift else NOTHING,
        _most(drift.classes) if drift else NOTHING,
        *(
            (str(n) for n in (predictions.changed, predictions.fixed, predictions.broken))
            if predictions
            else [NOTHING] * 3
        ),
    )


def _metrics(difference: Difference) -> Table:
    head = ("model", "figure", "A", "B", "change")
    note = f"A: {difference.a}. B: {difference.b}. Figures that did not change are left out."
    return Table("Figures", note, head, tuple(_changed(difference)))


def _changed(difference: Difference) -> Iterator[tuple[str, ...]]:
    for model in difference.models:
        for metric in model.metrics:
            if metric.a != metric.b and not metric.name.startswith(LEFT_OUT):
                yield model.name, metric.name, number(metric.a, 4), number(metric.b, 4), signed(metric.change)


def _agreement(difference: Difference) -> Table:
    pair_of_models = any(model.name_a != model.name_b for model in difference.models)
    kept = [change for change in difference.agreement if pair_of_models or change.a != change.b]
    if pair_of_models:
        rows = [(f"{c.model_a}, {c.model_b}", _class(c.class_name), number(c.b, 4)) for c in kept]
        return Table("Agreement", "", ("models", "class", "mean correlation"), tuple(rows))
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


def _moved(difference: Difference) -> Table:
    rows = [
        (model.name, image.image_id, image.class_name, number(image.drift, 4), image.predicted_a, image.predicted_b)
        for model in difference.models
        for image in model.moved
    ]
    head = ("model", "image", "class", "drift", "A takes it for", "B takes it for")
    return Table("Images whose maps moved most", "", head, tuple(rows))


def _most(classes: Mapping[str, float]) -> str:
    """The class whose maps moved most, with its drift."""
    name = max(classes, key=lambda name: classes[name], default="")
    return f"{name} {number(classes[name], 4)}" if name else NOTHING


def _class(name: str) -> str:
    return "all" if name == ALL_CLASSES else name


def signed(value: float | None) -> str:
    """A change with its sign, also a positive one."""
    text = number(value, 4)
    return f"+{text}" if value is not None and value > 0 else text


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


def terminal_text(difference: Difference) -> str:
    """Aligned tables."""
    parts = [f"{difference.a} → {difference.b}", *sentences_of(difference)]
    for table in tables_of(difference):
        parts += ["", table.title, *([table.note] if table.note else []), "", _table(table, "simple")]
    return visible("\n".join(parts) + "\n")


def markdown(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """Tables for a pull request; a long one is folded.

    Args:
        difference: what changed.
        pictures: file by model's name, linked as it is given.
    """
    parts = [f"### {markdown_text(f'{difference.a} → {difference.b}')}", *map(markdown_text, sentences_of(difference))]
    for table in tables_of(difference):
        rows = tuple(tuple(map(markdown_text, row)) for row in table.rows)
        body = _table(Table("", "", table.head, rows), "pipe")
        if len(table.rows) > 12:
            body = f"<details><summary>{len(table.rows)} rows</summary>\n\n{body}\n\n</details>"
        parts += [f"**{table.title}**", *([table.note] if table.note else []), body]
    parts += [f"![Images of {name} whose maps moved most]({path.as_posix()})" for name, path in pictures.items()]
    return "\n\n".join(parts) + "\n"


def as_json(difference: Difference, broken: Sequence[str]) -> str:
    """Everything that is known, figures of all splits included.

    Args:
        difference: what changed.
        broken: limits that were not kept.
    """
    models = [asdict(model) for model in difference.models]
    for model in models:
        shared = model.pop("shared")
        model["only_a"], model["only_b"] = (shared["only_a"], shared["only_b"]) if shared else (0, 0)
        for image in model["moved"]:
            del image["place"]
    value = asdict(difference) | {"models": models, "broken": list(broken)}
    return json.dumps({"format": 1, **value}, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table, form: str) -> str:
    from tabulate import tabulate

    # A name such as 1e5 stays as it is.
    return tabulate(table.rows, table.head, tablefmt=form, disable_numparse=True)


def page_of(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """The page, with its pictures inside.

    Args:
        difference: what changed.
        pictures: PNG files by model's name.
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
