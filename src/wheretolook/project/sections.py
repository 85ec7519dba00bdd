"""The sections of params.yaml, and the options and the stage that each one is for; no code of a stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

import click
from pydantic.fields import FieldInfo

from wheretolook.params.compare import CompareOptions
from wheretolook.params.drive import DriveOptions
from wheretolook.params.export import ExportOptions
from wheretolook.params.fetch import FetchOptions
from wheretolook.params.prepare import PrepareOptions
from wheretolook.params.report import ReportOptions
from wheretolook.params.score import ScoreOptions
from wheretolook.params.train import TrainOptions
from wheretolook.terminal.section import click_type, command_of, fields_of


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
    **dict.fromkeys(("raw", "reports", "scores"), ""),
    "device": "WHERETOLOOK_DEVICE",
    "timeout": "WHERETOLOOK_TIMEOUT",
    "retries": "WHERETOLOOK_RETRIES",
}
PAGE = Path("docs/parameters.md")
INTRODUCTION = """\
# Parameters

Every key of `params.yaml`, by section. `tests/project/test_sections.py` writes this page from the classes in
`src/wheretolook/params/`, when run with `WRITE_DOCS=1`, and fails if it is out of date.

An entry of `models` holds a model's own values for keys of `train`; they win over the shared ones. `drive` holds an
entry for each model that is not trained here. A key without a default must be given. A list is written as a YAML list.
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
        words = {"boolean": "true or false", "path": "path", "number": "number"}.get(kind.name, "text")
    return f"list of {words}" if get_origin(field.annotation) is tuple else words


def _bounds(kind: Any) -> Iterator[str]:
    if kind.min is not None:
        yield f"{'above' if kind.min_open else 'at least'} {kind.min:g}"
    if kind.max is not None:
        yield f"{'below' if kind.max_open else 'at most'} {kind.max:g}"


def model_values(params: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The values of a model that is trained here: the shared ones, and its own, which win."""
    return {**params["train"], **params["models"][name]}
