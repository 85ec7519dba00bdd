"""The page's first part: what may be said about each class and what must not, as `compare` found it."""

from collections.abc import Iterator, Sequence
from typing import Any

from wheretolook.analysis.statement_text import vetoes
from wheretolook.report.results import Results
from wheretolook.report.words import count, listed

# In a statement about the models at hand, what follows is said of them.
SUBJECT = ", the networks "
TOLD_ONE_BY_ONE = 4


def statements_section(results: Results) -> dict[str, Any] | None:
    """Statements in the order of the classes, and the rules behind them; None where none were asked for."""
    found = results.statements
    if found is None:
        return None
    classes = [
        {
            "class_name": name,
            "images": count(found["classes"][name]["images"], "image"),
            "holds": found["classes"][name]["holds"],
            "must_not": found["classes"][name]["must_not"],
            "veto": _veto(found["classes"][name], found["models"], found["margin"]),
            "left_out": " ".join(vetoes(found["classes"][name], found["models"])).strip(),
        }
        for name in results.class_names
        if name in found["classes"]
    ]
    return {"classes": classes, "rules": found["rules"].items(), "must_not": found["must_not"]}


def statement_overview(results: Results) -> str:
    """What may be said, in one sentence over all classes; empty where no statements were asked for."""
    section = statements_section(results)
    if section is None:
        return ""
    classes = section["classes"]
    if len(classes) > TOLD_ONE_BY_ONE:
        named = [part["class_name"] for part in classes if part["holds"]]
        which = f": {listed(named)}" if named else ""
        return f"Something can be said of {len(named)} of {len(classes)} classes{which}."
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
    why = f" (not met: {part['must_not'][0]['rule']})" if part["must_not"] else ""
    return f"of {part['class_name']}, nothing{why}"


def _subjects(holds: list[dict[str, str]]) -> Iterator[str]:
    """Once what is said of these networks, "they look at this and at that"; then each statement about others."""
    of_these = [end.rstrip(".") for said in holds if (end := said["statement"].partition(SUBJECT)[2])]
    if of_these:
        yield f"they {listed([of_these[0], *(each.removeprefix('look ') for each in of_these[1:])])}"
    for said in holds:
        if SUBJECT not in said["statement"]:
            yield said["statement"][:1].lower() + said["statement"][1:].rstrip(".")
