"""Of many classes three maps an image are stored, and give the contrast that all of them would."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cams.made import write_model, write_prepared
from wheretolook.analysis.agreement.study import Study
from wheretolook.analysis.classes.class_differences import write_differences
from wheretolook.analysis.explained import open_target
from wheretolook.base.prepared import Prepared
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.cams.methods import METHODS
from wheretolook.mapstore.store import Maps, load_maps
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.report.page_data import shown_maps

CLASSES = tuple(f"class{k:02}" for k in range(12))
LINEAR = tuple(name for name, method in METHODS.items() if method.linear)
Exported = tuple[Maps, Maps, Prepared]
OTHERS = ("gradcam++", "layercam", "activation")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Maps of 12 classes as they are stored, the same with every class stored, and the images."""
    folder = tmp_path_factory.mktemp("many")
    prepared = write_prepared(folder / "prepared", CLASSES, 24)
    write_model(folder / "one.safetensors", CLASSES, "every")
    options, alone = MapOptions((*LINEAR, *OTHERS), None, "float32", 16), Ranks(0, 1, 0, torch.device("cpu"))
    export_maps(folder / "one.safetensors", prepared, folder / "few", options, alone, folder / "cache")
    options = replace(options, every_class_up_to=len(CLASSES))
    export_maps(folder / "one.safetensors", prepared, folder / "all", options, alone, folder / "cache")
    return load_maps(folder / "few"), load_maps(folder / "all"), prepared


def test_contrast_of_a_linear_method_is_that_of_all_classes_stored(exported: Exported) -> None:
    few, every, prepared = exported
    labels = prepared.labels
    rows = np.array([0, 5, 12, 23])
    assert {"cam", "gradcam", "xgradcam", "hirescam"} <= set(LINEAR)
    for method, layer in ((m, y) for m, y in few.names if m in LINEAR):
        assert (few.open(method, layer).shape[1], every.open(method, layer).shape[1]) == (3, 12)
        found, wanted = (open_target(maps, method, layer, labels) for maps in (few, every))
        assert found.contrasted
        assert (found.logits is None, wanted.logits is None) == (True, False)
        wanted = replace(wanted, logits=None)  # without the maps of the rivals, all others count alike
        expected = wanted.true_class(rows)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.true_class(rows) / scale, expected / scale, rtol=0, atol=2e-6)


def test_other_methods_keep_the_true_classes_own_map_and_are_marked(exported: Exported) -> None:
    few, every, prepared = exported
    labels = prepared.labels
    for method, columns in (("gradcam++", 2), ("layercam", 2), ("activation", 1)):
        found, wanted = (open_target(maps, method, "block2", labels) for maps in (few, every))
        assert found.array.shape[1] == columns
        assert not found.contrasted
        assert wanted.contrasted == (method != "activation")
        own = wanted.array[np.arange(24), labels if method != "activation" else 0]
        np.testing.assert_allclose(found.true_class(np.arange(24)), own, atol=1e-6)


def test_classes_are_tested_once_every_class_is_stored_and_the_reason_names_the_parameter(
    exported: Exported, tmp_path: Path
) -> None:
    few, every, prepared = exported
    (tmp_path / "one").mkdir()
    of = lambda maps: Study({"one": maps}, (), prepared, "test")  # noqa: E731
    refused = write_differences(of(few), tmp_path, aligned=True, permutations=199, seed=0)
    assert "all 12 classes (export.every_class_up_to" in refused["reason"]
    found = write_differences(of(every), tmp_path, aligned=True, permutations=199, seed=0)
    assert found["reason"] is None
    assert set(found["models"]["one"]["classes"]) == set(CLASSES)


def test_the_page_has_the_true_and_the_predicted_class_of_many_however_many_are_stored(exported: Exported) -> None:
    few, every, prepared = exported
    rows = np.arange(0, 24, 5)
    for method, layer in few.names:
        shown = [shown_maps(maps, method, layer, rows, prepared.labels) for maps in (few, every)]
        assert shown[0].shape[1] == (2 if few.knows_class(method, layer) else 1)
        np.testing.assert_allclose(*shown, rtol=0, atol=2e-6 * max(1.0, float(np.abs(shown[0]).max())))
