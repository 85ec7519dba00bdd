"""The public API: docs/api.md runs as printed, and every public name is importable."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wheretolook
from tests.cams.made import SIZE, write_model, write_prepared
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.networks.runtime.processes import Ranks

GUIDE = Path(__file__).parents[1] / "docs/api.md"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, prepared data, stored maps and two images, as a finished pipeline leaves them."""
    (tmp_path / "models").mkdir()
    (tmp_path / "cells").mkdir()
    model = tmp_path / "models/last-0.safetensors"
    write_model(model)
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)):
        Image.fromarray(image).save(tmp_path / f"cells/{number}.png")
    prepared = write_prepared(tmp_path / "data/prepared", count=4)
    options = MapOptions(("cam",), None, "float32", 4)
    ranks = Ranks(0, 1, 0, torch.device("cpu"))
    export_maps(model, prepared, tmp_path / "data/cams/last-0", options, ranks, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_guides_program_runs(project: Path, capsys: pytest.CaptureFixture[str]):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile("\n".join(blocks), str(GUIDE), "exec"), names)
    cam, contrast = names["cam"], names["contrast"]
    assert isinstance(cam, np.ndarray) and cam.shape == (2, 2, SIZE // 8, SIZE // 8)
    # With two classes, the mean of the other classes' maps is the other map.
    np.testing.assert_allclose(np.abs(contrast), np.abs(cam[:, 0] - cam[:, 1]), atol=1e-6)
    assert 'did you mean "gradcam"?' in capsys.readouterr().out


def test_paths_may_be_text(project: Path):
    network, card = wheretolook.load_model("models/last-0.safetensors", "cpu")
    assert not network.training and card == wheretolook.read_card("models/last-0.safetensors")


@pytest.mark.parametrize("name", wheretolook.__all__)
def test_every_public_name_exists_and_is_in_the_guide(name: str):
    assert getattr(wheretolook, name) is not None
    assert f"`{name}" in GUIDE.read_text(encoding="utf-8")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="explian"):
        _ = wheretolook.explian


def test_importing_the_package_loads_no_pytorch():
    code = "import sys, wheretolook; wheretolook.load_maps; wheretolook.load_prepared; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
