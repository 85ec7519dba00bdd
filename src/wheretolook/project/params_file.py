"""params.yaml as a whole: what DVC's templating would drop, double or misread without a word is refused here."""

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

SECTIONS = ("fetch", "prepare", "models", "train", "drive", "sync", "export", "score", "compare", "report")
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
        raise InputError(
            path, expected="the pipeline's values", found="no such file", hint="run it in the project's folder"
        ) from error
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise InputError(
            path, expected="UTF-8 text", found=f"another encoding at {place}", hint="save it as UTF-8"
        ) from error


def read_params(text: str) -> dict[str, dict]:
    """Parse and check the text of params.yaml, with the parser that DVC uses.

    Args:
        text: YAML; every one of `SECTIONS` a mapping; `models` and `drive` map names to mappings.

    Returns:
        The sections, in the file's order.

    Raises:
        InputError: no valid YAML, a doubled key, a missing or unknown section, a bad or doubled model name, a null, or a
            value that templating cannot pass on.
    """
    try:
        params = YAML(typ="safe", pure=True).load(text)
    except ValueError as error:  # a number of thousands of digits, or a 31st of February
        said = str(error).partition(";")[0]
        raise InputError(
            "params.yaml",
            expected="numbers and dates that can be read",
            found=f"one that cannot ({said})",
            hint="quote it, if it is text",
        ) from error
    except YAMLError as error:
        raise InputError("params.yaml", expected="YAML without doubled keys", hint=f"found:\n{error}") from error
    except RecursionError as error:
        raise InputError(
            "params.yaml", expected="sections of values", found="brackets within brackets without end"
        ) from error
    if not isinstance(params, dict):
        raise InputError("params.yaml", expected=f"the sections {', '.join(SECTIONS)}", found=type(params).__name__)
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
        if section not in SECTIONS:
            near = difflib.get_close_matches(str(section), SECTIONS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"params.yaml: unknown section {section!r}, expected {', '.join(SECTIONS)}{hint}")
    for section in SECTIONS:
        if section not in params:
            raise InputError(
                f"params.yaml: section {section!r} is missing", hint=f"an empty one is written `{section}: {{}}`"
            )
        if not isinstance(params[section], dict):
            found = type(params[section]).__name__
            raise InputError(
                f"params.yaml: section {section!r}", expected="a mapping", found=found, hint="empty is `{}`"
            )


def _check_names(params: Mapping[str, dict]) -> None:
    seen: dict[str, str] = {}
    for section in ("models", "drive"):
        for name, values in params[section].items():
            if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
                raise InputError(
                    f"params.yaml: {section}: bad name {name!r}",
                    expected=(
                        "a letter, then letters, digits, '-' and '_' (DVC drops numbers and booleans, and a dot or "
                        "slash would change the path)"
                    ),
                    hint="rename it",
                )
            if len(name) > LONGEST_NAME:
                raise InputError(
                    f"params.yaml: {section}: bad name '{name[:20]}...'",
                    expected=f"at most {LONGEST_NAME} characters, since files are named by it",
                    found=len(name),
                    hint="shorten it",
                )
            if name.lower() in seen:
                raise InputError(
                    (
                        f"params.yaml: {section}: the name {name!r} stands in {seen[name.lower()]!r} already (upper "
                        "and lower case count as one, as some file systems do)"
                    ),
                    hint="rename one of the two",
                )
            seen[name.lower()] = section
            if not isinstance(values, dict) or not values:
                raise InputError(
                    f"params.yaml: {section}.{name}", expected="a mapping of its own values", found=f"{values!r}"
                )
    if not seen:
        raise InputError("params.yaml: no model in `models` or `drive`", hint="name at least one")


def _check_values(params: Mapping[str, dict]) -> None:
    for section, values in params.items():
        if section in ("models", "drive"):
            shared = params["train" if section == "models" else "sync"]
            for name, own in values.items():
                _check_scalars(f"{section}.{name}", own)
                _check_lists(f"{section}.{name}", own, shared)
        else:
            _check_scalars(section, values)


def _check_scalars(where: str, values: Mapping[Any, Any]) -> None:
    for key, value in values.items():
        if not isinstance(key, str):
            raise InputError(
                f"params.yaml: {where}: bad key {key!r}: DVC drops it without a word", hint="write it as text"
            )
        if not KEY.fullmatch(key):
            # It would become a part of a command line as it is: `fit=pad`, or worse.
            raise InputError(
                f"params.yaml: {where}",
                "keys of letters, digits and '_'",
                f"the key {key!r:.80}",
                "write the key and its value as `key: value`" if "=" in key else "rename it",
            )
        if value is None:
            raise InputError(
                f"params.yaml: {where}.{key}: null would reach the stage as the word None", hint="write '' for nothing"
            )
        for element in value if isinstance(value, list) else [value]:
            if not isinstance(element, str | int | float | bool):
                found = type(element).__name__
                raise InputError(
                    f"params.yaml: {where}.{key}",
                    expected="text, a number, true or false",
                    found=found,
                    hint="write it so, or quote it",
                )
            if isinstance(element, float) and not math.isfinite(element):
                raise InputError(f"params.yaml: {where}.{key}", expected="a number", found=element, hint="write it out")
            if isinstance(element, int) and abs(element) > LARGEST:
                expected = f"expected a number up to {LARGEST:,}, found a larger one; quote it, if it is text"
                raise InputError(f"params.yaml: {where}.{key}: {expected}")


def _check_lists(where: str, own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
    for key, value in own.items():
        if isinstance(value, list) and key in shared:
            raise InputError(
                f"params.yaml: {where}.{key}: a list given again is appended, not replaced",
                hint="write it in one place",
            )
