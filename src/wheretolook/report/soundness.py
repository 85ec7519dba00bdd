"""Is the study sound: the checks that a reader needs before any finding, each with a state and one sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wheretolook.analysis.results.statement import Reason
from wheretolook.report.guessing import (
    NAMED,
    baseline_of,
    below_majority,
    held_out_words,
    never_predicted,
    no_better,
    predicts_value,
)
from wheretolook.report.loaded import Results, primary_key
from wheretolook.report.sections_data import no_groups
from wheretolook.report.sections_localisation import test_sets_section
from wheretolook.report.sections_models import constant_models, falling
from wheretolook.report.sections_statements import twin_lines
from wheretolook.report.statement_words import said_in
from wheretolook.report.words import count, listed, listed_first, percent, percent_span, span

# ECE beyond that of a calibrated model on as many images, from which calibration is called poor; of few images, it must
# also be more than 97.5 % of calibrated models have.
CALIBRATION_GAP = 0.05


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
    accuracy, balanced = (
        percent_span(each for figures in known if (each := figures[key]) is not None)
        for key in ("accuracy", "balanced_accuracy")
    )
    whose = f" {_no_model(results, below, 'better')}" if below else ""
    yield Check(
        "accuracy",
        "Accuracy",
        State.WARNING if below else State.GOOD,
        f"{accuracy} of {count(baseline.images, 'image')}. Always {baseline.majority_class}: "
        f"{percent(baseline.majority)}; guessing: {percent(baseline.chance)}.{whose}",
        "models",
    )
    bare = any(figures.get("balanced_accuracy_low") is None for figures in known)
    more = f" {_no_model(results, blind, 'shown to be better than guessing')}" if blind else ""
    more += " Too few images or groups of a class for an interval." if bare else ""
    yield Check(
        "balanced_accuracy",
        "Balanced accuracy",
        State.WARNING if blind else State.UNKNOWN if bare else State.GOOD,
        f"{balanced}; chance {percent(baseline.balanced)}.{more}",
        "models",
    )


def _no_model(results: Results, names: Sequence[str], what: str) -> str:
    """ "No model is better."; of some models "Not better: last-0."."""
    every = len(names) == len(results.names)
    return f"No model is {what}." if every else f"Not {what}: {listed_first(names, NAMED)}."


def _predicted_classes(results: Results) -> Iterable[Check]:
    if not _split_figures(results):
        return
    by_class: dict[str, list[str]] = {}
    for name in results.names:
        for class_name in never_predicted(results, name):
            by_class.setdefault(class_name, []).append(name)
    if not by_class:
        empty = [name for name, own in results.audit["classes"].items() if not own["splits"].get(results.split, 1)]
        which = f"every class that has {results.split} images" if empty else "every class"
        yield Check("predicted_classes", "Classes", State.GOOD, f"Every model predicts {which}.", "models")
        return
    by_models: dict[tuple[str, ...], list[str]] = {}
    for class_name, names in by_class.items():
        by_models.setdefault(tuple(names), []).append(class_name)
    parts = [
        f"by {'any model' if names == results.names else listed_first(names, NAMED)}: {listed_first(own, NAMED)}"
        for names, own in by_models.items()
    ]
    text = f"Never predicted {'; '.join(parts)}."
    yield Check("predicted_classes", "Classes", State.WARNING, text, "models")


def _calibration(results: Results) -> Iterable[Check]:
    scored = (n for n in results.names if not predicts_value(results, n))  # scores of a number are no probabilities
    known = [f for n in scored if (f := results.models[n]["splits"].get(results.split)) and f.get("ece") is not None]
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
    fell, trained = falling(results)
    if not trained:
        if any(results.models[name]["history"] for name in results.names if name not in results.drive):
            text = "One epoch does not show whether the validation loss still falls."
            yield Check("convergence", "Training", State.UNKNOWN, text, "training")
        return
    state = State.WARNING if 2 * fell > trained else State.GOOD
    if not fell:
        text = f"Validation loss had stopped falling by the last epoch in {trained} of {count(trained, 'model')}."
    else:
        advice = "; raise train.epochs" if state is State.WARNING else ""
        text = f"Validation loss was still falling at the end in {fell} of {count(trained, 'model')}{advice}."
    failed, here = constant_models(results), len(results.names) - len(results.drive)
    if failed:
        state, text = (
            State.WARNING,
            f"Failed in {failed} of {count(here, 'model')}: no better than a constant answer. {text}",
        )
    yield Check("convergence", "Training", state, text, "training")


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
    elif audit["near_copies"]["compared"] < audit["images"]:
        searched = f"near copies were searched among {audit['near_copies']['compared']:,} of {audit['images']:,} images"
        parts.append(searched if parts else f"no {split} image was found to copy a training image; {searched}")
        state = State.WARNING if state is State.WARNING else State.UNKNOWN
    text = f"{'; '.join(parts)}." if parts else f"No {split} image has a copy or near copy in train, or two labels."
    return Check("leaks", "Leaks", state, text[:1].upper() + text[1:], "data")


def _groups(results: Results) -> Check:
    groups = results.audit["groups"]
    if groups is None:
        text = f"{no_groups(results.audit)}: one patient or person may be in two splits."
        return Check("groups", "Groups", State.UNKNOWN, text, "data")
    table = f" (by {groups['pattern']})" if groups["pattern"].startswith("column ") else ""
    own, few = results.audit["splits"][results.split]["groups"], _few_groups(results)
    text = f"{count(groups['count'], 'group')}{table}, {own:,} of them in {results.split}; none in two splits."
    if official := results.audit.get("official_splits"):
        shared = official["leaks"]["groups"]["count"]
        if shared:
            text = f"{count(groups['count'], 'group')}{table}; {shared:,} in more than one of the official splits."
            return Check("groups", "Groups", State.WARNING, text, "data")
    if few:
        text += f" Too few for a statement about {listed_first(few, NAMED)}: a few of them hold most of the images."
    return Check("groups", "Groups", State.WARNING if few else State.GOOD, text, "data")


def _few_groups(results: Results) -> list[str]:
    """Classes of which nothing can be said because their images come from too few groups."""
    found = said_in(results.statements) if results.statements else ()
    own = [each for each in found if each.figures and each.figures[0].name == "effective groups"]
    return list(dict.fromkeys(each.class_name for each in own if each.reason is Reason.FEW_IMAGES))


def _training_data(results: Results) -> Check:
    known, text = held_out_words(results)
    return Check("training_data", "Held out", State.GOOD if known else State.WARNING, text, "provenance")


def _twins(results: Results) -> Iterable[Check]:
    if results.statements is None:
        return
    lines, models = twin_lines(results.statements), results.statements["models"]
    if lines:
        yield Check("twins", "Independence", State.WARNING, " ".join(lines), "provenance")
    elif len(models) < 2:
        yield Check("twins", "Independence", State.WARNING, "One training: nothing to compare it with.", "provenance")
    else:
        what = "file or weights" if results.drive else "file, weights, or architecture and seed"
        text = f"{len(models)} trainings; none repeats another's {what}."
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
