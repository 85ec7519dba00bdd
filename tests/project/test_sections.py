"""Each option is declared once: the stages and `check` read the same classes."""

import importlib.util

import click
import pytest

from tests.pipeline.code_dependencies import STAGES
from wheretolook.base.prepared import LABELS
from wheretolook.base.terminal.options import parameters_of, settings_of
from wheretolook.params.prepare_options import LABEL_NAMES
from wheretolook.project.params_file import RUN_SETTINGS, SECTIONS


def stage_command(stage: str) -> click.Command:
    spec = importlib.util.spec_from_file_location(f"{stage}_script", STAGES / f"{stage}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, stage)


@pytest.mark.parametrize("name", SECTIONS)
def test_check_parses_a_section_as_its_stage_does(name: str) -> None:
    section = SECTIONS[name]
    stage, checked = stage_command(section.stage), section.command()
    described = [
        {key: option.to_info_dict() for key, option in parameters_of(command).items()} for command in (stage, checked)
    ]
    assert described[0] == described[1]
    assert section.of_model == any(isinstance(each, click.Argument) for each in stage.params)


def test_every_setting_of_a_run_is_known_to_check() -> None:
    settings = [settings_of(stage_command(section.stage)) for section in SECTIONS.values()]
    assert set().union(*settings) == set(RUN_SETTINGS)


def test_names_that_check_knows_are_those_that_the_stages_know() -> None:
    assert tuple(LABELS) == LABEL_NAMES
