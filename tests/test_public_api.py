from pathlib import Path

import numpy as np
import torch

import wheretolook
from tests.networks.small import card
from wheretolook import explain, load_model, read_card, to_input
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.layered import LookNet


def test_every_public_name_is_importable():
    assert all(getattr(wheretolook, name) for name in wheretolook.__all__)
    assert dir(wheretolook) == sorted(wheretolook.__all__)


def test_a_model_file_is_loaded_by_a_text_path_and_explained_on_the_cpu(tmp_path: Path):
    torch.manual_seed(0)
    saved = LookNet(2, width=4, depth=2).eval()
    path = str(tmp_path / "a.safetensors")
    save_model(Path(path), saved, card(saved))
    network, loaded = load_model(path)
    assert loaded == read_card(path)
    images = to_input(torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8), loaded.mean, loaded.std)
    result = explain(network, images, methods=["cam"])
    (pair,) = result
    assert result[pair].shape[:2] == (3, 2)
    assert np.allclose(result.logits, saved(images).detach(), atol=1e-5)
