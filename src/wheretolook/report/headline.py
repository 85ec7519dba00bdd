"""The headline, which reads like an abstract, and the main figures in sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING, Any

from wheretolook.analysis.results.statement import Kind, Scope, Statement, Verdict
from wheretolook.report.guessing import (
    baseline_of,
    code_alerts,
    data_alerts,
    judged_classes,
    judged_models,
    prediction_alerts,
    value_alerts,
)
from wheretolook.report.loaded import FIGURE, Results
from wheretolook.report.plots import estimated_of, localisation_of
from wheretolook.report.sections_data import data_costs
from wheretolook.report.statement_words import (
    because,
    clause,
    no_agreement,
    others_words,
    reason_words,
    region_words,
    said_in,
    subject,
)
from wheretolook.report.words import all_models, capitalised, count, in_words, listed, listed_first, percent_span, span

if TYPE_CHECKING:
    import pandas as pd


ONE_BY_ONE = 4  # classes that have a sentence each; of more, those with a supported statement are named
SMALL = 0.02  # shares below it are written with a decimal
# Localisation figures of a region: energy, and share of the area.
REGION_FIGURES = {
    "evidence": ("energy", "area_share"),
    "foreground": ("foreground_energy", "foreground_area_share"),
    "mark": ("mark_energy", "mark_area_share"),
}


@dataclass(frozen=True)
class Headline:
    """One sentence.

    Attributes:
        class_name: the class that it is about; empty for all classes together.
        text: the rest of the sentence.
    """

    class_name: str
    text: str

    def words(self, emphasis: str = "") -> str:
        """The whole sentence, with the class name between two `emphasis` marks."""
        return f"{emphasis}{self.class_name}{emphasis}: {self.text}" if self.class_name else self.text


def headlines(results: Results) -> list[Headline]:
    """What is supported of each class that every judged model predicts; empty without statements or such models."""
    if results.statements is None or not judged_models(results):
        return []
    judged = judged_classes(results)
    of_class = {name: said for name, said in statements_by_class(results).items() if name in judged}
    if len(of_class) > ONE_BY_ONE:
        named = [name for name, said in of_class.items() if supported(said)]
        which = f": {listed_first(named, FIGURE)}" if named else ""
        return [Headline("", f"Statements are supported about {len(named)} of {len(of_class)} classes{which}.")]
    return [Headline(name, _of_class(results, said)) for name, said in of_class.items()]


def statements_by_class(results: Results) -> dict[str, list[Statement]]:
    """Statements by class, in the order of the class index."""
    found = results.statements
    if found is None:
        return {}
    statements = said_in(found)
    return {
        name: [each for each in statements if each.class_name == name]
        for name in results.class_names
        if name in found["classes"]
    }


def supported(said: Iterable[Statement]) -> list[Statement]:
    """The confirmatory statements that are supported."""
    return [each for each in said if each.verdict is Verdict.SUPPORTED and not each.exploratory]


def _of_class(results: Results, said: Sequence[Statement]) -> str:
    own = [each for each in supported(said) if each.scope is Scope.MODELS]
    if not own:  # a recipe may have one that the models together have not
        first = next((each.models for each in supported(said)), ())
        own = [each for each in supported(said) if each.models == first]
    if not own:
        only = any(each.verdict is Verdict.SUPPORTED for each in said)
        return f"{'only exploratory claims are' if only else 'no claim is'} supported{_why_not(said)}."
    agreement = [each for each in own if each.kind is Kind.AGREEMENT]
    places = [each for each in own if each.kind is Kind.PLACE]
    where = listed(f"{region_words(each)}{region_figures(results, each)}" for each in places) if places else ""
    name, it = own[0].class_name, "it" if len(places) == 1 else "them"
    # Agreement has its own sentence: that models agree says nothing about where.
    parts = [f"look at {where}", f"need {it} to predict {name}"] if places else []
    by_others: dict[str, list[str]] = {}
    for each in own:
        if each.kind is Kind.DIFFERENCE:
            by_others.setdefault(others_words(each), []).append(region_words(each) or "a place")
    for others, regions in by_others.items():
        if regions == [region_words(each) for each in places]:
            parts.append(f"use {it} to distinguish {name} from {others}")
        else:
            parts.append(f"distinguish {name} from {others} by {listed(regions)}")
    parts += [clause(each, of_class=False) for each in own if each.kind is Kind.GLOBAL_CUE]
    who = subject(own[0], every=True)
    if not agreement:
        return f"{who} {listed(parts)}."
    alike = f"{who} {clause(agreement[0], of_class=False)}."
    return f"{alike} They {listed(parts)}." if parts else alike


def _why_not(said: Sequence[Statement]) -> str:
    """Why a class has no supported statement: the reason that all share, else what is known of the agreement."""
    if not said:
        return ": nothing was compared"
    agreement = next((each for each in said if each.kind is Kind.AGREEMENT), None)
    first = agreement or said[0]
    if first.verdict is Verdict.SHOWN_NOT and first is agreement:
        return f": {no_agreement(first)}"
    why = reason_words(first) or because(first) or "not all conditions are met"
    if len({each.reason for each in said}) > 1 and first is agreement:
        return f"; whether {subject(first)} {clause(first, of_class=False)} is undecided: {why}"
    return f": {why}"


def region_figures(results: Results, said: Statement) -> str:
    """ " (21 to 23 % of the positive map energy; 2 % by chance)"; empty where it was not measured."""
    keys = REGION_FIGURES.get(said.region)
    rows = [localisation_of(results.models[name], results.split).get(said.class_name) for name in said.models]
    known = [row for row in rows if row and keys and row[keys[0]] is not None and row[keys[1]] is not None]
    if not known or keys is None:
        return ""
    energy, area = ([row[key] for row in known] for key in keys)
    share = percent_span(area, 1 if min(area) < SMALL else 0)
    energies = percent_span(energy, 1 if min(energy) < SMALL else 0)
    return f" ({energies} of the positive map energy; {share} by chance, its share of the area)"


def overview(results: Results, emphasis: str = "") -> list[str]:
    """The headline's sentences as text."""
    return [each.words(emphasis) for each in headlines(results)]


