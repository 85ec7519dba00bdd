"""Results are checked on the way out, and described by their classes."""

from dataclasses import dataclass
from enum import StrEnum

import pytest
from pydantic import ValidationError

from wheretolook.analysis.results.schema import STRICT, attributes, checked, markdown, to_json
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Statement, Verdict


class Letter(StrEnum):
    """A letter.

    Attributes:
        a: the first.
        b: the second | last.
    """

    A = "a"
    B = "b"


@dataclass(frozen=True)
class Inner:
    """A pair.

    Attributes:
        low, high: both ends, in
            logits.
    """

    __pydantic_config__ = STRICT
    low: float
    high: float | None


@dataclass(frozen=True)
class Outer(Inner):
    """More.

    Attributes:
        inner: by class.
        letters: some.
    """

    inner: dict[str, Inner]
    letters: list[Letter]


VALUES = {"low": 1, "high": None, "inner": {"a": {"low": 0.5, "high": 2.0}}, "letters": ["a"]}


def test_nested_values_become_objects_and_json_again() -> None:
    found = checked(Outer, VALUES)
    assert found.inner["a"] == Inner(0.5, 2.0)
    assert found.letters == [Letter.A]
    assert to_json(found) == VALUES


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"inner": {"a": {"low": 0.5}}}, ("inner", "a", "high")),
        ({"inner": {"a": {"low": 0.5, "high": None, "more": 1}}}, ("inner", "a", "more")),
        ({"low": float("nan")}, ("low",)),
        ({"low": None}, ("low",)),
        ({"letters": ["c"]}, ("letters", 0)),
    ],
)
def test_missing_unknown_and_impossible_values_are_refused(wrong: dict, at: tuple) -> None:
    with pytest.raises(ValidationError) as error:
        checked(Outer, VALUES | wrong)
    assert error.value.errors()[0]["loc"] == at


def test_table_has_types_and_meanings_of_all_fields() -> None:
    assert attributes(Outer)["low"] == attributes(Outer)["high"] == "both ends, in logits."
    assert markdown(Outer).splitlines() == [
        "| key | type | meaning |",
        "|---|---|---|",
        "| `low`, `high` | number; number or null | both ends, in logits. |",
        "| `inner` | text → [Inner](#inner) | by class. |",
        "| `letters` | list of [Letter](#letter) | some. |",
    ]
    assert markdown(Letter).splitlines()[-1] == r"| `b` | the second \| last. |"


def test_field_without_a_meaning_is_refused() -> None:
    @dataclass
    class Bare:
        """Nothing said."""

        value: int

    with pytest.raises(ValueError, match="value"):
        markdown(Bare)


def test_statement_is_read_back_as_it_was() -> None:
    statement = Statement(
        Kind.PLACE, "a", Verdict.SUPPORTED, Reason.ALL_MET, ("x", "y"), 75, "evidence", figures=(Figure("r", 0.5),)
    )
    assert checked(Statement, to_json(statement)) == statement
