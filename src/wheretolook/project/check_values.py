"""Refuse values of params.yaml that a stage would refuse hours later, whatever the data are; runs no stage's code."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from wheretolook.base.errors import InputError
from wheretolook.base.terminal.options import SwitchOrText, parameters_of, unknown_key
from wheretolook.base.terminal.section import from_values
from wheretolook.params.drive_options import DriveOptions
from wheretolook.params.export_options import ExportOptions
from wheretolook.params.fetch_options import FetchOptions
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.params.train_options import BACKBONE, LABELS, RANDOM, VALUE, TrainOptions
from wheretolook.project.params_file import RUN_SETTINGS, SECTIONS, Section, arguments

Values = Mapping[str, Any]
LONGEST_COMMAND = 130_000  # bytes; Linux allows 131,072 for an argument, and dvc.yaml's own part is short
COLUMNS = {LABELS: "multi_labels", VALUE: "value_column"}  # option of `fetch` that `train.outputs` needs


@dataclass(frozen=True)
class Checked:
    """The values of one command line.

    Attributes:
        where: the sections that they come from, such as "train and models.last-0".
        model: name of the model; empty for a stage that is not of one model.
        options: an instance of the section's class.
    """

    where: str
    model: str
    options: Any


def check_values(params: Mapping[str, Any]) -> list[Checked]:
    """Parse and check the values of params.yaml as the stages do.

    Args:
        params: as `load_params` returns it.

    Returns:
        The options of every command line that DVC would run.

    Raises:
        InputError: an unknown key, a missing value, a wrong type or range, or values that the stage refuses.
    """
    checked = []
    first = next(iter([*params["models"], *params["drive"]]))
    for name, section in SECTIONS.items():
        entries: dict[str, tuple[str, ...]]
        if name == "train":
            entries = {model: ("train", f"models.{model}") for model in params["models"]}
        elif name == "drive":
            entries = {model: (f"drive.{model}",) for model in params["drive"]}
        else:
            entries = {first if section.of_model else "": (name,)}
        checked += [_checked(section, model, places, params) for model, places in entries.items()]
    for name in params["test_sets"]:
        own = f"test_sets.{name}"
        checked.append(_checked(SECTIONS["fetch"], "", (f"{own}.fetch",), params))
        checked.append(_checked(SECTIONS["prepare"], "", ("prepare", f"{own}.prepare"), params))
    _check_together(checked)
    return checked


def network_code(checked: Sequence[Checked]) -> dict[str, dict[str, str]]:
    """Path and SHA-256, by model, of each user file that defines its network or holds its initial weights.

    Empty for an architecture of a library, and for a model file that names its own architecture.

    Raises:
        InputError: a file that is not Python.
    """
    from wheretolook.networks.architectures import code_of

    found = {}
    for each in checked:
        if isinstance(each.options, TrainOptions | DriveOptions):
            with _naming(each.where):
                found[each.model] = (code_of(each.options.architecture) if each.options.architecture else None) or {}
                found[each.model] |= _weights_of(each.options)
    return found


def _weights_of(options: TrainOptions | DriveOptions) -> dict[str, str]:
    """Path and SHA-256 of the file of pretrained weights."""
    if isinstance(options, DriveOptions) or options.weights == RANDOM:
        return {}
    from wheretolook.networks.pretrained import weights_sha256

    digest = weights_sha256(options.weights)
    return {options.weights: digest} if digest else {}


def _checked(section: Section, model: str, places: Sequence[str], params: Mapping[str, Any]) -> Checked:
    where, command, words = " and ".join(places), section.command(), [model] if section.of_model else []
    for place in places:
        values = _values_at(place, params)
        _check_keys(place, values, command)
        _check_types(place, values, command)
        words += arguments(values)
    _check_length(where, words)
    try:
        parsed = command.make_context(section.stage, list(words)).params
    except click.UsageError as error:
        raise InputError(f"params.yaml: {where}: {error.format_message()}") from error
    with _naming(where):
        options: Any = from_values(section.options, parsed)
        check = CHECKS.get(section.options)
        if check is not None:
            check(options, model)
    return Checked(where, model, options)


def _check_together(checked: Sequence[Checked]) -> None:
    """Refuse values that one stage accepts, but not together with those of another."""
    from wheretolook.networks.architectures import LOOKNET, check_looknet_size

    fetch = next(each.options for each in checked if isinstance(each.options, FetchOptions))
    prepare = next(each.options for each in checked if isinstance(each.options, PrepareOptions))
    size, fit = prepare.size, prepare.fit
    for each in checked:
        options = each.options
        with _naming(each.where):
            column = COLUMNS.get(getattr(options, "outputs", ""), "")
            if column and not (fetch.labels and getattr(fetch, column)):
                hint = f"set `fetch.labels` to a table, and `fetch.{column}`, or `outputs: classes`"
                raise InputError("outputs", f"columns of a table in fetch.{column}", "none", hint)
            if isinstance(options, PrepareOptions) and (options.size, options.fit) != (size, fit):
                expected = f"size {size} and fit {fit} of prepare, since models see images of one form"
                found = f"size {options.size} and fit {options.fit}"
                raise InputError(each.where.rpartition(" and ")[2], expected, found, "remove them")
            if isinstance(options, TrainOptions) and options.architecture == LOOKNET:
                check_looknet_size(options.depth, size)
            if isinstance(options, DriveOptions) and options.input_size not in (None, size):
                raise InputError(
                    f"drive.{each.model}: input_size",
                    expected=f"prepare.size, {size}, since all models see the same images",
                    found=options.input_size,
                    hint="set prepare.size to it, or leave the model out",
                )


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Prefix the subject of an InputError with params.yaml and the place in it, unless it names the place itself."""
    try:
        yield
    except InputError as error:
        named = error.subject.startswith(tuple(where.split(" and ")))
        subject = f"params.yaml: {error.subject}" if named else f"params.yaml: {where}: {error.subject}"
        raise InputError(subject, error.expected, error.found, error.hint) from error


