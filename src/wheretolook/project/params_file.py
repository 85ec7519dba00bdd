"""params.yaml: its sections with their options, and what DVC's templating would silently drop, append or misread."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import click
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wheretolook.base.errors import InputError, redacted_values
from wheretolook.base.terminal.options import LONGEST_NAME, MODEL_NAME, TEST_SET_NAME
from wheretolook.base.terminal.section import click_type, command_of, fields_of
from wheretolook.params.compare_options import CompareOptions
from wheretolook.params.drive_options import DriveOptions
from wheretolook.params.export_options import ExportOptions
from wheretolook.params.fetch_options import FetchOptions
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.params.report_options import ReportOptions
from wheretolook.params.score_options import ScoreOptions
from wheretolook.params.train_options import TrainOptions


@dataclass(frozen=True)
class Section:
    """One section of params.yaml.

    Attributes:
        stage: the stage that takes its values.
        options: the class that declares them.
        of_model: whether the stage runs once for each model, whose name is its first argument.
    """

    stage: str
    options: type
    of_model: bool = False

    def command(self) -> click.Command:
        """A command that parses the options as the stage does."""
        return command_of(self.options, self.stage, self.of_model)


# `models` has no section of its own here: an entry holds options of `train`, for one model.
SECTIONS = {
    "fetch": Section("fetch", FetchOptions),
    "prepare": Section("prepare", PrepareOptions),
    "train": Section("train", TrainOptions, of_model=True),
    "drive": Section("sync", DriveOptions, of_model=True),
    "export": Section("export", ExportOptions, of_model=True),
    "score": Section("score", ScoreOptions, of_model=True),
    "compare": Section("compare", CompareOptions),
    "report": Section("report", ReportOptions),
}
# Options of the stages that say how a stage runs, and that params.yaml must not set; some with an environment variable.
RUN_SETTINGS = {
    **dict.fromkeys(("arrays", "cache", "cams", "comparison", "exports", "help", "models", "names", "prepared"), ""),
    **dict.fromkeys(("raw", "reports", "scores", "test_set", "trained_on"), ""),
    "device": "WHERETOLOOK_DEVICE",
    "timeout": "WHERETOLOOK_TIMEOUT",
    "retries": "WHERETOLOOK_RETRIES",
}
PAGE = Path("docs/parameters.md")
INTRODUCTION = """\
# Parameters

Every key of `params.yaml`, by section. `make docs` writes this page from the classes in `src/wheretolook/params/`.

An entry of `models` holds a model's own values for keys of `train`; they win over the shared ones. `drive` holds an
entry for each model that is not trained here. A key without a default must be given. A list is written as a YAML list.

