"""Agreement between models: what it was and what it is, or what it is between two."""

from dataclasses import dataclass

from wheretolook.diff.side import Side

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
