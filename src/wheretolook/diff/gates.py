"""Limits that a change must keep: how far the gaze may move, how far a figure may fall or rise."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wheretolook.data.refusal import Refusal
from wheretolook.diff.difference import Difference
from wheretolook.diff.metrics import MetricChange

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
        Refusal: a figure that no model has.
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
            raise Refusal(f"{name}: expected a figure of reports/metrics.json, found none; near: {', '.join(near)}")
