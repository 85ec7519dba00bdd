"""The few sentences that a reader should take away, made from figures that are tabled elsewhere."""

from collections.abc import Iterable
from dataclasses import replace
from math import log
from statistics import mean
from typing import TYPE_CHECKING, Any

from wheretolook.report.guessing import baseline_of, data_alerts, judged_classes, judged_models, prediction_alerts
from wheretolook.report.loaded import Results
from wheretolook.report.plots import localisation_of
from wheretolook.report.sections_data import data_costs
from wheretolook.report.sections_statements import statement_overview
from wheretolook.report.words import count, listed, percent_span, span

if TYPE_CHECKING:
    import pandas as pd

# The learning rate falls to 0 by the end of a training, so that the last epoch is nearly always the lowest by a little.
# Only a fall of this share of the loss of guessing (the logarithm of the number of classes) counts.
LEAST_FALL = 0.01
TOLD = 10  # classes that are told of one by one; of more, the lowest and the highest


def findings_of(results: Results) -> list[str]:
    """What limits every figure; what may be said of the classes; how well models do, agree, and where they look.

    Nothing but the first where no model is better than calling every image by the most frequent class.
    """
    overview = statement_overview(_of_judged_classes(results)) if judged_models(results) else ""
    return [*alerts_of(results), *([overview] if overview else []), *measured_findings(results)]


def _of_judged_classes(results: Results) -> Results:
    """The same without statements about classes that some model never predicts."""
    if results.statements is None:
        return results
    judged = judged_classes(results)
    classes = {name: found for name, found in results.statements["classes"].items() if name in judged}
    return replace(results, statements={**results.statements, "classes": classes})


def alerts_of(results: Results) -> list[str]:
    """What to know before any figure: models or classes that are not predicted, foreign training data, copies."""
    return [*prediction_alerts(results), *data_alerts(results), *data_costs(results.audit, results.split)]


def measured_findings(results: Results) -> list[str]:
    """How well the models do, whether they agree, where they look: of models and classes that are predicted at all."""
    if not judged_models(results):
        return []
    return [*_accuracy(results), *_agreement(results), *_evidence(results)]


def still_falling(results: Results) -> str:
    """That the validation loss of most models trained here still fell markedly in the last epoch; empty if not so."""
    histories = [results.models[name]["history"] for name in results.names if name not in results.drive]
    losses = [[epoch["val_loss"] for epoch in history] for history in histories if history]
    least = LEAST_FALL * log(len(results.class_names))
    fell = sum(1 for each in losses if len(each) > 1 and min(each[:-1]) - each[-1] > least)
    if 2 * fell <= len(losses):
        return ""
    of = f"{fell} of {count(len(losses), 'model')}"
    return f"Validation loss still fell in the last epoch of {of}, where it was lowest: more train.epochs may help."


def _accuracy(results: Results) -> Iterable[str]:
    splits = [results.models[name]["splits"].get(results.split) for name in judged_models(results)]
    known, baseline = [figures for figures in splits if figures], baseline_of(results)
    if known and baseline:
        share, balanced = (percent_span(figures[key] for figures in known) for key in ("accuracy", "balanced_accuracy"))
        images = count(known[0]["images"], "image")
        models = f"The {count(len(known), 'model')}" if len(known) == len(results.names) else f"{len(known)} models"
        are = "is" if len(known) == 1 else "are"
        yield (
            f"{models} {are} right on {share} of {images} of the {results.split} split ({baseline.words}); balanced "
            f"over the classes, on {balanced}."
        )


def _evidence(results: Results) -> Iterable[str]:
    found = {name: rows for name in judged_classes(results) if (rows := _with_evidence(results, name))}
    if len(found) > TOLD:
        ordered = sorted(found, key=lambda name: mean(row["energy_ratio"] for row in found[name]))
        every = [row for rows in found.values() for row in rows]
        energy, ratio = percent_span(row["energy"] for row in every), span((row["energy_ratio"] for row in every), 1)
        yield (
            f"On images of {count(len(found), 'class')}, {energy} of a map's positive part lies inside the evidence: "
            f"{ratio} times its share of the area, least for {ordered[0]} and most for {ordered[-1]}. "
            f"{_centre(every)}"
        )
        return
    for class_name, known in found.items():
        energy, area = (percent_span(row[key] for row in known) for key in ("energy", "area_share"))
        ratio = span((row["energy_ratio"] for row in known), 1)
        yield (
            f"On images of {class_name}, {energy} of a map's positive part lies inside the evidence, which covers "
            f"{area} of the image: {ratio} times its share. {_centre(known)}"
        )


def _centre(rows: Iterable[dict[str, Any]]) -> str:
    """What a map has there that knows nothing but that things stand in the middle."""
    return f"A blob at the centre has {percent_span(row['centre_energy'] for row in rows)} there."


def _with_evidence(results: Results, class_name: str) -> list[dict[str, Any]]:
    """Localisation of a class by each model that has a figure for it."""
    rows = [localisation_of(results.models[name], results.split).get(class_name) for name in judged_models(results)]
    return [row for row in rows if row and row["evidence_images"] and row["energy"] is not None]


def _agreement(results: Results) -> Iterable[str]:
    rows, models, classes = results.primary(), judged_models(results), judged_classes(results)
    rows = rows[rows["model_a"].isin(models) & rows["model_b"].isin(models)]
    if len(rows) == 0:
        return
    own = rows[rows["class_name"].isin(classes)]
    means = own.groupby("class_name", sort=False)["mean"].mean().dropna()
    if len(means) > TOLD:
        ends = [_correlations(rows[rows["class_name"] == name], name) for name in (means.idxmin(), means.idxmax())]
        yield (
            f"Two models' maps of one image correlate by {span(own['mean'].dropna())} over "
            f"{count(len(means), 'class')}: least by {ends[0]}, most by {ends[1]}."
        )
        return
    told = [told for name in classes if (told := _correlations(rows[rows["class_name"] == name], name))]
    if told:
        yield f"Two models' maps of one image correlate by {listed(told)}."


def _correlations(rows: "pd.DataFrame", class_name: str) -> str:
    """ "0.81 to 0.92 for infected (maps of different images: 0.10 to 0.20)"; empty where nothing was measured."""
    means, others = rows["mean"].dropna(), rows["other"].dropna()
    if len(means) == 0:
        return ""
    null = f" (maps of different images: {span(others)})" if len(others) else ""
    return f"{span(means)} for {class_name}{null}"
