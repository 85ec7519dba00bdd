"""Figures of two models side by side, by the names that `dvc metrics` gives them, less the model's own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricChange:
    """One figure, `test.accuracy`; None on a side where it does not exist."""

    name: str
    a: float | None
    b: float | None

    @property
    def change(self) -> float | None:
        """B less A, or None."""
        return None if self.a is None or self.b is None else self.b - self.a


def metric_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[MetricChange, ...]:
    """All figures of either side, in the order of their names."""
    first, second = dict(_flat(a)), dict(_flat(b))
    return tuple(MetricChange(name, first.get(name), second.get(name)) for name in sorted(first.keys() | second.keys()))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", float(value)
