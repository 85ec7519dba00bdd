"""Is the study sound: the checks that a reader needs before any finding, each with a state and one sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log

from wheretolook.report.guessing import TrainedOn, baseline_of, below_majority, never_predicted, no_better, trained_on
from wheretolook.report.loaded import Results, primary_key
from wheretolook.report.sections_data import no_groups
from wheretolook.report.sections_localisation import test_sets_section
from wheretolook.report.sections_statements import twin_lines
from wheretolook.report.words import count, listed, listed_first, percent, percent_span, span

# The learning rate falls to 0 by the end of a training, so that the last epoch is nearly always the lowest by a little.
# Only a fall of this share of the loss of guessing (the logarithm of the number of classes) counts.
LEAST_FALL = 0.01
# ECE beyond that of a calibrated model on as many images, from which calibration is called poor; of few images, it must
# also be more than 97.5 % of calibrated models have.
CALIBRATION_GAP = 0.05
NAMED = 4  # models or classes that a check names one by one


class State(StrEnum):
    """The result of a check."""

    GOOD = "good"
    WARNING = "warning"
    UNKNOWN = "unknown"


MARKS = {State.GOOD: "✓", State.WARNING: "!", State.UNKNOWN: "?"}
STATES = {State.GOOD: "fine", State.WARNING: "problem", State.UNKNOWN: "not known"}


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        key: identifier.
        title: two or three words.
        state: its result.
        text: what was found, with the figures to compare with.
        section: id of the page's section with the details.
    """

    key: str
    title: str
    state: State
    text: str
    section: str

    @property
    def mark(self) -> str:
        """A sign for the state, beside its word for screen readers."""
        return MARKS[self.state]

    @property
    def word(self) -> str:
        """The state in words."""
        return STATES[self.state]


def soundness(results: Results) -> list[Check]:
    """Every check that the results allow, in the order of the page."""
    return [
        *_accuracy(results),
        *_predicted_classes(results),
        *_calibration(results),
        *_sanity(results),
        *_convergence(results),
        _leaks(results),
        _groups(results),
        _training_data(results),
        *_twins(results),
        *_other_data(results),
    ]


def _accuracy(results: Results) -> Iterable[Check]:
    known, baseline = _split_figures(results), baseline_of(results)
    if not known or baseline is None:
        return
    below = [name for name in results.names if below_majority(results, name)]
    blind = [name for name in results.names if no_better(results, name)]
    state = State.WARNING if below else State.GOOD
    accuracy, balanced = (
        percent_span(each for figures in known if (each := figures[key]) is not None)
        for key in ("accuracy", "balanced_accuracy")
    )
    whose = f" No better: {listed_first(below, NAMED)}." if below and len(below) < len(results.names) else ""
    yield Check(
        "accuracy",
        "Accuracy",
        state,
        f"{accuracy} of {count(baseline.images, 'image')}. Always {baseline.majority_class}: "
        f"{percent(baseline.majority)}; guessing: {percent(baseline.chance)}.{whose}",
        "models",
    )
    guess = f" Not shown to be better than guessing: {listed_first(blind, NAMED)}." if blind else ""
    yield Check(
        "balanced_accuracy",
        "Balanced accuracy",
        State.WARNING if blind else State.GOOD,
        f"{balanced}; chance {percent(baseline.chance)}.{guess}",
        "models",
    )


def _predicted_classes(results: Results) -> Iterable[Check]:
    if not _split_figures(results):
        return
    by_class: dict[str, list[str]] = {}
    for name in results.names:
        for class_name in never_predicted(results, name):
            by_class.setdefault(class_name, []).append(name)
    if not by_class:
        yield Check("predicted_classes", "Classes", State.GOOD, "Every model predicts every class.", "models")
        return
    who = {name for names in by_class.values() for name in names}
    by_all = (
        "any model"
        if all(len(names) == len(results.names) for names in by_class.values())
        else listed_first([name for name in results.names if name in who], NAMED)
    )
    text = f"Never predicted by {by_all}: {listed_first(list(by_class), NAMED)}."
    yield Check("predicted_classes", "Classes", State.WARNING, text, "models")


def _calibration(results: Results) -> Iterable[Check]:
    known = [figures for figures in _split_figures(results) if figures.get("ece") is not None]
    if not known:
        return
    floors = [figures["ece_floor"] for figures in known if figures.get("ece_floor") is not None]
    poor = [
        figures["ece"] > max((figures.get("ece_floor") or 0.0) + CALIBRATION_GAP, figures.get("ece_floor_high") or 0.0)
        for figures in known
    ]
    beside = f"; a perfectly calibrated model on as many images has {span(floors, 3)}" if floors else ""
    yield Check(
        "calibration",
        "Calibration",
        State.WARNING if any(poor) else State.GOOD,
        f"Calibration error (ECE) {span((figures['ece'] for figures in known), 3)}{beside}.",
        "models",
    )


def _sanity(results: Results) -> Iterable[Check]:
    verdicts = {
        name: found["verdict"]
        for name in results.names
        if (found := (results.models[name].get("sanity") or {}).get(primary_key(results.models[name])))
    }
    if not verdicts:
        return
    failing = [name for name, verdict in verdicts.items() if verdict == "fail"]
    undecided = [name for name, verdict in verdicts.items() if verdict == "open"]
    state = State.WARNING if failing else State.UNKNOWN if undecided else State.GOOD
    passed = len(verdicts) - len(failing) - len(undecided)
    parts = [f"Last-layer CAMs change with random weights, as they should, in {passed} of {len(verdicts)} models"]
    parts += [f"fail: {listed_first(failing, NAMED)}"] if failing else []
    parts += [f"undecided: {listed_first(undecided, NAMED)}"] if undecided else []
    yield Check("sanity", "Maps", state, f"{'; '.join(parts)}.", "sanity")


