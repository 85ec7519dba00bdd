"""Statements as a page of Markdown."""

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
    for name, about in found["classes"].items():
        lines += ["", f"## {name}", ""]
        for title, key in (("What holds", "holds"), ("What must not be said", "must_not")):
            said = [_line(each) for each in about[key]] or ["- nothing"]
            lines += [f"**{title}**", "", *said, ""]
        lines.pop()
    lines += ["", "## The rules", "", *(f"- **{rule}**: {words}" for rule, words in found["rules"].items())]
    return "\n".join(lines) + "\n"


def _line(said: dict[str, str]) -> str:
    return f"- {said['statement']} ({said['rule']}: {said['because']})"
