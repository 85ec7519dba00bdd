"""Networks that learn labels of their own, a number or one sigmoid, from the images to the page; the truth is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, r2_score, roc_auc_score

from tests.stages.study import SIDE, SQUARE, Picture, read, run_study, sent_and_back, write_params, write_pictures
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import read_card
from wheretolook.networks.checkpoint import load_model, load_outputs
from wheretolook.networks.inputs import model_input

COLOURS = {"red": (250, 90, 90), "green": (90, 250, 90), "blue": (90, 90, 250)}
COUNT = 140


def corners(rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
    """Corners of squares that do not overlap, on a grid of 4 x 4."""
    cells = rng.permutation(16)[:count]
    return [(int(cell) // 4 * SQUARE, int(cell) % 4 * SQUARE) for cell in cells]


def centre_of(maps: np.ndarray, corner: tuple[int, int]) -> bool:
    """Whether the highest cell of a map (h, w) is inside the square, with half a cell of tolerance."""
    row, column = np.unravel_index(maps.argmax(), maps.shape)
    step = SIDE / maps.shape[0]
    place = np.array([(row + 0.5) * step, (column + 0.5) * step])
    return bool((place > np.array(corner) - step / 2).all() and (place < np.array(corner) + SQUARE + step / 2).all())


class TestLabels:
    """Three labels, each a square of its colour; the classes are the presence of red."""

    pictures: list[Picture]

    @pytest.fixture(scope="class")
    @classmethod
    def study(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder, rng = tmp_path_factory.mktemp("labels"), np.random.default_rng(1)
        cls.pictures = []
        for number in range(COUNT):
            has = [number % 2 == 0, *(rng.random(2) < 0.5)]
            squares = [
                (corner, COLOURS[name])
                for corner, name, there in zip(corners(rng, 3), COLOURS, has, strict=True)
                if there
            ]
            cells = {name: str(int(there)) for name, there in zip(COLOURS, has, strict=True)}
            if number % 10 == 3:
                cells["blue"] = ""  # not known
            cls.pictures.append(Picture(squares, cells, 0 if has[0] else None))
        write_pictures(folder / "source", cls.pictures)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            labels = {"labels": "table.csv", "label_column": "red", "multi_labels": "red,green,blue"}
            models = {
                "labels-0": {"loss": "every", "seed": 0, "outputs": "labels"},
                "labels-1": {"loss": "last", "seed": 1, "outputs": "labels"},
                "sigmoid-0": {"loss": "last", "seed": 2, "outputs": "sigmoid"},
            }
            write_params(models, labels, prepare={"test_share": 0.4})
            run_study(patch.setattr)
        return folder

    def test_figures_by_label_are_those_of_scikit_learn(self, study: Path) -> None:
        data, maps = load_prepared(study / "data/prepared"), load_maps(study / "data/cams/labels-1")
        names, logits, _ = maps.labels() or ((), np.zeros(0), np.zeros(0))
        rows, found = data.rows("test"), read(str(study / "reports/models/labels-1.json"))["labels"]["test"]
        assert names == ("red", "green", "blue") and set(found) == set(names)
        for k, name in enumerate(names):
            cells = data.index[f"label:{name}"].to_numpy()[rows]
            known = rows[cells != ""]
            truth, score = data.index[f"label:{name}"].to_numpy()[known] == "1", logits[known, k]
            assert found[name]["images"] == len(known) and found[name]["positive"] == truth.sum()
            assert found[name]["auroc"] == pytest.approx(roc_auc_score(truth, score))
            assert found[name]["average_precision"] == pytest.approx(average_precision_score(truth, score))
            assert found[name]["f1"] == pytest.approx(f1_score(truth, score > 0))
            assert found[name]["auroc"] > 0.9
        assert found["blue"]["images"] < found["red"]["images"] == len(rows)

    def test_the_map_of_each_label_finds_its_square(self, study: Path) -> None:
        data, maps = load_prepared(study / "data/prepared"), load_maps(study / "data/cams/labels-0")
        labels = maps.labels()
        assert labels is not None
        for k, name in enumerate(labels[0]):
            found = []
            for row in data.rows("test"):
                picture = self.pictures[int(Path(data.index["image_id"][row]).stem)]
                found += [centre_of(labels[2][row, k], at) for at, colour in picture.squares if colour == COLOURS[name]]
            assert np.mean(found) > 0.8, name  # by chance about 0.1

    def test_the_classes_are_the_presence_of_the_label_that_is_shown(self, study: Path) -> None:
        path = study / "models/labels-0.safetensors"
        (whole, _), (two, card) = load_outputs(path), load_model(path)
        assert card.class_names == ("no red", "red") and whole.final_head().out_features == 3
        data, maps = load_prepared(study / "data/prepared"), load_maps(study / "data/cams/labels-0")
        images = model_input(card, np.array(data.images[:5]), next(two.parameters()).device)
        red = whole(images)[:, 0].detach().numpy()
        assert two(images).detach().numpy() == pytest.approx(np.stack([-red / 2, red / 2], 1), abs=1e-5)
        order = [card.class_names.index(name) for name in maps.class_names]
        assert maps.logits()[:5] == pytest.approx(np.stack([-red / 2, red / 2], 1)[:, order], abs=1e-4)
        assert maps.open("cam", "block2")[:, maps.class_names.index("red")] == pytest.approx(
            maps.labels()[2][:, 0] / 2, abs=1e-4
        )

    def test_another_label_is_shown_on_request_and_an_unknown_one_refused(self, study: Path) -> None:
        path = study / "models/labels-0.safetensors"
        assert load_model(path, label="blue")[1].class_names == ("no blue", "blue")
        with pytest.raises(InputError) as error:
            load_model(path, label="pink")
        assert "red, green, blue" in str(error.value.found)

    def test_look_shows_the_label_that_is_named(self, study: Path, tmp_path: Path) -> None:
        from click.testing import CliRunner

        from wheretolook.cli.main import main

        image, model = str(study / "source/images/0000.png"), str(study / "models/labels-0.safetensors")
        for words, expected in (([], ["no red", "red"]), (["--label", "green"], ["no green", "green"])):
            done = CliRunner().invoke(main, ["look", image, "--model", model, "--out", str(tmp_path), "--json", *words])
            assert json.loads(done.stdout)["class_names"] == expected

    def test_a_shared_model_comes_back_with_the_same_maps_of_its_labels(
        self, study: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(study)
        back = sent_and_back("labels-0")
        for name in ("labels.npy", "label_logits.npy", "cam.block2.npy"):
            assert Path(f"data/cams/labels-0/{name}").read_bytes() == Path(f"data/cams/{back}/{name}").read_bytes()

    def test_every_model_is_scored_compared_and_reported_with_the_others(self, study: Path) -> None:
        for name in ("labels-0", "labels-1", "sigmoid-0"):
            result = read(str(study / f"reports/models/{name}.json"))
            assert result["splits"]["test"]["accuracy"] > 0.9
            red = result["localisation"]["cam.block2"]["test"]["red"]
            assert red["energy"] > 5 * red["area_share"] and red["pointing"] > 0.8
        assert read(str(study / "reports/models/sigmoid-0.json"))["labels"] is None
        pairs = {
            (row["model_a"], row["model_b"]) for row in read(str(study / "reports/comparison/agreement.json"))["rows"]
        }
        assert ("labels-0", "sigmoid-0") in pairs
        metrics = read(str(study / "reports/metrics.json"))
        assert set(metrics["labels-0"]["labels"]) == set(COLOURS) and "labels" not in metrics["sigmoid-0"]

    def test_two_models_agree_on_the_maps_of_each_label_they_both_learned(self, study: Path) -> None:
        rows = {row["class_name"]: row for row in read(str(study / "reports/comparison/agreement.json"))["rows_labels"]}
        assert set(rows) == set(COLOURS)
        data, split = load_prepared(study / "data/prepared"), load_prepared(study / "data/prepared").rows("test")
        own = [load_maps(study / "data/cams" / name).labels()[2] for name in ("labels-0", "labels-1")]
        for k, name in enumerate(COLOURS):
            at = split[data.index[f"label:{name}"].to_numpy()[split] == "1"]
            each = [np.corrcoef(own[0][row, k].ravel(), own[1][row, k].ravel())[0, 1] for row in at]
            assert rows[name]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
            assert rows[name]["images"] == len(at) and rows[name]["mean"] > rows[name]["other"] + 0.2

    def test_the_report_says_which_label_its_statements_are_about(self, study: Path) -> None:
        summary = (study / "reports/summary.md").read_text(encoding="utf-8")
        page = (study / "reports/site/index.html").read_text(encoding="utf-8")
        for text in (summary, page):
            assert "labels-0 and labels-1 learned 3 labels: red, green and blue" in text
            assert "are about red; there is no rule for statements about several labels of one image" in text


class TestValue:
    """A number that is the strength of one square's colour."""

    corner: dict[str, tuple[int, int]]
    value: dict[str, float]

    @pytest.fixture(scope="class")
    @classmethod
    def study(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder, rng = tmp_path_factory.mktemp("value"), np.random.default_rng(2)
        pictures, cls.corner, cls.value = [], {}, {}
        for number in range(COUNT):
            strength, (at, other) = rng.random(), corners(rng, 2)
            cls.corner[f"{number:04}"], cls.value[f"{number:04}"] = at, 100 * strength
            red = (int(110 + 140 * strength), 110, 110)
            pictures.append(Picture([(at, red), (other, COLOURS["blue"])], {"dose": f"{100 * strength:.3f}"}, 0))
        write_pictures(folder / "source", pictures)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            models = {f"value-{k}": {"loss": "last", "seed": k, "outputs": "value"} for k in range(2)}
            write_params(models, {"labels": "table.csv", "value_column": "dose"})
            run_study(patch.setattr)
        return folder

    def test_the_classes_are_the_values_up_to_and_above_the_median(self, study: Path) -> None:
        data = load_prepared(study / "data/prepared")
        assert data.value is not None and data.value.threshold == float(f"{np.median(list(self.value.values())):.4g}")
        assert set(data.class_names) == {f"dose up to {data.value.threshold:g}", f"dose above {data.value.threshold:g}"}
        high = data.class_names.index(data.value.class_names[1])
        assert ((data.values() > data.value.threshold) == (data.labels == high)).all()

    def test_figures_are_those_of_scikit_learn_in_the_units_of_the_number(self, study: Path) -> None:
        data, (network, card) = load_prepared(study / "data/prepared"), load_model(study / "models/value-0.safetensors")
        rows, found = data.rows("test"), read(str(study / "reports/models/value-0.json"))["value"]["test"]
        logits = network(model_input(card, np.array(data.images)[rows], next(network.parameters()).device)).detach()
        outputs = card.outputs or {}
        predicted = outputs["threshold"] + outputs["scale"] * (logits[:, 1] - logits[:, 0]).double().numpy()
        assert found["r2"] == pytest.approx(r2_score(data.values()[rows], predicted), abs=1e-4)
        assert found["mse"] == pytest.approx(((predicted - data.values()[rows]) ** 2).mean(), rel=1e-3)
        assert found["r2"] > 0.8 and found["spearman"] > 0.9 and found["mse"] < 0.3 * found["constant_mse"]

    def test_the_map_of_the_number_is_highest_on_the_square_of_high_values(self, study: Path) -> None:
        data, maps = load_prepared(study / "data/prepared"), load_maps(study / "data/cams/value-0")
        high = maps.class_names.index(data.value.class_names[1])
        found = [
            centre_of(maps.open("cam", "block2")[row, high], self.corner[stem])
            for row in data.rows("test")
            if self.value[stem := Path(data.index["image_id"][row]).stem] > 70
        ]
        assert len(found) > 5 and np.mean(found) > 0.8

    def test_scores_are_not_called_probabilities(self, study: Path) -> None:
        figures: dict[str, Any] = read(str(study / "reports/models/value-0.json"))["splits"]["test"]
        assert figures["accuracy"] > 0.8
        assert [figures[name] for name in ("ece", "ece_floor", "ece_floor_high", "brier", "log_loss")] == [None] * 5
        summary = (study / "reports/summary.md").read_text(encoding="utf-8")
        page = (study / "reports/site/index.html").read_text(encoding="utf-8")
        for text in (summary, page):
            assert "value-0 and value-1 predict the number dose" in text and "no probabilities" in text
            assert "Calibration error" not in text


@pytest.mark.parametrize(
    ("fetch", "outputs", "subject"),
    [
        ({}, "labels", "fetch.multi_labels"),
        ({"labels": "t.csv", "label_column": "age"}, "value", "fetch.value_column"),
    ],
)
def test_outputs_without_their_columns_are_refused_before_anything_runs(
    fetch: dict[str, Any], outputs: str, subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wheretolook.project.check_values import check_values
    from wheretolook.project.params_file import load_params

    monkeypatch.chdir(tmp_path)
    write_params({"last-0": {"loss": "last", "seed": 0, "outputs": outputs}}, fetch)
    with pytest.raises(InputError) as error:
        check_values(load_params(Path("params.yaml")))
    assert subject in error.value.hint


def test_a_card_keeps_what_the_outputs_are(tmp_path: Path) -> None:
    from dataclasses import replace

    from tests.networks.small import card
    from wheretolook.networks.checkpoint import build_network, save_model

    network = build_network("looknet", 3, {"width": 4, "depth": 2})
    outputs = {"kind": "labels", "names": ["a", "b", "c"], "shown": "b"}
    save_model(tmp_path / "m.safetensors", network, replace(card(network), class_names=("no b", "b"), outputs=outputs))
    assert read_card(tmp_path / "m.safetensors").labels == ("a", "b", "c")
    for wrong in ({**outputs, "shown": "d"}, {**outputs, "kind": "other"}, {"kind": "value", "name": "x"}):
        save_model(
            tmp_path / "w.safetensors", network, replace(card(network), class_names=("no b", "b"), outputs=wrong)
        )
        with pytest.raises(InputError):
            read_card(tmp_path / "w.safetensors")
