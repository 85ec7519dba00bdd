"""No stage replaces or empties a folder that this program did not write, whoever names it and however."""

import importlib.util
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from tests.analysis.made import make
from tests.cams.made import write_model, write_prepared
from tests.images.made_classes import write_classes
from tests.pipeline.code_dependencies import ROOT, SOURCE, STAGES
from tests.report.fake import stage_options, write_world
from tests.stages.test_compare import OPTIONS as COMPARE
from tests.stages.test_export import OPTIONS as EXPORT
from tests.stages.test_prepare import OPTIONS as PREPARE
from wheretolook.base.terminal.options import CachePath, OutputPath, settings_of
from wheretolook.networks.runtime.resumable import remove_states

SYNTHETIC = {"images_per_class": 3, "size": 32, "seed": 0, "shortcut_class": "infected", "shortcut_share": 0}
FETCH = ["--source=synthetic", *(f"--{name}={value}" for name, value in SYNTHETIC.items())]
SECTIONS = {"train": ("train", "models"), "sync": ("drive",)}
# Modules that remove folders: of scratch names, of keys of states, of models that are gone, with tests of their own.
REMOVING = {"files.py", "archive_source.py", "obtain.py", "resumable.py", "adopt.py", "leftovers.py", "fan_out.py"}
REMOVING |= {"raw_data.py"}  # in the scratch folder of fetch, before it gets its name


