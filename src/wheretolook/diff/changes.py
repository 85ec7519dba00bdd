"""Agreement between models: what it was and what it is, or what it is between two."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wheretolook.base.errors import InputError
from wheretolook.diff.model_changes import MetricChange, ModelChange, compare_model
from wheretolook.diff.sides import WORKSPACE, Side, side_of
from wheretolook.project.lock_file import check_root

AGREEMENT = "reports/comparison/agreement.json"
FIELDS = {"model_a", "model_b", "class_name", "figure", "subset", "mean"}
Key = tuple[str, str, str]  # two models and a class


@dataclass(frozen=True)
class AgreementChange:
    """Mean correlation of two models' maps over the images of a class; None on a side that does not have it."""

    model_a: str
    model_b: str
    class_name: str
    a: float | None
    b: float | None


def agreement_changes(a: Side, b: Side) -> tuple[AgreementChange, ...]:
    """Every pair of models and class of either side, in the order of B, then of A."""
    first, second = _means(a), _means(b)
    return tuple(AgreementChange(*key, first.get(key), second.get(key)) for key in dict.fromkeys([*second, *first]))


def agreement_of(side: Side, first: str, second: str) -> tuple[AgreementChange, ...]:
    """The agreement of two models of one side, by class, under `b`."""
    changes = agreement_changes(side, side)
    return tuple(change for change in changes if {change.model_a, change.model_b} == {first, second})


def _means(side: Side) -> dict[Key, float]:
    """Mean over all images of a class, of the maps on which statements rest."""
    rows = side.read(AGREEMENT, rows=list)["rows"]
    for row in rows:
        if not (isinstance(row, dict) and row.keys() >= FIELDS):
            raise side.refusal(AGREEMENT, f"rows of {', '.join(sorted(FIELDS))}", row)
    kept = [row for row in rows if row["figure"] == "pearson" and row["subset"] == "all" and row["mean"] is not None]
    return {(row["model_a"], row["model_b"], row["class_name"]): row["mean"] for row in kept}


@dataclass(frozen=True)
class Difference:
    """What changed from A to B.

    Attributes:
        a, b: what they are called.
        models: those that stand on both sides, or the one pair.
        added, removed: models that stand on one side only.
        agreement: of every two models; of the pair alone where A and B are models, without what it was.
    """

    a: str
    b: str
    models: tuple[ModelChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    agreement: tuple[AgreementChange, ...]


@dataclass(frozen=True)
class Compared:
    """A difference, and the two sides as long as they are open: pictures are drawn from them."""

    difference: Difference
    a: Side
    b: Side


@contextmanager
def compare(root: Path, a: str, b: str, count: int) -> Iterator[Compared]:
    """Compare two models of this tree, or two revisions; a name that is both is the model.

    Args:
        root: the folder of dvc.yaml.
        a, b: two names of models, or two of revisions, "workspace" for the folder as it stands.
        count: images whose maps moved most to be named, for each model.

    Raises:
        InputError: one is neither, or the two are of different kinds; or results are missing.
    """
    check_root(root)
    with side_of(root, WORKSPACE) as here:
        models = here.names if (root / "reports/names.json").is_file() else []
        if a in models and b in models:
            yield Compared(_models(here, a, b, count), here, here)
            return
    if a in models or b in models:
        model, other = (a, b) if a in models else (b, a)
        found = "a second one is missing" if other == WORKSPACE else f"{other} is none of {', '.join(models)}"
        raise InputError(f"{a} {b}", expected="two models or two revisions", hint=f"{model} is a model, {found}")
    with side_of(root, a) as first, side_of(root, b) as second:
        yield Compared(_sides(first, second, count), first, second)


def _models(side: Side, a: str, b: str, count: int) -> Difference:
    return Difference(a, b, (compare_model(side, a, side, b, count),), (), (), agreement_of(side, a, b))


def _sides(a: Side, b: Side, count: int) -> Difference:
    both = [name for name in b.names if name in a.names]
    return Difference(
        a.label,
        b.label,
        tuple(compare_model(a, name, b, name, count) for name in both),
        tuple(name for name in b.names if name not in a.names),
        tuple(name for name in a.names if name not in b.names),
        agreement_changes(a, b),
    )


ROUNDING = 1e-6  # of correlations in float32


@dataclass(frozen=True)
class Gates:
    """Limits.

    Attributes:
        drift: of each model's maps (`Drift.mean`), or None.
        drop: how much less a figure may be in B than in A, by the figure's name.
        rise: how much more.
    """

    drift: float | None = None
    drop: Mapping[str, float] = field(default_factory=dict)
    rise: Mapping[str, float] = field(default_factory=dict)


def broken_gates(gates: Gates, difference: Difference) -> list[str]:
    """A sentence for each limit that is not kept. What could not be measured is not kept either.

    Raises:
        InputError: a figure that no model has.
    """
    _check_names(gates, difference)
    limits = gates.drift is not None or gates.drop or gates.rise
    if limits and not difference.models:
        return ["no model stands on both sides: nothing could be measured"]
    return [*_drifts(gates, difference), *_figures(gates, difference)]


def _drifts(gates: Gates, difference: Difference) -> Iterator[str]:
    for model in difference.models if gates.drift is not None else ():
        if model.drift is None:
            yield f"{model.name}: drift could not be measured ({model.unknown}); at most {gates.drift:g} is allowed"
        elif not model.drift.mean <= gates.drift + ROUNDING:  # NaN is not kept either
            yield f"{model.name}: drift {model.drift.mean:.4f}; at most {gates.drift:g} is allowed"


def _figures(gates: Gates, difference: Difference) -> Iterator[str]:
    for limits, sign, word in ((gates.drop, -1, "fell"), (gates.rise, 1, "rose")):
        for name, limit in limits.items():
            for model in difference.models:
                for metric in (metric for metric in model.metrics if metric.name == name):
                    yield from _figure(model.name, metric, sign, word, limit)


def _figure(model: str, metric: MetricChange, sign: int, word: str, limit: float) -> Iterator[str]:
    if metric.a is None:  # a figure that this model never had
        return
    if metric.b is None:
        yield f"{model}: {metric.name} was {metric.a:.4f} and does not exist any more"
    elif not sign * (metric.b - metric.a) <= limit + ROUNDING:
        moved = f"{word} by {abs(metric.b - metric.a):.4f}, {metric.a:.4f} to {metric.b:.4f}"
        yield f"{model}: {metric.name} {moved}; at most {limit:g} is allowed"


def _check_names(gates: Gates, difference: Difference) -> None:
    known = {metric.name for model in difference.models for metric in model.metrics}
    for name in [*gates.drop, *gates.rise] if known else []:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=3) or sorted(known)[:5]
            raise InputError(
                name, expected="a figure of reports/metrics.json", found="none", hint=f"near: {', '.join(near)}"
            )
