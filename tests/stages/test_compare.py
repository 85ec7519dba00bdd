"""Stage `compare`, on made-up maps."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.analysis.made import Made, make
from wheretolook.base.files import write_json
from wheretolook.base.prepared import load_prepared

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from compare import compare

OPTIONS = [
    "--split",
    "test",
    "--resamples",
    "199",
    "--margin",
    "0.2",
    "--no-aligned",
    "--permutations",
    "199",
    "--seed",
    "0",
    "--primary",
    "auto",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make(tmp_path_factory.mktemp("compare"))
    run(made)
    return made


def run(made: Made, aligned: bool = False) -> None:
    options = ["--aligned" if option == "--no-aligned" and aligned else option for option in OPTIONS]
    done = CliRunner().invoke(compare, [*options, *made.compare_paths], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def table(made: Made) -> list[dict[str, str]]:
    with (made.root / "reports/comparison/agreement.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows_of(made: Made, **wanted: str) -> list[dict[str, str]]:
    return [row for row in table(made) if all(row[key] == value for key, value in wanted.items())]


def test_every_pair_has_a_primary_row_for_each_class(made: Made) -> None:
    rows = rows_of(made, primary="1", subset="all", figure="pearson")
    assert len(rows) == 3 * 3
    assert {(row["model_a"], row["model_b"], row["kind"]) for row in rows} == {
        ("last-0", "last-1", "seeds"),
        ("last-0", "every-0", "recipes"),
        ("last-1", "every-0", "recipes"),
    }


def test_agreement_is_numpys_own_correlation_of_the_contrasts(made: Made) -> None:
    prepared = load_prepared(made.root / "data/prepared")
    rows = [i for i in prepared.rows("test") if prepared.labels[i] == 0]
    a, b = (np.load(made.root / f"data/cams/{name}/cam.block2.npy") for name in ("last-0", "last-1"))
    wanted = np.mean([np.corrcoef((a[i, 0] - a[i, 1]).ravel(), (b[i, 0] - b[i, 1]).ravel())[0, 1] for i in rows])
    found = rows_of(made, primary="1", model_b="last-1", class_name="infected", subset="all", figure="pearson")[0]
    assert float(found["mean"]) == pytest.approx(wanted, abs=1e-5)
    assert float(found["low"]) < wanted < float(found["high"])
    assert int(found["images"]) == len(rows)


def test_subsets_add_up_to_all(made: Made) -> None:
    rows = rows_of(made, primary="1", model_a="last-0", model_b="last-1", class_name="/", figure="pearson")
    counts = {row["subset"]: int(row["images"]) for row in rows}
    assert counts["all"] == counts["both_right"] + counts["one_wrong"] + counts["both_wrong"]


def test_gradcam_at_the_last_layer_is_no_second_vote_for_cam(made: Made) -> None:
    assert {row["layer_a"] for row in rows_of(made, method="gradcam")} == {"block1"}


def test_overlays_are_the_mean_and_spread_of_the_contrasts(made: Made) -> None:
    about = json.loads((made.root / "reports/comparison/overlays.json").read_text(encoding="utf-8"))
    entry = about["models"]["every-0"]["gradcam.block1"]
    prepared = load_prepared(made.root / "data/prepared")
    rows = [i for i in prepared.rows("test") if prepared.labels[i] == 1]
    maps = np.load(made.root / "data/cams/every-0/gradcam.block1.npy")[rows]
    stored = {key: np.load(made.root / "data/comparison" / entry[key])[1] for key in ("mean", "spread")}
    np.testing.assert_allclose(stored["mean"], (maps[:, 1] - maps[:, 0]).mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(stored["spread"], (maps[:, 1] - maps[:, 0]).std(axis=0, ddof=1), rtol=1e-4)
    assert about["counts"]["uninfected"] == len(rows)


def test_model_that_is_no_longer_named_is_left_out(made: Made) -> None:
    names = made.root / "reports/names.json"
    before = names.read_text(encoding="utf-8")
    names.write_text(json.dumps({"models": ["last-0", "last-1"], "trained": [], "drive": []}), encoding="utf-8")
    run(made)
    assert {row["model_b"] for row in table(made)} == {"last-1"}
    assert not (made.root / "data/comparison/every-0").exists()
    names.write_text(before, encoding="utf-8")
    run(made)


def said_in(made: Made) -> list[dict]:
    return json.loads((made.root / "reports/comparison/statements.json").read_text(encoding="utf-8"))["statements"]


def write_scores(made: Made, flips: float) -> None:
    """What `score` writes: infilling the evidence changes so many predictions, and look-alikes none."""

    def ends(name: str, value: float) -> dict[str, float]:
        return {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.02}

    region = {"class_name": "infected", "region": "evidence"}
    needed = [
        region | {"infill": infill} | ends("excess", 5 * flips) | ends("excess_flips", flips)
        for infill in ("imputation", "blur")
    ]
    alike = [region | {"other_class": "uninfected"} | ends("difference", 2.0)]
    for name in ("last-0", "last-1", "every-0"):
        write_json(made.root / f"reports/models/{name}.json", {"necessity": needed, "look_alikes": alike})


@pytest.mark.parametrize(("flips", "verdict"), [(0.8, "supported"), (0.0, "shown_not"), (None, "cannot_tell")])
def test_evidence_is_stated_only_where_it_is_needed(made: Made, flips: float | None, verdict: str) -> None:
    if flips is None:
        shutil.rmtree(made.root / "reports/models", ignore_errors=True)
    else:
        (made.root / "reports/models").mkdir(exist_ok=True)
        write_scores(made, flips)
    run(made)
    found = {(each["kind"], each["region"]): each for each in said_in(made) if each["class_name"] == "infected"}
    assert found["agreement", ""]["verdict"] == "supported"
    assert found["place", "evidence"]["verdict"] == verdict
    if verdict != "supported":
        assert found["difference", "evidence"]["verdict"] != "supported"
    assert {each["verdict"] for each in said_in(made) if each["class_name"] == "uninfected" and each["region"]} == {
        "shown_not"
    }


def test_two_recipes_of_one_seed_are_counted_once(tmp_path: Path) -> None:
    made = make(tmp_path, per_class=60)
    path = tmp_path / "reports/exports/every-0.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["model"]["seed"] = 1
    path.write_text(json.dumps(manifest), encoding="utf-8")
    run(made)
    found = json.loads((tmp_path / "reports/comparison/statements.json").read_text(encoding="utf-8"))
    assert found["models"] == ["last-0", "last-1"]
    assert [(twin["model"], twin["of"], twin["how"]) for twin in found["twins"]] == [("every-0", "last-1", "same seed")]


def differences(made: Made) -> dict:
    return json.loads((made.root / "reports/comparison/differences.json").read_text(encoding="utf-8"))


def test_classes_differ_in_the_evidence_and_the_parts_add_up(made: Made) -> None:
    found = differences(made)["models"]["last-0"]["classes"]
    assert list(found) == ["infected"]
    regions = {each["region"]: each for each in found["infected"]["regions"]}
    assert regions["evidence"]["p"] <= 0.05
    assert sum(each["share_of_difference"] for each in regions.values()) == pytest.approx(1)
    assert sum(each["share_of_area"] for each in regions.values()) == pytest.approx(1)
    assert "mark" not in regions


def test_aligned_images_are_compared_cell_by_cell(tmp_path: Path) -> None:
    made = make(tmp_path, per_class=60)
    run(made, aligned=True)
    found = differences(made)
    entry = found["models"]["last-0"]
    arrays = {key: np.load(tmp_path / "data/comparison" / file) for key, file in entry["arrays"].items()}
    assert {key: array.shape for key, array in arrays.items()} == dict.fromkeys(("difference", "t", "p"), (1, 7, 7))
    prepared = load_prepared(tmp_path / "data/prepared")
    rows = prepared.rows("test")
    maps = np.load(tmp_path / "data/cams/last-0/cam.block2.npy")[rows]
    fixed, labels = (maps[:, 0] - maps[:, 1]) / 49, prepared.labels[rows]
    wanted = fixed[labels == 0].mean(axis=0) - fixed[labels == 1].mean(axis=0)
    np.testing.assert_allclose(arrays["difference"][0], wanted, atol=1e-6)
    assert found["consensus"]["places_of_all"] <= min(found["consensus"]["places_without"].values())


def test_run_twice_writes_the_same_bytes(made: Made) -> None:
    files = sorted(p for f in ("reports/comparison", "data/comparison") for p in (made.root / f).rglob("*.*"))
    before = [file.read_bytes() for file in files]
    run(made)
    assert [file.read_bytes() for file in files] == before


def test_training_images_are_compared_beside_held_out_ones(made: Made) -> None:
    found = json.loads((made.root / "reports/comparison/agreement.json").read_text(encoding="utf-8"))
    train = found["rows_train"]
    assert {row["split"] for row in train} == {"train"}
    assert {row["figure"] for row in train} == {"pearson"}
    assert {row["split"] for row in found["rows"]} == {"test"}


def test_missing_manifest_names_the_stage_that_writes_it(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0",), per_class=12)
    (tmp_path / "reports/exports/last-0.json").unlink()
    done = CliRunner().invoke(compare, [*OPTIONS, *made.compare_paths])
    assert done.exit_code == 1
    assert 'Run "dvc repro -sf export@last-0"' in done.output


@pytest.mark.parametrize(("text", "found"), [(None, "no such file"), ("{", "something else"), ("[]", "something else")])
def test_names_that_are_missing_or_broken_are_refused(tmp_path: Path, text: str | None, found: str) -> None:
    made = make(tmp_path, names=("last-0",), per_class=12)
    names = tmp_path / "reports/names.json"
    names.write_text(text, encoding="utf-8") if text else names.unlink()
    done = CliRunner().invoke(compare, [*OPTIONS, *made.compare_paths])
    assert done.exit_code == 1
    assert f'names.json: expected the names of the models, found {found}. Run "dvc repro -sf check"' in done.output


def test_groups_of_one_class_each_that_are_too_few_have_no_p_value_and_it_is_said(tmp_path: Path) -> None:
    made = make(tmp_path, per_class=60, groups=6)  # each of the six holds images of one class alone
    run(made)
    found = differences(made)
    assert (
        found["no_p_value"] == "20 relabellings that keep groups together exist, fewer than 200: too few for a p-value"
    )
    assert found["models"]["last-0"]["permutations"] == 0
    assert {each["p"] for each in found["models"]["last-0"]["classes"]["infected"]["regions"]} == {None}
    assert found["consensus"] is None
    assert {(each["verdict"], each["reason"]) for each in said_in(made)} == {("cannot_tell", "few_images")}
    (figure,) = said_in(made)[0]["figures"]
    assert (figure["name"], figure["threshold"]) == ("effective groups", 10)
    assert figure["value"] < 3


def test_agreement_by_group_is_of_the_groups_means(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0", "last-1"), groups=12)
    run(made)
    found = rows_of(made, primary="1", class_name="infected", subset="all", figure="pearson")[0]
    prepared = load_prepared(made.root / "data/prepared")
    rows = [i for i in prepared.rows("test") if prepared.labels[i] == 0]
    a, b = (np.load(made.root / f"data/cams/{name}/cam.block2.npy") for name in ("last-0", "last-1"))
    r = np.array([np.corrcoef((a[i, 0] - a[i, 1]).ravel(), (b[i, 0] - b[i, 1]).ravel())[0, 1] for i in rows])
    groups = prepared.index["group"].to_numpy(dtype=str)[rows]
    means = np.array([r[groups == group].mean() for group in np.unique(groups)])
    assert int(found["groups"]) == len(means)
    keys = ("group_lowest", "group_highest", "group_sd")
    assert [float(found[key]) for key in keys] == pytest.approx([means.min(), means.max(), means.std(ddof=1)], abs=1e-5)


def test_agreement_by_group_is_empty_without_groups(made: Made) -> None:
    assert {row["group_lowest"] for row in table(made)} == {""}


def test_one_image_of_each_class_has_means_and_no_spread(tmp_path: Path) -> None:
    made = make(tmp_path, per_class=1)
    run(made)
    about = json.loads((made.root / "reports/comparison/overlays.json").read_text(encoding="utf-8"))
    assert (about["classes"], about["counts"]) == (["infected", "uninfected"], {"infected": 1, "uninfected": 1})
    for entry in (about["images"], about["models"]["last-0"]["cam.block2"]):
        assert entry["spread"] is None
        assert len(np.load(made.root / "data/comparison" / entry["mean"])) == 2
    assert not list((made.root / "data/comparison").rglob("*.spread.npy"))
    assert {row["mean"] for row in table(made)} == {""}


def test_fewer_than_twenty_images_are_only_counted(made: Made) -> None:
    rows = [row for row in rows_of(made, primary="1", figure="pearson") if int(row["images"]) < 20]
    assert {row["subset"] for row in rows} >= {"one_wrong", "both_wrong"}
    assert {row[key] for row in rows for key in ("mean", "low", "other", "random", "excess_centre")} == {""}


def test_pairs_with_an_imported_model_are_a_kind_of_their_own(tmp_path: Path) -> None:
    made = make(tmp_path, names=("last-0", "last-1", "last-2"))
    names = {"models": ["last-0", "last-1", "last-2"], "trained": ["last-0", "last-1"], "drive": ["last-2"]}
    (made.root / "reports/names.json").write_text(json.dumps(names), encoding="utf-8")
    run(made)
    kinds = {(row["model_a"], row["model_b"]): row["kind"] for row in table(made)}
    assert kinds == {("last-0", "last-1"): "seeds", ("last-0", "last-2"): "drive", ("last-1", "last-2"): "drive"}


def test_models_without_cams_have_statements_of_gradcam_but_none_of_differences(tmp_path: Path) -> None:
    made = make(tmp_path, per_class=120)
    run(made)
    of_cam = statements(made)
    for manifest in [*tmp_path.glob("data/cams/*/manifest.json"), *tmp_path.glob("reports/exports/*.json")]:
        found = json.loads(manifest.read_text())
        found["arrays"] = {k: v for k, v in found["arrays"].items() if v.get("method") != "cam" or k == "random.npy"}
        found["arrays"]["random.npy"]["method"] = "gradcam"
        write_json(manifest, found)
    run(made)
    found = statements(made)
    assert (of_cam["primary"]["method"], found["primary"]["method"]) == ("cam", "gradcam")
    key = lambda said: (said["kind"], said["class_name"], said["region"])  # noqa: E731
    before = {key(said): said for said in of_cam["statements"]}
    same = [said for said in found["statements"] if said["kind"] != "difference"]
    assert {said["kind"] for said in same} >= {"agreement", "place"}
    assert [said["verdict"] for said in same] == [before[key(said)]["verdict"] for said in same]
    apart = [said for said in found["statements"] if said["kind"] == "difference"]
    assert [(said["reason"], said["others"]) for said in apart] == [
        ("not_additive", ["uninfected"]),
        ("not_additive", ["infected"]),
    ]


def statements(made: Made) -> dict:
    return json.loads((made.root / "reports/comparison/statements.json").read_text())
