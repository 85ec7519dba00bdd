"""What a stage would refuse of its values only once it runs: asked beforehand, of the very functions that it calls."""

import difflib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from wheretolook.base.errors import InputError
from wheretolook.terminal.options import parameters_of, settings_of

Values = Mapping[str, Any]
# Bytes; Linux takes 131,072 for one argument, and dvc.yaml's own part of the line is short.
LONGEST_COMMAND = 130_000


def accept(where: str, command: click.Command, words: list[str], given: dict[str, dict]) -> Values:
    """Parse a stage's options and check their values, without running it; gives them.

    Args:
        where: sections that the values come from, such as "train and models.last-0".
        command: the stage's.
        words: its command line.
        given: params.yaml.

    Raises:
        InputError: an option that the stage doesn't know, a missing one, a wrong type or range, or a value that it would
            refuse itself.
    """
    for place in where.split(" and "):
        values = _values_at(place, given)
        _check_keys(place, values, command)
        _check_kinds(place, values, command)
    _check_length(where, words)
    try:
        context = command.make_context(command.name, list(words))
    except click.UsageError as error:
        raise InputError(f"params.yaml: {where}: {error.format_message()}") from error
    with _told_of(where):
        check_values(str(command.name), context.params)
    return context.params


def check_together(taken: Sequence[tuple[str, str, Values]]) -> None:
    """Refuse values that a stage takes for itself, but not beside those of another one.

    Args:
        taken: of each command line where its values come from, the stage's name, and the values that `accept` gave.

    Raises:
        InputError: as the stage's own, or a foreign model of another input size than that of the prepared images.
    """
    from wheretolook.networks.looknet_arguments import LOOKNET, check_looknet_size

    size = next(values["size"] for _, stage, values in taken if stage == "prepare")
    for where, stage, values in taken:
        with _told_of(where):
            if stage == "train" and values["architecture"] == LOOKNET:
                check_looknet_size(values["depth"], size)
            if stage == "sync" and values["input_size"] not in (None, size):
                raise InputError(
                    f"drive.{values['name']}: input_size",
                    expected=f"prepare.size, {size}, since all models see the same images",
                    found=values["input_size"],
                    hint="set prepare.size to it, or leave the model out",
                )


@contextmanager
def _told_of(where: str) -> Iterator[None]:
    """Have a refusal say that it is of params.yaml, and of which place in it, unless it names one itself."""
    try:
        yield
    except InputError as refusal:
        named = str(refusal).startswith(tuple(where.split(" and ")))
        raise InputError(f"params.yaml: {refusal}" if named else f"params.yaml: {where}: {refusal}") from refusal


def _check_keys(place: str, values: Values, command: click.Command) -> None:
    """Refuse keys that are no parameters: unknown ones, and settings of a run, such as its paths."""
    parameters, settings = parameters_of(command), settings_of(command)
    for key in values:
        if key in settings:
            raise InputError(
                f"params.yaml: {place}.{key}",
                f"parameters of stage {command.name}",
                "a setting of the run, which changes no result or which DVC fixes",
                f'remove it; "python stages/{command.name}.py --help" lists both',
            )
        if key not in parameters and not command.context_settings.get("ignore_unknown_options"):
            near = difflib.get_close_matches(key, parameters, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(sorted(parameters))}"
            raise InputError(f"params.yaml: {place}: unknown key {key!r} of stage {command.name}", hint=hint)


def _check_kinds(place: str, values: Values, command: click.Command) -> None:
    """Refuse what click would misread: a list (its last counts), a truth for a value, a value for a truth."""
    options = parameters_of(command)
    for key, value in values.items():
        option = options.get(key)
        if option is None:
            continue  # of a command that takes any option
        if isinstance(value, list) and not option.multiple:
            raise InputError(
                f"params.yaml: {place}.{key}",
                expected="one value",
                found=f"the list {value!r:.80}",
                hint="write one alone",
            )
        if option.is_flag and not isinstance(value, bool):
            raise InputError(f"params.yaml: {place}.{key}", expected="true or false, unquoted", found=f"{value!r:.80}")
        if isinstance(value, bool) and not option.is_flag:
            written = str(value).lower()
            raise InputError(
                f"params.yaml: {place}.{key}",
                expected="a number or a text",
                found=written,
                hint="quote it, if it is text",
            )
        for element in value if isinstance(value, list) else [value]:
            if _is_text(option) and not isinstance(element, str):
                raise InputError(
                    f"params.yaml: {place}.{key}",
                    "text",
                    f"{'true or false' if isinstance(element, bool) else 'a number'}, {str(element).lower()}",
                    f"put it in quotes, as in '{str(element).lower()}': YAML reads 00 without quotes as 0, and 1e5 as "
                    "100000.0",
                )


