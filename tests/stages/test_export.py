"""The export stage, from its options to its files."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.cams.made import write_model, write_prepared
from wheretolook.networks.layered import LookNet

ROOT = Path(__file__).parents[2]
OPTIONS = {
    "methods": "gradcam",
    "layers": "all",
    "precision": "float32",
    "batch_size": "4",
    "random_draws": "0",
    "every_class_up_to": "10",
    "device": "cpu",
}


@pytest.fixture
def run(tmp_path):
    """The stage, run on a made-up model `one` in a folder of its own."""
    write_prepared(tmp_path / "prepared")
    write_model(tmp_path / "models/one.safetensors")
    spec = importlib.util.spec_from_file_location("export_stage", ROOT / "stages/export.py")
    stage = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stage)
    folders = {name: str(tmp_path / name) for name in ("models", "prepared", "cams", "exports", "cache")}

    def run(name="one", *more, **changed):
        options = {key: value for key, value in (OPTIONS | folders | changed).items() if value is not None}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return CliRunner().invoke(stage.export, [name, *words, *more])

    return run


def test_it_writes_maps_and_a_copy_of_their_manifest_and_says_so(run, tmp_path):
    done = run("one", "--methods", "cam")
    assert done.exit_code == 0, done.output
    first, last = done.stdout.splitlines()
    assert first.startswith("export one: gradcam, cam of every layer, on 1 x cpu")
    assert last == "export one: maps of 10 images in 5 arrays"
    assert (tmp_path / "exports/one.json").read_bytes() == (tmp_path / "cams/one/manifest.json").read_bytes()
    assert np.load(tmp_path / "cams/one/cam.block3.npy").shape == (10, 2, 4, 4)


def test_maps_of_random_networks_are_in_whole_float32_as_the_models_are(run, monkeypatch):
    seen, forward = [], LookNet.trace

    def noting(network, images):
        seen.append(torch.backends.cudnn.allow_tf32)
        return forward(network, images)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(LookNet, "trace", noting)
    assert run(random_draws="1").exit_code == 0
    assert seen and not any(seen)


def test_layers_are_named_with_commas(run, tmp_path):
    assert run(layers="block3, block1").exit_code == 0
    found = {path.name for path in (tmp_path / "cams/one").glob("gradcam*")}
    assert found == {"gradcam.block1.npy", "gradcam.block3.npy"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"methods": "gradcan"}, "methods: expected one of cam, gradcam"),
        ({"layers": "block3,block9"}, 'layer "block9": expected one of block1, block2, block3'),
        ({"layers": "block1"}, "export.layers: expected the last layer (block3) among them, since"),
        ({"device": "tpu"}, 'device "tpu": expected one of cpu'),
        ({"precision": "float16"}, "'float16' is not one of 'float32', 'bfloat16'"),
        ({"batch_size": "0"}, "0 is not in the range x>=1"),
        ({"batch_size": None}, "Missing option '--batch_size'"),
        ({"methods": None}, "Missing option '--methods'"),
        ({"prepared": "nowhere"}, "nowhere/audit.json: expected the audit of the prepared data, found no such file"),
        ({"models": "nowhere"}, 'nowhere/one.safetensors: expected a model file, found no such file. Run "dvc repro'),
    ],
)
def test_bad_options_end_with_a_message_and_no_traceback(run, tmp_path, changed, message):
    done = run(**changed)
    assert done.exit_code != 0
    assert message in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "cams").exists()
