import numpy as np

from wheretolook.analysis.agreement.study import Comparison, counted_once
from wheretolook.analysis.explained import Target

LABELS = np.zeros(9, dtype=np.int64)
MAPS = {name: np.random.default_rng(i).normal(size=(9, 2, 3, 3)).astype(np.float32) for i, name in enumerate("abc")}
PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]


def targets(factor: dict[str, float]) -> dict[str, Target]:
    return {name: Target(maps * np.float32(factor.get(name, 1)), LABELS, True) for name, maps in MAPS.items()}


def comparison(method: str, layer: str = "block4") -> Comparison:
    return Comparison(method, dict.fromkeys("abc", layer), PAIRS, False)


def test_methods_that_give_the_same_maps_count_once() -> None:
    before = [(comparison("gradcam"), targets({}))]
    assert counted_once(comparison("hirescam"), targets({"a": 1 + 1e-6}), before).pairs == []


def test_a_model_whose_maps_differ_keeps_its_pairs() -> None:
    before = [(comparison("gradcam"), targets({}))]
    assert counted_once(comparison("hirescam"), targets({"c": 1.1}), before).pairs == [("a", "c"), ("b", "c")]


def test_other_layers_and_other_methods_count_for_themselves() -> None:
    before = [(comparison("gradcam"), targets({}))]
    assert counted_once(comparison("hirescam", "block3"), targets({}), before).pairs == PAIRS
    assert counted_once(comparison("layercam"), targets({}), before).pairs == PAIRS
