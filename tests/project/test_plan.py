"""`wheretolook plan` says what `dvc repro` then does: held against the very run, on a project of stand-ins."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.pipeline.project import WITHOUT_TORCH, Project, copy_project
from wheretolook.cli.main import main
from wheretolook.project.plan import Plan, check_outputs, plan_run

# DVC's own use of pygtrie, in process; and a dozen runs of DVC.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, forks: dict[str, str]) -> Project:
    """Two models, all stages run, results committed; with stand-ins."""
    project = copy_project(tmp_path_factory.mktemp("plan"), modules=False, variables=forks, stand_ins=WITHOUT_TORCH)
    params = project.read_params()
    for name in ("last-1", "every-1"):
        del params["models"][name]
    project.write_params(params)
    project.repro()
    project.commit("results")
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to be spoilt."""
    shutil.copytree(finished.root, tmp_path / "project", symlinks=True)
    return replace(finished, root=tmp_path / "project")


def remove(*names: str) -> Callable[[Project], object]:
    return lambda project: project.run("rm", "-rf", *names)


def set_seed(project: Project) -> None:
    params = project.read_params()
    params["models"]["every-0"]["seed"] = 7
    project.write_params(params)


EXPORTS = ("export@last-0", "export@every-0")
SCORES = ("score@last-0", "score@every-0")
TRAINS = ("train@last-0", "train@every-0")
# What is done, and the stages that (run, run for want of an output, follow, are brought back).
CASES: dict[str, tuple[Callable[[Project], object], tuple[tuple[str, ...], ...]]] = {
    "nothing": (lambda project: None, ((), (), (), ())),
    "models and results removed": (
        remove("models", "reports/site", "data/cams/every-0", "reports/models/last-0.json"),
        (("score@last-0",), ("report",), ("compare",), (*TRAINS, "export@every-0")),
    ),
    "all data removed": (remove("data"), ((), ("compare",), ("report",), ("fetch", "prepare", *EXPORTS))),
    "a clone": (
        remove("data", "models", "reports/site", ".dvc/cache", ".dvc/tmp"),
        ((), ("fetch", "prepare", *TRAINS, *EXPORTS, "compare", "report"), ("score@last-0", "score@every-0"), ()),
    ),
    "another seed": (
        set_seed,
        # `check` writes the same names and hashes of code, so no other model follows; the report shows the seed.
        (("check", "train@every-0", "report"), (), ("export@every-0", "score@every-0", "compare"), ()),
    ),
    "an edited table": (
        lambda project: (project.root / "reports/summary.md").write_text("edited"),
        (("report",), (), (), ()),
    ),
}


