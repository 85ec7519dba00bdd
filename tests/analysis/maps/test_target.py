import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.made import make
from wheretolook.analysis.maps.target import open_target
from wheretolook.cams.store import load_maps
from wheretolook.data.prepared import load_prepared
from wheretolook.data.refusal import Refusal


def test_nan_is_refused_with_the_file_the_image_and_the_remedy(tmp_path: Path) -> None:
    make(tmp_path, names=("last-0",), per_class=8)
    folder, labels = tmp_path / "data/cams/last-0", load_prepared(tmp_path / "data/prepared").labels
    target = open_target(load_maps(folder), "cam", "block2", labels)
    array = np.array(target.array)
    array[5, 1, 2, 2], array[9] = np.nan, np.inf
    spoilt, rows = replace(target, array=array), np.array([3, 5, 8, 9])
    assert spoilt.true_class(rows[::2]).shape == (2, 7, 7)
    found = r": expected finite maps, found NaN or infinity in row 5 \(from 0\) of the index and 1 more; "
    for read in (spoilt.true_class, lambda rows: spoilt.named_class(rows, 1)):
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(
                Refusal,
                match=re.escape(str(folder / "cam.block2.npy")) + found + 'run "dvc repro -sf export@last-0"',
            ),
        ):
            read(rows)
