"""The page's first part: what may be said about each class and what must not, as `compare` found it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wheretolook.analysis.statements.statement_text import vetoes
from wheretolook.report.results import Results
from wheretolook.report.shown import FIGURE, PAGE
from wheretolook.report.words import count, listed, listed_first

# In a statement about the models at hand, what follows is said of them.
SUBJECT = ", the networks "
TOLD_ONE_BY_ONE = 4


def statements_section(results: Results) -> dict[str, Any] | None:
    """Statements in the order of the classes, and the rules behind them; None where none were asked for."""
    found = results.statements
    if found is None:
        return None
    names = [name for name in results.class_names if name in found["classes"]]
    # Of too many those first of which something holds.
    told = sorted(names, key=lambda name: not found["classes"][name]["holds"])[:PAGE] if len(names) > PAGE else names
    classes = [
        {
            "class_name": name,
            "images": count(found["classes"][name]["images"], "image"),
            "holds": found["classes"][name]["holds"],
            "must_not": found["classes"][name]["must_not"],
            "must_not_by_reason": _by_reason(found["classes"][name]["must_not"]),
            "veto": _veto(found["classes"][name], found["models"], found["margin"]),
            "left_out": " ".join(vetoes(found["classes"][name], found["models"])).strip(),
        }
        for name in told
    ]
    return {
        "classes": classes,
        "rules": found["rules"].items(),
        "must_not": found["must_not"],
        "note": _left_out(found["classes"], names, told),
    }


def _by_reason(must_not: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """What must not be said, each rule and its figures once, with all the statements that they forbid."""
    found: dict[tuple[str, str], list[str]] = {}
    for said in must_not:
        found.setdefault((said["rule"], said["because"]), []).append(said["statement"])
    return [{"rule": rule, "because": because, "said": said} for (rule, because), said in found.items()]


def _left_out(found: Mapping[str, dict[str, Any]], names: Sequence[str], told: Sequence[str]) -> str:
    """Which classes are not told of one by one; empty where all are."""
    if len(told) == len(names):
        return ""
    more = [name for name in names if name not in told]
    held = sum(1 for name in more if found[name]["holds"])
    which = f"of {held} of the others something holds, too" if held else "of the others nothing holds"
    return f"{len(told)} of {count(len(names), 'class')}; {which}. All are told of in reports/statements.md."


def statement_overview(results: Results) -> str:
    """What may be said, in one sentence over all classes; empty where no statements were asked for."""
    section = statements_section(results)
    if section is None:
        return ""
    found = results.statements["classes"]
    names = [name for name in results.class_names if name in found]
    if len(names) > TOLD_ONE_BY_ONE:
        named = [name for name in names if found[name]["holds"]]
        which = f": {listed_first(named, FIGURE)}" if named else _not_met(found[name]["must_not"] for name in names)
        return f"Something can be said of {len(named)} of {len(names)} classes{which}."
    classes = section["classes"]
    models = f"these {len(results.names)} models" if len(results.names) > 1 else "this model"
    return f"What can be said of {models}: {'; '.join(map(_in_short, classes))}."


def _veto(about: dict[str, Any], models: Sequence[str], margin: float) -> str:
    """Who alone stands against agreement: models without which the margin would be reached."""
    lows = [low for low in about["excess_low"].values() if low is not None]
    if lows and min(lows) >= margin:
        return ""
    alone = [name for name in models if (low := about["vetoes"].get(name)) is not None and low >= margin]
    return f"Without {' or '.join(alone)} the others would agree beyond every null." if alone else ""


def _in_short(part: dict[str, Any]) -> str:
    if part["holds"]:
        return f"of {part['class_name']}, that {' and that '.join(_subjects(part['holds']))}"
    return f"of {part['class_name']}, nothing{_not_met([part['must_not']])}"


def _not_met(must_not: Iterable[Sequence[dict[str, str]]]) -> str:
    """The rule that forbids the first statement about each class; empty where there is none."""
    unmet = dict.fromkeys(said[0]["rule"] for said in must_not if said)
    return f" (not met: {listed(unmet)})" if unmet else ""


def _subjects(holds: list[dict[str, str]]) -> Iterator[str]:
    """Once what is said of these networks, "they look at this and at that"; then each statement about others."""
    of_these = [end.rstrip(".") for said in holds if (end := said["statement"].partition(SUBJECT)[2])]
    if of_these:
        yield f"they {listed([of_these[0], *(each.removeprefix('look ') for each in of_these[1:])])}"
    for said in holds:
        if SUBJECT not in said["statement"]:
            yield said["statement"][:1].lower() + said["statement"][1:].rstrip(".")
