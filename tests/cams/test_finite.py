"""NaN and infinity are found in maps and logits, with the layer and the images; a full GPU is said aloud."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.cams import batching as parts
from wheretolook.cams import export as export_module
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.layers.layout import NotFinite, check_finite
from wheretolook.networks.runtime.processes import Ranks

ALONE = Ranks(0, 1, 0, torch.device("cpu"))
OPTIONS = MapOptions(("cam", "gradcam"), None, "float32", 4)


def export(folder: Path, cams: str = "cams", prepared=None) -> dict[str, bytes]:
    prepared = prepared or write_prepared(folder / "prepared")
    export_maps(folder / "one.safetensors", prepared, folder / cams, OPTIONS, ALONE, folder / "cache")
    return {path.name: path.read_bytes() for path in (folder / cams).iterdir()}


def test_the_images_are_numbered():
    values = torch.zeros(4, 2, 3, 3)
    check_finite({"cam.a": values})
    values[1, 0, 0, 0], values[3, 1, 2, 2] = torch.nan, torch.inf
    with pytest.raises(NotFinite, match=r"cam\.b: expected finite maps, .* in image number 1, number 3;"):
        check_finite({"cam.a": torch.zeros(4, 2), "cam.b": values})


def test_nan_ends_the_export_with_the_layer_and_the_image_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A model's file with NaN is refused when it's read; but finite weights may overflow on some image."""
    write_model(tmp_path / "one.safetensors")
    plain = export_module.model_input

    def overflowing(card, images, device):
        values = plain(card, images, device)
        values[[1, 2]] = torch.nan
        return values

    monkeypatch.setattr(export_module, "model_input", overflowing)
    with pytest.raises(NotFinite, match=r"cam\.block3: .* in image dog/1\.png, cat/2\.png;"):
        export(tmp_path)
    assert not (tmp_path / "cams").exists()


def test_a_bias_is_in_no_map_and_the_logits_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_model(tmp_path / "one.safetensors")
    network, card = load_model(tmp_path / "one.safetensors", torch.device("cpu"))
    network.state_dict()["classifier.0.bias"].fill_(torch.inf)
    monkeypatch.setattr(export_module, "load_model", lambda path, device: (network, card))
    with pytest.raises(NotFinite, match=r"logits: .* in image cat/0\.png, dog/1\.png, cat/2\.png, dog/3\.png;"):
        export(tmp_path)


def test_a_full_gpu_halves_the_batch_reports_it_and_gives_the_same_maps(tmp_path, monkeypatch, capsys):
    write_model(tmp_path / "one.safetensors")
    prepared = write_prepared(tmp_path / "prepared")
    undisturbed, compute = export(tmp_path, "undisturbed", prepared), parts.compute

    def short_of_memory(engine, images, choose):
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(engine, images, choose)

    monkeypatch.setattr(parts, "compute", short_of_memory)
    found = export(tmp_path, "halved", prepared)
    assert capsys.readouterr().err.count("out of device memory with 4 images per batch; continuing with 2") == 1
    assert found.keys() == undisturbed.keys()
    for name in [name for name in found if name.endswith(".npy")]:
        one, two = (np.load(tmp_path / folder / name) for folder in ("halved", "undisturbed"))
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
