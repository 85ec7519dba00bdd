"""What an accuracy is worth: the baselines guessing and most frequent class, and what the models were trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wheretolook.base.prepared import SPLITS, TEST
from wheretolook.report.loaded import Results
from wheretolook.report.words import count, listed, listed_first, percent, percent_span


@dataclass(frozen=True)
class Baseline:
    """What accuracies on one split are compared with.

    Attributes:
        images: how many it has.
        chance: accuracy of guessing each class equally often.
        balanced: balanced accuracy of any answer that ignores the image: one over the classes that have images.
        majority: share of the most frequent class.
        majority_class: its name; of equals the first.
    """

    images: int
    chance: float
    balanced: float
    majority: float
    majority_class: str

    @property
    def words(self) -> str:
        """ "always free: 73.8 %; guessing: 16.7 %"."""
        return f"always {self.majority_class}: {percent(self.majority)}; guessing: {percent(self.chance)}"


def baseline_of(results: Results, split: str = "") -> Baseline | None:
    """The baseline of a split, by default the compared one; None where no model has figures of it."""
    counts = next((figures["confusion"] for name in results.names if (figures := _figures(results, name, split))), None)
    if not counts:
        return None
    images = [sum(row) for row in counts]
    most = images.index(max(images))
    balanced = 1 / sum(1 for each in images if each)
    return Baseline(sum(images), 1 / len(images), balanced, images[most] / sum(images), results.class_names[most])


def no_better(results: Results, name: str) -> bool:
    """Whether a model is not shown to be better than an answer that ignores the image.

    Such an answer has the balanced accuracy of guessing. What counts is the lower end of the model's interval, or the
    figure itself where it has none. Accuracy alone would not tell: with one rare class, a model that recognises both
    can be right less often than a constant answer.
    """
    figures, baseline = _figures(results, name), baseline_of(results)
    if not figures or baseline is None:
        return False
    balanced, low = figures.get("balanced_accuracy"), figures.get("balanced_accuracy_low")
    if balanced is None:
        return below_majority(results, name)
    return (balanced if low is None else low) <= baseline.balanced + 1e-12


def below_majority(results: Results, name: str) -> bool:
    """Whether a model is right no more often than the constant answer of the most frequent class."""
    figures, baseline = _figures(results, name), baseline_of(results)
    return bool(figures) and baseline is not None and figures["accuracy"] <= baseline.majority + 1e-12


def never_predicted(results: Results, name: str) -> list[str]:
    """Classes with images in the compared split that the model predicts for no image."""
    counts = _figures(results, name).get("confusion") or []
    return [
        class_name
        for k, class_name in enumerate(results.class_names)
        if counts and sum(counts[k]) and not any(row[k] for row in counts)
    ]


def judged_models(results: Results) -> tuple[str, ...]:
    """Models that findings are about: those that are better than the baseline."""
    return tuple(name for name in results.names if not no_better(results, name))


def judged_classes(results: Results) -> tuple[str, ...]:
    """Classes that findings are about: those that every one of `judged_models` predicts at all."""
    never = {class_name for name in judged_models(results) for class_name in never_predicted(results, name)}
    return tuple(name for name in results.class_names if name not in never)


def prediction_alerts(results: Results) -> list[str]:
    """Models that are no better than a constant answer, and classes that a model never predicts."""
    baseline = baseline_of(results)
    if baseline is None:
        return []
    found = []
    blind = [name for name in results.names if no_better(results, name)]
    constant = [name for name in blind if below_majority(results, name)]
    for names, problem in (
        (constant, f"No better than always answering {baseline.majority_class}"),
        ([name for name in blind if name not in constant], "Not shown to be better than guessing"),
    ):
        if names:
            whose = "Its maps are" if len(names) == 1 else "Their maps are"
            found.append(f"{problem}: {_right(results, names, baseline)} {whose} left out of the findings.")
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for name in results.names:
        if never := never_predicted(results, name):
            by_classes.setdefault(tuple(never), []).append(name)
    for classes, names in by_classes.items():
        never_words = f"Never predicted by {_models(names, results.names)}: {listed(classes)}."
        if names == constant:
            found[0] += f" {never_words}"
        else:
            found.append(f"{never_words} {'It is' if len(classes) == 1 else 'They are'} excluded from the findings.")
    return found


def baseline_rows(results: Results) -> list[dict[str, str]]:
    """Two rows for a table of accuracies on the compared split: the most frequent class always, and guessing."""
    baseline = baseline_of(results)
    if baseline is None:
        return []
    chance, balanced = percent(baseline.chance), percent(baseline.balanced)
    return [
        {
            "name": f"always {baseline.majority_class}",
            "accuracy": percent(baseline.majority),
            "balanced": balanced,
            "auroc": "0.500",
        },
        {"name": "guessing", "accuracy": chance, "balanced": balanced, "auroc": "0.500"},
    ]


def _figures(results: Results, name: str, split: str = "") -> Mapping[str, Any]:
    return results.models[name]["splits"].get(split or results.split) or {}


def _right(results: Results, names: Sequence[str], baseline: Baseline) -> str:
    """How often some models are right, beside the baselines, in two sentences."""
    each = [_figures(results, name) for name in names]
    right = percent_span(figures["accuracy"] for figures in each)
    known = [figures["balanced_accuracy"] for figures in each if figures.get("balanced_accuracy") is not None]
    lows, highs = (
        [f[f"balanced_accuracy_{end}"] for f in each if f.get(f"balanced_accuracy_{end}") is not None]
        for end in ("low", "high")
    )
    interval = (
        f" (95 % interval{'s' if len(names) > 1 else ''}: {100 * min(lows):.1f} to {100 * max(highs):.1f})"
        if lows and highs
        else ""
    )
    balanced = (
        f" Balanced accuracy: {percent_span(known)}{interval}; chance: {percent(baseline.balanced)}." if known else ""
    )
    return (
        f"{_who(names, results.names)} right on {right} of {count(baseline.images, 'image')} of the {results.split} "
        f"split, of which {percent(baseline.majority)} are {baseline.majority_class}.{balanced}"
    )


def _models(names: Sequence[str], every: Sequence[str]) -> str:
    """ "the 3 models", or the names where they are not all."""
    if len(names) < len(every):
        return listed(names)
    return "the model" if len(names) == 1 else f"the {len(names)} models"


def _who(names: Sequence[str], every: Sequence[str]) -> str:
    return f"{_models(names, every)} {'is' if len(names) == 1 else 'are'}"


TRAIN = SPLITS[0]
NAMED = 4  # models or classes that a check names one by one


class TrainedOn(Enum):
    """The training data that a model's file records."""

    THESE = "these data"
    OTHER = "other data"
    UNKNOWN = "not recorded"


