from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis.made import SIZE
from tests.analysis.untrained import make_untrained, probed
from wheretolook.analysis.probing import model_faithfulness as perturb
from wheretolook.analysis.probing.model_faithfulness import run
from wheretolook.analysis.probing.probe import CHANGED
from wheretolook.networks.checkpoint import load_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_untrained(tmp_path_factory.mktemp("perturb"))


def test_every_class_has_every_kind_and_equally_many_images(root: Path) -> None:
    result = probed(root)["faithfulness"]
    assert result["images"] == 24
    assert (result["method"], result["layer"], result["split"]) == ("cam", "block2", "test")
    infected, uninfected = (result["classes"][name] for name in ("infected", "uninfected"))
    assert infected["images"] == uninfected["images"] == 12
    assert set(infected["removed"]) == {"cam", "random", "other", "centre", "evidence"}
    assert set(uninfected["removed"]) == {"cam", "random", "other", "centre"}
    assert infected["gaps"]["random"]["score"]["low"] is None  # twelve images are too few for an interval


def test_same_seed_gives_the_same_figures(root: Path) -> None:
    assert probed(root, 10) == probed(root, 10)


def test_network_reads_untouched_images_as_everywhere_else(root: Path) -> None:
    network, card = load_model(root / "models/last-0.safetensors", torch.device("cpu"))
    images = np.random.default_rng(0).integers(0, 256, (70, SIZE, SIZE, 3), dtype=np.uint8)
    inputs = torch.from_numpy((images / 255 - 0.5) / 0.25).float().permute(0, 3, 1, 2)
    with torch.inference_mode():
        np.testing.assert_allclose(run(network, card, images), network(inputs).numpy(), atol=1e-5)


def test_no_double_is_made_where_the_network_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On MPS there is none: logits come to the CPU first."""
    calls: list[str] = []
    for name in ("cpu", "double"):
        original = getattr(torch.Tensor, name)
        noted = lambda tensor, name=name, original=original: calls.append(name) or original(tensor)  # noqa: E731
        monkeypatch.setattr(torch.Tensor, name, noted)
    network, card = load_model(root / "models/last-0.safetensors", torch.device("cpu"))
    calls.clear()
    assert run(network, card, np.zeros((2, SIZE, SIZE, 3), np.uint8)).dtype == np.float64
    assert calls == ["cpu", "double"]


def test_pixels_are_judged_in_whole_float32_as_the_maps_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def noting(*given: object) -> np.ndarray:
        seen.append(torch.backends.cudnn.allow_tf32)
        return run(*given)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(perturb, "run", noting)
    probed(root, 8)
    assert seen and not any(seen)


def test_nothing_is_run_where_nothing_is_asked_for(root: Path) -> None:
    found = probed(root, 0, 0, 10)
    assert set(found) == {"faithfulness", "curves", "sanity", "stability", *CHANGED}
    assert set(found.values()) == {None}