def _is_text(option: click.Option) -> bool:
    """Whether an option takes any text: of a number, YAML keeps the value and not the digits."""
    return isinstance(option.type, click.types.StringParamType | click.Path)


def _check_length(where: str, words: Sequence[str]) -> None:
    """Refuse what DVC could not start: it gives the whole command line to a shell, as one argument."""
    length = len(shlex.join(words).encode())
    if length > LONGEST_COMMAND:
        raise InputError(
            f"params.yaml: {where}",
            f"values of {LONGEST_COMMAND:,} bytes at most as a command line, all together",
            f"{length:,}",
            "shorten the longest; class names may be in a text file, one a line: `classes: '@FILE'`",
        )


def check_values(stage: str, values: Values) -> None:
    """Refuse values that click takes and the stage would not, whatever the data are.

    Args:
        stage: the command's name.
        values: its parameters, as its options have parsed them.

    Raises:
        InputError: as the stage's own.
    """
    if stage in CHECKS:
        CHECKS[stage](values)


def _values_at(place: str, params: Mapping[str, Any]) -> Values:
    """What stands at a place such as "train" or "models.last-0"."""
    section, _, name = place.partition(".")
    return params[section][name] if name else params[section]


def _fetch(values: Values) -> None:
    from wheretolook.sources.source_registry import SOURCES, check_source_options

    every = {name for takes in SOURCES.values() for name in takes.needed + takes.one_of}
    given = check_source_options(values["source"], {name: values[name] for name in every})
    for key in ("path", "masks"):
        if given.get(key) and (key == "path" or values["source"] == "folder"):
            _refuse_inside(given[key], Path("data/raw"), f"{values['source']}: {key}")
    if "sha256" in given:
        from wheretolook.downloads.obtain import check_digest
        from wheretolook.sources.archive_source import wanted_of

        check_digest(wanted_of(given))


def _refuse_inside(source: str | Path | None, output: Path, key: str) -> None:
    """Refuse to read what DVC removes: before a stage starts, its outputs go, and a copy kept there is gone with them.

    Args:
        source: a path, or a link.
        output: of the stage that reads the source.
        key: for the message.
    """
    if source and "://" not in str(source) and Path(source).resolve().is_relative_to(output.resolve()):
        raise InputError(
            key,
            expected=f"a place outside {output}, which this stage writes and DVC empties before it",
            found=source,
            hint="move it elsewhere first",
        )


def _prepare(values: Values) -> None:
    from dataclasses import fields

    from wheretolook.prepare.prepare_images import PrepareOptions, check_options

    check_options(PrepareOptions(**{field.name: values[field.name] for field in fields(PrepareOptions)}))


def _train(values: Values) -> None:
    from wheretolook.networks.architectures import parse_arguments
    from wheretolook.networks.build_network import check_architecture
    from wheretolook.training.training_options import RANDOM

    check_architecture(values["architecture"])
    parse_arguments(values["arguments"])
    if values["weights"] != RANDOM:
        from wheretolook.training.start import check_pretrained

        check_pretrained(values["architecture"], values["weights"])


def _sync(values: Values) -> None:
    from wheretolook.downloads.obtain import check_digest
    from wheretolook.importing.import_model import read_entry

    wanted, description = read_entry(values["name"], values)
    _refuse_inside(values["url"], Path(f"models/{values['name']}.safetensors"), "url")
    check_digest(wanted)
    if description is not None:
        from wheretolook.networks.build_network import check_architecture

        check_architecture(description.architecture)


def _export(values: Values) -> None:
    from wheretolook.cams.method_registry import find_method
    from wheretolook.layers.layer_names import parse_layers

    parse_layers(values["layers"])
    for name in values["methods"]:
        find_method(name)


# Imports stand inside: a file of torchvision's or requests' is loaded only where a value asks for it.
CHECKS: dict[str, Callable[[Values], None]] = {
    "fetch": _fetch,
    "prepare": _prepare,
    "train": _train,
    "sync": _sync,
    "export": _export,
}