`test_sets` holds further data on which the same models are tested: for each name the mappings `fetch` (all options of
its source) and `prepare` (own values, `{}` for none). [data.md](data.md#further-test-sets) has an example.
"""


def parameters_page() -> str:
    """docs/parameters.md: a table for each section."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        title = "`train`, and each entry of `models`" if name == "train" else f"`{name}`"
        title = "Each entry of `drive`" if name == "drive" else title
        parts.append(f"## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n" + "".join(_rows(section)))
    return "\n".join(parts)


def _rows(section: Section) -> Iterator[str]:
    for name, field in fields_of(section.options).items():
        meaning = (field.description or "").replace("|", "\\|")
        default = "" if field.is_required() else "none" if field.default in (None, "", ()) else f"`{field.default}`"
        yield f"| `{name}` | {_type_words(field)} | {default} | {meaning} |\n"


def _type_words(field: FieldInfo) -> str:
    """The type of a field and its range, such as "integer, at least 1"."""
    kind = click_type(field)
    if isinstance(kind, click.Choice):
        words = " or ".join(f"`{choice}`" for choice in kind.choices)
    elif isinstance(kind, click.IntRange | click.FloatRange):
        words = ", ".join(["integer" if isinstance(kind, click.IntRange) else "number", *_bounds(kind)])
    else:
        known = {"boolean": "true or false", "switch": "true, false or text", "path": "path", "number": "number"}
        words = known.get(kind.name, "text")
    return f"list of {words}" if get_origin(field.annotation) is tuple else words


def _bounds(kind: Any) -> Iterator[str]:
    if kind.min is not None:
        yield f"{'above' if kind.min_open else 'at least'} {kind.min:g}"
    if kind.max is not None:
        yield f"{'below' if kind.max_open else 'at most'} {kind.max:g}"


def model_values(params: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The values of a model that is trained here: the shared ones, and its own, which win."""
    return {**params["train"], **params["models"][name]}


OF_TEST_SET = ("fetch", "prepare")  # what each entry of `test_sets` has
SECTION_NAMES = (*OF_TEST_SET, "test_sets", "models", "train", "drive", "export", "score", "compare", "report")
# Beyond it, a float is no longer exact, nor a seed one for every library.
LARGEST = 2**53
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def load_params(path: Path) -> dict[str, dict]:
    """Read and check params.yaml.

    Raises:
        InputError: no such file, no UTF-8, or what `read_params` refuses.
    """
    try:
        return read_params(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, "the pipeline's values", "no such file", "run it in the project's folder") from error
    except UnicodeDecodeError as error:
        found = f"another encoding at byte {error.start + 1}"
        raise InputError(path, "UTF-8 text", found, "save it as UTF-8") from error


def read_params(text: str) -> dict[str, dict]:
    """Parse and check the text of params.yaml, with the parser that DVC uses.

    Args:
        text: YAML; every one of `SECTION_NAMES` a mapping; `models` and `drive` map names to mappings.

    Returns:
        The sections, in the file's order.

    Raises:
        InputError: invalid YAML, a duplicate key, a missing or unknown section, an invalid or duplicate model name, a
            null, or a value that templating cannot pass on.
    """
    try:
        params = YAML(typ="safe", pure=True).load(text)
    except ValueError as error:  # a number of thousands of digits, or the 31st of February
        reason = str(error).partition(";")[0]
        raise InputError("params.yaml", "valid numbers and dates", reason, "quote it, if it is text") from error
    except YAMLError as error:
        raise InputError("params.yaml", "valid YAML without duplicate keys", error, "correct it") from error
    except RecursionError as error:
        found = "brackets nested too deeply"
        raise InputError("params.yaml", "sections of values", found, "write fewer") from error
    if not isinstance(params, dict):
        raise InputError("params.yaml", f"the sections {', '.join(SECTION_NAMES)}", type(params).__name__, "add them")
    _check_sections(params)
    _check_names(params)
    _check_test_sets(params["test_sets"])
    _check_values(params)
    return params


def arguments(values: Mapping[str, Any]) -> list[str]:
    """Command line arguments of a section, as DVC's templating makes them of a mapping.

    Lists append an option for each element; booleans become `--key` or `--no-key` (both set in .dvc/config).
    """
    words: list[str] = []
    for key, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{key}" if value else f"--no-{key}")
            continue
        for element in value if isinstance(value, list) else [value]:
            words += [f"--{key}", str(element)]
    return words


def secrets_in(params: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Places such as `fetch.url` whose text has an address with a password, a signature or a token."""
    places = [(f"test_sets.{name}.fetch", own["fetch"]) for name, own in params["test_sets"].items()]
    for section, values in params.items():
        nested = section in ("models", "drive", "test_sets")
        places += [(f"{section}.{name}", own) for name, own in values.items()] if nested else [(section, values)]
    return [f"{place}.{key}" for place, own in places for key, value in own.items() if redacted_values(value) != value]


def _check_sections(params: Mapping[Any, Any]) -> None:
    for section in params:
        if section == "sync":
            raise InputError(
                "params.yaml: sync",
                expected="no such section, since timeout and retries change no result",
                found="one, from an earlier version",
                hint="remove it; the environment variables WHERETOLOOK_TIMEOUT and WHERETOLOOK_RETRIES replace it",
            )
        if section not in SECTION_NAMES:
            near = difflib.get_close_matches(str(section), SECTION_NAMES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            raise InputError("params.yaml", ", ".join(SECTION_NAMES), f"the unknown section {section!r}", hint)
    for section in SECTION_NAMES:
        subject, hint = f"params.yaml: section {section!r}", f"write an empty one as `{section}: {{}}`"
        if section not in params:
            raise InputError(subject, "a mapping", "none", hint)
        if not isinstance(params[section], dict):
            raise InputError(subject, "a mapping", type(params[section]).__name__, hint)


def _check_names(params: Mapping[str, dict]) -> None:
    seen: dict[str, str] = {}
    for section in ("models", "drive"):
        subject = f"params.yaml: {section}"
        for name, values in params[section].items():
            if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
                # DVC drops numbers and booleans, and a dot or slash would change the path.
                expected = "names of a letter, then letters, digits, '-' and '_'"
                raise InputError(subject, expected, f"the name {name!r}", "rename it")
            if len(name) > LONGEST_NAME:
                expected = f"names of at most {LONGEST_NAME} characters, since files are named by them"
                raise InputError(subject, expected, f"'{name[:20]}...' of {len(name)}", "shorten it")
            if name.lower() in seen:
                expected = "names that differ by more than upper and lower case, which some file systems ignore"
                found = f"the name {name!r}, which {seen[name.lower()]!r} already has"
                raise InputError(subject, expected, found, "rename one of the two")
            seen[name.lower()] = section
            if not isinstance(values, dict) or not values:
                raise InputError(f"{subject}.{name}", "a mapping of its own values", repr(values), "add one")
    if not seen:
        raise InputError("params.yaml: models and drive", "at least one model", "none", "add one")


def _check_test_sets(test_sets: Mapping[Any, Any]) -> None:
    for name, values in test_sets.items():
        if not isinstance(name, str) or not TEST_SET_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            expected = "names of a letter, then letters, digits and '_'"
            raise InputError("params.yaml: test_sets", expected, f"the name {name!r}", "rename it")
        parts = values if isinstance(values, dict) else {}
        if set(parts) != set(OF_TEST_SET) or not all(isinstance(part, dict) for part in parts.values()):
            expected = "the mappings fetch (options of its source) and prepare (values of its own, {} for none)"
            raise InputError(f"params.yaml: test_sets.{name}", expected, ", ".join(map(str, parts)), "write both")


def _check_values(params: Mapping[str, dict]) -> None:
    for section, values in params.items():
        if section == "test_sets":
            for name, own in values.items():
                for part, given in own.items():
                    _check_scalars(f"params.yaml: test_sets.{name}.{part}", given)
        elif section in ("models", "drive"):
            shared = params["train"] if section == "models" else {}
            for name, own in values.items():
                _check_scalars(f"params.yaml: {section}.{name}", own)
                _check_lists(f"params.yaml: {section}.{name}", own, shared)
        else:
            _check_scalars(f"params.yaml: {section}", values)


def _check_scalars(where: str, values: Mapping[Any, Any]) -> None:
    for key, value in values.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            # DVC drops a number, and writes any text into the command line as it is: `fit=pad`, or worse.
            hint = "write the key and its value as `key: value`" if "=" in str(key) else "rename it"
            raise InputError(where, "keys of letters, digits and '_'", f"the key {key!r:.80}", hint)
        subject = f"{where}.{key}"
        if value is None:
            raise InputError(
                subject, "a value", "null, which DVC would pass on as the word None", "write '' for nothing"
            )
        for element in value if isinstance(value, list) else [value]:
            if not isinstance(element, str | int | float | bool):
                found = type(element).__name__
                raise InputError(subject, "text, a number, true or false", found, "write one of these, or quote it")
            if isinstance(element, float) and not math.isfinite(element):
                raise InputError(subject, "a finite number", element, "replace it")
            if isinstance(element, int) and abs(element) > LARGEST:
                raise InputError(subject, f"a number up to {LARGEST:,}", "a larger one", "quote it, if it is text")


def _check_lists(where: str, own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
    for key, value in own.items():
        if isinstance(value, list) and key in shared:
            found = "one in `train` too, to which DVC would append it"
            raise InputError(f"{where}.{key}", "a list in one place", found, "remove one of them")
