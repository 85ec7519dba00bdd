"""The headline: one sentence for each class that says what is supported, as an abstract would."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wheretolook.report.guessing import judged_classes, judged_models
from wheretolook.report.loaded import FIGURE, Results
from wheretolook.report.plots import localisation_of
from wheretolook.report.statement_words import (
    because,
    clause,
    no_agreement,
    others_words,
    reason_words,
    region_words,
    said_in,
)
from wheretolook.report.words import all_models, listed, listed_first, percent_span
from wheretolook.results.statement import Kind, Scope, Statement, Verdict

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
    if not own:
        return f"no claim is supported: {_why_not(said)}."
    agreement = [each for each in own if each.kind is Kind.AGREEMENT]
    places = [each for each in own if each.kind is Kind.PLACE]
    where = listed(f"{region_words(each)}{region_figures(results, each)}" for each in places) if places else ""
    name, it = own[0].class_name, "it" if len(places) == 1 else "them"
    parts = []
    if agreement and places:
        parts.append(f"look at the same places, and those are {where}; they need {it} to predict {name}")
    elif agreement:
        parts.append(clause(agreement[0], of_class=False))
    elif places:
        parts.append(f"look at {where} and need {it} to predict {name}")
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
    return f"{all_models(len(own[0].models))} {listed(parts)}."


def _why_not(said: Sequence[Statement]) -> str:
    """Why a class has no supported statement: what was shown of the agreement, else the first reason."""
    agreement = next((each for each in said if each.kind is Kind.AGREEMENT), None)
    if agreement is not None and agreement.verdict is Verdict.SHOWN_NOT:
        return no_agreement(agreement)
    if not said:
        return "nothing was compared"
    first = agreement or said[0]
    return reason_words(first) or because(first) or "not all conditions are met"


def region_figures(results: Results, said: Statement) -> str:
    """ " (21 to 23 % of the positive map energy on 2 % of the area; chance 2 %)"; empty where it was not measured."""
    keys = REGION_FIGURES.get(said.region)
    rows = [localisation_of(results.models[name], results.split).get(said.class_name) for name in said.models]
    known = [row for row in rows if row and keys and row[keys[0]] is not None and row[keys[1]] is not None]
    if not known or keys is None:
        return ""
    energy, area = ([row[key] for row in known] for key in keys)
    share = percent_span(area, 1 if min(area) < SMALL else 0)
    energies = percent_span(energy, 1 if min(energy) < SMALL else 0)
    return f" ({energies} of the positive map energy on {share} of the area; chance {share})"


def overview(results: Results, emphasis: str = "") -> list[str]:
    """The headline's sentences as text."""
    return [each.words(emphasis) for each in headlines(results)]
