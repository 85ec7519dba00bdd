"""The table of agreement as CSV, and the rows that statements rest on as JSON."""

import csv
import io
from typing import Any

from wheretolook.analysis.agreement.agreement_rows import FIGURE_COLUMNS
from wheretolook.analysis.agreement.agreement_table import KEYS
from wheretolook.analysis.agreement.study import Study

FORMAT = 1
DIGITS = 6  # significant: more would be noise in a diff


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its floats cut to six significant digits."""
    return {key: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value for key, value in row.items()}


def agreement_csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV text; what does not exist is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*KEYS, *FIGURE_COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rounded(row) for row in rows)
    return text.getvalue()


def agreement_json(study: Study, rows: list[dict[str, Any]], train: list[dict[str, Any]]) -> dict[str, Any]:
    """The primary rows over all images, what they are of, and those of the split that was trained on."""
    names = study.names
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return {
        "format": FORMAT,
        "split": study.split,
        "models": names,
        "pairs": [{"model_a": a, "model_b": b, "kind": study.kind(a, b)} for a, b in pairs],
        "rows": [rounded(row) for row in rows if row["primary"] and row["subset"] == "all"],
        "rows_train": [rounded(row) for row in train],
    }
