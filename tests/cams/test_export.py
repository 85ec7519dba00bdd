"""What an export leaves: every array in the data's class order, pinned by a manifest; the same from two processes."""

import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.cams import stream
from wheretolook.cams.explain import explain
from wheretolook.cams.export import MapOptions, export_maps, recipe_of
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import read_card
from wheretolook.networks.inputs import to_input
from wheretolook.networks.runtime.processes import Ranks

ALONE = Ranks(0, 1, 0, torch.device("cpu"))
OPTIONS = MapOptions(("cam", "gradcam", "activation"), None, "float32", 4)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "models/one.safetensors"
    return path, write_model(path, loss="every")


def inputs(prepared):
    return to_input(torch.from_numpy(np.array(prepared.images)), (0.5,) * 3, (0.25,) * 3)


def test_the_manifest_lists_what_is_there(tmp_path, model):
    prepared = write_prepared(tmp_path / "prepared")
    manifest = export_maps(model[0], prepared, tmp_path / "cams/one", OPTIONS, ALONE, tmp_path / "cache")
    assert json.loads((tmp_path / "cams/one/manifest.json").read_text()) == manifest
    assert manifest["model"] == {
        "name": "one",
        "sha256": sha256_of(model[0]),
        "architecture": "looknet",
        "loss": "every",
        "seed": 7,
        "recipe": recipe_of(read_card(model[0])),
    }
    assert manifest["data"] == {"sha256": prepared.sha256, "images": 10}
    assert manifest["map_classes"] == manifest["class_names"] == ["cat", "dog"]
    assert manifest["layers"] == manifest["heads"] == ["block1", "block2", "block3"]
    files = {path.name for path in (tmp_path / "cams/one").iterdir()} - {"manifest.json"}
    assert files == set(manifest["arrays"])
    for name, about in manifest["arrays"].items():
        array = np.load(tmp_path / "cams/one" / name)
        assert (list(array.shape), str(array.dtype)) == (about["shape"], about["dtype"])
        assert about["sha256"] == sha256_of(tmp_path / "cams/one" / name)
    assert manifest["arrays"]["cam.block3.npy"]["shape"] == [10, 2, 4, 4]
    assert manifest["arrays"]["activation.block3.npy"] | {"sha256": ""} == {
        "method": "activation",
        "layer": "block3",
        "units": "activation",
        "knows_class": False,
        "shape": [10, 1, 4, 4],
        "dtype": "float32",
        "sha256": "",
    }


def test_maps_and_logits_are_those_of_the_network(tmp_path, model):
    prepared = write_prepared(tmp_path / "prepared")
    export_maps(model[0], prepared, tmp_path / "cams/one", OPTIONS, ALONE, tmp_path / "cache")
    maps, expected = load_maps(tmp_path / "cams/one"), explain(model[1], inputs(prepared), OPTIONS.methods)
    for pair in maps.names:
        np.testing.assert_allclose(maps.open(*pair), expected[pair], rtol=0, atol=1e-5)
    with torch.no_grad():
        logits = model[1].layer_logits(inputs(prepared))
    for i, (layer, values) in enumerate(logits.items()):
        np.testing.assert_allclose(maps.head_logits()[:, i], values, rtol=0, atol=1e-5)
        bias = model[1].heads[layer].bias.detach().numpy()
        np.testing.assert_allclose(maps.open("cam", layer).mean((2, 3)) + bias, values, rtol=0, atol=1e-5)


def test_columns_follow_the_datas_class_order_whatever_the_models(tmp_path, model):
    prepared = write_prepared(tmp_path / "prepared")
    export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache")
    write_model(tmp_path / "turned.safetensors", ("dog", "cat"), "every")
    export_maps(tmp_path / "turned.safetensors", prepared, tmp_path / "turned", OPTIONS, ALONE, tmp_path / "cache")
    one, turned = load_maps(tmp_path / "one"), load_maps(tmp_path / "turned")
    np.testing.assert_array_equal(turned.head_logits(), one.head_logits()[:, :, ::-1])
    np.testing.assert_array_equal(turned.open("cam", "block3"), one.open("cam", "block3")[:, ::-1])
    assert turned.class_names == ("cat", "dog")


def test_beyond_ten_classes_the_true_and_the_predicted_are_stored(tmp_path):
    names = tuple(f"class{k:02}" for k in range(12))
    prepared = write_prepared(tmp_path / "prepared", names, 24)
    network = write_model(tmp_path / "many.safetensors", names)
    manifest = export_maps(
        tmp_path / "many.safetensors", prepared, tmp_path / "many", OPTIONS, ALONE, tmp_path / "cache"
    )
    assert manifest["map_classes"] == ["true", "predicted", "mean"]
    maps, labels = load_maps(tmp_path / "many"), prepared.labels
    assert maps.logits().shape == (24, 12)
    targets = np.stack([labels, maps.logits().argmax(1)], 1)
    expected = explain(network, inputs(prepared), ["gradcam"], ["block2"], targets=targets)["gradcam", "block2"]
    np.testing.assert_allclose(maps.open("gradcam", "block2")[:, :2], expected, atol=1e-5)


