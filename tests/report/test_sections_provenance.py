import pytest

from tests.report.fake import World, page_html
from wheretolook.mapstore.store import load_maps
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.sections_data import parameter_rows, provenance_section, training_rows, value_text


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def test_each_models_training_is_shown_as_in_its_file(results: Results):
    rows = {row["name"]: row["cells"] for row in training_rows(results)}
    assert rows["epochs"] == ["8"] * 4
    assert rows["seed"] == ["0", "1", "0", "1"]


def test_a_model_whose_training_is_not_known_has_dashes(results: Results):
    foreign = {**results.models["last-0"], "model": {**results.models["last-0"]["model"], "training": None}}
    other = Results(**{**vars(results), "models": {**results.models, "last-0": foreign}})
    assert [row["cells"][:2] for row in training_rows(other)] == [["–", "true"], ["–", "8"], ["–", "1"]]


def test_every_parameter_is_listed_in_the_order_of_the_pipeline(results: Results):
    rows = parameter_rows(results)
    names = [row["name"] for row in rows]
    assert names[:4] == ["fetch", "prepare", "train", "models.last-0"]
    assert names[-1] == "report"
    values = {row["name"]: row["text"] for row in rows}
    assert values["fetch"] == "masks: '', path: images, source: folder"
    assert values["export"] == "layers: all, methods: [cam, gradcam]"
    assert values["train"] == "augment: true, epochs: 7"


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (False, "false"), (0, "0"), ("", "''"), (0.003, "0.003")])
def test_a_value_reads_as_in_params_yaml(value, text: str):
    assert value_text(value) == text


def test_models_data_and_packages_are_pinned(results: Results, world: World):
    maps = {name: load_maps(world.root / "data/cams" / name) for name in world.names}
    section = provenance_section(results, maps)
    assert [row["sha256"] for row in section["models"]] == [f"{n + 1:064x}" for n in range(4)]
    assert any("torch 2." in line and "numpy" in line for line in section["lines"])


def test_the_page_shows_all_of_it(world: World):
    html = page_html(world.root)
    for text in ("Git revision", "methods: [cam, gradcam]", "How each model was trained", f"{1:064x}"):
        assert text in html
