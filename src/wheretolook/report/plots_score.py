"""Tables for `dvc plots` of what `score` found by running the network: the sanity cascade, and the classic curves."""

from typing import TYPE_CHECKING

from wheretolook.report.results import Results

if TYPE_CHECKING:
    import pandas as pd


def sanity_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map and step: mean |Spearman| with the trained network's maps; place orders the steps."""
    import pandas as pd

    columns = ["model", "map", "randomised", "place", "spearman", "least", "most", "baseline"]
    rows = [
        {"model": name, "map": key, "place": place, "baseline": found["baseline"], **step}
        for name in results.names
        for key, found in (results.models[name].get("sanity") or {}).items()
        for place, step in enumerate(found["steps"])
    ]
    return pd.DataFrame(rows, columns=columns)


def curves_table(results: Results) -> "pd.DataFrame":
    """One row for each model, map, class, curve and point: score of the class at that share of the pixels."""
    import pandas as pd

    rows = [
        {"model": name, "map": key, "class_name": class_name, "curve": curve, "share": share, "score": score}
        for name in results.names
        if (found := results.models[name].get("curves"))
        for key, by_class in found["maps"].items()
        for class_name, figures in by_class.items()
        for curve in ("deletion", "insertion")
        for share, score in zip(found["shares"], figures[curve], strict=True)
    ]
    return pd.DataFrame(rows, columns=["model", "map", "class_name", "curve", "share", "score"])