def trained_on(results: Results, name: str) -> TrainedOn:
    """Whether a model was trained on the data of its maps, as its file records."""
    recorded = results.models[name]["model"].get("trained_on")
    if not recorded:
        return TrainedOn.UNKNOWN
    return TrainedOn.THESE if recorded == results.exports[name]["data"]["sha256"] else TrainedOn.OTHER


def all_on_these(results: Results) -> bool:
    """Whether every model was trained on the train split of these data, so that the other splits are held out."""
    return all(trained_on(results, name) is TrainedOn.THESE for name in results.names)


def val_chose(results: Results) -> bool:
    """Whether the val split chose the epoch that some model keeps (`train.keep`)."""
    training = (results.models[name]["model"].get("training") or {} for name in results.names)
    return any(each.get("keep", "best") == "best" for each in training)


def seen_words(results: Results) -> str:
    """Which models have not seen the images of the compared split, as a sentence."""
    by_kind = _by_kind(results)
    if set(by_kind) == {TrainedOn.THESE}:
        return f"{'Every' if results.split == TRAIN else 'No'} model was trained on them."
    return " ".join(_sentence(kind, names, results.split) for kind, names in by_kind.items())


def held_out_words(results: Results) -> tuple[bool, str]:
    """Whether no model has had to do with the images of the compared split, and what is known of it as sentences."""
    by_kind = _by_kind(results)
    parts = []
    if other := by_kind.get(TrainedOn.OTHER):
        parts.append(f"Trained on other data, which may hold these images: {listed_first(other, NAMED)}.")
    if unknown := by_kind.get(TrainedOn.UNKNOWN):
        parts.append(f"Training data not recorded: {listed_first(unknown, NAMED)}.")
    if parts:
        return False, " ".join(parts)
    if results.split == TRAIN:
        return False, "The models were trained on the images that are compared."
    if results.split == TEST:
        return True, "All models were trained on the train split, so test is held out."
    if val_chose(results):
        return False, "No model was trained on the val split, but it chose the epoch: figures on it are optimistic."
    return True, "No model was trained on the val split, and it did not choose the epoch."


