"""Of more than ten classes three maps an image are stored, and give the contrast that all of them would."""

import numpy as np
import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.analysis.target import open_target
from wheretolook.cams import manifest
from wheretolook.cams.export import Choices, export_maps
from wheretolook.cams.registry import METHODS
from wheretolook.cams.store import Maps, load_maps
from wheretolook.models.ranks import Ranks

CLASSES = tuple(f"class{k:02}" for k in range(12))
LINEAR = tuple(name for name, method in METHODS.items() if method.linear)
OTHERS = ("gradcam++", "layercam", "activation")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Maps, Maps, np.ndarray]:
    """Maps of 12 classes as they are stored, the same with every class stored, and the labels."""
    folder = tmp_path_factory.mktemp("many")
    prepared = write_prepared(folder / "prepared", CLASSES, 24)
    write_model(folder / "one.safetensors", CLASSES, "every")
    choices, alone = Choices((*LINEAR, *OTHERS), None, "float32", 16), Ranks(0, 1, 0, torch.device("cpu"))
    export_maps(folder / "one.safetensors", prepared, folder / "few", choices, alone, folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "EVERY_CLASS_UP_TO", len(CLASSES))
        export_maps(folder / "one.safetensors", prepared, folder / "all", choices, alone, folder / "cache")
    return load_maps(folder / "few"), load_maps(folder / "all"), prepared.labels


def test_contrast_of_a_linear_method_is_that_of_all_classes_stored(exported: tuple[Maps, Maps, np.ndarray]) -> None:
    few, every, labels = exported
    rows = np.array([0, 5, 12, 23])
    assert {"cam", "gradcam", "xgradcam", "hirescam"} <= set(LINEAR)
    for method, layer in ((m, y) for m, y in few.names if m in LINEAR):
        assert (few.open(method, layer).shape[1], every.open(method, layer).shape[1]) == (3, 12)
        found, wanted = (open_target(maps, method, layer, labels) for maps in (few, every))
        assert found.contrasted
        expected = wanted.true_class(rows)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.true_class(rows) / scale, expected / scale, rtol=0, atol=2e-6)


def test_other_methods_keep_the_true_classes_own_map_and_are_marked(exported: tuple[Maps, Maps, np.ndarray]) -> None:
    few, every, labels = exported
    for method, columns in (("gradcam++", 2), ("layercam", 2), ("activation", 1)):
        found, wanted = (open_target(maps, method, "block2", labels) for maps in (few, every))
        assert found.array.shape[1] == columns
        assert not found.contrasted
        assert wanted.contrasted == (method != "activation")
        own = wanted.array[np.arange(24), labels if method != "activation" else 0]
        np.testing.assert_allclose(found.true_class(np.arange(24)), own, atol=1e-6)
