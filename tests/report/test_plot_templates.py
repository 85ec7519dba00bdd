import json
import re
from pathlib import Path

import pandas as pd
import pytest

PLOTS = Path(__file__).parents[2] / ".dvc/plots"
DRAWN = {
    "by_model": ("training.csv", {"epoch", "val_loss"}),
    "by_layer": ("localisation.csv", {"layer", "energy"}),
    "by_removal": ("faithfulness.csv", {"removed_by", "score"}),
    "cascade": ("sanity.csv", {"randomised", "spearman"}),
    "curves": ("curves.csv", {"share", "score"}),
    "pairs": ("agreement.csv", {"model_a", "model_b"}),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_template_draws_columns_that_its_table_has(reports: Path, name: str):
    file, axes = DRAWN[name]
    columns = set(pd.read_csv(reports / "plots" / file).columns)
    text = (PLOTS / f"{name}.json").read_text(encoding="utf-8")
    made = set(re.findall(r'"as": "(\w+)"', text))
    read = set(re.findall(r"datum\.(\w+)", text)) | set(re.findall(r'"field": "(\w+)"', text))
    assert axes <= columns
    assert read - made - {"rev"} <= columns


@pytest.mark.parametrize("path", sorted(PLOTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_template_takes_its_data_and_title_from_dvc(path: Path):
    template = json.loads(path.read_text(encoding="utf-8"))
    assert template["data"] == {"values": "<DVC_METRIC_DATA>"}
    assert template["title"]["text"] == "<DVC_METRIC_TITLE>"