def _convergence(results: Results) -> Iterable[Check]:
    fell, trained = _falling(results)
    if not trained:
        return
    state = State.WARNING if 2 * fell > trained else State.GOOD
    if not fell:
        text = "No validation loss was still falling at the end."
    else:
        advice = "; raise train.epochs" if state is State.WARNING else ""
        text = f"Validation loss was still falling at the end in {fell} of {count(trained, 'model')}{advice}."
    yield Check("convergence", "Training", state, text, "training")


def still_falling(results: Results) -> str:
    """That the validation loss of most models trained here still fell markedly in the last epoch; empty if not so."""
    fell, trained = _falling(results)
    if 2 * fell <= trained:
        return ""
    of = f"{fell} of {count(trained, 'model')}"
    return f"Validation loss was still falling in the last epoch of {of}: consider more train.epochs."


def _falling(results: Results) -> tuple[int, int]:
    """Models trained here whose validation loss fell markedly in the last epoch, and all that have a history."""
    histories = [results.models[name]["history"] for name in results.names if name not in results.drive]
    losses = [[epoch["val_loss"] for epoch in history] for history in histories if history]
    least = LEAST_FALL * log(len(results.class_names))
    return sum(1 for each in losses if len(each) > 1 and min(each[:-1]) - each[-1] > least), len(losses)


def _leaks(results: Results) -> Check:
    audit, split = results.audit, results.split
    images = audit["splits"][split]["images"]
    copied, wrong = (
        audit["near_copies"]["of_trained"]["splits"].get(split, 0),
        audit["conflicts"]["certain_errors"][split],
    )
    doubted = audit["near_copies"]["two_labels"]["splits"][split] - audit["conflicts"]["splits"][split]
    parts = []
    if copied:
        parts.append(f"{copied:,} of {count(images, 'image')} ({percent(copied / images, 0)}) copy a training image")
    if wrong:
        parts.append(f"{count(wrong, 'image')} with contradictory labels")
    if doubted > 0:
        parts.append(f"{count(doubted, 'image')} with a near copy under another label")
    state = State.WARNING if parts else State.GOOD
    if not audit["near_copies"]["compared"]:
        state = State.WARNING if parts else State.UNKNOWN
        parts.append("near copies were not searched: the images are too small")
    text = f"{'; '.join(parts)}." if parts else f"No {split} image has a copy or near copy in train, or two labels."
    return Check("leaks", "Leaks", state, text[:1].upper() + text[1:], "data")


def _groups(results: Results) -> Check:
    groups = results.audit["groups"]
    if groups is None:
        text = f"{no_groups(results.audit)}: one patient or person may be in two splits."
        return Check("groups", "Groups", State.UNKNOWN, text, "data")
    table = f" (by {groups['pattern']})" if groups["pattern"].startswith("column ") else ""
    text = f"{count(groups['count'], 'group')}{table}, none in two splits."
    if official := results.audit.get("official_splits"):
        shared = official["leaks"]["groups"]["count"]
        if shared:
            text = f"{count(groups['count'], 'group')}{table}; {shared:,} in more than one of the official splits."
            return Check("groups", "Groups", State.WARNING, text, "data")
    return Check("groups", "Groups", State.GOOD, text, "data")


def _training_data(results: Results) -> Check:
    by_kind = {kind: [n for n in results.names if trained_on(results, n) is kind] for kind in TrainedOn}
    parts = []
    if other := by_kind[TrainedOn.OTHER]:
        parts.append(f"Trained on other data, which may hold these images: {listed_first(other, NAMED)}.")
    if unknown := by_kind[TrainedOn.UNKNOWN]:
        parts.append(f"Training data not recorded: {listed_first(unknown, NAMED)}.")
    if not parts:
        text = f"All models were trained on the train split, so {results.split} is held out."
        return Check("training_data", "Held out", State.GOOD, text, "provenance")
    return Check("training_data", "Held out", State.WARNING, " ".join(parts), "provenance")


def _twins(results: Results) -> Iterable[Check]:
    if results.statements is None:
        return
    lines, models = twin_lines(results.statements), results.statements["models"]
    if lines:
        yield Check("twins", "Independence", State.WARNING, " ".join(lines), "provenance")
    elif len(models) < 2:
        yield Check("twins", "Independence", State.WARNING, "One training: nothing to compare it with.", "provenance")
    else:
        text = f"{len(models)} independent trainings; none repeats another."
        yield Check("twins", "Independence", State.GOOD, text, "provenance")


def _other_data(results: Results) -> Iterable[Check]:
    """Whether balanced accuracy is lower on further test sets."""
    found = test_sets_section(results)["test_sets"]
    if not found:
        return
    lower, unknown = any(each["lower"] for each in found), any(not each["compared"] for each in found)
    state = State.WARNING if lower else State.UNKNOWN if unknown else State.GOOD
    text = " ".join(f"{each['name']}: {each['accuracy']}" for each in found)
    yield Check("other_data", "Other data", state, text, "models")


def _split_figures(results: Results) -> Sequence[dict]:
    return [figures for name in results.names if (figures := results.models[name]["splits"].get(results.split))]


def named_problems(checks: Iterable[Check]) -> str:
    """The titles of the checks that found a problem, or that all is fine, as a sentence."""
    checks = list(checks)
    problems = [check.title.lower() for check in checks if check.state is State.WARNING]
    unknown = [check.title.lower() for check in checks if check.state is State.UNKNOWN]
    if problems:
        return f"Problems: {listed(problems)}. Read the findings with care."
    return f"No check found a problem; not known: {listed(unknown)}." if unknown else "Every check passes."
