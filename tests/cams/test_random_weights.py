"""Maps of networks with random weights: drawn by seed, with statistics of their own, as contrasts of the true class."""

import numpy as np
import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.cams.random_weights import chosen_rows, estimate_statistics, random_maps
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import read_card
from wheretolook.networks.runtime.processes import Ranks

CPU = torch.device("cpu")


@pytest.fixture
def made(tmp_path):
    write_model(tmp_path / "models/one.safetensors")
    return tmp_path / "models/one.safetensors", write_prepared(tmp_path / "prepared", count=24)


def test_draws_differ_are_repeatable_and_leave_the_generator_alone(made):
    model, prepared = made
    card, rows = read_card(model), chosen_rows(prepared)
    before = torch.random.get_rng_state()
    first = random_maps(card, prepared, rows, 3, 8, CPU)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.shape == (3, 24, 4, 4)
    np.testing.assert_array_equal(first, random_maps(card, prepared, rows, 3, 8, CPU))
    assert np.abs(first[0] - first[1]).max() > 0.01
    np.testing.assert_allclose(first, random_maps(card, prepared, rows, 3, 5, CPU), atol=1e-5)


def test_two_classes_have_opposite_contrasts_so_that_a_map_is_of_its_own_class(made):
    model, prepared = made
    card = read_card(model)
    maps = random_maps(card, prepared, np.array([0, 1]), 1, 8, CPU)[0]
    swapped = prepared.index.assign(class_index=1 - prepared.index["class_index"])
    other = type(prepared)(prepared.images, prepared.masks, swapped, prepared.class_names, prepared.sha256)
    np.testing.assert_allclose(random_maps(card, other, np.array([0, 1]), 1, 8, CPU)[0], -maps, atol=1e-6)


@pytest.mark.parametrize("classes", [("cat", "dog"), ("cat", "dog", "owl")])
def test_networks_without_a_pooled_head_have_gradcams_which_are_cams_where_there_is_one(tmp_path, monkeypatch, classes):
    write_model(tmp_path / "one.safetensors", classes)
    card, prepared = read_card(tmp_path / "one.safetensors"), write_prepared(tmp_path / "prepared", classes, count=9)
    rows = chosen_rows(prepared)
    cams = random_maps(card, prepared, rows, 2, 4, CPU)
    monkeypatch.setattr("wheretolook.networks.layered.LookNet.final_head", lambda network: None)
    gradcams = random_maps(card, prepared, rows, 2, 4, CPU)
    np.testing.assert_allclose(gradcams * cams[0, 0].size, cams, atol=1e-5)


def test_statistics_are_those_of_the_batches_and_nothing_else_changes():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout()).eval()
    batches = [torch.randn(8, 3, 4, 4) + 5 for _ in range(2)]
    estimate_statistics(network, iter(batches))
    wanted = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(network[0].running_mean, wanted)
    assert network[0].momentum == 0.1
    assert not any(module.training for module in network.modules())


def test_export_leaves_them_beside_the_maps_and_the_reader_finds_them(made, tmp_path):
    model, prepared = made
    options = MapOptions(("cam",), None, "float32", 8, random_draws=2)
    export_maps(model, prepared, tmp_path / "cams/one", options, Ranks(0, 1, 0, CPU), tmp_path / "cache")
    maps = load_maps(tmp_path / "cams/one")
    draws, rows = maps.random()
    assert draws.shape == (2, 24, 4, 4)
    np.testing.assert_array_equal(rows, np.arange(24))
    assert maps.names == [("cam", "block3")]


def test_no_draws_leave_none(made, tmp_path):
    model, prepared = made
    options = MapOptions(("cam",), None, "float32", 8)
    export_maps(model, prepared, tmp_path / "cams/one", options, Ranks(0, 1, 0, CPU), tmp_path / "cache")
    assert load_maps(tmp_path / "cams/one").random() is None
