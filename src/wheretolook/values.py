"""What a stage would refuse of its values only once it runs: asked beforehand, of the very functions that it calls."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from wheretolook.data.refusal import Refusal

Values = Mapping[str, Any]


def accept(where: str, command: click.Command, words: list[str], given: dict[str, dict]) -> None:
    """Parse a stage's options and check their values, without running it.

    Raises:
        Refusal: an option that the stage doesn't know, a missing one, a wrong type or range, or a value that it would
            refuse itself.
    """
    try:
        context = command.make_context(command.name, list(words))
    except click.NoSuchOption as error:
        raise Refusal(unknown_key(error.option_name, command, where.split(" and "), given)) from error
    except click.UsageError as error:
        raise Refusal(f"params.yaml: {where}: {error.format_message()}") from error
    try:
        check_values(str(command.name), context.params)
    except Refusal as refusal:
        named = str(refusal).startswith(tuple(where.split(" and ")))
        raise Refusal(f"params.yaml: {refusal}" if named else f"params.yaml: {where}: {refusal}") from refusal


def check_values(stage: str, values: Values) -> None:
    """Refuse values that click takes and the stage would not, whatever the data are.

    Args:
        stage: the command's name.
        values: its parameters, as its options have parsed them.

    Raises:
        Refusal: as the stage's own.
    """
    if stage in CHECKS:
        CHECKS[stage](values)


def unknown_key(option: str, command: click.Command, places: Sequence[str], params: Mapping[str, Any]) -> str:
    """The message for a key of params.yaml that the stage does not take: where it stands, and the nearest that it does.

    Args:
        option: as it came on the command line, `--epohcs`, or `--no-augmnet` for a false value.
        command: the stage's.
        places: where its values stand, such as "train" and "models.last-0".
        params: params.yaml.
    """
    key, place = option.removeprefix("--"), places[0]
    for candidate in places:
        section, _, name = candidate.partition(".")
        values = params[section][name] if name else params[section]
        for spelling in (option.removeprefix("--"), option.removeprefix("--no-")):
            if spelling in values:
                key, place = spelling, candidate
    # How a run is carried out, its paths and its device, is no parameter.
    taken = [p for p in command.params if isinstance(p, click.Option) and not (p.envvar or isinstance(p.default, Path))]
    names = sorted(name.removeprefix("--") for known in taken for name in known.opts)
    near = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(names)}"
    return f"params.yaml: {place}: unknown key {key!r} of stage {command.name}; {hint}"


def _fetch(values: Values) -> None:
    from wheretolook.data.source_options import SOURCES, check_source_options

    every = {name for takes in SOURCES.values() for name in takes.needed + takes.one_of}
    given = check_source_options(values["source"], {name: values[name] for name in every})
    for key in ("path", "masks"):
        if given.get(key) and (key == "path" or values["source"] == "folder"):
            _refuse_inside(given[key], Path("data/raw"), f"{values['source']}: {key}")
    if "sha256" in given:
        from wheretolook.data.archive_fetch import wanted_of
        from wheretolook.data.obtain import check_digest

        check_digest(wanted_of(given))


def _refuse_inside(source: str | Path | None, output: Path, key: str) -> None:
    """Refuse to read what DVC removes: before a stage starts, its outputs go, and a copy kept there is gone with them.

    Args:
        source: a path, or a link.
        output: of the stage that reads the source.
        key: for the message.
    """
    if source and "://" not in str(source) and Path(source).resolve().is_relative_to(output.resolve()):
        raise Refusal(
            f"{key}: expected a place outside {output}, which this stage writes and DVC empties before it; found "
            f"{source}; move it elsewhere first"
        )


def _prepare(values: Values) -> None:
    from dataclasses import fields

    from wheretolook.data.prepare import PrepareOptions, check_options

    check_options(PrepareOptions(**{field.name: values[field.name] for field in fields(PrepareOptions)}))


def _train(values: Values) -> None:
    from wheretolook.models.network import check_architecture
    from wheretolook.models.options import RANDOM

    check_architecture(values["architecture"])
    if values["weights"] != RANDOM:
        from wheretolook.models.pretrained import check_pretrained

        check_pretrained(values["architecture"], values["weights"])


def _sync(values: Values) -> None:
    from wheretolook.data.obtain import check_digest
    from wheretolook.models.entry import read_entry

    wanted, description = read_entry(values["name"], values)
    _refuse_inside(values["url"], Path(f"models/{values['name']}.safetensors"), "url")
    check_digest(wanted)
    if description is not None:
        from wheretolook.models.network import check_architecture

        check_architecture(description.architecture)


def _export(values: Values) -> None:
    from wheretolook.cams.layer_names import parse_layers
    from wheretolook.cams.registry import find_method

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