def data_alerts(results: Results) -> list[str]:
    """A sentence for models that were trained on other or unknown data; empty where there is none."""
    by_kind = _by_kind(results)
    return [_sentence(kind, names, results.split) for kind, names in by_kind.items() if kind is not TrainedOn.THESE]


def code_alerts(results: Results) -> list[str]:
    """A sentence for each model whose network's code is not that it was trained with; empty where there is none."""
    training = {name: results.models[name]["model"].get("training") or {} for name in results.names}
    accepted = {name: own.get("accepted_code") for name, own in training.items()}
    return [
        f"{name} runs on other code than it was trained with ({listed(files)}), as drive.{name}.accept_code allows. "
        "Its figures and maps may not be those of the trained network."
        for name, files in accepted.items()
        if files
    ]


def predicts_value(results: Results, name: str) -> bool:
    """Whether a model predicts a number, so that its scores are no probabilities."""
    return (results.models[name]["model"].get("outputs") or {}).get("kind") == "value"


def value_alerts(results: Results) -> list[str]:
    """A sentence for models that predict a number: what their classes and scores are; empty where there is none."""
    found: dict[tuple[str, float, float], list[str]] = {}
    for name in results.names:
        outputs = results.models[name]["model"].get("outputs") or {}
        if outputs.get("kind") == "value":
            found.setdefault((outputs["name"], outputs["threshold"], outputs["scale"]), []).append(name)
    return [
        f"{listed(names)} predict{'s' if len(names) == 1 else ''} the number {column}. The classes are its values up "
        f"to {threshold:g} and above; a map is that of the predicted number. Scores and log-odds are those of "
        f"({column} - {threshold:g}) / {scale:.3g}: distances, and no probabilities."
        for (column, threshold, scale), names in found.items()
    ]


def label_notes(results: Results) -> list[str]:
    """A sentence for models that learned labels of their own: which one everything else is about."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in results.names:
        outputs = results.models[name]["model"].get("outputs") or {}
        if outputs.get("kind") == "labels":
            found.setdefault((outputs["shown"], tuple(outputs["names"])), []).append(name)
    return [
        f"{listed(names)} learned {count(len(labels), 'label')}: {listed(labels)}. All other figures, maps and "
        f"statements are about {shown}; there is no rule for statements about several labels of one image."
        for (shown, labels), names in found.items()
    ]


def _by_kind(results: Results) -> dict[TrainedOn, list[str]]:
    found = {kind: [name for name in results.names if trained_on(results, name) is kind] for kind in TrainedOn}
    return {kind: names for kind, names in found.items() if names}


def _sentence(kind: TrainedOn, names: Sequence[str], split: str) -> str:
    if kind is TrainedOn.THESE:
        return f"{'Trained' if split == TRAIN else 'Not trained'} on them: {listed(names)}."
    doubt = f"{'its' if len(names) == 1 else 'their'} figures may not be of held-out images."
    if kind is TrainedOn.OTHER:
        return f"Trained on other data: {listed(names)}. Those data may include these images, so {doubt}"
    return f"Training data not recorded in the model file: {listed(names)}; {doubt}"