def test_exported_again_the_bytes_are_the_same(tmp_path, model):
    prepared = write_prepared(tmp_path / "prepared")
    first = export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache")
    assert export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache") == first


def test_an_export_that_fails_half_way_leaves_the_old_one(tmp_path, model, monkeypatch):
    prepared = write_prepared(tmp_path / "prepared")
    export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache")
    before = {path.name: sha256_of(path) for path in (tmp_path / "one").iterdir()}

    def fails_at_the_second_batch(arrays, work, rows, batch):
        if rows.start:
            raise OSError("disk full")

    monkeypatch.setattr(stream, "store", fails_at_the_second_batch)
    with pytest.raises(OSError, match="disk full"):
        export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache")
    assert {path.name: sha256_of(path) for path in (tmp_path / "one").iterdir()} == before
    assert list(tmp_path.glob("*.part*")) == []


def test_a_model_of_other_classes_is_refused(tmp_path, model):
    prepared = write_prepared(tmp_path / "prepared", ("cat", "hen"))
    with pytest.raises(
        InputError, match=r"one\.safetensors: expected the classes of the data, cat, hen, found cat, dog"
    ):
        export_maps(model[0], prepared, tmp_path / "one", OPTIONS, ALONE, tmp_path / "cache")


def test_images_of_another_size_than_the_models_input_are_refused(tmp_path):
    write_model(tmp_path / "large.safetensors", size=64)
    with pytest.raises(InputError) as error:
        export_maps(
            tmp_path / "large.safetensors",
            write_prepared(tmp_path / "prepared"),
            tmp_path / "one",
            OPTIONS,
            ALONE,
            tmp_path / "cache",
        )
    assert "64 pixels" in error.value.expected and error.value.found == "32 pixels"
    assert error.value.hint == "set prepare.size to 64"


def test_recipe_is_all_but_the_seed(model):
    card = read_card(model[0])
    other = {key: replace(card, training=card.training | {key: 8}) for key in ("seed", "epochs")}
    assert recipe_of(other["seed"]) == recipe_of(card)
    assert recipe_of(other["epochs"]) != recipe_of(card)


def test_two_processes_write_the_bytes_of_one(tmp_path, model, forks):
    prepared = write_prepared(tmp_path / "prepared")
    one = MapOptions(("gradcam",), None, "float32", 3, random_draws=2)
    export_maps(model[0], prepared, tmp_path / "one/one", one, ALONE, tmp_path / "cache")
    options = {"methods": "gradcam", "layers": "all", "precision": "float32", "batch_size": "3", "device": "cpu"}
    options |= {"random_draws": "2", "every_class_up_to": "10"}
    options |= {"models": model[0].parent, "prepared": tmp_path / "prepared", "cache": tmp_path / "cache"}
    options |= {"cams": tmp_path / "two", "exports": tmp_path / "two"}
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # As torchrun sets it (tests/networks/runtime/test_ranks.py has the real one); as many threads as there are here,
    # since sums depend on it.
    shared = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT / "src")}
    running = [
        subprocess.Popen(
            ["python", "stages/export.py", "one", *words],
            cwd=ROOT, env=os.environ | forks | shared | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE,
        )
        for rank in "01"
    ]  # fmt: skip
    for process in running:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors.decode()
    found = [{p.name: p.read_bytes() for p in (tmp_path / name / "one").iterdir()} for name in ("one", "two")]
    assert found[0] == found[1]


def test_network_without_a_pooled_head_is_exported_by_the_other_methods_with_gradcams_of_random_networks(
    tmp_path, monkeypatch
):
    path = tmp_path / "models/one.safetensors"
    write_model(path)
    monkeypatch.setattr("wheretolook.networks.layered.LookNet.final_head", lambda network: None)
    prepared = write_prepared(tmp_path / "prepared")
    options = MapOptions(("cam", "gradcam"), None, "float32", 5, random_draws=2)
    export_maps(path, prepared, tmp_path / "one", options, ALONE, tmp_path / "cache")
    maps = load_maps(tmp_path / "one")
    assert {method for method, _ in maps.names} == {"gradcam"}
    assert maps.manifest["arrays"]["random.npy"]["method"] == "gradcam"
    assert maps.random()[0].shape == (2, 10, 4, 4)
