"""The page's first part: what may be said about each class and what must not, as `compare` found it."""

from collections.abc import Sequence
from typing import Any

from wheretolook.analysis.statement_text import vetoes
from wheretolook.report.results import Results
from wheretolook.report.words import count


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


def statement_lines(results: Results) -> list[str]:
    """A sentence for each class: what holds, or that nothing does and why."""
    section = statements_section(results)
    return [line for part in section["classes"] for line in _lines(part)] if section else []


def _veto(about: dict[str, Any], models: Sequence[str], margin: float) -> str:
    """Who alone stands against agreement: models without which the margin would be reached."""
    lows = [low for low in about["excess_low"].values() if low is not None]
    if lows and min(lows) >= margin:
        return ""
    alone = [name for name in models if (low := about["vetoes"].get(name)) is not None and low >= margin]
    return f"Without {' or '.join(alone)} the others would agree beyond every null." if alone else ""


def _lines(part: dict[str, Any]) -> list[str]:
    if part["holds"]:
        return [said["statement"] for said in part["holds"]]
    why = part["must_not"][0] if part["must_not"] else {"rule": "no rule", "because": "nothing was measured"}
    return [f"About {part['class_name']} no statement holds ({why['rule']}: {why['because']})."]
