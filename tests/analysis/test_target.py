from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.made import make
from wheretolook.analysis.explained import foremost, open_foremost, open_primary, open_target
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import Maps, load_maps


def test_nan_is_refused_with_the_file_the_image_and_the_remedy(tmp_path: Path) -> None:
    make(tmp_path, names=("last-0",), per_class=8)
    folder, labels = tmp_path / "data/cams/last-0", load_prepared(tmp_path / "data/prepared").labels
    target = open_target(load_maps(folder), "cam", "block2", labels)
    array = np.array(target.array)
    array[5, 1, 2, 2], array[9] = np.nan, np.inf
    spoilt, rows = replace(target, array=array), np.array([3, 5, 8, 9])
    assert spoilt.true_class(rows[::2]).shape == (2, 7, 7)
    for read in (spoilt.true_class, lambda rows: spoilt.named_class(rows, 1)):
        with np.errstate(invalid="ignore"), pytest.raises(InputError) as error:
            read(rows)
        assert error.value.subject == str(folder / "cam.block2.npy")
        assert error.value.expected == "finite maps"
        assert error.value.found == "NaN or infinity in row 5 (from 0) of the index and 1 more"
        assert error.value.hint == 'run "dvc repro -sf export@last-0"'


@pytest.mark.parametrize(
    ("kept", "primary", "pair"),
    [
        (["cam.block2", "gradcam.block2"], True, ("cam", "block2")),
        (["cam.block1", "activation.block2", "gradcam.block2"], False, ("gradcam", "block2")),
        (["activation.block2", "gradcam.block1"], False, None),
    ],
    ids=["cam at the last layer", "another method there", "none there that knows classes"],
)
def test_cam_of_the_last_layer_stands_for_a_model_or_else_the_first_method_there(
    tmp_path: Path, kept: list[str], primary: bool, pair: tuple[str, str] | None
) -> None:
    labels = np.array([0, 1])
    arrays = {}
    for name in kept:
        method, layer = name.split(".")
        arrays[f"{name}.npy"] = {"method": method, "layer": layer, "knows_class": method != "activation"}
        np.save(tmp_path / f"{name}.npy", np.zeros((2, 2, 3, 3), np.float32))
    names = ["a", "b"]
    maps = Maps(
        tmp_path, {"layers": ["block1", "block2"], "arrays": arrays, "class_names": names, "map_classes": names}
    )
    assert (open_primary(maps, labels) is not None) is primary
    assert foremost(maps) == pair
    if pair:
        assert open_foremost(maps, labels)[:2] == pair
    else:
        with pytest.raises(InputError) as error:
            open_foremost(maps, labels)
        assert error.value.expected == "maps of the last layer, block2, that differ by class"
        assert error.value.found == "activation"
