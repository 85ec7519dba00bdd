"""docs/results.md has a table of every class of the results, and each is up to date."""

import os
from pathlib import Path

from tests.results.documentation import DOCUMENTED, tables_in, with_tables

PAGE = Path(__file__).parents[2] / "docs/results.md"


def test_tables_are_those_of_the_classes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(with_tables(text), encoding="utf-8")
    assert with_tables(text) == text, "write it by running this test with WRITE_DOCS=1, then run it again"


def test_every_class_has_its_table() -> None:
    assert sorted(tables_in(PAGE.read_text(encoding="utf-8"))) == sorted(kind.__name__ for kind in DOCUMENTED)