MODELS_ONE_BY_ONE = 10  # classes that are described one by one; of more, the lowest and the highest


def findings_of(results: Results) -> list[str]:
    """What limits every figure; what is supported of each class; how well models do, agree, and where their maps lie.

    Only the first where no model is better than giving every image the most frequent class.
    """
    return [*alerts_of(results), *overview(results), *measured_findings(results)]


def alerts_of(results: Results) -> list[str]:
    """Problems that limit every figure: models or classes without predictions, other training data, copies, labels."""
    return [
        *prediction_alerts(results),
        *data_alerts(results),
        *code_alerts(results),
        *value_alerts(results),
        *data_costs(results.audit, results.split),
    ]


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
    """Energy inside the evidence by class, beside its share of the area and a blob at the centre; without masks, energy
    on the estimated foreground.
    """
    found = {name: rows for name in judged_classes(results) if (rows := _with_evidence(results, name))}
    if len(found) > MODELS_ONE_BY_ONE:
        ordered = sorted(found, key=lambda name: mean(row["energy_ratio"] for row in found[name]))
        every = [row for rows in found.values() for row in rows]
        energy, ratio = percent_span(row["energy"] for row in every), span((row["energy_ratio"] for row in every), 1)
        yield (
            f"In images of {count(len(found), 'class')}, {energy} of the positive map energy lies inside the evidence "
            f"mask: {ratio} times the chance level, least for {ordered[0]} and most for {ordered[-1]}. "
            f"{_centre(every)}"
        )
        return
    if not found:
        yield from _foreground_findings(results)
    for class_name, known in found.items():
        energy, area = (percent_span(row[key] for row in known) for key in ("energy", "area_share"))
        ratio = span((row["energy_ratio"] for row in known), 1)
        yield (
            f"In images of {class_name}, {energy} of the positive map energy lies inside the evidence mask, which "
            f"covers {area} of the area: {ratio} times the chance level. {_centre(known)}"
        )


def _foreground_findings(results: Results) -> Iterable[str]:
    """Energy on the estimated foreground over all classes; nothing where none was estimated."""
    rows = [
        row
        for model in judged_models(results)
        for name, row in estimated_of(results.models[model], results.split).items()
        if row["images"] and row["energy"] is not None and name in judged_classes(results)
    ]
    if rows:
        energy, area = (percent_span(row[key] for row in rows) for key in ("energy", "area_share"))
        ratio = span((row["ratio"] for row in rows), 1)
        yield (
            f"{energy} of the positive map energy lies on the estimated foreground, which covers {area} of the area: "
            f"{ratio} times the chance level."
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
    if len(means) > MODELS_ONE_BY_ONE:
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
