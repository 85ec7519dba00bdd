"""Findings in sentences, made from figures that the tables hold."""

from collections.abc import Iterable
from statistics import mean
from typing import TYPE_CHECKING, Any

from wheretolook.report.guessing import baseline_of, data_alerts, judged_classes, judged_models, prediction_alerts
from wheretolook.report.headline import overview
from wheretolook.report.loaded import Results
from wheretolook.report.plots import localisation_of
from wheretolook.report.sections_data import data_costs
from wheretolook.report.words import all_models, capitalised, count, in_words, listed, percent_span, span

if TYPE_CHECKING:
    import pandas as pd

ONE_BY_ONE = 10  # classes that are described one by one; of more, the lowest and the highest


def findings_of(results: Results) -> list[str]:
    """What limits every figure; what is supported of each class; how well models do, agree, and where their maps lie.

    Only the first where no model is better than giving every image the most frequent class.
    """
    return [*alerts_of(results), *overview(results), *measured_findings(results)]


def alerts_of(results: Results) -> list[str]:
    """Problems that limit every figure: models or classes without predictions, other training data, copies, labels."""
    return [*prediction_alerts(results), *data_alerts(results), *data_costs(results.audit, results.split)]


def measured_findings(results: Results) -> list[str]:
    """How well the models do, whether they agree, where their maps lie: of judged models and classes only."""
    if not judged_models(results):
        return []
    return [*accuracy_findings(results), *agreement_findings(results), *evidence_findings(results)]


def accuracy_findings(results: Results) -> Iterable[str]:
    """Accuracy and balanced accuracy of the judged models, beside the baselines."""
    splits = [results.models[name]["splits"].get(results.split) for name in judged_models(results)]
    known, baseline = [figures for figures in splits if figures], baseline_of(results)
    if known and baseline:
        share, balanced = (percent_span(figures[key] for figures in known) for key in ("accuracy", "balanced_accuracy"))
        images = count(known[0]["images"], "image")
        who = all_models(len(known)) if len(known) == len(results.names) else f"{in_words(len(known))} models"
        classify = "classifies" if len(known) == 1 else "classify"
        yield (
            f"{capitalised(who)} {classify} {share} of {images} of the {results.split} split correctly "
            f"({baseline.words}). Balanced accuracy: {balanced}."
        )


def evidence_findings(results: Results) -> Iterable[str]:
    """Energy inside the evidence by class, beside its share of the area and a blob at the centre."""
    found = {name: rows for name in judged_classes(results) if (rows := _with_evidence(results, name))}
    if len(found) > ONE_BY_ONE:
        ordered = sorted(found, key=lambda name: mean(row["energy_ratio"] for row in found[name]))
        every = [row for rows in found.values() for row in rows]
        energy, ratio = percent_span(row["energy"] for row in every), span((row["energy_ratio"] for row in every), 1)
        yield (
            f"In images of {count(len(found), 'class')}, {energy} of the positive map energy lies inside the evidence "
            f"mask: {ratio} times the chance level, least for {ordered[0]} and most for {ordered[-1]}. "
            f"{_centre(every)}"
        )
        return
    for class_name, known in found.items():
        energy, area = (percent_span(row[key] for row in known) for key in ("energy", "area_share"))
        ratio = span((row["energy_ratio"] for row in known), 1)
        yield (
            f"In images of {class_name}, {energy} of the positive map energy lies inside the evidence mask, which "
            f"covers {area} of the area: {ratio} times the chance level. {_centre(known)}"
        )


def _centre(rows: Iterable[dict[str, Any]]) -> str:
    """The energy that a blob at the centre of the image has inside the evidence."""
    return f"A blob at the centre of the image has {percent_span(row['centre_energy'] for row in rows)} there."


def _with_evidence(results: Results, class_name: str) -> list[dict[str, Any]]:
    """Localisation of a class by each model that has a figure for it."""
    rows = [localisation_of(results.models[name], results.split).get(class_name) for name in judged_models(results)]
    return [row for row in rows if row and row["evidence_images"] and row["energy"] is not None]


def agreement_findings(results: Results) -> Iterable[str]:
    """Correlation of two models' maps by class, beside that of maps of different images."""
    rows, models, classes = results.primary(), judged_models(results), judged_classes(results)
    rows = rows[rows["model_a"].isin(models) & rows["model_b"].isin(models)]
    if len(rows) == 0:
        return
    own = rows[rows["class_name"].isin(classes)]
    means = own.groupby("class_name", sort=False)["mean"].mean().dropna()
    if len(means) > ONE_BY_ONE:
        ends = [_correlations(rows[rows["class_name"] == name], name) for name in (means.idxmin(), means.idxmax())]
        yield (
            f"Maps of one image by two models correlate by {span(own['mean'].dropna())} over "
            f"{count(len(means), 'class')}: least by {ends[0]}, most by {ends[1]}."
        )
        return
    by_class = [words for name in classes if (words := _correlations(rows[rows["class_name"] == name], name))]
    if by_class:
        yield f"Maps of one image by two models correlate by {listed(by_class)}."


def _correlations(rows: "pd.DataFrame", class_name: str) -> str:
    """ "0.81 to 0.92 for infected (maps of different images: 0.10 to 0.20)"; empty where nothing was measured."""
    means, others = rows["mean"].dropna(), rows["other"].dropna()
    if len(means) == 0:
        return ""
    null = f" (maps of different images: {span(others)})" if len(others) else ""
    return f"{span(means)} for {class_name}{null}"
