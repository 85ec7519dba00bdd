"""A difference for the terminal, as Markdown, and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from wheretolook.data.readable import markdown_text, visible
from wheretolook.diff.difference import Difference
from wheretolook.diff.tables import Table, sentences_of, tables_of


def terminal_text(difference: Difference) -> str:
    """Aligned tables."""
    parts = [f"{difference.a} → {difference.b}", *sentences_of(difference)]
    for table in tables_of(difference):
        parts += ["", table.title, *([table.note] if table.note else []), "", _table(table, "simple")]
    return visible("\n".join(parts) + "\n")


def markdown(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """Tables for a pull request; a long one is folded.

    Args:
        difference: what changed.
        pictures: file by model's name, linked as it is given.
    """
    parts = [f"### {markdown_text(f'{difference.a} → {difference.b}')}", *map(markdown_text, sentences_of(difference))]
    for table in tables_of(difference):
        rows = tuple(tuple(map(markdown_text, row)) for row in table.rows)
        body = _table(Table("", "", table.head, rows), "pipe")
        if len(table.rows) > 12:
            body = f"<details><summary>{len(table.rows)} rows</summary>\n\n{body}\n\n</details>"
        parts += [f"**{table.title}**", *([table.note] if table.note else []), body]
    parts += [f"![Images of {name} whose maps moved most]({path.as_posix()})" for name, path in pictures.items()]
    return "\n\n".join(parts) + "\n"


def as_json(difference: Difference, broken: Sequence[str]) -> str:
    """Everything that is known, figures of all splits included.

    Args:
        difference: what changed.
        broken: limits that were not kept.
    """
    models = [asdict(model) for model in difference.models]
    for model in models:
        shared = model.pop("shared")
        model["only_a"], model["only_b"] = (shared["only_a"], shared["only_b"]) if shared else (0, 0)
        for image in model["moved"]:
            del image["place"]
    value = asdict(difference) | {"models": models, "broken": list(broken)}
    return json.dumps({"format": 1, **value}, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _table(table: Table, form: str) -> str:
    from tabulate import tabulate

    # A name such as 1e5 stays as it is.
    return tabulate(table.rows, table.head, tablefmt=form, disable_numparse=True)
