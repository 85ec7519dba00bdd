"""Options of a stage, each declared once: the field of a pydantic dataclass gives type, range, help and click option.

    @options
    class ScoreOptions:
        seed: int = Field(description="Random seed of the bootstrap.", ge=0)

`@takes(ScoreOptions)` gives a click command these options; the command receives them as one object, `options`.
`stages/check.py` validates params.yaml with the same classes, and docs/parameters.md is generated from them.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin

import click
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from wheretolook.base.terminal.options import FiniteRange, SwitchOrText, SwitchText

Section = TypeVar("Section")


@dataclasses.dataclass(frozen=True)
class ReadBy:
    """Metadata of a field whose text is converted further, by a click callback: `Annotated[str, ReadBy(read)]`."""

    callback: Callable[[click.Context, click.Parameter, Any], Any]


@dataclass_transform(field_specifiers=(Field,), frozen_default=True)
def options(section: type[Section]) -> type[Section]:
    """Make a class of fields a section of params.yaml: a frozen dataclass that validates its values.

    Constructing it raises pydantic's ValidationError for a value of the wrong type or outside its range. A method
    `check` of the class refuses, with InputError, what the types cannot express.
    """
    return dataclass(frozen=True, config=ConfigDict(extra="forbid"))(section)  # type: ignore[return-value]


def takes(section: type) -> Callable[[Callable], Callable]:
    """Give a click command the options of a section; it receives an instance of it as the keyword `options`.

    Without a default, an option is required: values live in params.yaml, not in code.
    """

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def with_options(*positional: Any, **given: Any) -> Any:
            own = {name: given.pop(name) for name in known}
            return command(*positional, options=from_values(section, own), **given)

        known = fields_of(section)
        for name in reversed(known):
            with_options = click.option(*_declaration(name, known[name]), **_click_settings(known[name]))(with_options)
        return with_options

    return decorate


def from_values(section: type[Section], values: Mapping[str, Any]) -> Section:
    """A section of values that click has parsed, checked beyond their types.

    Args:
        section: a class made by `options`.
        values: by field; more are ignored.

    Raises:
        InputError: values that the stage cannot work with, whatever the data are.
    """
    made = section(**{name: values[name] for name in fields_of(section)})
    check = getattr(made, "check", None)
    if check is not None:
        check()
    return made


def command_of(section: type, stage: str, named: bool) -> click.Command:
    """A command that parses a section as the stage's does, without the stage's code.

    Args:
        section: a class made by `options`.
        stage: name of the stage.
        named: whether the stage's first argument is a model's name.
    """
    arguments: list[click.Parameter] = [click.Argument(["name"])] if named else []
    known = fields_of(section)
    made = []
    for name, field in known.items():
        settings = _click_settings(field)
        made.append(settings.pop("cls", click.Option)(list(_declaration(name, field)), **settings))
    return click.Command(stage, params=[*arguments, *made], add_help_option=False)


def fields_of(section: type) -> dict[str, FieldInfo]:
    """The options of a section, by name, in their order. A field with `exclude=True` is no option."""
    known: dict[str, FieldInfo] = section.__pydantic_fields__  # type: ignore[attr-defined]
    return {name: field for name, field in known.items() if not field.exclude}


def click_type(field: FieldInfo) -> click.ParamType:
    """How click reads one value of a field."""
    given = next((each for each in field.metadata if isinstance(each, click.ParamType)), None)
    if given is not None:
        return given
    if _is_switch_or_text(field):
        return SwitchText()
    kind = _value_type(field)
    bounds = {
        key: getattr(each, key) for each in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(each, key)
    }
    span: dict[str, Any] = {
        "min": bounds.get("ge", bounds.get("gt")),
        "max": bounds.get("le", bounds.get("lt")),
        "min_open": "gt" in bounds,
        "max_open": "lt" in bounds,
    }
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is int:
        return click.IntRange(**span)
    if kind is float:
        return FiniteRange(**span)
    return {str: click.STRING, bool: click.BOOL, Path: click.Path(path_type=Path)}[kind]


def _value_type(field: FieldInfo) -> Any:
    """The type of one value: X of `X | None` and of `tuple[X, ...]`."""
    kind = field.annotation
    if get_origin(kind) in (Union, UnionType):
        kind = next(each for each in get_args(kind) if each is not NoneType)
    return get_args(kind)[0] if get_origin(kind) is tuple else kind


def _is_switch_or_text(field: FieldInfo) -> bool:
    return set(get_args(field.annotation)) == {bool, str}


def _is_switch(field: FieldInfo) -> bool:
    return not _is_switch_or_text(field) and _value_type(field) is bool


def _declaration(name: str, field: FieldInfo) -> tuple[str, str]:
    return (f"--{name}/--no-{name}" if _is_switch(field) else f"--{name}"), name


def _click_settings(field: FieldInfo) -> dict[str, Any]:
    settings: dict[str, Any] = {"help": field.description, "required": field.is_required()}
    read_by = next((each for each in field.metadata if isinstance(each, ReadBy)), None)
    if read_by is not None:
        settings["callback"] = read_by.callback
    if _is_switch_or_text(field):
        settings["cls"] = SwitchOrText
    if not _is_switch(field):
        settings["type"] = click_type(field)
    if get_origin(field.annotation) is tuple:
        settings["multiple"] = True
    if not field.is_required():
        settings["default"] = field.default
        settings["show_default"] = field.default not in (None, "", ())
    return settings
