"""Finished results, read once for tables, figures and page; and which classes are shown where there are many."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wheretolook.base.errors import InputError, repro_command
from wheretolook.report.words import NOTHING, count, listed

if TYPE_CHECKING:
    import pandas as pd


# A class may be called "NA" or "1": text stays text.
TEXT = ("model_a", "model_b", "kind", "method", "layer_a", "layer_b", "split", "class_name", "subset", "figure")
KINDS = ("seeds", "recipes", "drive")  # of pairs of models; they are never pooled
# What is compared between models, in words. CAMs are linear in the class, so each has a contrast.
TARGET = "true class, as a contrast"


@dataclass(frozen=True)
class Results:
    """Results of the models that reports/names.json names, in its order; files of removed models are not read.

    Attributes:
        names: all models; `drive` those that were imported, from Drive or elsewhere.
        models: reports/models/NAME.json, by name (docs/results.md says what each figure means).
        exports: manifests of the maps, by name.
        agreement: every row of agreement.csv; NaN where a figure does not exist.
        train: agreement on the images trained on, as rows of agreement.json; empty where there is none.
        by_label: likewise, of the maps of each label, of models that learned labels.
        overlays: which array of data/comparison/ is what.
        statements: the statements about each class and their verdicts, or None without them.
        differences: the test of each class against the rest, or None without it.
        parameters: every value of params.yaml, by section.
        audit: what was found in the data.
        split: the split that models are compared on.
        shifts: reports/tests/NAME.json of each further test set, by name.
    """

    names: tuple[str, ...]
    drive: tuple[str, ...]
    models: dict[str, dict[str, Any]]
    exports: dict[str, dict[str, Any]]
    agreement: "pd.DataFrame"
    train: list[dict[str, Any]]
    by_label: list[dict[str, Any]]
    overlays: dict[str, Any]
    statements: dict[str, Any] | None
    differences: dict[str, Any] | None
    parameters: dict[str, dict[str, Any]]
    audit: dict[str, Any]
    split: str
    shifts: dict[str, dict[str, Any]]

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes, in the order of the class index."""
        return tuple(self.audit["class_names"])

    @property
    def recipe_of(self) -> dict[str, str]:
        """The recipe of each model, by name."""
        return {name: str(self.exports[name]["model"].get("recipe")) for name in self.names}

    def primary(self) -> "pd.DataFrame":
        """Agreement behind the statements: Pearson's r of last-layer CAMs over all images, sorted by kind of pair."""
        rows = self.agreement
        chosen = rows[(rows["primary"] == 1) & (rows["figure"] == "pearson") & (rows["subset"] == "all")]
        return chosen.sort_values("kind", key=lambda kind: kind.map(KINDS.index), kind="stable")


def escaped_results(results: Results, escape: Callable[[str], str]) -> Results:
    """The same results, with every text in them, names of classes first of all, as `escape` gives it.

    Keys are escaped too, so that names and keys still match.
    """

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return escape(value)
        if isinstance(value, dict):
            return {escape(key): walk(each) for key, each in value.items()}
        return type(value)(map(walk, value)) if isinstance(value, list | tuple) else value

    texts = results.agreement.select_dtypes(exclude="number").columns
    agreement = results.agreement.assign(**{column: results.agreement[column].map(walk) for column in texts})
    kept = {field.name: walk(getattr(results, field.name)) for field in fields(results) if field.name != "agreement"}
    return Results(**kept, agreement=agreement)


def load_results(reports: Path, prepared: Path) -> Results:
    """Read results.

    Args:
        reports: the folder of names.json, exports/, models/ and comparison/.
        prepared: the folder of audit.json.

    Raises:
        InputError: a file is missing or is no JSON; or a model's results belong to another model file than its maps.
    """
    import pandas as pd

    names = _read(reports / "names.json", "check")
    comparison = reports / "comparison"
    agreement = comparison / "agreement.csv"
    overlays = _read(comparison / "overlays.json", "compare")
    missing = [name for name in names["models"] if name not in overlays["models"]]
    if missing:
        raise InputError(
            comparison,
            expected=f"maps of {missing[0]} to be compared",
            found="none",
            hint='run "dvc repro -sf compare"',
        )
    if not agreement.is_file():
        raise InputError(
            agreement, expected="the agreement of models", found="none", hint='run "dvc repro -sf compare"'
        )
    rows = pd.read_csv(agreement, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=[""])
    named = rows["model_a"].isin(names["models"]) & rows["model_b"].isin(names["models"])
    results = Results(
        names=tuple(names["models"]),
        drive=tuple(names["drive"]),
        models={name: _read_of_model(reports / "models" / f"{name}.json", "score") for name in names["models"]},
        exports={name: _read_of_model(reports / "exports" / f"{name}.json", "export") for name in names["models"]},
        agreement=rows[named].reset_index(drop=True),
        train=(_read_if_there(comparison / "agreement.json") or {}).get("rows_train", []),
        by_label=(_read_if_there(comparison / "agreement.json") or {}).get("rows_labels", []),
        overlays=overlays,
        statements=_read_if_there(comparison / "statements.json"),
        differences=_read_if_there(comparison / "differences.json"),
        parameters=_read(reports / "parameters.json", "check"),
        audit=_read(prepared / "audit.json", "prepare"),
        split=overlays["split"],
        shifts={name: _read(reports / "tests" / f"{name}.json", "shift") for name in _test_sets(reports)},
    )
    _check_same_models(results)
    return results


