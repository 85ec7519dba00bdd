"""Arithmetic that turns estimates and thresholds into verdicts, and adjusts them for their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from wheretolook.analysis.results.schema import ALPHA, POWER
from wheretolook.analysis.results.statement import Figure, Reason, Statement, Verdict
from wheretolook.analysis.statistics.classification import NORMAL


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval; `degrees` of freedom of its standard error, infinite for the normal."""

    value: float
    low: float
    high: float
    degrees: float = float("inf")

    def p_above(self, threshold: float) -> float:
        """One-sided p-value of "not above the threshold", from the lower bound."""
        return _tail(self.value - threshold, self.value - self.low, self.degrees)

    def p_below(self, threshold: float) -> float:
        """One-sided p-value of "not below the threshold", from the upper bound."""
        return _tail(threshold - self.value, self.high - self.value, self.degrees)

    def figure(self, name: str, threshold: float | None = None, of: str = "") -> Figure:
        """The estimate as a figure."""
        return Figure(name, self.value, self.low, self.high, threshold, of)


def _tail(distance: float, half: float, degrees: float) -> float:
    """P-value of a distance from the threshold, by half the length of the 95 % interval."""
    if half <= 0:
        return 0.0 if distance > 0 else 1.0
    if np.isinf(degrees):
        return float(ndtr(-NORMAL * distance / half))
    return float(stdtr(degrees, -stdtrit(degrees, 0.975) * distance / half))


@dataclass(frozen=True)
class Condition:
    """One condition of a statement.

    Attributes:
        estimate: of the figure.
        threshold: that it must exceed.
        reason: where it does not.
        figure: as it is shown, where that differs from the estimate (an odds ratio for a difference of shares).
        worst: the class or model that it is of, if it was chosen as the worst.
        shows_not: whether an upper bound below the threshold shows that the statement does not hold.
        p: one-sided p-value of a test that replaces the estimate's own, such as one adjusted for many places.
        by_model: the estimate of each model alone, where the condition is about a mean over models.
        images: behind the estimate; None: all of the class.
    """

    estimate: Estimate
    threshold: float
    reason: Reason
    figure: Figure
    worst: str = ""
    shows_not: bool = True
    p: float | None = None
    by_model: Mapping[str, Estimate] = field(default_factory=dict)
    images: int | None = None

    @property
    def p_for(self) -> float:
        """P-value of "the condition does not hold"."""
        return self.estimate.p_above(self.threshold) if self.p is None else self.p

    @property
    def p_against(self) -> float:
        """P-value of "the condition holds"; 1 where its failure shows nothing."""
        return self.estimate.p_below(self.threshold) if self.shows_not else 1.0

    def dissenter(self, verdict: Verdict) -> str:
        """A model of which the verdict on the mean would be false: a sentence about all models is one about each.

        The lowest whose own estimate is at most the threshold, if the mean exceeds it; the highest whose own interval
        is above it, if the mean is shown not to exceed it. Empty where there is none.
        """
        if not self.by_model or verdict is Verdict.CANNOT_TELL:
            return ""
        ordered = sorted(self.by_model, key=lambda name: self.by_model[name].value)
        if verdict is Verdict.SUPPORTED:
            return ordered[0] if self.by_model[ordered[0]].value <= self.threshold else ""
        return ordered[-1] if self.by_model[ordered[-1]].low > self.threshold else ""

    def figure_of(self, model: str) -> Figure:
        """The figure of one model; where the figure shown is not the estimate, that of the mean."""
        if self.figure.value != self.estimate.value:
            return self.figure
        return self.by_model[model].figure(self.figure.name, self.threshold, model)


