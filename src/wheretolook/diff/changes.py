"""Compare two revisions, or two models of one revision, and check limits on the changes."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wheretolook.base.errors import InputError
from wheretolook.diff.model_changes import MetricChange, ModelChange, compare_model
from wheretolook.diff.sides import WORKSPACE, Side, open_side
from wheretolook.project.dvc_state import check_root

AGREEMENT = "reports/comparison/agreement.json"
AGREEMENT_KEYS = {"model_a", "model_b", "class_name", "figure", "subset", "mean"}
Key = tuple[str, str, str]  # two models and a class

ROUNDING = 1e-6  # rounding error of a correlation in float32


@dataclass(frozen=True)
class AgreementChange:
    """Mean correlation of two models' maps over the images of a class; None if a side does not have it."""

    model_a: str
    model_b: str
    class_name: str
    a: float | None
    b: float | None


@dataclass(frozen=True)
class Difference:
    """What changed from A to B.

    Attributes:
        a, b: names of the sides.
        models: models that both sides have; or the one pair, if A and B are models.
        added, removed: models that only B has, and that only A has.
        agreement: of every two models; if A and B are models, of this pair only, in field `b`.
    """

    a: str
    b: str
    models: tuple[ModelChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    agreement: tuple[AgreementChange, ...]


@dataclass(frozen=True)
class Compared:
    """A difference, and the two open sides, from which pictures are drawn."""

    difference: Difference
    a: Side
    b: Side


@contextmanager
def compare(root: Path, a: str, b: str, count: int) -> Iterator[Compared]:
    """Compare two models of the workspace, or two revisions. A name that is both means the model.

    Args:
        root: the folder that contains dvc.yaml.
        a, b: names of two models, or two revisions; "workspace" is the current state of the folder.
        count: number of images to list per model, those whose maps changed most.

    Raises:
        InputError: an unknown name, a model compared with a revision, or missing results.
    """
    check_root(root)
    with open_side(root, WORKSPACE) as workspace:
        models = workspace.names if (root / "reports/names.json").is_file() else []
        if a in models and b in models:
            yield Compared(_compare_models(workspace, a, b, count), workspace, workspace)
            return
    if a in models or b in models:
        model, other = (a, b) if a in models else (b, a)
        found = f"the model {model} only" if other == WORKSPACE else f"the model {model} and {other}"
        raise InputError(
            f"{a} {b}",
            expected="two models or two revisions",
            found=found,
            hint=f"the models are {', '.join(models)}",
        )
    with open_side(root, a) as first, open_side(root, b) as second:
        yield Compared(_compare_sides(first, second, count), first, second)


def agreement_changes(a: Side, b: Side) -> tuple[AgreementChange, ...]:
    """Agreement of every pair of models and class of either side, in the order of B, then of A."""
    means_a, means_b = _means(a), _means(b)
    keys = dict.fromkeys([*means_b, *means_a])
    return tuple(AgreementChange(*key, means_a.get(key), means_b.get(key)) for key in keys)


def agreement_of(side: Side, first: str, second: str) -> tuple[AgreementChange, ...]:
    """Agreement of two models of one side, by class, in field `b`."""
    changes = agreement_changes(side, side)
    return tuple(change for change in changes if {change.model_a, change.model_b} == {first, second})


def _means(side: Side) -> dict[Key, float]:
    """Mean Pearson correlation over all images of a class."""
    rows = side.read(AGREEMENT, rows=list)["rows"]
    for row in rows:
        if not (isinstance(row, dict) and row.keys() >= AGREEMENT_KEYS):
            raise side.unexpected(AGREEMENT, f"rows with the keys {', '.join(sorted(AGREEMENT_KEYS))}", row)
    kept = [row for row in rows if row["figure"] == "pearson" and row["subset"] == "all" and row["mean"] is not None]
    return {(row["model_a"], row["model_b"], row["class_name"]): row["mean"] for row in kept}


def _compare_models(side: Side, a: str, b: str, count: int) -> Difference:
    return Difference(a, b, (compare_model(side, a, side, b, count),), (), (), agreement_of(side, a, b))


def _compare_sides(a: Side, b: Side, count: int) -> Difference:
    both = [name for name in b.names if name in a.names]
    return Difference(
        a.label,
        b.label,
        tuple(compare_model(a, name, b, name, count) for name in both),
        tuple(name for name in b.names if name not in a.names),
        tuple(name for name in a.names if name not in b.names),
        agreement_changes(a, b),
    )


@dataclass(frozen=True)
class Gates:
    """Limits on changes.

    Attributes:
        drift: largest drift of any model (`Drift.mean`); None: no limit.
        drop: largest decrease from A to B, by the metric's name.
        rise: largest increase, by the metric's name.
    """

    drift: float | None = None
    drop: Mapping[str, float] = field(default_factory=dict)
    rise: Mapping[str, float] = field(default_factory=dict)


def broken_gates(gates: Gates, difference: Difference) -> list[str]:
    """One sentence for each exceeded limit. A value that could not be measured counts as exceeded.

    Raises:
        InputError: a limit names an unknown metric.
    """
    _check_names(gates, difference)
    limits = gates.drift is not None or gates.drop or gates.rise
    if limits and not difference.models:
        return ["A and B have no model in common: nothing could be measured"]
    return [*_exceeded_drift(gates, difference), *_exceeded_metrics(gates, difference)]


def _exceeded_drift(gates: Gates, difference: Difference) -> Iterator[str]:
    if gates.drift is None:
        return
    for model in difference.models:
        if model.drift is None:
            yield f"{model.name}: drift could not be measured ({model.unknown}), limit {gates.drift:g}"
        elif not model.drift.mean <= gates.drift + ROUNDING:  # also true for NaN
            yield f"{model.name}: drift {model.drift.mean:.4f} exceeds the limit {gates.drift:g}"


def _exceeded_metrics(gates: Gates, difference: Difference) -> Iterator[str]:
    for limits, sign, word in ((gates.drop, -1, "fell"), (gates.rise, 1, "rose")):
        for name, limit in limits.items():
            for model in difference.models:
                for metric in (metric for metric in model.metrics if metric.name == name):
                    yield from _exceeded_metric(model.name, metric, sign, word, limit)


def _exceeded_metric(model: str, metric: MetricChange, sign: int, word: str, limit: float) -> Iterator[str]:
    if metric.a is None:  # A never had this metric
        return
    if metric.b is None:
        yield f"{model}: {metric.name} was {metric.a:.4f} in A and is missing in B"
    elif not sign * (metric.b - metric.a) <= limit + ROUNDING:
        change = f"{word} by {abs(metric.b - metric.a):.4f}, from {metric.a:.4f} to {metric.b:.4f}"
        yield f"{model}: {metric.name} {change}, more than the limit {limit:g}"


def _check_names(gates: Gates, difference: Difference) -> None:
    known = {metric.name for model in difference.models for metric in model.metrics}
    for name in [*gates.drop, *gates.rise] if known else []:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=3) or sorted(known)[:5]
            raise InputError(
                "limits",
                expected="metrics in reports/metrics.json, without the model's name",
                found=f'"{name}"',
                hint=f"similar names: {', '.join(near)}",
            )
