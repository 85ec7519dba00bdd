from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.analysis.made import SIZE, make
from wheretolook.analysis.explained import open_target
from wheretolook.analysis.probing.sanity import (
    IMAGES,
    MARGIN,
    alikeness,
    cascade,
    crossed_interval,
    engine_for,
    likeness,
    maps_and_logits,
    model_sanity,
    ranks_of,
    sanity_result,
)
from wheretolook.base.prepared import load_prepared
from wheretolook.cams import compute as parts
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.cams.random_weights import FIRST_CASCADE_SEED, Cascade, fresh_network, frozen
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import read_card
from wheretolook.networks.checkpoint import build_network, save_model
from wheretolook.networks.inputs import model_input
from wheretolook.networks.runtime.processes import joined_ranks

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(30, 5, 5)).astype(np.float32)
METHODS = ("cam", "gradcam", "eigencam", "scorecam")
WEIGHTS = ("blocks.block1.0.weight", "blocks.block2.0.weight", "classifier.0.weight")
CHANGED = {"heads": (False, False, True), "block2": (False, True, True), "block1": (True, True, True)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """An untrained network, saved as a model, and its maps by a fast, a gradient, a class-blind and a slow method."""
    root = tmp_path_factory.mktemp("cascade")
    make(root, names=("last-0",), per_class=40)
    card = replace(read_card(root / "models/last-0.safetensors"), arguments={"width": 4, "depth": 2})
    torch.manual_seed(3)
    network = build_network("looknet", 2, card.arguments).eval()
    save_model(root / "models/last-0.safetensors", network, card)
    data, folder = load_prepared(root / "data/prepared"), root / "exported"
    with joined_ranks({}, torch.device("cpu")) as ranks:
        options = MapOptions(METHODS, None, "float32", 32, 10)
        export_maps(root / "models/last-0.safetensors", data, folder, options, ranks, root / "cache")
    return network, card, data, load_maps(folder)


def test_likeness_counts_a_negative_like_its_positive_and_leaves_constant_maps_out() -> None:
    constant = np.where(np.arange(30)[:, None, None] < 10, 1, MAPS).astype(np.float32)
    one_class = np.zeros(30, int)
    maps = MAPS, -MAPS, constant, np.ones_like(MAPS)
    found = [alikeness(likeness(ranks_of(MAPS), ranks_of(each), one_class)[0]) for each in maps]
    np.testing.assert_allclose(found, [1, 1, 1, 0], atol=1e-6)


def test_baseline_is_the_likeness_of_other_images_of_the_class() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    maps = MAPS[[0, 0, 1, 1, 2]]
    same, baseline = likeness(ranks_of(maps), ranks_of(maps), labels)
    np.testing.assert_allclose(same, 1, atol=1e-6)
    np.testing.assert_allclose(baseline[:4], 1, atol=1e-6)
    r = spearmanr(maps[[4, 0, 2]].reshape(3, -1), axis=1).statistic[0]
    assert baseline[4] == pytest.approx(np.abs(r[[1, 1, 2, 2]]).mean(), abs=1e-6)  # alone in its class: all others


def test_interval_of_draws_and_images_covers_the_mean_where_both_vary() -> None:
    generator, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        draws, images = generator.normal(0, 0.05, (10, 1)), generator.normal(0, 0.08, (1, 12))
        _, low, high = crossed_interval(0.3 + draws + images + generator.normal(0, 0.1, (10, 12)))
        hits += low <= 0.3 <= high
    assert 930 <= hits <= 995
    assert crossed_interval(np.ones((1, 5))) == (1, None, None)


def table(excess: float, draws: int = 10) -> tuple[dict[str, list[float]], np.ndarray, np.ndarray]:
    baseline = np.random.default_rng(0).normal(0.4, 0.02, (draws, 12))
    return {"heads": [0.9] * draws, "block1": [0.4 + excess] * draws}, baseline + excess, baseline


def test_maps_pass_or_fail_by_their_excess_over_their_own_baseline_or_stay_open() -> None:
    assert sanity_result(*table(0.02))["verdict"] == "pass"
    fails = sanity_result(*table(0.3))
    assert (fails["verdict"], fails["images"], fails["draws"]) == ("fail", 12, 10)
    assert fails["excess"] == pytest.approx(0.3)
    assert fails["steps"][1] == pytest.approx({"randomised": "block1", "spearman": 0.7, "least": 0.7, "most": 0.7})
    found, same, baseline = table(MARGIN)
    assert sanity_result(found, same + np.linspace(-0.2, 0.2, 12), baseline)["verdict"] == "open"
    assert sanity_result(*table(0.02, draws=9))["verdict"] == "open"
    assert sanity_result(found, np.full((10, 12), np.nan), baseline)["verdict"] == "open"


def test_verdicts_do_not_flip_between_redraws_but_by_way_of_open() -> None:
    """An excess near the line, of images and draws drawn twice: pass and fail exclude each other in 95 % and more."""
    generator, flips, runs = np.random.default_rng(1), 0, 400
    for _ in range(runs):
        both = []
        truth = generator.uniform(0, 0.2)
        for _ in range(2):
            effects = generator.normal(0, 0.03, (10, 1)) + generator.normal(0, 0.08, (1, 12))
            same = 0.4 + truth + effects + generator.normal(0, 0.08, (10, 12))
            both.append(sanity_result({"block1": [0.5] * 10}, same, np.full((10, 12), 0.4))["verdict"])
        flips += set(both) == {"pass", "fail"}
    assert flips <= 0.02 * runs


def test_images_that_do_not_fit_into_memory_at_once_give_the_same_maps(made, monkeypatch) -> None:
    network, card, data, maps = made
    rows = data.rows("test")[:7]
    engine = engine_for(network, card, maps.names, every=True)
    taken = engine, model_input(card, data.images[rows], engine.device), card, data, rows, maps.logits()[rows]
    whole, compute = maps_and_logits(*taken)[0], parts.compute

    def of_little_memory(engine, images, choose):
        if len(images) > 2:
            raise torch.OutOfMemoryError
        return compute(engine, images, choose)

    monkeypatch.setattr(parts, "compute", of_little_memory)
    for pair, values in maps_and_logits(*taken)[0].items():
        np.testing.assert_allclose(values, whole[pair], atol=1e-5)


def test_cascade_randomises_from_the_top_and_leaves_the_network_alone(made) -> None:
    network, card, data, maps = made
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pairs = [("cam", "block2"), ("gradcam", "block1")]
    found = cascade(network, card, maps, data, pairs, data.rows("test")[:6], 3, "")
    steps = {pair: each[0] for pair, each in found.items()}
    assert list(steps) == pairs
    assert [list(each) for each in steps.values()] == [["heads", "block2", "block1"]] * 2
    assert {len(r) for each in steps.values() for r in each.values()} == {3}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    again = cascade(network, card, maps, data, pairs, data.rows("test")[:6], 3, "")
    for pair in pairs:
        assert again[pair][0] == steps[pair]
        np.testing.assert_array_equal(again[pair][1], found[pair][1])
        assert found[pair][1].shape == found[pair][2].shape == (3, 6)


@pytest.mark.parametrize(("count", "every"), [(3, True), (12, False), (12, True)])
def test_maps_in_the_cascade_are_the_ones_that_are_stored_before_anything_is_random(
    made, tmp_path, count, every
) -> None:
    """Of many classes not all maps are stored: both sides must mean the same by the map of the true class."""
    _, card, data, _ = made
    names = tuple(f"class {k:02}" for k in range(count))
    index = data.index.assign(class_index=np.arange(len(data.index)) % count)
    index["class_name"] = [names[k] for k in index["class_index"]]
    data, card = replace(data, index=index, class_names=names), replace(card, class_names=names[::-1])
    torch.manual_seed(5)
    network = build_network("looknet", count, card.arguments).eval()
    save_model(tmp_path / "many.safetensors", network, card)
    methods = ("cam", "gradcam", "gradcam++", "layercam")
    with joined_ranks({}, torch.device("cpu")) as ranks:
        options = MapOptions(methods, None, "float32", 32, 0, count if every else 10)
        export_maps(tmp_path / "many.safetensors", data, tmp_path / "maps", options, ranks, tmp_path / "cache")
    maps, rows = load_maps(tmp_path / "maps"), data.rows("test")[:12]
    engine = engine_for(network, card, maps.names, every)
    logits = maps.logits()[rows] if every else None
    found, _ = maps_and_logits(
        engine, model_input(card, data.images[rows], torch.device("cpu")), card, data, rows, logits
    )
    for pair in maps.names:
        stored = open_target(maps, *pair, data.labels).true_class(rows)
        np.testing.assert_allclose(found[pair], stored, atol=1e-5 + 1e-4 * np.abs(stored).max(), err_msg=str(pair))


def test_layer_by_layer_the_weights_become_those_of_a_fresh_network(made) -> None:
    network, card, *_ = made
    trained, fresh = network.state_dict(), fresh_network(card, FIRST_CASCADE_SEED + 1).state_dict()
    random = Cascade(network, card, torch.randn(8, 3, SIZE, SIZE))
    list(random.draw(0))  # what a draw before has left behind does not matter
    for step in random.draw(1):
        found = random.network.state_dict()
        for name, changed in zip(WEIGHTS, CHANGED[step], strict=True):
            assert torch.equal(found[name], (fresh if changed else trained)[name]), (step, name)


def test_layers_of_a_torchvision_network_become_random_one_by_one_with_statistics_of_their_own(made) -> None:
    _, card, *_ = made
    torch.manual_seed(0)
    network = build_network("resnet18", 2, {}).eval()
    card = replace(card, architecture="resnet18", arguments={}, layers=network.layer_names)
    trained, fresh = network.state_dict(), fresh_network(card, FIRST_CASCADE_SEED).state_dict()
    random, changed = Cascade(network, card, torch.randn(4, 3, 64, 64)), []
    parts = ["fc", "layer4", "layer3", "layer2", "layer1"]
    for step, part in zip(random.draw(0), parts, strict=True):
        changed.append(part)
        found = random.network.state_dict()
        for name in (name for name in trained if name.startswith("body.") and name.endswith("conv1.weight")):
            anew = name.split(".")[1] in changed or len(changed) == len(parts)
            assert torch.equal(found[name], (fresh if anew else trained)[name]), (step, name)
        for name in (name for name in trained if name.startswith("body.") and name.endswith("running_mean")):
            anew = name.split(".")[1] in changed or len(changed) == len(parts)
            assert torch.equal(found[name], trained[name]) != anew, (step, name)


def test_normalisation_is_estimated_anew_on_what_the_random_layers_below_give(made) -> None:
    network, card, *_ = made
    images = torch.randn(8, 3, SIZE, SIZE)
    random = Cascade(network, card, images)
    *_, last = random.draw(0)
    assert last == "block1"
    normalisation = random.network.blocks["block1"][1]
    with torch.inference_mode():
        reference = random.network.blocks["block1"][0](images)
    torch.testing.assert_close(normalisation.running_mean, reference.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalisation.running_var, reference.var((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_frozen_layers_give_what_they_are_told_and_wake_up_again(made) -> None:
    network, *_ = made
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        kept = network.feature_maps(images)
        with frozen(network, {"block1": kept["block1"]}):
            torch.testing.assert_close(network.feature_maps(images * 0)["block2"], kept["block2"])
        assert not torch.equal(network.feature_maps(images * 0)["block2"], kept["block2"])


def test_every_exported_method_and_layer_has_a_baseline_of_its_own(made) -> None:
    network, card, data, maps = made
    found = model_sanity(network, card, maps, data, 2, 0)
    assert set(found) == {f"{m}.{y}" for m, y in maps.names}
    assert found["cam.block2"]["baseline"] != found["eigencam.block1"]["baseline"]
    assert [step["randomised"] for step in found["cam.block2"]["steps"]] == ["heads", "block2", "block1"]
    assert found["cam.block2"]["images"] == IMAGES
    # Equal but for a factor at a pooled linear head, and so are their ranks.
    assert found["gradcam.block2"]["steps"] == found["cam.block2"]["steps"]
    # What knows no class is not touched by random heads.
    assert found["eigencam.block1"]["steps"][0]["spearman"] == pytest.approx(1, abs=1e-4)


def test_slow_methods_are_asked_of_wholly_random_networks_and_few_images_alone(made) -> None:
    network, card, data, maps = made
    slow = model_sanity(network, card, maps, data, 2, 0)["scorecam.block1"]
    assert ([step["randomised"] for step in slow["steps"]], slow["images"]) == (["block1"], 4)


def test_method_that_shows_the_image_alone_fails(made, tmp_path) -> None:
    """As Adebayo's edge detector: the first layer's strongest pattern is that of the image, whatever the weights."""
    network, card, data, _ = made
    images = np.zeros((len(data.images), SIZE, SIZE, 3), np.uint8)
    for image, (y, x) in zip(images, RNG.integers(0, SIZE - 8, (len(images), 2)), strict=True):
        image[y : y + 8, x : x + 8] = 255
    data = replace(data, images=images)
    save_model(tmp_path / "one.safetensors", network, card)
    with joined_ranks({}, torch.device("cpu")) as ranks:
        options = MapOptions(("cam", "eigencam"), None, "float32", 32, 10)
        export_maps(tmp_path / "one.safetensors", data, tmp_path / "maps", options, ranks, tmp_path / "cache")
    found = model_sanity(network, card, load_maps(tmp_path / "maps"), data, 10, 0)["eigencam.block1"]
    assert found["excess_low"] > MARGIN
    assert found["verdict"] == "fail"
