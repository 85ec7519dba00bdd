"""A small change of known size, seen by `wheretolook diff` between two git revisions."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.finished import commit, finished_project, write_outputs
from tests.pipeline.code_dependencies import ROOT
from tests.pipeline.project import Project, environment
from wheretolook.commands.diff import diff
from wheretolook.data.atomic import write_json
from wheretolook.data.hashing import sha256_of
from wheretolook.data.prepared import load_prepared
from wheretolook.diff.difference import Difference
from wheretolook.diff.drift import Drift
from wheretolook.diff.gates import Gates, broken_gates
from wheretolook.diff.metrics import MetricChange
from wheretolook.diff.models import ModelChange

LAST = "cam.block2.npy"


def edit_array(root: Path, name: str, array: str, values: np.ndarray) -> None:
    """Write an array of maps anew, and pin it."""
    path, manifest = root / f"data/cams/{name}/{array}", root / f"data/cams/{name}/manifest.json"
    np.save(path, values)
    described = json.loads(manifest.read_text(encoding="utf-8"))
    described["arrays"][array]["sha256"] = sha256_of(path)
    write_json(manifest, described)
    write_json(root / f"reports/exports/{name}.json", described)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tag `base`; then every-0 sees 3 of its 12 test images the other way round, and gets one of those wrong.

    last-0 stays as it was, last-1 is removed, every-1 is added.
    """
    names = ("last-0", "last-1", "every-0")
    project = finished_project(tmp_path_factory.mktemp("diff"), names, change=change_all_right)
    project.run("git", "tag", "base")
    write_outputs(project.root, ("last-0", "every-1", "every-0"), 12)
    change_all_right(project.root)
    change_gaze(project.root)
    commit(project)
    return project


def change_all_right(root: Path) -> None:
    """Logits of every-0 by which each image is what it is."""
    logits = np.load(root / "data/cams/every-0/logits.npy")
    logits[:, -1] = np.eye(2)[load_prepared(root / "data/prepared").labels]
    edit_array(root, "every-0", "logits.npy", logits)


def change_gaze(root: Path) -> None:
    """The first three test images' maps turned over, the second of them taken for the other class; two figures."""
    maps, logits = np.load(root / "data/cams/every-0" / LAST), np.load(root / "data/cams/every-0/logits.npy")
    moved = load_prepared(root / "data/prepared").rows("test")[:3]
    maps[moved] *= -1
    logits[moved[1], -1] = logits[moved[1], -1][::-1]
    edit_array(root, "every-0", LAST, maps)
    edit_array(root, "every-0", "logits.npy", logits)
    metrics = json.loads((root / "reports/metrics.json").read_text(encoding="utf-8"))
    metrics["every-0"]["test"] |= {"accuracy": 0.25, "log_loss": 2.5}
    write_json(root / "reports/metrics.json", metrics)


def run(project: Project, *words: str) -> Result:
    return CliRunner().invoke(diff, [*words, "--root", str(project.root)])