def _check_keys(place: str, values: Values, command: click.Command) -> None:
    """Refuse keys that are no parameters: unknown ones, and settings of a run, such as its paths."""
    parameters = parameters_of(command)
    for key in values:
        if key in parameters:
            continue
        if key in RUN_SETTINGS:
            variable = RUN_SETTINGS[key]
            instead = f"set the environment variable {variable} instead" if variable else "DVC fixes it"
            raise InputError(
                f"params.yaml: {place}.{key}",
                f"parameters of stage {command.name}",
                "a setting of the run, which changes no result",
                f"remove it; {instead}",
            )
        raise unknown_key(f"params.yaml: {place}", key, command)


def _check_types(place: str, values: Values, command: click.Command) -> None:
    """Refuse what click would misread: a list (its last value counts), a boolean for a value, a value for a boolean."""
    options = parameters_of(command)
    for key, value in values.items():
        option, subject = options[key], f"params.yaml: {place}.{key}"
        if isinstance(value, list) and not option.multiple:
            raise InputError(subject, "one value", f"the list {value!r:.80}", "write one value alone")
        if option.is_flag and not isinstance(value, bool):
            raise InputError(subject, expected="true or false, unquoted", found=f"{value!r:.80}")
        if isinstance(value, bool) and not (option.is_flag or isinstance(option, SwitchOrText)):
            raise InputError(subject, "a number or a text", str(value).lower(), "quote it, if it is text")
        for element in value if isinstance(value, list) else [value]:
            # YAML keeps the value of a number, not its digits.
            if isinstance(option.type, click.types.StringParamType | click.Path) and not isinstance(element, str):
                written = str(element).lower()
                raise InputError(
                    subject,
                    "text",
                    f"{'true or false' if isinstance(element, bool) else 'a number'}, {written}",
                    f"put it in quotes, as in '{written}': YAML reads 00 without quotes as 0, and 1e5 as 100000.0",
                )


def _check_length(where: str, words: Sequence[str]) -> None:
    """Refuse what DVC could not start: it gives the whole command line to a shell, as one argument."""
    length = len(shlex.join(words).encode())
    if length > LONGEST_COMMAND:
        raise InputError(
            f"params.yaml: {where}",
            f"values of {LONGEST_COMMAND:,} bytes at most as a command line, all together",
            f"{length:,}",
            "shorten the longest; class names may be in a text file, one per line: `classes: '@FILE'`",
        )


def _values_at(place: str, params: Mapping[str, Any]) -> Values:
    """The values at a place such as "train", "models.last-0" or "test_sets.clinic.fetch"."""
    values: Values = params
    for name in place.split("."):
        values = values[name]
    return values


def _check_fetch(options: FetchOptions, model: str) -> None:
    from wheretolook.sources.source_registry import check_source_options

    given = check_source_options(options.source, options.of_source())
    for key in ("path", "masks"):
        if given.get(key) and (key == "path" or options.source == "folder"):
            for output in ("data/raw", "data/tests"):
                _refuse_inside(given[key], Path(output), f"{options.source}: {key}")
    if "sha256" in given:
        from wheretolook.downloads.obtain import check_digest
        from wheretolook.sources.archive_source import wanted_of

        check_digest(wanted_of(given))


def _refuse_inside(source: str | Path | None, output: Path, key: str) -> None:
    """Refuse to read from an output: DVC removes it before the stage starts, and a copy kept there would be lost.

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


def _check_train(options: TrainOptions, model: str) -> None:
    from wheretolook.networks.architectures import parse_arguments
    from wheretolook.networks.card import parse_channels
    from wheretolook.networks.checkpoint import check_architecture

    check_architecture(options.architecture)
    parse_arguments(options.arguments)
    for name in ("mean", "std"):
        if given := getattr(options, name):
            parse_channels(name, ",".join(given))
    if options.weights != RANDOM:
        from wheretolook.networks.pretrained import find_pretrained

        find_pretrained(options.architecture, options.weights)
    elif options.freeze == BACKBONE:
        raise InputError("freeze: backbone", "pretrained `weights`", RANDOM, "set `weights`, or `freeze: none`")


def _check_drive(options: DriveOptions, model: str) -> None:
    from wheretolook.downloads.obtain import check_digest
    from wheretolook.importing.import_model import read_entry

    wanted, description = read_entry(model, vars(options))
    _refuse_inside(options.url, Path(f"models/{model}.safetensors"), "url")
    check_digest(wanted)
    if description is not None:
        from wheretolook.networks.checkpoint import check_architecture

        check_architecture(description.architecture)


def _check_export(options: ExportOptions, model: str) -> None:
    from wheretolook.mapstore.store import CAM_METHODS

    for name in options.methods:
        if name not in CAM_METHODS:
            raise InputError("methods", f"one of {', '.join(CAM_METHODS)}", repr(name))


# Imports are inside the functions: torchvision or requests is loaded only where a value needs it.
CHECKS: dict[type, Callable[[Any, str], None]] = {
    FetchOptions: _check_fetch,
    TrainOptions: _check_train,
    DriveOptions: _check_drive,
    ExportOptions: _check_export,
}
