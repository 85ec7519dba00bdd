"""Localisation and deletion against Quantus, whose figures of the shared fixture stand in quantus_figures.json."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis.made import make
from tests.analysis.quantus_figures import FILE
from tests.analysis.shared import MEAN, SIDE, STD, STEPS, Shared
from wheretolook.analysis.grid import Regions, regions_on_grid
from wheretolook.analysis.localisation.energy import area_under_roc, energy_inside, pointing_hits, rank_cells
from wheretolook.analysis.probing.model_curves import map_curves, pixel_counts
from wheretolook.base.prepared import EVIDENCE
from wheretolook.networks.card import read_card

SHARED = Shared()
QUANTUS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def regions() -> Regions:
    return regions_on_grid(np.where(SHARED.masks, np.uint8(EVIDENCE), np.uint8(0)), SHARED.maps.shape[1:])


def test_pointing_game_is_quantus_own_on_maps_at_the_size_of_the_cells(regions: Regions) -> None:
    """A hit anywhere in the highest cell: that is the tolerance of half a cell."""
    hits = pointing_hits(SHARED.maps, regions.evidence, regions.known)
    assert hits.tolist() == QUANTUS["PointingGame"]
    assert 0 < hits.mean() < 1


def test_energy_inside_is_quantus_relevance_mass_accuracy_of_the_positive_part(regions: Regions) -> None:
    energy, _ = energy_inside(SHARED.maps, regions.evidence, regions.known)
    np.testing.assert_allclose(energy, QUANTUS["RelevanceMassAccuracy"], atol=1e-5)


def test_pixel_auroc_is_that_of_quantus(regions: Regions) -> None:
    found = area_under_roc(rank_cells(SHARED.maps, regions.evidence, regions.known))
    np.testing.assert_allclose(found, QUANTUS["AUC"], atol=1e-5)


def test_deletion_curve_is_quantus_pixel_flipping(tmp_path: Path) -> None:
    make(tmp_path, names=("last-0",), per_class=4)
    card = replace(read_card(tmp_path / "models/last-0.safetensors"), mean=MEAN, std=STD)
    counts = pixel_counts(SIDE**2, STEPS)
    curves = map_curves(SHARED.network, card, SHARED.images, SHARED.classes, SHARED.fine, counts, 0)
    np.testing.assert_allclose(curves["deletion"][:, 1:], QUANTUS["PixelFlipping"], atol=1e-4)
