"""Results as JSON and as documentation, both from the same dataclasses; thresholds of the analysis."""

import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from itertools import groupby
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter

T = TypeVar("T")
PIPE = r"\|"  # in a cell of a table
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # of every class: `__pydantic_config__ = STRICT`


def checked(kind: type[T], values: Mapping[str, Any]) -> T:
    """An object of a result's class, from a mapping of its fields, nested ones included.

    Raises:
        pydantic.ValidationError: a missing or unknown field, a value of another type, NaN or an infinity. The analysis
            made these values, so that this is a bug.
    """
    return TypeAdapter(kind).validate_python(values)


def to_json(result: Any) -> dict[str, Any]:
    """A result as JSON values, under the names of its fields."""
    return TypeAdapter(type(result)).dump_python(result, mode="json")


def markdown(kind: type) -> str:
    """The fields of a dataclass, or the values of an enumeration, as a table in Markdown.

    Meanings come from the section "Attributes" of the docstring; each field has one there.

    Raises:
        ValueError: a field without a meaning, or a meaning without a field.
    """
    meanings = attributes(kind)
    if issubclass(kind, Enum):
        names, types_ = [str(each.value) for each in kind], {}
    else:
        hints = typing.get_type_hints(kind)
        names = list(kind.__dataclass_fields__) if is_dataclass(kind) else []
        types_ = {name: type_words(hints[name]) for name in names}
    if set(names) != set(meanings):
        raise ValueError(f"{kind.__name__}: undocumented or unknown {sorted(set(names) ^ set(meanings))}")
    rows = []
    for meaning, group in groupby(names, meanings.__getitem__):
        together = list(group)
        kinds = list(dict.fromkeys(types_[name] for name in together)) if types_ else []
        cells = [", ".join(f"`{name}`" for name in together), *(["; ".join(kinds)] if types_ else [])]
        rows.append(f"| {' | '.join([*cells, meaning.replace('|', PIPE)])} |")
    columns = ["key", "type", "meaning"] if types_ else ["value", "meaning"]
    return "\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows])


def attributes(kind: type) -> dict[str, str]:
    """Name to meaning, of the section "Attributes" of a class and its bases; fields of one meaning share a line."""
    found: dict[str, str] = {}
    names: list[str] = []
    lines = [line for base in kind.__mro__ for line in (base.__doc__ or "").partition("Attributes:\n")[2].splitlines()]
    for line in lines:
        head = re.match(r" {8}(\w+(?:, \w+)*): (.*)", line)
        if head:
            names = head[1].split(", ")
            found |= dict.fromkeys(names, head[2].strip())
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def type_words(hint: Any) -> str:
    """A type in words for readers of JSON: "number or null", "list of text", "CLASS to ...": the class's name."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_words(each) for each in inner)
    if origin is not None and issubclass(origin, Mapping):
        return f"{type_words(inner[0])} → {type_words(inner[1])}"
    if origin is tuple and Ellipsis not in inner:
        return f"[{', '.join(type_words(each) for each in inner)}]"
    if origin is not None and issubclass(origin, Sequence):
        return f"list of {type_words(inner[0])}"
    known = {str: "text", int: "integer", float: "number", bool: "boolean", type(None): "null", Any: "any"}
    if hint in known:
        return known[hint]
    if is_dataclass(hint) or issubclass(hint, Enum):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return str(getattr(hint, "__name__", hint))


FEWEST_IMAGES = 20  # that a statement, a row of agreement or an interval takes
FEWEST_GROUPS = 10  # below, no bootstrap of groups says anything about their spread
FEWEST_SEEDS = 6  # of one recipe, for a sentence about all networks trained so
FEWEST_DRAWS = 10  # random networks; the largest figure of fewer says little
FEWEST_RELABELLINGS = 200  # different ones, below which no p-value is given
TWICE = 2.0  # what chance has, before a region is said to be looked at

LOCATED_ODDS = 2.0  # odds of energy inside a region, over the odds of its area
LOCATED_AUROC = 0.6  # of pixels inside a region against those outside, by the height of the map
NECESSARY_FLIPS = 0.1  # share of predictions that change when a region is infilled, beyond control places
SUFFICIENT_KEPT = 0.5  # share of predictions kept when all but a region is infilled; where no control place exists
CUE_FLIPS = 0.5  # share of predictions that change with a property of the whole image, beyond a harmless change
INFILLS = 2  # families of infills that must agree
ALPHA = 0.05  # of all confirmatory statements together
POWER = 0.8  # of the minimum detectable effect
