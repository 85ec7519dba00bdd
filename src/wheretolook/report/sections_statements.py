"""The page's statements, by verdict: what is supported, what is shown not to hold, what is undecided."""

from collections.abc import Mapping, Sequence
from typing import Any

from wheretolook.report.headline import statements_by_class, supported
from wheretolook.report.loaded import PAGE, Results
from wheretolook.report.statement_rules import limits, rules_words
from wheretolook.report.statement_words import VERDICTS, because, sentence, would_tell
from wheretolook.report.words import count
from wheretolook.results.statement import Kind, Reason, Statement, Verdict

# Statements in sight on the first screen; the others are one click away.
IN_SIGHT = {Verdict.SUPPORTED: 8, Verdict.SHOWN_NOT: 4, Verdict.CANNOT_TELL: 4}
# The section of the page with a statement's evidence.
EVIDENCE = {
    Kind.AGREEMENT: "agreement",
    Kind.PLACE: "regions",
    Kind.DIFFERENCE: "classes",
    Kind.GLOBAL_CUE: "cues",
}
INTRODUCTIONS = {
    Verdict.SUPPORTED: "may be written",
    Verdict.SHOWN_NOT: "the data contradict it",
    Verdict.CANNOT_TELL: "the data do not decide",
}


def statements_section(results: Results) -> dict[str, Any] | None:
    """Statements by verdict, and the rules behind them; None where there are none."""
    found = results.statements
    if found is None:
        return None
    of_class = statements_by_class(results)
    names = list(of_class)
    # Of too many classes, those with a supported statement come first.
    shown = sorted(names, key=lambda name: not supported(of_class[name]))[:PAGE] if len(names) > PAGE else names
    # Exploratory statements come last.
    said = sorted((each for name in shown for each in of_class[name]), key=lambda each: each.exploratory)
    verdicts = []
    for verdict, title in VERDICTS.items():
        items = _by_reason([each for each in said if each.verdict is verdict])
        verdicts.append(
            {
                "verdict": verdict.value,
                "title": title,
                "introduction": INTRODUCTIONS[verdict],
                "statements": items[: IN_SIGHT[verdict]],
                "more": items[IN_SIGHT[verdict] :],
            }
        )
    return {
        "verdicts": verdicts,
        "rules": rules_words(found["thresholds"]).items(),
        "limits": limits(found),
        "note": _left_out(of_class, names, shown),
    }


def _by_reason(said: Sequence[Statement]) -> list[dict[str, Any]]:
    """Statements of one class that share a reason are one item, so that the reason is given once."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in said:
        why, tell = because(each), would_tell(each)
        item: dict[str, Any] = {"class_name": each.class_name, "sentences": [], "because": why, "tell": tell}
        item["evidence"] = "located" if each.reason is Reason.NOT_LOCATED else EVIDENCE[each.kind]
        found.setdefault((each.class_name, why, tell), item)["sentences"].append(sentence(each))
    return list(found.values())


def _left_out(of_class: Mapping[str, list[Statement]], names: Sequence[str], shown: Sequence[str]) -> str:
    """Which classes are left out; empty where none is."""
    if len(shown) == len(names):
        return ""
    held = sum(1 for name in names if name not in shown and supported(of_class[name]))
    which = f"{held} of the others also have a supported statement" if held else "nothing is supported of the others"
    return f"{len(shown)} of {count(len(names), 'class')} are shown; {which}. reports/statements.md has all."