def truncate(path: Path, count: int) -> None:
    """Cut a file in place, as an editor or a full disk may."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(count)
    path.chmod(0o444)  # as DVC has its copies: then it does not look into them


def kinds(plan: Plan) -> tuple[set[str], ...]:
    return tuple(map(set, (plan.changed, plan.lost, plan.followers, plan.restored)))


@pytest.mark.parametrize("case", CASES)
def test_the_plan_is_what_dvc_repro_does(case: str, project: Project) -> None:
    change, expected = CASES[case]
    change(project)
    plan = plan_run(project.root)
    assert kinds(plan) == tuple(map(set, expected))
    ran = set(project.repro())
    assert {*plan.changed, *plan.lost} <= ran <= {*plan.changed, *plan.lost, *plan.followers}
    assert kinds(plan_run(project.root)) == (set(),) * 4


def test_a_further_test_set_runs_what_concerns_it_and_no_model_is_trained_or_exported_again(project: Project) -> None:
    params = project.read_params()
    source = {**params["fetch"], "seed": 9, "images_per_class": 22}
    params["test_sets"] = {"clinic": {"fetch": source, "prepare": {}}}
    project.write_params(params)
    own = {"fetch-test@clinic", "prepare-test@clinic", "shift@clinic"}
    own |= {"export-test@clinic-last-0", "export-test@clinic-every-0"}
    plan = plan_run(project.root)
    assert own <= {*plan.changed, *plan.lost, *plan.followers}
    ran = project.repro()
    assert set(ran) == own | {"check", "report"}
    found = json.loads((project.root / "reports/tests/clinic.json").read_text(encoding="utf-8"))
    assert (found["images"], set(found["models"])) == (44, {"last-0", "every-0"})
    assert "## Test set clinic" in (project.root / "reports/summary.md").read_text(encoding="utf-8")


def test_what_check_will_write_is_known_before_it_runs(project: Project) -> None:
    foreseen = check_outputs(project.root)
    assert len(foreseen) == 5
    for path, md5 in foreseen.items():
        assert hashlib.md5((project.root / path).read_bytes()).hexdigest() == md5, path
    (project.root / "params.yaml").write_text("models: 3\n")
    assert check_outputs(project.root) == {}


def test_with_allow_missing_a_clone_runs_nothing(project: Project) -> None:
    remove("data", "models", "reports/site", ".dvc/cache", ".dvc/tmp")(project)
    done = CliRunner().invoke(main, ["plan", "--allow-missing", "--root", str(project.root)])
    assert done.output == "plan: nothing would run\n"


def test_what_is_restored_from_the_cache_is_listed_separately(project: Project) -> None:
    remove("models")(project)
    lines = CliRunner().invoke(main, ["plan", "--root", str(project.root)]).output.splitlines()
    brought = "does not run; its outputs are restored from DVC's cache: train@last-0, train@every-0"
    assert lines == [brought, "plan: nothing would run"]


def test_files_of_no_model_are_named_where_they_alone_are_the_reason(project: Project) -> None:
    strays = ("reports/exports/zz.json", "reports/models/zz.json", "reports/plots/confusion/zz.csv")
    for stray in strays:
        (project.root / stray).write_text("{}")
    plan = plan_run(project.root)
    assert (plan.changed, plan.strays) == (("compare", "report"), strays)
    lines = CliRunner().invoke(main, ["plan", "--root", str(project.root)]).output.splitlines()
    assert lines[0] == "runs: compare, report"
    assert lines[1].startswith("because of files of models that params.yaml does not name (`wheretolook tidy`")
    assert lines[1].endswith(f": {', '.join(strays)}")
    (project.root / "reports/exports/last-0.json").write_text("{}")
    plan = plan_run(project.root)
    assert plan.strays == strays[1:], "reports/exports differs for another reason"


def test_what_was_edited_together_with_the_copy_in_the_cache_is_not_promised(project: Project) -> None:
    model, maps = project.root / "models/last-0.safetensors", project.root / "data/cams/last-0"
    project.run("rm", "-rf", str(model), str(maps))
    project.dvc("config", "cache.type", "hardlink,copy")
    project.dvc("checkout")
    (maps / "manifest.json").touch()
    assert kinds(plan_run(project.root)) == (set(),) * 4, "linked, and as it was"
    truncate(model, 500)
    truncate(maps / "logits.npy", 300)
    lines = CliRunner().invoke(main, ["plan", "--root", str(project.root)]).output.splitlines()
    told = "does not run; its outputs stay edited, as is DVC's copy (`wheretolook verify` helps): "
    assert lines == [f"{told}train@last-0, export@last-0", "plan: nothing would run"]
    model.unlink()
    replaced = project.root / "models/every-0.safetensors"
    whole = replaced.read_bytes()
    replaced.unlink()
    replaced.write_text("not edited in place")
    plan = plan_run(project.root)
    assert (plan.edited, plan.restored) == (("train@last-0", "export@last-0"), ("train@every-0",))
    assert project.repro() == []
    assert model.stat().st_size == 500 and replaced.read_bytes() == whole


def test_a_remote_is_named_where_something_is_lost(project: Project) -> None:
    project.dvc("remote", "add", "--default", "store", str(project.root / "store"))
    remove("data/prepared", ".dvc/cache")(project)
    output = CliRunner().invoke(main, ["plan", "--root", str(project.root)]).output
    assert "runs, since DVC's cache lacks its output; `dvc repro --pull` tries the remote first: " in output


@pytest.mark.parametrize(
    ("text", "what"),
    [("a:\n\tb: 1\n", "cannot start any token"), ("a: 1\na: 2\n", 'found duplicate key "a"')],
    ids=["a tab", "a doubled key"],
)
@pytest.mark.parametrize("command", ["plan", "verify"])
def test_what_is_no_yaml_is_named_with_its_line(command: str, text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: run ${a}\n")
    (tmp_path / "params.yaml").write_text(text)
    done = CliRunner().invoke(main, [command, "--root", str(tmp_path)])
    assert done.exit_code == 1
    assert "params.yaml', YAML file structure is corrupted at line 2, column 1: found" in done.stderr
    assert what in done.stderr


def test_on_a_full_disk_the_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = True\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")

    def full(lock: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dvc.lock.Lock.lock", full)
    done = CliRunner().invoke(main, ["plan", "--root", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {tmp_path / '.dvc/tmp'}: no space left on the disk: ")
