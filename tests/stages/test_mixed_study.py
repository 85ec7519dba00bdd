"""Models of one study whose maps differ in resolution, a vision transformer among them, from images to the page."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.stages.study import SIDE, SQUARE, Picture, read, run_study, sent_and_back, write_params, write_pictures
from wheretolook.cli.main import main
from wheretolook.mapstore.store import load_maps

VIT = '''
"""A vision transformer of two blocks and 8 x 8 tokens, read out by its mean token."""

from torch import nn


class TinyViT(nn.Module):
    def __init__(self, class_count):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 2, 64, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, class_count)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens).mean(1))
'''
MODELS = {
    "coarse-0": {"loss": "last", "seed": 0, "depth": 3},
    "fine-0": {"loss": "every", "seed": 2, "depth": 2},
    "vit-0": {"loss": "last", "seed": 3, "architecture": "networks/tiny.py:TinyViT", "learning_rate": 0.004},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red squares or green ones, at any place; the mask marks them."""
    folder, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(4)
    pictures = []
    for number in range(160):
        corner = tuple(int(side) for side in rng.integers(0, SIDE - SQUARE, 2))
        colour, name = [((250, 90, 90), "red"), ((90, 250, 90), "green")][number % 2]
        pictures.append(Picture([(corner, colour)], {"label": name}, 0))
    write_pictures(folder / "source", pictures)
    (folder / "networks").mkdir()
    (folder / "networks/tiny.py").write_text(VIT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_params(MODELS, {"labels": "table.csv"}, export={"methods": ["cam", "gradcam"]})
        run_study(patch.setattr)
    return folder


def test_each_model_has_maps_of_its_own_resolution(study: Path) -> None:
    grids = {}
    for name in MODELS:
        maps = load_maps(study / "data/cams" / name)
        grids[name] = maps.open("gradcam", maps.manifest["layers"][-1]).shape[2:]
    assert grids == {"coarse-0": (4, 4), "fine-0": (8, 8), "vit-0": (8, 8)}


def test_every_pair_of_models_is_compared_whatever_their_resolution(study: Path) -> None:
    rows = read(str(study / "reports/comparison/agreement.json"))["rows"]
    primary = {(row["model_a"], row["model_b"]): row for row in rows if row["primary"] and row["figure"] == "pearson"}
    assert len(primary) == 3
    assert all(-1 <= row["mean"] <= 1 for row in primary.values())
    assert primary["coarse-0", "fine-0"]["mean"] > 0.5  # compared on the coarser grid


def test_maps_find_the_squares_at_either_resolution(study: Path) -> None:
    for name in ("coarse-0", "fine-0"):
        assert min(located(study, name)) > 3


def test_a_place_is_supported_only_where_the_maps_of_every_model_are(study: Path) -> None:
    # The tokens of a transformer mix, so that it may classify by tokens beside the square.
    everywhere = min(ratio for name in MODELS for ratio in located(study, name)) > 2
    said = read(str(study / "reports/comparison/statements.json"))["statements"]
    places = [each for each in said if each["region"] == "evidence" and each["kind"] != "difference"]
    assert places and (everywhere or all(each["verdict"] != "supported" for each in places))


def located(study: Path, name: str) -> list[float]:
    """Energy inside the squares over their share of the area, of each class."""
    result = read(str(study / f"reports/models/{name}.json"))
    assert result["splits"]["test"]["accuracy"] > 0.9, name
    return [row["energy_ratio"] for row in result["localisation"][f"gradcam.{result['layers'][-1]}"]["test"].values()]


def test_statements_are_of_all_models_and_rest_on_the_method_that_all_have(study: Path) -> None:
    statements = read(str(study / "reports/comparison/statements.json"))
    assert set(statements["models"]) == set(MODELS)
    summary = (study / "reports/summary.md").read_text(encoding="utf-8")
    assert all(name in summary for name in MODELS)
    page = (study / "reports/site/index.html").read_text(encoding="utf-8")
    assert '"native":[8,8]' in page and '"native":[4,4]' in page


def test_an_own_network_that_was_shared_comes_back_with_the_same_maps(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    back = sent_and_back("vit-0")
    arrays = sorted(path.name for path in Path("data/cams/vit-0").glob("*.npy"))
    assert arrays == ["cam.norm.npy", "gradcam.norm.npy", "logits.npy"]
    for name in arrays:
        assert Path(f"data/cams/vit-0/{name}").read_bytes() == Path(f"data/cams/{back}/{name}").read_bytes(), name
    seen = []
    for model in ("vit-0", back):
        words = ["source/images/0003.png", "--model", f"models/{model}.safetensors", "--out", f"look-{model}"]
        assert CliRunner().invoke(main, ["look", *words], catch_exceptions=False).exit_code == 0
        seen.append(
            {path.name: path.read_bytes() for path in Path(f"look-{model}").iterdir() if path.suffix != ".json"}
        )
    assert seen[0] == seen[1] and len(seen[0]) == 3