def judge(statement: Statement, conditions: Sequence[Condition], images: int) -> Statement:
    """The statement with its verdict before adjustment.

    It is supported where every condition holds (an intersection-union test: the largest p counts), shown not to hold
    where one of them is shown to fail, and undecided otherwise. A bound is an end of a 95 % interval. Where a condition
    is about the mean over models, one model of which the verdict would be false leaves the statement open.

    Args:
        statement: with its kind, class and models.
        conditions: one or more.
        images: of the class.
    """
    for_it = [condition.p_for for condition in conditions]
    # Any one of them may fail, so that a refutation has as many chances to be wrong.
    chances = max(1, sum(condition.shows_not for condition in conditions))
    against = [min(1.0, condition.p_against * chances) for condition in conditions]
    half = (1 - 0.95) / 2
    figures = [condition.figure for condition in conditions]
    refuted = sorted((i for i, p in enumerate(against) if p <= half), key=lambda i: against[i])
    verdict = Verdict.SUPPORTED if max(for_it) <= half else Verdict.SHOWN_NOT if refuted else Verdict.CANNOT_TELL
    differs = [conditions[i].dissenter(verdict) for i in range(len(conditions))]
    if verdict is Verdict.SUPPORTED:
        at, reason, p = int(np.argmax(for_it)), Reason.ALL_MET, max(for_it)
        dissenting = next((i for i, name in enumerate(differs) if name), None)
    elif verdict is Verdict.SHOWN_NOT:  # the clearest of those that fail in every model
        at = next((i for i in refuted if not differs[i]), refuted[0])
        reason, p = conditions[at].reason, against[at]
        dissenting = at if differs[at] else None
    else:
        at, reason, p, dissenting = int(np.argmax(for_it)), Reason.IMPRECISE, max(for_it), None
    decided = conditions[at]
    if dissenting is not None:
        name = differs[dissenting]
        figure = conditions[dissenting].figure_of(name)
        others = [each for each in figures if each != figure]
        return replace(left_open(statement, Reason.MODELS_DIFFER, name), figures=(figure, *others))
    figures = [figures[at], *figures[:at], *figures[at + 1 :]]
    out = replace(
        statement, verdict=verdict, reason=reason, worst=decided.worst or statement.worst, figures=tuple(figures), p=p
    )
    if verdict is not Verdict.CANNOT_TELL:
        return out
    measured = decided.images or images
    detectable, needed = power_of(decided.estimate, decided.threshold, measured)
    fewer = measured if measured < images else None
    return replace(out, minimum_detectable=detectable, images_needed=needed, images_measured=fewer)


def power_of(estimate: Estimate, threshold: float, images: int) -> tuple[float, int | None]:
    """Smallest distance from the threshold that is detected with a power of 80 %, and how many images would do.

    Args:
        estimate: of the figure; its error falls with the square root of the images.
        threshold: that decides.
        images: behind the estimate.

    Returns:
        The distance, and the images at which the estimate's own distance would be detected; None where it is 0.
    """
    error = max(estimate.value - estimate.low, estimate.high - estimate.value) / NORMAL
    detectable = float((NORMAL + ndtri(POWER)) * error)
    distance = abs(estimate.value - threshold)
    return detectable, (ceil(images * (detectable / distance) ** 2) if distance > 1e-9 else None)


def adjusted(statements: Sequence[Statement]) -> list[Statement]:
    """Verdicts at a familywise error rate of 5 % over all confirmatory statements (Holm 1979).

    A statement can be wrong on either side, so that it counts twice; alone it keeps its 95 % interval. Exploratory
    statements, and those without a test, are left as they are.
    """
    tested = [i for i, each in enumerate(statements) if each.p is not None and not each.exploratory]
    out = list(statements)
    decided = sorted((i for i in tested if out[i].verdict is not Verdict.CANNOT_TELL), key=lambda i: out[i].p or 0.0)
    largest = 0.0
    for place, i in enumerate(decided):
        largest = min(1.0, max(largest, (out[i].p or 0.0) * 2 * (len(tested) - place)))
        out[i] = replace(out[i], p_adjusted=largest)
        if largest > ALPHA:
            out[i] = replace(out[i], verdict=Verdict.CANNOT_TELL, reason=Reason.ADJUSTED)
    return out


def left_open(statement: Statement, reason: Reason, worst: str = "") -> Statement:
    """The statement as undecided, for another reason."""
    return replace(statement, verdict=Verdict.CANNOT_TELL, reason=reason, worst=worst, p=None)