def primary_key(result: dict[str, Any]) -> str:
    """METHOD.LAYER of the maps behind the statements about a model, of its last layer: cam, or else gradcam.

    A model that has a CAM has it here also where statements rest on gradcam: there the two are one map.
    """
    last = result["layers"][-1]
    known = {key for name in ("localisation", "sanity", "foreground_estimated") for key in result.get(name) or ()}
    return f"gradcam.{last}" if f"cam.{last}" not in known and f"gradcam.{last}" in known else f"cam.{last}"


def loss_of(result: dict[str, Any]) -> str:
    """Heads in a model's loss, if known."""
    return str(result["model"].get("loss") or NOTHING)


def seed_of(result: dict[str, Any]) -> str:
    """A model's seed, if known."""
    seed = result["model"].get("seed")
    return NOTHING if seed is None else str(seed)


def _check_same_models(results: Results) -> None:
    """Refuse results and maps of two different files of one model."""
    for name in results.names:
        scored, exported = results.models[name]["model"]["sha256"], results.exports[name]["model"]["sha256"]
        if scored != exported:
            raise InputError(
                f"reports/models/{name}.json",
                expected=f"results of the model that its maps are of ({exported[:12]})",
                found=f"those of {scored[:12]}",
                hint='run "dvc repro"',
            )


def _test_sets(reports: Path) -> list[str]:
    """The further test sets that params.yaml names."""
    path = reports / "tests" / "names.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def _read_if_there(path: Path) -> dict[str, Any] | None:
    return _read(path, "compare") if path.is_file() else None


def _read_of_model(path: Path, stage: str) -> dict[str, Any]:
    return _read(path, stage, repro_command(path, stage))


def _read(path: Path, stage: str, hint: str = "") -> dict[str, Any]:
    """Read the JSON file that a stage wrote; `hint` says how to write it again where the stage name is not enough."""
    hint = hint or f'run "dvc repro -sf {stage}"'
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, expected=f"what {stage} writes", found="no file", hint=hint) from None
    except ValueError as error:
        raise InputError(path, expected="JSON", found=error, hint=hint) from error


MARK = "fails sanity"


def fails_sanity(results: Results, name: str, method: str, layer: str | None) -> bool:
    """Whether a model's maps of one method and layer fail the sanity check; False where undecided."""
    found = (results.models[name].get("sanity") or {}).get(f"{method}.{layer}")
    return found is not None and found["verdict"] == "fail"


def failing(results: Results, name: str) -> list[str]:
    """METHOD.LAYER of a model's maps that fail the sanity check."""
    measured = results.models[name].get("sanity") or {}
    return [key for key, found in measured.items() if found["verdict"] == "fail"]


def sanity_lines(results: Results) -> Iterable[str]:
    """One line of Markdown for each model: which maps fail and which are undecided."""
    for name in results.names:
        measured = results.models[name].get("sanity")
        if not measured:
            continue
        undecided = [key for key, found in measured.items() if found["verdict"] == "open"]
        bad = failing(results, name)
        passed = len(measured) - len(bad) - len(undecided)
        parts = [f"{passed} of {len(measured)} pass"]
        parts += [f"**fail:** {listed(bad)}"] if bad else []
        parts += [f"undecided: {listed(undecided)}"] if undecided else []
        yield f"- {name}: {'; '.join(parts)}"


Row = TypeVar("Row")
FIGURE = 10  # classes that have a panel, or rows, in a figure
PAGE = 20  # classes that have sections on the page, and rows in the summary
AGREEMENT = "the {least} on which the models' maps agree least, then the {most} on which they agree most"
RECALL = "the {least} with the lowest recall, then the {most} with the highest"


@dataclass(frozen=True)
class Shown:
    """Some classes.

    Attributes:
        names: in the order of the class index where all are shown; else from the lowest to the highest.
        note: which ones of how many, as a sentence; empty where all are shown.
    """

    names: tuple[str, ...]
    note: str


def in_order(rows: Iterable[Row], shown: Sequence[str], class_name_of: Callable[[Row], str]) -> list[Row]:
    """The rows of the classes that are shown, class by class in that order; within a class as they came."""
    place = {name: i for i, name in enumerate(shown)}
    return sorted((row for row in rows if class_name_of(row) in place), key=lambda row: place[class_name_of(row)])


def shown_classes(results: Results, most: int, among: Collection[str] | None = None) -> Shown:
    """All classes up to `most`; of more, as many from both ends of the models' agreement, or of recall without one.

    Args:
        results: finished results.
        most: an even number.
        among: classes to choose from; default: all.
    """
    names = tuple(name for name in results.class_names if among is None or name in among)
    if len(names) <= most:
        return Shown(names, "")
    half = most // 2
    for values, words in ((_agreement(results), AGREEMENT), (_recall(results), RECALL)):
        known = sorted((name for name in names if name in values), key=lambda name: values[name])
        if len(known) >= most:
            which = words.format(least=half, most=half)
            return Shown((*known[:half], *known[-half:]), f"Of {count(len(names), 'class')}, {which}.")
    return Shown(names[:most], f"Of {count(len(names), 'class')}, the first {most}.")


def _agreement(results: Results) -> Mapping[str, float]:
    """Mean correlation by class, over all pairs of models."""
    means = results.primary().groupby("class_name", sort=False)["mean"].mean()
    return {str(name): float(mean) for name, mean in means.items() if isfinite(mean)}


def _recall(results: Results) -> Mapping[str, float]:
    """Recall of each class, mean over the models."""
    each = [(results.models[name]["splits"].get(results.split) or {}).get("confusion") or [] for name in results.names]
    shares: dict[str, list[float]] = {}
    for confusion in each:
        for place, (name, row) in enumerate(zip(results.class_names, confusion, strict=False)):
            if sum(row):
                shares.setdefault(name, []).append(row[place] / sum(row))
    return {name: sum(values) / len(values) for name, values in shares.items()}
