"""What the report says of the data that each model was trained on."""

from dataclasses import replace

import pytest

from tests.report.fake import World
from wheretolook.report.guessing import (
    TrainedOn,
    all_on_these,
    code_alerts,
    data_alerts,
    seen_words,
    trained_on,
)
from wheretolook.report.headline import findings_of
from wheretolook.report.loaded import Results, load_results
from wheretolook.report.sections_data import origin_of
from wheretolook.report.summary import summary_of


@pytest.fixture(scope="module")
def results(world: World) -> Results:
    return load_results(world.root / "reports", world.root / "data/prepared")


def recorded(results: Results, **sha256: str | None) -> Results:
    """The same, with other records of what models were trained on."""
    names = {name.replace("-", "_"): name for name in results.names}
    models = dict(results.models)
    for key, value in sha256.items():
        name = names[key]
        models[name] = {**models[name], "model": {**models[name]["model"], "trained_on": value}}
    return replace(results, models=models)


def test_models_of_these_data_have_not_seen_the_other_splits(results: Results):
    assert {trained_on(results, name) for name in results.names} == {TrainedOn.THESE}
    assert all_on_these(results)
    assert data_alerts(results) == []
    assert "20 images. No model was trained on them." in summary_of(results)


def test_a_model_of_other_data_is_named_at_the_top(results: Results):
    mixed = recorded(results, every_1="f" * 64, last_1=None)
    kinds = [trained_on(mixed, name) for name in mixed.names]
    assert kinds == [TrainedOn.THESE, TrainedOn.UNKNOWN, TrainedOn.THESE, TrainedOn.OTHER]
    assert not all_on_these(mixed)
    other, unknown = findings_of(mixed)[:2]
    assert other.startswith("Trained on other data: every-1.")
    assert unknown.startswith("Training data not recorded in the model file: last-1;")
    words = seen_words(mixed)
    assert words.startswith("Not trained on them: last-0 and every-0.")
    assert "No model was trained on them" not in words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"id": "1AbC", "sha256": "0"}, "Google Drive"),
        ({"url": "https://drive.google.com/file/d/1AbC/view"}, "Google Drive"),
        ({"url": "https://user:secret@models.example.org/a/b.pth?signature=1"}, "downloaded from models.example.org"),
        ({"url": "/home/me/models/net.pth"}, "a file: net.pth"),
        ({"url": "../net.pth"}, "a file: net.pth"),
        ({}, "elsewhere"),
    ],
)
def test_where_an_imported_model_came_from(results: Results, entry: dict, words: str):
    parameters = {**results.parameters, "drive": {"last-0": entry}}
    assert origin_of(replace(results, drive=("last-0",), parameters=parameters), "last-0") == words
    assert origin_of(results, "last-1") == "trained here, loss last"


def test_a_model_that_runs_on_other_code_is_named_at_the_top(results: Results):
    assert code_alerts(results) == []
    models = dict(results.models)
    about = models["last-1"]["model"]
    training = about["training"] | {"accepted_code": ["networks/mine.py"]}
    models["last-1"] = models["last-1"] | {"model": about | {"training": training}}
    changed = replace(results, models=models)
    assert len(code_alerts(changed)) == 1 and "last-1 runs on other code" in code_alerts(changed)[0]
    assert code_alerts(changed)[0] in summary_of(changed).replace("\\_", "_")
