"""A stage's code dependencies in dvc.yaml are exactly the folders that its script imports, directly or not."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.networks.small import ALONE, OPTIONS, prepared
from tests.pipeline.code_dependencies import PACKAGE, ROOT, STAGES, dependencies_of
from wheretolook.analysis.probing import probe
from wheretolook.cams import export
from wheretolook.networks.runtime import resumable
from wheretolook.training import train_network
from wheretolook.training.loop import Training

BODIES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
}


def named_code(stage: str) -> list[str]:
    """The dependencies of a stage that are code."""
    return [path for path in BODIES[stage]["deps"] if path.startswith(("src/", "stages/"))]


@pytest.mark.parametrize("stage", BODIES)
def test_code_dependencies_are_the_folders_that_the_script_imports(stage: str) -> None:
    script = re.search(r"stages/(\w+)\.py", BODIES[stage]["cmd"])[1]
    imported = dependencies_of(STAGES / f"{script}.py")
    assert set(named_code(stage)) == imported
    assert len(named_code(stage)) == len(imported), "a dependency is named twice"


def test_dvc_lock_takes_at_most_60_lines_a_stage() -> None:
    # dvc.lock has five lines for a folder (path, hash, md5, size, nfiles), four for a file.
    # Code is counted as dvc.yaml names it, the rest as the last run wrote it.
    text = (ROOT / "dvc.lock").read_text(encoding="utf-8")
    locked = yaml.safe_load(text)["stages"]
    lines = 0
    for name, stage in locked.items():
        code = named_code(name.partition("@")[0])
        other = [path for path in stage["deps"] if not path["path"].startswith(("src/", "stages/"))]
        lines += len(yaml.safe_dump(stage, sort_keys=False).splitlines()) + 1
        lines -= sum(len(path) for path in stage["deps"]) - sum(len(path) for path in other)
        lines += sum(4 if path.endswith(".py") else 5 for path in code)
    assert lines / len(locked) <= 60


def test_every_stage_script_is_run_by_a_stage() -> None:
    run = {re.search(r"stages/(\w+)\.py", body["cmd"])[1] for body in BODIES.values()}
    assert run == {script.stem for script in STAGES.glob("*.py")}


# An edit below a folder, and the first stages that it re-runs; what follows from them is DVC's part.
EDITS = {
    "report": {"report"},
    "analysis": {"score", "score-drive", "shift", "compare", "report"},
    "cams": {"export", "export-drive", "export-test", "export-test-drive", "score", "score-drive"},
    "training": {"train"},
    "prepare": {"prepare", "prepare-test"},
    "sources": {"fetch", "fetch-test"},
}


@pytest.mark.parametrize("folder", EDITS)
def test_an_edit_reruns_only_what_depends_on_it(folder: str) -> None:
    assert (PACKAGE / folder).is_dir()
    edited = (PACKAGE / folder).relative_to(ROOT)
    rerun = {stage for stage in BODIES if any(edited.is_relative_to(Path(path)) for path in named_code(stage))}
    assert rerun - {"check"} == EDITS[folder]
    assert "check" not in rerun or folder == "sources"


CODE_OF_UNFINISHED_WORK = {"train": train_network.CODE, "export": export.CODE, "score": probe.CODE}


@pytest.mark.parametrize("stage", CODE_OF_UNFINISHED_WORK)
def test_unfinished_work_is_keyed_by_the_code_of_its_stage(stage: str) -> None:
    folders = {path.removeprefix("src/wheretolook/") for path in named_code(stage) if path.startswith("src/")}
    assert set(CODE_OF_UNFINISHED_WORK[stage]) == folders


def test_an_interrupted_training_resumes_after_an_edit_in_report_or_analysis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(shutil.copytree(PACKAGE, tmp_path / "package", ignore=shutil.ignore_patterns("__pycache__")))
    monkeypatch.setattr(resumable, "PACKAGE", package)

    def keeper() -> train_network.Keeper:
        return train_network.Keeper(tmp_path, "tiny", Training(prepared(), OPTIONS, ALONE))

    interrupted = keeper()
    interrupted.training.advance()
    interrupted.save()
    for edited in ("report/site.py", "analysis/explained.py", "prepare/masks.py", "params/report_options.py"):
        with (package / edited).open("a", encoding="utf-8") as file:
            file.write("# an edit\n")
    assert keeper().restore() == 1
    with (package / "training/loop.py").open("a", encoding="utf-8") as file:
        file.write("# an edit\n")
    assert keeper().restore() == 0
