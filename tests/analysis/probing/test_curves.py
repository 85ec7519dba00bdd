"""Curves, drop and increase against torchcam's metrics; activation (softmax) and baseline (the mean colour) alike."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

from tests.analysis.made import SIZE, make
from wheretolook.analysis.probing.model_curves import (
    area_under,
    class_curves,
    drop_and_increase,
    map_curves,
    model_curves,
    pixel_counts,
    soft_masks,
)
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.networks.card import Card, read_card
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.inputs import to_input

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(6, 7, 7)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
CLASSES = np.array([0, 1, 1, 0, 1, 0])
KINDS = ("deletion", "insertion")


@dataclass
class Extractor:
    """What torchcam's metrics ask of an extractor; it gives maps that are known already."""

    model: nn.Module
    maps: Tensor

    def __call__(self, class_index: list[int], scores: Tensor) -> list[Tensor]:
        return [self.maps]

    def fuse_cams(self, maps: list[Tensor]) -> Tensor:
        return maps[0]

    def _hooks_off(self) -> nullcontext:
        return nullcontext()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("curves")
    make(root, names=("last-0",), per_class=20)
    return root


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("looknet", 2, {"width": 8, "depth": 2}).eval()


@pytest.fixture(scope="module")
def card(root: Path) -> Card:
    return read_card(root / "models/last-0.safetensors")


def found(network: nn.Module, card: Card, steps: int) -> dict[str, np.ndarray]:
    return map_curves(network, card, IMAGES, CLASSES, MAPS, pixel_counts(SIZE * SIZE, steps), 0)


def peers_input(card: Card) -> Tensor:
    return to_input(torch.from_numpy(IMAGES), card.mean, card.std)


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_areas_are_those_of_torchcam(network: nn.Module, card: Card, steps: int) -> None:
    softmax = partial(torch.softmax, dim=-1)
    metric = DeletionInsertionMetric(Extractor(network, torch.from_numpy(MAPS)), softmax, steps=steps)
    metric.update(peers_input(card), CLASSES.tolist())
    shares = pixel_counts(SIZE * SIZE, steps) / SIZE**2
    ours = {f"{kind}_auc": area_under(found(network, card, steps)[kind], shares).mean() for kind in KINDS}
    assert ours == pytest.approx(metric.summary(), abs=1e-5)


def test_average_drop_and_increase_are_those_of_torchcam(network: nn.Module, card: Card) -> None:
    masks = torch.from_numpy(soft_masks(MAPS))
    metric = ClassificationMetric(Extractor(network, masks), partial(torch.softmax, dim=-1))
    metric.update(peers_input(card), CLASSES.tolist())
    figures = found(network, card, 4)
    drop, increase = drop_and_increase(figures["deletion"][:, 0], figures["masked"])
    assert {"avg_drop": drop, "conf_increase": increase} == pytest.approx(metric.summary(), abs=1e-5)
    assert 0 < increase < 1


def test_curves_start_and_end_at_the_whole_and_the_empty_image(network: nn.Module, card: Card) -> None:
    figures = found(network, card, 5)
    with torch.inference_mode():
        scores = torch.softmax(network(peers_input(card)), 1).numpy()[np.arange(6), CLASSES]
        empty = torch.softmax(network(torch.zeros(1, 3, SIZE, SIZE)), 1).numpy()[0, CLASSES]
    for curve, ends in ((figures["deletion"], (scores, empty)), (figures["insertion"], (empty, scores))):
        np.testing.assert_allclose(curve[:, [0, -1]], np.stack(ends, axis=1), atol=1e-5)


def test_counts_are_equal_steps_up_to_all_pixels() -> None:
    assert pixel_counts(10, 5).tolist() == [0, 2, 4, 6, 8, 10]
    assert pixel_counts(10, 3).tolist() == [0, 4, 8, 10]
    assert pixel_counts(4, 100).tolist() == [0, 1, 2, 3, 4]


def test_soft_mask_is_the_positive_part_and_never_divides_by_nothing() -> None:
    masks = soft_masks(np.array([[[-1.0, 2.0], [1.0, 0.0]], [[-1.0, -2.0], [0.0, -1.0]]]))
    np.testing.assert_array_equal(masks, [[[0, 1], [0.5, 0]], [[0, 0], [0, 0]]])


def test_figures_of_a_class_by_hand() -> None:
    figures = {
        "deletion": np.array([[0.8, 0.4, 0.0], [0.4, 0.2, 0.2]]),
        "insertion": np.array([[0.0, 0.8, 0.8], [0.2, 0.4, 0.4]]),
        "masked": np.array([0.4, 0.6]),
    }
    made = class_curves(figures, np.array([0, 0.5, 1]))
    assert made["deletion"] == pytest.approx([0.6, 0.3, 0.1])
    assert made["undefined"] is False
    kept = {**figures, "deletion": np.full((2, 3), 0.8)}
    assert class_curves(kept, np.array([0, 0.5, 1]))["undefined"] is True
    assert made["deletion_auc"] == pytest.approx((0.4 + 0.25) / 2)
    assert made["insertion_auc"] == pytest.approx((0.6 + 0.35) / 2)
    assert (made["average_drop"], made["average_increase"]) == (pytest.approx(0.25), 0.5)


def test_every_map_and_every_null_has_curves_of_every_class(root: Path, network: nn.Module, card: Card) -> None:
    data, maps = load_prepared(root / "data/prepared"), load_maps(root / "data/cams/last-0")
    curves = model_curves(network, card, maps, data, 8, 4, 0)
    assert curves["shares"] == [0, 0.25, 0.5, 0.75, 1]
    assert set(curves["maps"]) == {"cam.block2", "gradcam.block1", "gradcam.block2", "random", "centre"}
    for by_class in curves["maps"].values():
        assert {name: entry["images"] for name, entry in by_class.items()} == {"infected": 4, "uninfected": 4}
        assert all(len(entry["insertion"]) == 5 for entry in by_class.values())
    assert curves == model_curves(network, card, maps, data, 8, 4, 0)
