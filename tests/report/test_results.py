import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.report.fake import World, read, write_world
from wheretolook.base.errors import InputError
from wheretolook.base.files import write_json
from wheretolook.report.headline import findings_of, measured_findings
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.plots import (
    agreement_table,
    confusion_table,
    evidence_of,
    faithfulness_table,
    layers_table,
    localisation_table,
    metrics_of,
    training_table,
)
from wheretolook.report.soundness import Check, State, soundness
from wheretolook.report.summary import summary_of


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


@pytest.fixture
def copied(world: World, tmp_path):
    """The small files of the finished results, to be damaged."""
    shutil.copytree(world.root / "reports", tmp_path / "reports")
    shutil.copytree(world.root / "data/prepared", tmp_path / "prepared")
    return tmp_path


@pytest.mark.parametrize(
    ("gone", "stage"),
    [
        ("names.json", "check"),
        ("parameters.json", "check"),
        ("models/last-1.json", "score@last-1"),
        ("exports/every-0.json", "export@every-0"),
        ("comparison/overlays.json", "compare"),
        ("comparison/agreement.csv", "compare"),
    ],
)
def test_a_missing_file_names_the_stage_that_writes_it(copied, gone, stage):
    (copied / "reports" / gone).unlink()
    with pytest.raises(InputError) as error:
        load_results(copied / "reports", copied / "prepared")
    assert error.value.hint.endswith(f'"dvc repro -sf {stage}"')


@pytest.mark.parametrize(("gone", "stage"), [("models", "score-drive"), ("exports", "export-drive")])
def test_a_missing_file_of_a_model_from_drive_names_the_stage_of_such_models(copied, gone, stage):
    (copied / f"reports/{gone}/last-1.json").unlink()
    names = read(copied / "reports/names.json")
    write_json(copied / "reports/names.json", names | {"drive": ["last-1"]})
    with pytest.raises(InputError) as error:
        load_results(copied / "reports", copied / "prepared")
    assert error.value.hint.endswith(f'"dvc repro -sf {stage}@last-1"')


def test_a_file_that_is_no_json_is_refused(copied):
    (copied / "reports/models/last-0.json").write_text("{")
    with pytest.raises(InputError) as error:
        load_results(copied / "reports", copied / "prepared")
    assert error.value.expected == "JSON"


def test_results_of_another_model_file_than_the_maps_are_refused(copied):
    path = copied / "reports/models/last-0.json"
    result = read(path)
    result["model"]["sha256"] = "f" * 64
    write_json(path, result)
    with pytest.raises(InputError) as error:
        load_results(copied / "reports", copied / "prepared")
    assert "f" * 12 in str(error.value.found)


def test_files_of_a_model_that_is_named_no_more_are_not_read(copied):
    write_json(copied / "reports/names.json", {"models": ["last-0"], "trained": ["last-0"], "drive": []})
    (copied / "reports/models/every-1.json").write_text("left over, and broken")
    results = load_results(copied / "reports", copied / "prepared")
    assert list(metrics_of(results)) == ["last-0"]
    assert set(training_table(results)["model"]) == {"last-0"}


def test_metrics_are_floats_nested_by_model(results: Results):
    def leaves(tree):
        for value in tree.values():
            if isinstance(value, dict):
                yield from leaves(value)
            else:
                yield value

    metrics = metrics_of(results)
    assert list(metrics) == ["last-0", "last-1", "every-0", "every-1"]
    assert {type(value) for value in leaves(metrics)} == {float}
    assert metrics["last-0"]["test"]["accuracy"] == results.models["last-0"]["splits"]["test"]["accuracy"]


def test_agreement_of_a_model_is_the_mean_over_the_others(results: Results):
    rows = results.agreement
    own = rows[(rows["primary"] == 1) & (rows["figure"] == "pearson") & (rows["class_name"] == "infected")]
    own = own[(own["model_a"] == "every-0") | (own["model_b"] == "every-0")]
    assert len(own) == 3
    assert metrics_of(results)["every-0"]["agreement"]["infected"] == pytest.approx(own["mean"].mean())


def test_a_figure_that_does_not_exist_is_left_out_of_the_metrics(results: Results):
    assert "mark_energy" not in metrics_of(results)["last-0"]["localisation"]["infected"]


def test_training_has_a_row_for_each_model_and_epoch(results: Results):
    table = training_table(results)
    assert list(table.columns) == ["model", "epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy"]
    assert len(table) == 4 * 8
    layers = layers_table(results)
    assert len(layers) == 8 * (1 + 1 + 3 + 3)
    assert set(layers["layer"][layers["model"] == "last-0"]) == {"block3"}


def test_confusion_has_a_row_for_each_image():
    table = confusion_table(np.array([0, 1, 1]), np.array([0, 0, 1]), ("a", "b"))
    assert table.to_numpy().tolist() == [["a", "a"], ["b", "a"], ["b", "b"]]


def test_agreement_draws_as_a_full_matrix(results: Results):
    table = agreement_table(results)
    infected = table[table["class_name"] == "infected"].set_index(["model_a", "model_b"])["pearson"]
    assert len(infected) == 4 * 3
    assert infected["last-0", "every-1"] == infected["every-1", "last-0"]
    # In the order of the names, so that rows and columns of the plot match.
    assert list(dict.fromkeys(table["model_a"])) == ["last-0", "last-1", "every-0", "every-1"]


