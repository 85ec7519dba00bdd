"""The whole pipeline in a small form, run by `dvc repro` as a person runs it: one project, followed in order.

The report leaves out its pictures, which take most of its time.
"""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.drive_server.drive import Drive
from tests.drive_server.served import Served
from tests.pipeline.project import Project, copy_project
from wheretolook.project.params_file import arguments

DRIVE_ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123-"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, forks: dict[str, str]) -> tuple[Project, str]:
    """Two models, trained for an epoch on 48 images; everything has run once, with this output."""
    project = copy_project(tmp_path_factory.mktemp("repro"), modules=False, variables=forks, stand_ins=["report"])
    params = project.read_params()
    for name in ("last-1", "every-1"):
        del params["models"][name]
    project.write_params(params)
    output = project.dvc("repro").stdout
    assert next(iter(said(output))) == "check", "a fault in params.yaml must be found before anything runs"
    project.commit("first run")
    return project, output


@pytest.fixture(scope="module")
def project(first: tuple[Project, str]) -> Project:
    return first[0]


def outputs(project: Project) -> dict[str, str]:
    """SHA-256 of every file that the stages wrote."""
    files = [
        file
        for top in ("data", "models", "reports")
        for file in sorted((project.root / top).rglob("*"))
        if file.is_file()
    ]
    return {
        file.relative_to(project.root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.name != ".gitignore"
    }


def metrics(project: Project) -> dict:
    return json.loads((project.root / "reports/metrics.json").read_text(encoding="utf-8"))


def test_a_second_run_runs_nothing(project: Project) -> None:
    assert project.repro() == []
    assert project.run("git", "status", "--porcelain").stdout == ""


def test_each_model_left_its_results(project: Project) -> None:
    for name in ("last-0", "every-0"):
        assert name in json.dumps(metrics(project))
        assert (project.root / f"data/cams/{name}/gradcam.block1.npy").exists()
    assert not (project.root / "data/cams/last-0/cam.block1.npy").exists(), "an untrained head has no CAM of its own"
    assert (project.root / "data/cams/every-0/cam.block1.npy").exists()


def said(output: str) -> dict[str, list[str]]:
    """What stands below each stage's command in the output of a run of DVC, by the stage's name."""
    runs = (run.splitlines() for run in output.split("Running stage ")[1:])
    return {first.split("'")[1]: lines for first, _, *lines in runs}


def test_each_stage_says_what_it_does(first: tuple[Project, str]) -> None:
    """That a second run of a stage writes the same bytes is shown by tests/chaos."""
    lines = said(first[1])
    assert len(lines) == 11
    for stage, shown in lines.items():
        own = [line for line in shown if line.startswith(f"{stage.replace('@', ' ')}: ")]
        assert shown[0] == own[0] and len(own) > 1, f"{stage} does not say what it is about to do, and what came of it"
        assert re.search(r"\d", own[-1]), f"{stage} ends without a figure"


def test_an_edited_map_is_put_back(project: Project) -> None:
    path = project.root / "data/cams/last-0/cam.block4.npy"
    before = path.read_bytes()
    edited = np.load(path) + 1
    path.unlink()  # DVC's links are read-only
    np.save(path, edited)
    options = arguments(project.read_params()["score"])
    alone = project.run("sh", "stages/launch", "stages/score.py", "last-0", *options, check=False)
    assert alone.returncode == 1
    assert "cam.block4.npy: expected sha256" in alone.stderr and "dvc repro -sf export@last-0" in alone.stderr
    project.repro()
    assert path.read_bytes() == before


def test_a_misspelt_parameter_is_named_before_anything_runs(project: Project) -> None:
    text = (project.root / "params.yaml").read_text(encoding="utf-8")
    (project.root / "params.yaml").write_text(text.replace("  epochs:", "  epoch:"), encoding="utf-8")
    try:
        done = project.dvc("repro", check=False)
        output = done.stdout + done.stderr
        assert done.returncode != 0
        assert "unknown key 'epoch' of stage train. Did you mean 'epochs'?" in output
        assert [line for line in output.splitlines() if line.startswith("Running stage")] == ["Running stage 'check':"]
    finally:
        (project.root / "params.yaml").write_text(text, encoding="utf-8")
    assert project.repro() == ["check"], "DVC removed its output before the run that failed"


def test_one_models_parameter_reruns_that_model_alone(project: Project) -> None:
    before = outputs(project)
    params = project.read_params()
    params["models"]["every-0"]["seed"] = 7
    project.write_params(params)
    ran = project.repro()
    assert ran == ["check", "train@every-0", "export@every-0", "score@every-0", "compare", "report"]
    changed = {path for path, digest in outputs(project).items() if before.get(path) != digest}
    assert "models/every-0.safetensors" in changed
    assert not {
        path for path in changed if "last-0" in path and not path.startswith(("reports/figures", "reports/site"))
    }


def test_a_model_from_drive_is_like_one_trained_here(project: Project, tmp_path: Path) -> None:
    content = (project.root / "models/last-0.safetensors").read_bytes()
    params = project.read_params()
    params["drive"] = {"from-drive": {"id": DRIVE_ID, "sha256": hashlib.sha256(content).hexdigest()}}
    project.write_params(params)
    with Drive(tmp_path) as drive:
        drive.files[DRIVE_ID] = Served(content, kind="virus scan")
        online = replace(project, variables=project.variables | drive.environment)
        ran = online.repro()
    name = "from-drive"
    assert ran == ["check", f"sync@{name}", f"export-drive@{name}", f"score-drive@{name}", "compare", "report"]
    maps = sorted((project.root / "data/cams/last-0").glob("*.npy"))
    assert len(maps) > 4
    for path in maps:
        assert (project.root / "data/cams/from-drive" / path.name).read_bytes() == path.read_bytes()
    assert "from-drive" in metrics(project)


def test_a_removed_model_leaves_the_report(project: Project) -> None:
    params = project.read_params()
    params["drive"] = {}
    del params["models"]["every-0"]
    project.write_params(params)
    assert project.repro() == ["check", "compare", "report"]
    assert "every-0" not in json.dumps(metrics(project))
    assert "every-0" not in (project.root / "reports/summary.md").read_text(encoding="utf-8")
    assert Path(project.root / "reports/exports/every-0.json").exists(), "DVC leaves a removed stage's files"


def test_a_queued_experiment_runs_the_code_of_its_own_tree(project: Project) -> None:
    """The queued tree's package says a word that the main checkout's, changed back meanwhile, does not."""
    module = project.root / "src/wheretolook/project/params_file.py"
    plain = module.read_text(encoding="utf-8")
    module.write_text(
        plain.replace("    _check_sections(params)\n", "    _check_sections(params)\n    print('queued')\n", 1)
    )
    project.commit("a word more")
    project.dvc("exp", "run", "--queue", "-S", "report.gallery_images=3")
    module.write_text(plain, encoding="utf-8")
    project.dvc("queue", "start")
    done = project.dvc("queue", "logs", "--follow", project.dvc("queue", "status").stdout.splitlines()[1].split()[0])
    assert "queued" in done.stdout + done.stderr
