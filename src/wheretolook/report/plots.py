"""reports/plots/: the tables that `dvc plots` draws; long, so that dvc.yaml names no model."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wheretolook.analysis.agreement.subsets import all_classes
from wheretolook.models.card import EPOCH_FIGURES
from wheretolook.report.results import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def training_table(results: Results) -> "pd.DataFrame":
    """One row for each model and epoch: model, epoch, and loss and accuracy on train and val."""
    import pandas as pd

    rows = [
        {"model": name, "epoch": epoch["epoch"], **{key: epoch[key] for key in EPOCH_FIGURES}}
        for name in results.names
        for epoch in results.models[name]["history"]
    ]
    return pd.DataFrame(rows, columns=["model", "epoch", *EPOCH_FIGURES])


def layers_table(results: Results) -> "pd.DataFrame":
    """One row for each model, epoch and trained head: model, layer, epoch, val_loss, val_accuracy."""
    import pandas as pd

    rows = [
        {"model": name, "layer": layer, "epoch": epoch["epoch"], **figures}
        for name in results.names
        for epoch in results.models[name]["history"]
        for layer, figures in epoch.get("layers", {}).items()
    ]
    return pd.DataFrame(rows, columns=["model", "layer", "epoch", "val_loss", "val_accuracy"])


def confusion_table(labels: "np.ndarray", predicted: "np.ndarray", class_names: tuple[str, ...]) -> "pd.DataFrame":
    """One row for each image, as DVC's template wants it: actual, predicted (class names)."""
    import numpy as np
    import pandas as pd

    names = np.asarray(class_names)
    return pd.DataFrame({"actual": names[labels], "predicted": names[predicted]})


def agreement_table(results: Results) -> "pd.DataFrame":
    """The primary agreement by class, both ways round, so that it draws as a full matrix.

    Columns: model_a, model_b, kind, class_name, images, pearson, low, high, and the models' places among the names.
    """
    import pandas as pd

    columns = ["model_a", "model_b", "kind", "class_name", "images", "mean", "low", "high"]
    rows = results.primary()[columns].rename(columns={"mean": "pearson"})
    rows = rows[rows["class_name"] != all_classes(results.class_names)]
    mirrored = rows.rename(columns={"model_a": "model_b", "model_b": "model_a"})[rows.columns]
    both = pd.concat([rows, mirrored], ignore_index=True)
    places = {name: place for place, name in enumerate(results.names)}
    for side in ("a", "b"):
        both[f"place_{side}"] = both[f"model_{side}"].map(places)
    return both.sort_values(["place_a", "place_b"], kind="stable", ignore_index=True)


def localisation_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map and class of the compared split: energy inside the evidence; depth 0 is the last."""
    import pandas as pd

    columns = ["area_share", "energy", "energy_low", "energy_high", "energy_ratio", "energy_ceiling", "pointing"]
    return pd.DataFrame(
        _located(results, columns),
        columns=["model", "method", "layer", "depth", "class_name", "evidence_images", *columns],
    )


def faithfulness_table(results: Results) -> "pd.DataFrame":
    """One row for each model, class and way of removal: what is left of the class's score; place orders the ways."""
    import pandas as pd

    ways = ("cam", "evidence", "centre", "other", "random")
    rows = [
        {"model": name, "class_name": class_name, "removed_by": way, "place": place, **figures["removed"][way]}
        for name in results.names
        for class_name, figures in (results.models[name]["faithfulness"] or {}).get("classes", {}).items()
        for place, way in enumerate(ways)
        if way in figures["removed"]
    ]
    return pd.DataFrame(rows, columns=["model", "class_name", "removed_by", "place", "score", "log_odds"])


def _located(results: Results, columns: list[str]) -> Iterable[dict[str, Any]]:
    for name in results.names:
        layers = results.models[name]["layers"]
        for key, by_split in (results.models[name]["localisation"] or {}).items():
            method, layer = key.split(".", 1)
            depth = layers.index(layer) - len(layers) + 1
            for class_name, row in by_split.get(results.split, {}).items():
                if row["evidence_images"]:
                    kept = {column: row[column] for column in ("evidence_images", *columns)}
                    yield {
                        "model": name,
                        "method": method,
                        "layer": layer,
                        "depth": depth,
                        "class_name": class_name,
                        **kept,
                    }
