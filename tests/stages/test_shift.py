"""Stage `shift`: every model on a further test set; and what the report says of it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from stages.shift import shift
from tests.report.fake import page_html, read, write_world
from wheretolook.analysis.statistics.classification import difference_interval
from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import load_prepared
from wheretolook.report.loaded import load_results
from wheretolook.report.sections_localisation import test_sets_section as section_of_test_sets
from wheretolook.report.soundness import State, soundness
from wheretolook.report.summary import summary_of

NAMES = ("last-0", "last-1")
OPTIONS = [
    "--split=test",
    "--resamples=199",
    "--margin=0.2",
    "--no-aligned",
    "--permutations=199",
    "--seed=0",
    "--primary=auto",
]


def write_test_set(root: Path, name: str, wrong: float) -> None:
    """All images of the world as a test set; a share of the logits of each class points at the other one."""
    prepared, cams = root / f"data/tests/{name}/prepared", root / f"data/tests/{name}/cams"
    shutil.copytree(root / "data/prepared", prepared)
    index = pd.read_csv(prepared / "index.csv", keep_default_na=False)
    index["split"] = "test"
    index.to_csv(prepared / "index.csv", index=False, lineterminator="\n")
    audit = read(prepared / "audit.json") | {
        "copies_of_training": {"count": 3, "examples": [], "compared": "equal pixels"}
    }
    audit["sha256"]["index.csv"] = sha256_of(prepared / "index.csv")
    write_json(prepared / "audit.json", audit)
    data = load_prepared(prepared)
    for model in NAMES:
        shutil.copytree(root / "data/cams" / model, cams / model)
        manifest = read(cams / model / "manifest.json")
        rows = np.flatnonzero(np.arange(len(data.labels)) % 10 < 10 * wrong)
        right = np.where(data.labels == 0, 4.0, -4.0)
        right[rows] *= -1
        heads = len(manifest["heads"])
        logits = np.repeat(np.stack([right, -right], axis=1)[:, None], heads, axis=1).astype(np.float32)
        np.save(cams / model / "logits.npy", logits)
        manifest["arrays"]["logits.npy"]["sha256"] = sha256_of(cams / model / "logits.npy")
        manifest["data"]["sha256"] = data.sha256
        write_json(cams / model / "manifest.json", manifest)
        write_json(root / f"reports/tests/{name}/{model}.json", manifest)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shift")
    write_world(root, NAMES, per_class=60)
    for model in NAMES:  # on the compared split, 90 % right with an interval
        path = root / f"reports/models/{model}.json"
        result = read(path)
        figures = {"balanced_accuracy": 0.9, "balanced_accuracy_low": 0.85, "balanced_accuracy_high": 0.94}
        result["splits"]["test"] |= figures
        write_json(path, result)
    for name, wrong in {"same": 0.1, "worse": 0.5}.items():
        write_test_set(root, name, wrong)
        places = [f"--tests={root}/data/tests", f"--names={root}/reports/names.json", f"--reports={root}/reports/tests"]
        done = CliRunner().invoke(shift, [name, *OPTIONS, *places], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    write_json(root / "reports/tests/names.json", ["same", "worse"])
    return root


def test_the_result_has_scores_maps_and_agreement_of_every_model(root: Path) -> None:
    found = json.loads((root / "reports/tests/worse.json").read_text(encoding="utf-8"))
    assert (found["name"], found["images"], found["training_copies"]) == ("worse", 120, 3)
    for model in NAMES:
        assert found["models"][model]["scores"]["accuracy"] == pytest.approx(0.5)
        assert found["models"][model]["maps"].startswith("cam.")
        assert found["models"][model]["localisation"]["infected"]["evidence_images"] > 40
    pairs = {(row["model_a"], row["model_b"], row["figure"], row["split"]) for row in found["agreement"]}
    assert pairs == {("last-0", "last-1", "pearson", "test")}


def test_the_report_names_the_shift_where_there_is_one_and_none_where_there_is_none(root: Path) -> None:
    results = load_results(root / "reports", root / "data/prepared")
    same, worse = section_of_test_sets(results)["test_sets"]
    assert any("No model's balanced accuracy is shown to differ" in line for line in same["lines"])
    assert any("lower than on the test split in 2 of 2 models, by 40.0 points" in line for line in worse["lines"])
    assert any("3 of them are copies of training images" in line for line in worse["lines"])
    assert worse["rows"][0]["change"].startswith("−40.00 (")
    assert "infected" in worse["rows"][0]["energy"]
    (check,) = [each for each in soundness(results) if each.key == "other_data"]
    assert check.state is State.WARNING and "worse: Balanced accuracy is lower than on the test split" in check.text
    fine = replace(results, shifts={"same": results.shifts["same"]})
    assert [each.state for each in soundness(fine) if each.key == "other_data"] == [State.GOOD]
    assert "## Test set worse" in summary_of(results) and "Test set worse" in page_html(root)


def test_a_difference_has_the_interval_of_two_independent_figures() -> None:
    value, low, high = difference_interval((0.5, 0.4, 0.6), (0.9, 0.86, 0.93))
    assert value == pytest.approx(-0.4)
    assert low == pytest.approx(-0.4 - np.hypot(0.1, 0.03)) and high == pytest.approx(-0.4 + np.hypot(0.1, 0.04))
