"""A difference as tables of text, the same for the terminal, a pull request and the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wheretolook.analysis.agreement.subsets import ALL_CLASSES
from wheretolook.diff.difference import Difference
from wheretolook.diff.models import ModelChange
from wheretolook.report.words import NOTHING, count, listed, number

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
    # Where a class is called as the first mark of all classes, the second stands for them.
    marked = ALL_CLASSES[any(change.class_name == ALL_CLASSES[1] for change in difference.agreement)]
    if pair_of_models:
        rows = [(f"{c.model_a}, {c.model_b}", _class(c.class_name, marked), number(c.b, 4)) for c in kept]
        return Table("Agreement", "", ("models", "class", "mean correlation"), tuple(rows))
    rows = [
        (
            f"{c.model_a}, {c.model_b}",
            _class(c.class_name, marked),
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


def _class(name: str, marked: str) -> str:
    return "all" if name == marked else name


def signed(value: float | None) -> str:
    """A change with its sign, also a positive one."""
    text = number(value, 4)
    return f"+{text}" if value is not None and value > 0 else text
