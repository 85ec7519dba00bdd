import numpy as np
import pytest
from skimage.metrics import structural_similarity

from wheretolook.analysis.agreement import measures
from wheretolook.analysis.agreement.measures import RANGE, local_moments, model_similarities, select, similarity

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 20, 9, 11)).astype(np.float32)


def test_ssim_is_scikit_images() -> None:
    noisy = (A + 0.5 * B).astype(np.float32)
    wanted = [structural_similarity(a, b, data_range=RANGE) for a, b in zip(A, noisy, strict=True)]
    np.testing.assert_allclose(similarity(local_moments(A), local_moments(noisy)), wanted, atol=1e-5)


def test_identical_maps_are_one_and_independent_ones_near_zero() -> None:
    a = local_moments(A)
    np.testing.assert_allclose(similarity(a, a), 1, atol=1e-6)
    assert similarity(a, local_moments(B)).mean() == pytest.approx(0, abs=0.1)


def test_constant_map_has_no_structure() -> None:
    assert not local_moments(np.full((1, 7, 7), 3, dtype=np.float32))[-1].any()


def test_smallest_map_has_one_window() -> None:
    a, b = A[:, :7, :7], B[:, :7, :7]
    wanted = [structural_similarity(x, y, data_range=RANGE) for x, y in zip(a, b, strict=True)]
    assert similarity(local_moments(a), local_moments(b)) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("elements", [1, 700, 2**18], ids=["a row at a time", "an image at a time", "at once"])
def test_all_models_are_the_pairs_of_models_one_by_one(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "PRODUCTS", elements)
    a, b = (local_moments(maps.reshape(5, 4, 9, 11)) for maps in (A, B))
    found = model_similarities(a, b)
    for i in range(4):
        for j in range(4):
            wanted = similarity(select(a, np.s_[:, i]), select(b, np.s_[:, j]))
            np.testing.assert_allclose(found[:, i, j], wanted, atol=1e-6)
