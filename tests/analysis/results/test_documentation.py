"""docs/results.md has a table of every class of the results, and each is up to date."""

from tools.generate_docs import DOCUMENTED, RESULTS, ROOT, pages, tables_in


def test_generated_pages_are_up_to_date() -> None:
    for page, text in pages().items():
        assert (ROOT / page).read_text(encoding="utf-8") == text, f'{page} is out of date: run "make docs"'


def test_every_class_has_its_table() -> None:
    assert sorted(tables_in((ROOT / RESULTS).read_text("utf-8"))) == sorted(kind.__name__ for kind in DOCUMENTED)
