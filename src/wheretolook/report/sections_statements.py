"""The page's first part: the statements about each class, by verdict, as `compare` found them."""

from collections.abc import Iterable, Sequence
from typing import Any

from wheretolook.report.loaded import FIGURE, PAGE, Results
from wheretolook.report.statement_words import (
    CUES,
    VERDICTS,
    because,
    by_verdict,
    limits,
    region_words,
    rules_words,
    said_in,
    sentence,
    without_words,
)
from wheretolook.report.words import count, listed, listed_first
from wheretolook.results.statement import Kind, Scope, Statement, Verdict

ONE_BY_ONE = 4  # classes that the overview describes; of more it names those with a supported statement


def statements_section(results: Results) -> dict[str, Any] | None:
    """Statements in the order of the classes, and the rules behind them; None where there are none."""
    found = results.statements
    if found is None:
        return None
    of_class = _of_class(results)
    names = list(of_class)
    # Of too many classes, those with a supported statement come first.
    shown = sorted(names, key=lambda name: not _supported(of_class[name]))[:PAGE] if len(names) > PAGE else names
    return {
        "classes": [
            {
                "class_name": name,
                "images": count(found["classes"][name]["images"], "image"),
                "verdicts": [
                    {"verdict": verdict.value, "title": VERDICTS[verdict], "statements": _by_reason(said)}
                    for verdict, said in by_verdict(of_class[name]).items()
                    if said
                ],
                "left_out": without_words(found["classes"][name], found["models"]),
            }
            for name in shown
        ],
        "rules": rules_words(found["thresholds"]).items(),
        "limits": limits(found),
        "note": _left_out(of_class, names, shown),
    }


def statement_overview(results: Results) -> str:
    """The verdicts in one sentence over all classes; empty where there are none."""
    if results.statements is None:
        return ""
    of_class = _of_class(results)
    if len(of_class) > ONE_BY_ONE:
        named = [name for name, said in of_class.items() if _supported(said)]
        which = f": {listed_first(named, FIGURE)}" if named else ""
        return f"Statements are supported about {len(named)} of {len(of_class)} classes{which}."
    return " ".join(_in_short(name, said) for name, said in of_class.items())


def _of_class(results: Results) -> dict[str, list[Statement]]:
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


def _supported(said: Iterable[Statement]) -> list[Statement]:
    return [each for each in said if each.verdict is Verdict.SUPPORTED and not each.exploratory]


def _by_reason(said: Sequence[Statement]) -> list[dict[str, Any]]:
    """Statements that share a reason stand together, so that the reason is given once."""
    found: dict[str, list[str]] = {}
    for each in said:
        found.setdefault(because(each), []).append(sentence(each))
    return [{"because": why, "sentences": sentences} for why, sentences in found.items()]


def _left_out(of_class: dict[str, list[Statement]], names: Sequence[str], shown: Sequence[str]) -> str:
    """Which classes are not shown one by one; empty where all are."""
    if len(shown) == len(names):
        return ""
    held = sum(1 for name in names if name not in shown and _supported(of_class[name]))
    which = f"{held} of the others have a supported statement, too" if held else "nothing is supported of the others"
    return f"{len(shown)} of {count(len(names), 'class')}; {which}. reports/statements.md has all."


def _in_short(name: str, said: Sequence[Statement]) -> str:
    """A class's supported statements in one sentence; of none, what is shown not to hold."""
    own = [each for each in _supported(said) if each.scope is Scope.MODELS]
    if own:
        models = "both models" if len(own[0].models) == 2 else f"all {len(own[0].models)} models"
        return f"{name}: {models} {listed(_clause(each) for each in own)}."
    refuted = [each for each in said if each.verdict is Verdict.SHOWN_NOT]
    if refuted:
        return f"{name}: no statement is supported; shown not to hold: {listed(_clause(each) for each in refuted)}."
    why = because(said[0]) if said else "nothing was compared"
    return f"{name}: no statement is supported ({why})."


def _clause(said: Statement) -> str:
    """What a statement says of the networks, without them."""
    if said.kind is Kind.AGREEMENT:
        return "look at the same places"
    if said.kind is Kind.PLACE:
        return f"look at {region_words(said)} and need it"
    if said.kind is Kind.GLOBAL_CUE:
        return f"decide by {CUES.get(said.cue, said.cue)}"
    others = listed(said.others) if 0 < len(said.others) <= 3 else "every other class"
    return f"tell it from {others} by {region_words(said) or 'a place'}"
