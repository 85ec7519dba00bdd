"""Statements as a page of Markdown."""

from collections.abc import Sequence
from typing import Any


def statements_markdown(found: dict[str, Any]) -> str:
    """The content of `statements.md`, from that of `statements.json`."""
    models = ", ".join(found["models"])
    lines = [
        "# What may be said",
        "",
        f"Models: {models}. Images: the {found['split']} split. Margin: {found['margin']:g} of correlation.",
        "",
        "**Of the study as a whole, not:**",
        "",
        *(_line(said) for said in found["must_not"]),
    ]
    if found["same"]:
        left_out = ", ".join(f"{name} is the same file as {first}" for name, first in found["same"].items())
        lines += ["", f"Each file counts once: {left_out}."]
    for name, about in found["classes"].items():
        lines += ["", f"## {name}", ""]
        for title, key in (("What holds", "holds"), ("What must not be said", "must_not")):
            said = [_line(each) for each in about[key]] or ["- nothing"]
            lines += [f"**{title}**", "", *said, ""]
        lines += vetoes(about, found["models"])
        lines.pop()
    lines += ["", "## The rules", "", *(f"- **{rule}**: {words}" for rule, words in found["rules"].items())]
    return "\n".join(lines) + "\n"


def vetoes(about: dict[str, Any], models: Sequence[str]) -> list[str]:
    """Leave one model out, in their order: who pulls the agreement down, and how far."""
    lows = [low for low in about["excess_low"].values() if low is not None]
    without = {name: low for name in models if (low := about["vetoes"].get(name)) is not None}
    if not lows or not without:
        return []
    left_out = "; ".join(f"without {name} {signed(low)}" for name, low in without.items())
    return [f"Lowest lower end of the excess over any null: {signed(min(lows))} of all pairs; {left_out}.", ""]


def signed(value: float) -> str:
    """Two decimals, with a plus or a minus sign."""
    return f"{value:+.2f}".replace("-", "−")


def _line(said: dict[str, str]) -> str:
    return f"- {said['statement']} ({said['rule']}: {said['because']})"