def test_localisation_has_a_row_for_each_map_with_evidence(results: Results):
    table = localisation_table(results)
    assert len(table) == 2 * (1 + 3) + 2 * (3 + 3)
    assert set(table["class_name"]) == {"infected"}


def test_faithfulness_counts_only_where_something_can_be_taken_out(results: Results):
    kept = metrics_of(results)["last-0"]["faithfulness"]
    assert kept == {"infected": {"score_left": 0.08, **dict.fromkeys(kept["infected"].keys() - {"score_left"}, 0.8)}}
    table = faithfulness_table(results)
    assert list(table["removed_by"][:5]) == ["cam", "evidence", "centre", "other", "random"]
    assert len(table) == 4 * (5 + 1)


def test_evidence_is_a_mean_over_images_not_over_classes():
    def row(images, energy):
        return {
            "evidence_images": images,
            "energy": energy,
            "area_share": 0.1,
            "energy_ceiling": 1.0,
            "pointing": 1.0,
            "energy_ratio": energy / 0.1,
        }

    empty = {"evidence_images": 0, "energy": None, "area_share": None, "energy_ceiling": None, "pointing": None}
    result = {
        "layers": ["x"],
        "localisation": {"cam.x": {"test": {"a": row(1, 0.5), "b": row(3, 0.1), "c": empty}}},
    }
    found = evidence_of(result, "test")
    assert found["energy"] == pytest.approx(0.2)
    assert found["ratio"] == pytest.approx(2.0)
    assert evidence_of(result, "val") == {}


def test_findings_give_each_figure_with_its_baseline(results: Results):
    *_, accuracy, agreement, evidence = findings_of(results)
    assert " of 20 images of the test split correctly (always " in accuracy
    assert "3.0 % of the area" in evidence
    assert evidence.endswith("A blob at the centre of the image has 5.0 % there.")
    assert "maps of different images: 0.15" in agreement


def test_the_summary_starts_with_the_headline_and_tables_every_model(results: Results):
    summary = summary_of(results)
    assert summary.startswith("# Where to look?\n\n- *infected*: all four models look at the same places.")
    parts = [part.split("\n", 1)[0] for part in summary.split("\n## ")[1:]]
    assert parts[:4] == ["Is the study sound?", "Supported", "Shown not to hold", "Undecided"]
    for name in results.names:
        assert f"\n| {name} | " in summary
    assert "| last-0, last-1 | seeds | infected | 10 | 0.8" in summary


def test_networks_whose_validation_loss_was_lowest_in_the_last_epoch_are_counted_where_they_are_most(results: Results):
    falling, level, slow, single = (
        [{"val_loss": loss} for loss in losses] for losses in ([3, 5, 2], [3, 2, 2], [0.9, 0.031, 0.026], [1])
    )

    def warning(*histories: list, drive: tuple[str, ...] = ()) -> Check | None:
        models = {
            name: {**results.models[name], "history": history}
            for name, history in zip(results.names, histories, strict=True)
        }
        checks = soundness(replace(results, models=models, drive=drive))
        return next((each for each in checks if each.key == "convergence"), None)

    most = warning(falling, falling, falling, level)
    assert most.state is State.WARNING and "in 3 of 4 models" in most.text
    assert warning(falling, level, level, single).state is State.GOOD
    two = warning(falling, falling, slow, slow)  # slow: a fall of 0.005 in the last epoch, where guessing costs 0.69
    assert two.state is State.GOOD
    assert "in 1 of 1 model;" in warning([], [], falling, []).text
    assert warning(falling, falling, level, level, drive=("every-0", "every-1")).state is State.WARNING
    assert warning([], [], [], []) is None
    assert warning(single, single, [], []).state is State.UNKNOWN, "one epoch shows neither"


def test_the_summary_warns_of_short_training_and_names_classes_left_out(results: Results):
    rare = {"baso": {"images": 2, "reason": "2 images"}}
    short = {name: {**model} for name, model in results.models.items()}
    for model in short.values():
        model["history"] = [model["history"][0], {**model["history"][0], "val_loss": 0.0}]
    summary = summary_of(replace(results, models=short, audit={**results.audit, "dropped_classes": rare}))
    assert "\n- ! **Training:** Validation loss was still falling at the end in 4 of 4 models" in summary
    assert "\n- Class baso was left out" in summary


def test_without_masks_and_with_one_model_nothing_is_made_up(tmp_path):
    write_world(tmp_path, names=("only",), masks=False, per_class=12, grids=(4, 2))
    results = load_results(tmp_path / "reports", tmp_path / "data/prepared")
    assert "localisation" not in metrics_of(results)["only"]
    assert "agreement" not in metrics_of(results)["only"]
    accuracy, foreground = measured_findings(results)
    assert accuracy.startswith("The model classifies ") and "on the estimated foreground" in foreground
    assert len(agreement_table(results)) == len(localisation_table(results)) == 0
    assert "| only | " in summary_of(results)
