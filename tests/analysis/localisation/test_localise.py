"""Layers of one method, compared over the same images."""

import numpy as np
import pytest

from wheretolook.analysis.localisation.localise import Sample, over_shared_images


def test_layers_are_averaged_over_images_on_which_each_has_a_positive_part() -> None:
    area = np.array([0.1, 0.5, 0.3, 0.2])

    def figures(energy: list[float], positive: list[bool]) -> dict[str, np.ndarray]:
        shares = {"evidence.energy": np.array(energy), "evidence.area_share": area, "energy_ceiling": area + 0.4}
        return shares | {"positive": np.array(positive), "evidence": np.array([True, True, True, False])}

    maps = {
        "cam.first": figures([0.2, 0.0, 0.4, 0.9], [True, False, True, True]),
        "cam.last": figures([0.6, 0.8, 0.2, 0.9], [True, True, True, True]),
        "gradcam.last": figures([0.6, 0.8, 0.0, 0.9], [True, True, False, True]),
        "eigencam.last": figures([0.0, 0.0, 0.0, 0.0], [False] * 4),
    }
    sample = Sample(np.zeros(4, int), np.arange(4), {"test": np.arange(4)}, ("a",))
    found = {name: by_split["test"]["a"] for name, by_split in over_shared_images(maps, sample).items()}
    first, last = found["cam.first"], found["cam.last"]
    assert first["shared_images"] == last["shared_images"] == 2
    assert first["shared_area_share"] == last["shared_area_share"] == pytest.approx(0.2)
    assert (first["shared_energy"], last["shared_energy"]) == pytest.approx((0.3, 0.4))
    assert found["gradcam.last"]["shared_area_share"] == pytest.approx(0.3)  # a method has its own images
    assert found["eigencam.last"] == {
        "shared_images": 0,
        "shared_energy": None,
        "shared_area_share": None,
        "shared_ceiling": None,
    }
