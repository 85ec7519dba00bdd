"""One training is counted once, however often its file is there."""

import numpy as np
import pytest

from wheretolook.analysis.results.statement import Twin
from wheretolook.analysis.statements.recipes import find_twins, recipes_of

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 2
LOGITS = {name: RNG.normal(size=(60, 2)) + 3 * np.eye(2)[LABELS] for name in "ab"}
MAPS = {name: RNG.normal(size=(60, 49)) for name in "ab"}


def about(seed: int | None, loss: str = "last", sha: str = "") -> dict:
    sha = sha or f"{loss}{seed}"
    return {"name": "", "architecture": "looknet", "loss": loss, "seed": seed, "recipe": f"of {loss}", "sha256": sha}


def test_models_of_one_recipe_are_counted_once_for_each_seed() -> None:
    models = {"a": about(0), "b": about(1), "c": about(0, "every"), "again": about(1), "foreign": about(None)}
    assert recipes_of(models, ()) == [("a", "b"), ("c",)]
    assert recipes_of(models, ("b",)) == [("a", "again"), ("c",)]


def test_one_file_under_two_names_is_one_model() -> None:
    twins = find_twins({"a": about(0), "b": about(0)}, LOGITS, MAPS, LABELS)
    assert twins == [Twin("b", "a", "same file")]


def test_weights_that_moved_a_little_are_the_same_model() -> None:
    logits = LOGITS | {"b": LOGITS["a"] + 1e-6 * RNG.normal(size=(60, 2))}
    maps = MAPS | {"b": MAPS["a"] + 1e-6 * RNG.normal(size=(60, 49))}
    (twin,) = find_twins({"a": about(0), "b": about(1)}, logits, maps, LABELS)
    assert (twin.model, twin.of, twin.how) == ("b", "a", "same weights")
    assert twin.figures["logits"] == pytest.approx(1, abs=1e-6)


def test_two_recipes_of_one_seed_are_one_training() -> None:
    models = {"a": about(0), "b": about(0, "every")}
    assert [twin.how for twin in find_twins(models, LOGITS, MAPS, LABELS)] == ["same seed"]
    assert find_twins(models, LOGITS, MAPS, LABELS, drive=("b",)) == []
    assert find_twins({"a": about(0), "b": {**about(0, "every"), "architecture": "vgg"}}, LOGITS, MAPS, LABELS) == []


def test_seeds_that_agree_closely_are_two_models() -> None:
    shared = RNG.normal(size=(60, 2))
    logits = {name: shared + 0.1 * RNG.normal(size=(60, 2)) for name in "ab"}
    assert find_twins({"a": about(0), "b": about(1)}, logits, MAPS, LABELS) == []