def read_diff(project: Project, *words: str) -> dict:
    result = run(project, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture(scope="module")
def found(project: Project) -> dict:
    return read_diff(project, "base", "HEAD", "--images", "4")


def test_the_drift_is_one_less_the_mean_correlation(found: dict) -> None:
    last, every = found["models"]
    assert (last["name_a"], last["drift"]["mean"], last["predictions"]["changed"]) == ("last-0", 0, 0)
    assert every["drift"]["mean"] == pytest.approx(2 * 3 / 12, abs=1e-6), "three of twelve correlate by -1, nine by 1"
    assert every["drift"]["classes"] == pytest.approx({"infected": 2 * 3 / 6, "uninfected": 0}, abs=1e-6)
    assert every["drift"]["images"] == 12


def test_models_that_came_and_went_are_named(found: dict) -> None:
    assert (found["added"], found["removed"]) == (["every-1"], ["last-1"])


def test_a_changed_prediction_is_counted_once(found: dict) -> None:
    assert found["models"][1]["predictions"] == {"images": 12, "changed": 1, "fixed": 0, "broken": 1}


def test_the_images_that_moved_most_come_first_with_what_each_side_takes_them_for(found: dict) -> None:
    moved = found["models"][1]["moved"]
    assert [image["drift"] for image in moved] == pytest.approx([2, 2, 2], abs=1e-6), "the other nine stayed"
    assert {image["image_id"]: (image["predicted_a"], image["predicted_b"]) for image in moved} == {
        "infected/0000.png": ("infected", "infected"),
        "infected/0002.png": ("infected", "uninfected"),
        "infected/0004.png": ("infected", "infected"),
    }


def test_the_workspace_is_what_b_is_by_default(project: Project, found: dict) -> None:
    assert read_diff(project, "base", "--images", "4")["models"] == found["models"]


def test_the_other_way_round_a_broken_prediction_is_a_fixed_one(project: Project) -> None:
    found = read_diff(project, "HEAD", "base")
    assert found["models"][1]["predictions"]["fixed"] == 1
    assert (found["added"], found["removed"]) == (["last-1"], ["every-1"])


def test_a_revision_against_itself_reads_no_map(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wheretolook.diff.side.link_cached", lambda *_: pytest.fail("data were asked for"))
    result = run(project, "HEAD", "main", "--max-drift", "0")
    assert result.exit_code == 0
    assert "Nothing changed." in result.output


def test_two_models_of_one_tree_are_compared_with_their_agreement(project: Project) -> None:
    result = run(project, "last-0", "every-0")
    assert result.exit_code == 0
    assert "last-0 → every-0" in result.output
    assert "mean correlation" in result.output
    assert "test.accuracy" in result.output


def test_missing_maps_are_brought_from_the_cache(project: Project) -> None:
    shutil.rmtree(project.root / "data/cams")
    (project.root / "data/prepared/images.npy").unlink()
    assert read_diff(project, "base")["models"][1]["drift"]["images"] == 12


@pytest.fixture(scope="module")
def written(project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with pictures and a page, and the Markdown."""
    folder = tmp_path_factory.mktemp("written")
    words = ("--md", "--images", "1", "--pictures", str(folder), "--html", str(folder / "page.html"))
    result = run(project, "base", "HEAD", *words)
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_markdown_is_a_table_a_pull_request_can_show(written: tuple[Path, str]) -> None:
    folder, text = written
    assert re.search(r"^\| every-0 +\| 12 +\| 0\.5000 +\| infected 1\.0000 +\| 1 ", text, re.MULTILINE)
    assert "|:---" in text
    assert f"]({folder}/moved-every-0.png)" in text
    assert (folder / "moved-every-0.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "moved-last-0.png").exists(), "maps that did not move need no picture"


def test_the_page_stands_alone(written: tuple[Path, str]) -> None:
    page = (written[0] / "page.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "0.5000" in page and "every-1" in page
    assert 'src="http' not in page and 'href="http' not in page


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (["--max-drift", "0.49"], "every-0: drift 0.5000"),
        (["--max-drop", "test.accuracy=0.1"], "every-0: test.accuracy fell"),
        (["--max-rise", "test.log_loss=0.1"], "every-0: test.log_loss rose"),
    ],
)
def test_a_limit_that_is_not_kept_ends_with_1(project: Project, limits: list[str], told: str) -> None:
    result = run(project, "base", "HEAD", *limits)
    assert result.exit_code == 1
    assert told in result.output
    assert "last-0: drift" not in result.output


def test_limits_that_are_kept_end_with_0(project: Project) -> None:
    limits = ["--max-drift", "0.5", "--max-drop", "test.accuracy=1", "--max-rise", "test.log_loss=9"]
    assert run(project, "base", "HEAD", *limits).exit_code == 0


def test_a_misspelt_figure_is_no_passed_limit(project: Project) -> None:
    result = run(project, "base", "HEAD", "--max-drop", "test.acuracy=0.1")
    assert result.exit_code == 1
    assert "test.accuracy" in result.output


@pytest.mark.parametrize(
    "limit",
    ["test.accuracy", "=0.1", *(f"test.accuracy={limit}" for limit in ("-1", "much", "nan", "inf", "-inf"))],
)
def test_a_limit_of_another_form_is_a_wrong_use(project: Project, limit: str) -> None:
    assert run(project, "base", "HEAD", "--max-drop", limit).exit_code == 2


@pytest.mark.parametrize("limit", ["nan", "inf", "-nan", "2.1"])
def test_no_drift_is_more_than_nan_so_it_is_no_limit(project: Project, limit: str) -> None:
    assert run(project, "base", "HEAD", "--max-drift", limit).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--max-drift", "0.1", "--max-drift", "2"],
        ["--max-drop", "test.accuracy=0.1", "--max-drop", "test.accuracy=1"],
        ["--max-rise", "test.log_loss=0.1", "--max-rise", "test.log_loss=9"],
    ],
)
def test_a_limit_given_twice_is_a_wrong_use(project: Project, words: list[str]) -> None:
    done = run(project, "base", "HEAD", *words)
    assert done.exit_code == 2 and words[0] in done.output


def test_what_is_no_number_keeps_no_limit() -> None:
    drift = Drift(images=3, left_out=0, mean=float("nan"), classes={})
    model = ModelChange("m", "m", (MetricChange("test.accuracy", 0.5, float("nan")),), drift=drift)
    difference = Difference("a", "b", (model,), (), (), ())
    broken = broken_gates(Gates(0.1, {"test.accuracy": 0.1}, {"test.accuracy": 0.1}), difference)
    assert len(broken) == 3


def test_what_is_no_revision_and_no_model_is_refused(project: Project) -> None:
    assert "expected a model, a git revision or an experiment" in run(project, "nonsense", "HEAD").output
    mixed = run(project, "last-0", "HEAD").output
    assert "expected two models or two revisions" in mixed and "every-1" in mixed
    assert "last-0 is a model, a second one is missing" in run(project, "last-0").output


def test_a_model_that_no_report_has_seen_yet_is_refused_with_the_remedy(project: Project) -> None:
    names = project.root / "reports/names.json"
    before = names.read_text(encoding="utf-8")
    named = json.loads(before)
    named["models"].append("every-2")
    names.write_text(json.dumps(named), encoding="utf-8")
    try:
        result = run(project, "every-0", "every-2")
    finally:
        names.write_text(before, encoding="utf-8")
    assert result.exit_code == 1
    assert "workspace: reports/metrics.json: expected figures of every-2, found those of every-0, " in result.output
    assert 'run "dvc repro"' in result.output


def edited(path: Path, key: str, value: object) -> str:
    return json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: value})


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("names.json", lambda path: "{}"),
        ("names.json", lambda path: '{"models": 3}'),
        ("metrics.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("metrics.json", lambda path: "[]"),
        ("metrics.json", lambda path: edited(path, "every-0", 1)),
        ("metrics.json", lambda path: edited(path, "every-0", {"test": {"accuracy": None}})),
        ("metrics.json", lambda path: edited(path, "every-0", {"test": {"accuracy": float("nan")}})),
        ("comparison/agreement.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("comparison/agreement.json", lambda path: "{}"),
        ("comparison/agreement.json", lambda path: '{"rows": [{}]}'),
        ("exports/every-0.json", lambda path: path.read_text(encoding="utf-8")[:-30]),
        ("exports/every-0.json", lambda path: edited(path, "arrays", [])),
        ("exports/every-0.json", lambda path: edited(path, "arrays", {"logits.npy": {"sha256": None}})),
        ("exports/every-0.json", lambda path: edited(path, "layers", [])),
        ("models/last-0.json", lambda path: "{}"),
    ],
)  # fmt: skip
def test_a_file_that_was_cut_or_edited_is_refused_with_the_remedy(project: Project, file: str, spoil) -> None:
    path = project.root / "reports" / file
    before = path.read_bytes()
    path.write_text(spoil(path), encoding="utf-8")
    try:
        done = run(project, "workspace", "base")
    finally:
        path.write_bytes(before)
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    assert file in done.output and 'run "dvc repro' in done.output, done.output


def test_what_is_no_utf_8_is_refused(project: Project) -> None:
    path = project.root / "reports/names.json"
    before = path.read_bytes()
    path.write_bytes(b"\xff" + before)
    try:
        done = run(project, "base")
    finally:
        path.write_bytes(before)
    assert done.exit_code == 1 and "reports/names.json: expected JSON, found 'utf-8' codec" in done.output


@pytest.mark.parametrize(
    "words", [("--html", ""), ("--html", "{folder}"), ("--pictures", ""), ("--pictures", "{file}")]
)
def test_a_place_to_write_that_is_none_is_a_wrong_use(project: Project, words: tuple[str, str]) -> None:
    place = words[1].format(folder=project.root, file=project.root / "params.yaml")
    done = run(project, "base", words[0], place)
    assert done.exit_code == 2 and words[0] in done.output


def test_on_a_terminal_that_lacks_the_arrow_it_ends_well_and_json_is_utf_8(project: Project) -> None:
    words = [sys.executable, "-m", "wheretolook.cli", "diff", "base", "--root", str(project.root)]
    latin = environment() | {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "latin-1"}
    shown = subprocess.run(words, env=latin, capture_output=True, check=True).stdout.decode("latin-1")
    assert re.match(r"base \(.{7}\) \? workspace\n", shown)
    printed = subprocess.run([*words, "--json"], env=latin, capture_output=True, check=True).stdout
    assert json.loads(printed.decode("utf-8"))["a"].startswith("base")


def test_ended_by_term_it_leaves_no_scratch_folder(project: Project, tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from wheretolook import cli\n"
        "from wheretolook.diff import difference\n"
        "difference._sides = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"cli.main(['diff', 'base', '--root', {str(project.root)!r}])\n"
    )
    inside = environment() | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=inside, capture_output=True, text=True)
    assert done.returncode == 128 + 15, done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.glob("wheretolook-*")) == []


def test_outside_of_the_projects_folder_it_says_where_to_go(project: Project) -> None:
    result = CliRunner().invoke(diff, ["HEAD", "--root", str(project.root / "reports")])
    assert result.exit_code == 1
    assert "expected a folder with dvc.yaml" in result.output


def test_without_maps_the_figures_are_compared_and_a_drift_limit_fails(project: Project, tmp_path: Path) -> None:
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    result = run(clone, "base", "HEAD", "--max-drift", "2")
    assert result.exit_code == 1
    assert "predictions and maps were not compared" in result.output
    assert "test.accuracy" in result.output
    assert "could not be measured" in result.output


def test_where_all_maps_are_constant_the_predictions_are_compared_and_it_says_so(tmp_path: Path) -> None:
    def make_constant(root: Path) -> None:
        edit_array(root, "every-0", LAST, np.zeros_like(np.load(root / "data/cams/every-0" / LAST)))

    project = finished_project(tmp_path, change=make_constant)
    result = run(project, "last-0", "every-0")
    assert result.exit_code == 0, result.output
    assert "last-0 → every-0: maps were not compared: expected maps that vary, found constant ones" in result.output
    assert re.search(r"^last-0 → every-0 +12 +– +– +\d", result.output, re.MULTILINE), "predictions were compared"


@pytest.mark.parametrize("sides", [("base", "HEAD"), ("workspace", "HEAD")])
def test_why_maps_could_not_be_fetched_is_said(project: Project, tmp_path: Path, sides: tuple[str, str]) -> None:
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    clone.dvc("remote", "add", "--local", "--default", "far", "ssh://nobody@127.0.0.1/x")
    if "workspace" in sides:
        edit_manifest(clone.root)
    result = run(clone, *sides)
    assert result.exit_code == 0, result.output
    assert re.search(r"found it nowhere \(DVC said: .*dvc-ssh.*\); run \"dvc push\"", result.output)


def edit_manifest(root: Path) -> None:
    """As if the maps were others, so that they must be read."""
    path = root / "reports/exports/every-0.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["arrays"]["logits.npy"]["sha256"] = "0" * 64
    write_json(path, manifest)


def test_a_clone_fetches_from_the_remote_only_what_it_compares(project: Project, tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    project.dvc("remote", "add", "--local", "--default", "--force", "store", remote)
    project.dvc("push", "--quiet", "--all-commits")
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    clone.dvc("remote", "add", "--local", "--default", "store", remote)
    found = read_diff(clone, "base", "HEAD")
    assert found["models"][1]["drift"]["mean"] == pytest.approx(0.5, abs=1e-6)
    cached = {sha256_of(file) for file in (clone.root / ".dvc/cache/files").rglob("*") if file.is_file()}
    arrays = json.loads((clone.root / "reports/exports/every-0.json").read_text(encoding="utf-8"))["arrays"]
    assert {name for name, pinned in arrays.items() if pinned["sha256"] in cached} == {LAST, "logits.npy"}
