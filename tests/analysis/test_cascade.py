from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.analysis.made import SIZE, make
from wheretolook.analysis.cascade import cascade, frozen, model_sanity
from wheretolook.analysis.sanity import alikeness, sanity_result
from wheretolook.cams.store import load_maps
from wheretolook.data.prepared import load_prepared
from wheretolook.models.card import read_card
from wheretolook.models.network import build_network

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(30, 5, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("cascade")
    make(root, names=("last-0",), per_class=40)
    card = replace(read_card(root / "models/last-0.safetensors"), arguments={"width": 4, "depth": 2})
    torch.manual_seed(3)
    network = build_network("looknet", 2, card.arguments).eval()
    return root, network, card, load_prepared(root / "data/prepared")


def test_alikeness_counts_a_negative_like_its_positive_and_leaves_constant_maps_out() -> None:
    constant = np.where(np.arange(30)[:, None, None] < 10, 1, MAPS).astype(np.float32)
    found = alikeness(MAPS, np.stack([MAPS, -MAPS, constant, np.ones_like(MAPS)]))
    np.testing.assert_allclose(found, [1, 1, 1, 0], atol=1e-6)


def test_method_whose_maps_stay_alike_fails() -> None:
    null = MAPS, RNG.normal(size=(10, *MAPS.shape)).astype(np.float32)
    noise = RNG.normal(size=(10, *MAPS.shape)).astype(np.float32)
    stays = sanity_result(MAPS, {"heads": noise, "block1": np.stack([MAPS] * 10)}, null)
    assert stays["passes"] is False
    changes = sanity_result(MAPS, {"heads": np.stack([MAPS] * 10), "block1": noise * [[[[1.0]]]]}, null)
    assert changes["steps"][0]["spearman"] == pytest.approx(1)
    assert sanity_result(MAPS, {"heads": noise}, None)["passes"] is None


def test_cascade_randomises_from_the_top_and_leaves_the_network_alone(made) -> None:
    _, network, card, data = made
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps = cascade(network, card, data, data.rows("test")[:6], 3)
    assert list(steps) == ["heads", "block2", "block1"]
    assert {maps.shape for maps in steps.values()} == {(3, 6, 7, 7)}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    again = cascade(network, card, data, data.rows("test")[:6], 3)
    assert all(np.array_equal(steps[name], again[name]) for name in steps)


def test_with_random_heads_the_feature_maps_are_still_the_trained_ones(made) -> None:
    _, network, card, data = made
    rows = data.rows("test")[:4]
    maps = cascade(network, card, data, rows, 1)["heads"][0]
    from wheretolook.analysis.cascade import FIRST_SEED, _fresh, _input

    weights = _fresh(card, FIRST_SEED).final_head().weight.detach()
    with torch.inference_mode():
        features = network.feature_maps(_input(card, data, rows, torch.device("cpu")))["block2"]
    contrast = (weights[0] - weights[1])[None] * torch.tensor(1 - 2 * data.labels[rows])[:, None]
    np.testing.assert_allclose(maps, torch.einsum("nchw,nc->nhw", features, contrast.float()).numpy(), atol=1e-5)


def test_frozen_layers_give_what_they_are_told_and_wake_up_again(made) -> None:
    _, network, *_ = made
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        kept = network.feature_maps(images)
        with frozen(network, {"block1": kept["block1"]}):
            torch.testing.assert_close(network.feature_maps(images * 0)["block2"], kept["block2"])
        assert not torch.equal(network.feature_maps(images * 0)["block2"], kept["block2"])


def test_model_is_held_against_its_stored_maps_and_the_exported_null(made) -> None:
    root, network, card, data = made
    found = model_sanity(network, card, load_maps(root / "data/cams/last-0"), data, 2, 0)
    assert found["images"] == 20
    assert [step["randomised"] for step in found["steps"]] == ["heads", "block2", "block1"]
    assert 0 < found["null"] < 1
