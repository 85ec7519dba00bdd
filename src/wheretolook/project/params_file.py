"""Read params.yaml, and refuse what DVC's templating would silently drop, append or misread."""

import difflib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from wheretolook.base.display import redacted_values
from wheretolook.base.errors import InputError
from wheretolook.terminal.options import LONGEST_NAME, MODEL_NAME

SECTION_NAMES = ("fetch", "prepare", "models", "train", "drive", "export", "score", "compare", "report")
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
    places: list[tuple[str, Mapping[str, Any]]] = []
    for section, values in params.items():
        nested = section in ("models", "drive")
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


def _check_values(params: Mapping[str, dict]) -> None:
    for section, values in params.items():
        if section in ("models", "drive"):
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
