"""Options of a stage: parameters, which params.yaml may set, and settings of a run, which it must not set."""

import difflib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from wheretolook.base.errors import InputError

# Files are named by it, and scratch files add a suffix; file systems allow 255 bytes.
MODEL_NAME, LONGEST_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*"), 100
TEST_SET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # DVC joins it with a model's name by "-"
TEST_SET = "test_set"


class RunOption(click.Option):
    """How a stage runs, such as its device: it changes no result. params.yaml and dvc.yaml must not set it."""


class DeviceOption(RunOption):
    """Where networks run."""

    def __init__(self, *names: Any, **options: Any) -> None:
        settings: dict[str, Any] = {
            "default": "",
            "envvar": "WHERETOLOOK_DEVICE",
            "help": "cpu, cuda, cuda:1 or mps; empty: the best available.",
        }
        super().__init__(*names, **settings | options)


class InputPath(RunOption):
    """Where a stage reads another one's output. DVC knows only the default. Use: `cls=InputPath, default="data"`."""

    def __init__(self, *names: Any, default: str, **options: Any) -> None:
        settings: dict[str, Any] = {"type": click.Path(path_type=Path), "default": Path(default), "show_default": True}
        super().__init__(*names, **settings | {"help": "Read from here."} | options)


class OutputPath(InputPath):
    """Where a stage writes.

    Args:
        of_model: what the stage writes for one model, below the path, such as `{name}.json`.
    """

    def __init__(self, *names: Any, of_model: str = "", **options: Any) -> None:
        super().__init__(*names, **{"help": "Written here."} | options)
        self.of_model = of_model

    def written(self, parameters: dict[str, Any]) -> Path:
        """The file or folder that the stage writes, resolved.

        Args:
            parameters: all parameters of the stage.
        """
        path: Path = parameters[str(self.name)]
        return (path / self.of_model.format(name=parameters.get("name"))).resolve() if self.of_model else path.resolve()


class OnTestSet(RunOption):
    """A further test set: the stage reads and writes below data/tests/NAME instead. dvc.yaml sets it.

    Use: `cls=OnTestSet, places={"raw": "data/tests/{}/raw"}`.

    Args:
        places: default of other options for a test set, with {} for its name.
    """

    def __init__(self, *names: Any, places: Mapping[str, str], **options: Any) -> None:
        settings: dict[str, Any] = {
            "default": "",
            "is_eager": True,
            "callback": self._move,
            "help": "A test set of test_sets: read and write below data/tests/NAME.",
        }
        super().__init__(*names, **settings | options)
        self._places = places

    def _move(self, ctx: click.Context, param: click.Parameter, value: str) -> str:
        if value:
            if not TEST_SET_NAME.fullmatch(value):
                raise click.BadParameter("expected a letter, then letters, digits and '_'", ctx, param)
            ctx.default_map = {name: place.format(value) for name, place in self._places.items()}
        return value


class CachePath(InputPath):
    """Where a stage keeps files that it can recompute. It removes only its own files there."""

    def __init__(self, *names: Any, **options: Any) -> None:
        super().__init__(*names, **{"help": "Cache of downloads and unfinished work."} | options)


class TimeoutOption(RunOption):
    """Timeout of a download."""

    def __init__(self, *names: Any, **options: Any) -> None:
        settings: dict[str, Any] = {
            "type": FiniteRange(0, min_open=True),
            "default": 60,
            "show_default": True,
            "envvar": "WHERETOLOOK_TIMEOUT",
            "show_envvar": True,
            "help": "Seconds without an answer or progress after which an attempt has failed.",
        }
        super().__init__(*names, **settings | options)


class RetriesOption(RunOption):
    """Retries of a download."""

    def __init__(self, *names: Any, **options: Any) -> None:
        settings: dict[str, Any] = {
            "type": click.IntRange(0),
            "default": 5,
            "show_default": True,
            "envvar": "WHERETOLOOK_RETRIES",
            "show_envvar": True,
            "help": "Retries after a failure that can pass: 429, 5xx, a broken connection.",
        }
        super().__init__(*names, **settings | options)


class FiniteRange(click.FloatRange):
    """A number in a range. NaN and infinity are refused: NaN compares with no bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


class SwitchText(click.ParamType):
    """true, false, or a text."""

    name = "switch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool | str:
        """True or False for these words, else the text."""
        return {"true": True, "false": False}.get(str(value).lower(), value)


class SwitchOrText(click.Option):
    """`--key`, `--no-key` or `--key TEXT`, as DVC writes `key: true`, `key: false` and `key: TEXT`."""

    def __init__(self, *names: Any, **options: Any) -> None:
        settings: dict[str, Any] = {"type": SwitchText(), "is_flag": False, "flag_value": "true"}
        super().__init__(*names, **settings | options)
        self.secondary_opts = [f"--no-{self.opts[0].removeprefix('--')}"]

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Add the option, and the one that turns it off."""
        super().add_to_parser(parser, ctx)
        parser.add_option(self, self.secondary_opts, dest=self.name, action="store_const", const="false")


class NumberText(click.ParamType):
    """Text that params.yaml may give as a number without quotes."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself; the code that parses it reports errors."""
        return str(value)


class ModelName(click.ParamType):
    """A model's name, which names its files, and so is not a path."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name."""
        if not MODEL_NAME.fullmatch(value) or len(value) > LONGEST_NAME:
            self.fail(
                f"expected a letter, then letters, digits, '-' and '_', {LONGEST_NAME} characters at most; "
                f"found {value[:LONGEST_NAME]!r}",
                param,
                ctx,
            )
        return str(value)


def read_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The names given to an option, or the lines of the UTF-8 text file that `@FILE` names."""
    if len(value) != 1 or not value[0].startswith("@"):
        return value
    path = Path(value[0][1:])
    try:
        return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "another encoding"
        message = f"expected a UTF-8 text file with one name per line at {path.absolute()}, found: {found}"
        raise click.BadParameter(message, ctx, param) from error


# Keys that people write for another one.
_MEANT = {("sync", "path"): "`url` takes a path too: write `url: /path/to/file`"}


def unknown_key(where: str, key: str, command: click.Command) -> InputError:
    """The error for a key of params.yaml that the command does not take, with the key that may be meant."""
    known = parameters_of(command)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(sorted(known))}"
    return InputError(
        f"{where}: unknown key {key!r} of stage {command.name}", hint=_MEANT.get((str(command.name), key), hint)
    )


def parameters_of(command: click.Command) -> dict[str, click.Option]:
    """Options of a stage that params.yaml may set, by key."""
    options = [option for option in command.params if isinstance(option, click.Option)]
    return {
        name.removeprefix("--"): option
        for option in options
        if not isinstance(option, RunOption)
        for name in option.opts
    }


def settings_of(command: click.Command) -> set[str]:
    """Keys of a stage's options that params.yaml may not set, `help` among them."""
    options = [option for option in command.params if isinstance(option, RunOption)]
    return {"help"} | {name.removeprefix("--") for option in options for name in option.opts}