def load(stage: str) -> click.Command:
    spec = importlib.util.spec_from_file_location(f"{stage}_stage", STAGES / f"{stage}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, stage)


COMMANDS = {file.stem: load(file.stem) for file in sorted(STAGES.glob("*.py"))}
EVERY_SETTING = [(stage, key) for stage, command in COMMANDS.items() for key in sorted(settings_of(command))]


def keep(folder: Path) -> Path:
    """A folder with a file of somebody's own in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thesis.txt").write_text("mine")
    return folder


def is_kept(folder: Path) -> bool:
    return (folder / "thesis.txt").read_text() == "mine"


def run(stage: str, *words: str) -> Result:
    return CliRunner().invoke(COMMANDS[stage], list(words), catch_exceptions=False)


def refused(result: Result, folder: Path) -> bool:
    return result.exit_code == 1 and f"Error: {folder}: expected an empty folder" in result.output and is_kept(folder)


def test_every_path_of_every_stage_is_a_setting() -> None:
    paths = {
        (stage, option.name)
        for stage, command in COMMANDS.items()
        for option in command.params
        if isinstance(option.type, click.Path)
    }
    assert paths - set(EVERY_SETTING) == {("fetch", "path")}


@pytest.mark.parametrize(("stage", "key"), [pair for pair in EVERY_SETTING if pair[0] not in ("check", "shift")])
def test_a_setting_in_params_yaml_is_refused_by_name(
    stage: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    victim = keep(tmp_path / "victim")
    for section in SECTIONS.get(stage, (stage,)):
        params = YAML(typ="safe").load(ROOT / "params.yaml")
        params["drive"] = {"x": {"id": "1AbC", "sha256": ""}}
        for values in params[section].values() if section in ("models", "drive") else [params[section]]:
            values[key] = True if key == "help" else str(victim)
        YAML().dump(params, Path("params.yaml"))
        result = run("check")
        assert result.exit_code == 1 and not Path("reports").exists()
        assert f"Error: params.yaml: {section}." in result.output and f".{key}: expected parameters" in result.output


# dvc.yaml itself gives a further test set by name.
@pytest.mark.parametrize(("stage", "key"), [pair for pair in EVERY_SETTING if pair[1] != "test_set"])
def test_a_stage_that_dvc_starts_takes_no_setting(
    stage: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", stage)
    victim = keep(tmp_path / "victim")
    for words in ([f"--{key}={victim}"], [f"--{key}", str(victim)]) if key != "help" else (["--help"],):
        result = run(stage, *words)
        assert result.exit_code == 2 and is_kept(victim)
        assert f"--{key}: expected parameters only in params.yaml" in result.output


@pytest.mark.parametrize("stage", ["fetch", "prepare", "export"])
@pytest.mark.parametrize("name", ["../mine", "/mine", "a/b", "..", "a-b"])
def test_the_name_of_a_test_set_is_no_path(stage: str, name: str) -> None:
    words = ["one"] if stage == "export" else []
    result = run(stage, *words, "--test_set", name)
    assert result.exit_code == 2 and "expected a letter, then letters, digits and '_'" in result.output


class TestByHand:
    """A stage that a person starts, with a path of their own."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_fetch(self) -> None:
        raw, cache = keep(Path("mine")), keep(Path("cache"))
        assert refused(run("fetch", *FETCH, "--raw", "mine", "--cache", "cache"), raw)
        assert run("fetch", *FETCH, "--cache", "cache").exit_code == 0 and is_kept(cache)
        keep(Path("data/raw"))  # put into what was written
        assert refused(run("fetch", *FETCH), Path("data/raw"))

    def test_prepare(self) -> None:
        write_classes(Path("data/raw"), {"a": 10, "b": 10})
        words = [f"--{name}={value}" for name, value in PREPARE.items()]
        mine = keep(Path("mine"))
        assert refused(run("prepare", *words, "--prepared", "mine"), mine)

    def test_export(self) -> None:
        write_prepared(Path("data/prepared"))
        write_model(Path("models/one.safetensors"))
        words = [f"--{name}={value}" for name, value in EXPORT.items()]
        mine, state = keep(Path("cams/one")), keep(Path("cache/one"))
        assert refused(run("export", "one", *words, "--cams", "cams"), mine)
        exports = keep(Path("exports"))
        done = run("export", "one", *words, "--cams", "new", "--exports", "exports", "--cache", "cache")
        assert done.exit_code == 0 and is_kept(state) and is_kept(exports) and Path("new/one/manifest.json").exists()
        for name in ("../cams/one", "..", "/mine"):
            assert run("export", name, *words).exit_code == 2 and is_kept(mine)

    def test_compare(self, folder: Path) -> None:
        made = make(folder / "made")
        mine = keep(Path("mine"))
        for option in ("arrays", "reports"):
            assert refused(run("compare", *COMPARE, *made.compare_paths, f"--{option}", "mine"), mine)

    def test_report(self, folder: Path) -> None:
        write_world(folder, names=("last-0", "every-0"), per_class=8, size=32, grids=(8, 4))
        mine = keep(folder / "reports/plots")
        assert refused(run("report", *stage_options(folder)), mine)

    def test_states_of_a_model_go_and_nothing_else(self, folder: Path) -> None:
        for name in ("0" * 32, f"{'1' * 32}.gone", "data"):
            keep(folder / "cache/one" / name)
        (folder / f"cache/one/{'2' * 32}.json").touch()
        remove_states(folder / "cache", "one")
        assert [path.name for path in (folder / "cache/one").iterdir()] == ["data"] and is_kept(
            folder / "cache/one/data"
        )


def test_every_option_that_names_a_written_place_is_among_those_above() -> None:
    written = {
        (stage, str(option.name))
        for stage, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, OutputPath | CachePath)
    }
    files = {("check", "names"), ("check", "values"), ("check", "tests"), ("export", "exports")}
    model_files = {("train", "models"), ("sync", "models"), ("score", "reports"), ("shift", "reports")}
    states = {("train", "cache"), ("score", "cache"), ("export", "cache")}
    content = {("fetch", "cache"), ("sync", "cache")}
    folders = {("fetch", "raw"), ("prepare", "prepared"), ("export", "cams"), ("compare", "arrays")}
    folders |= {("check", "code"), ("compare", "reports"), ("report", "reports")}
    assert written == files | model_files | states | content | folders


def test_only_modules_that_know_their_own_remove_folders() -> None:
    files = (*(SOURCE / "wheretolook").rglob("*.py"), *STAGES.glob("*.py"))
    assert {file.name for file in files if "rmtree(" in file.read_text("utf-8")} == REMOVING
