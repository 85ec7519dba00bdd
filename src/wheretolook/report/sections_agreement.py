"""The page's agreement of models: a matrix and an interval chart for each class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.schema import FEWEST_IMAGES
from wheretolook.mapstore.store import RANDOM
from wheretolook.report import charts
from wheretolook.report.charts import IntervalChart, Measured, interval_chart
from wheretolook.report.guessing import judged_classes
from wheretolook.report.loaded import KINDS, PAGE, Results, Shown, shown_classes
from wheretolook.report.statement_words import LARGEST_SHARE, class_notes
from wheretolook.report.words import (
    NOTHING,
    capitalised,
    count,
    listed,
    number,
    number_with_interval,
    percent,
    place_in_grid,
)

if TYPE_CHECKING:
    import pandas as pd


KIND_WORDS = {"seeds": "same recipe, other seed", "recipes": "different recipes", "drive": "with an imported model"}
# Each baseline has its own shape, because not everybody can tell colours.
SHAPES = {
    "other": "M-4 -4L4 4M-4 4L4 -4",
    "centre": "M0 -5V5M-5 0H5",
    "mean_map": "M-4 -4H4V4H-4Z",
    "random": "M0 -5L5 4H-5Z",
}


def agreement_note(results: Results) -> str:
    """Which classes have a part, where there are too many for each, and whose baseline is pretrained; else empty."""
    note = _shown(results).note
    note = f"{note} reports/plots/agreement.csv has all." if note else ""
    return " ".join(filter(None, (note, charts.families_note(len(results.names)), _pretrained(results))))


def _pretrained(results: Results) -> str:
    """Which models' baseline of random weights is the pretrained network with a random head; else empty."""
    entries = {name: results.exports[name]["arrays"].get(RANDOM, {}) for name in results.names}
    names = [name for name, entry in entries.items() if "weights" in entry]
    if not names:
        return ""
    started = "It started" if len(names) == 1 else "They started"
    return (
        f"For {listed(names)}, the baseline of random weights is the pretrained network with a random head. {started} "
        "from these weights, so agreement beyond the baseline is what training on these classes added."
    )


def _shown(results: Results) -> Shown:
    return shown_classes(results, PAGE, set(results.primary()["class_name"]))


def agreements(results: Results) -> list[dict[str, Any]]:
    """For each class with a pair of models: matrix rows and a chart; empty where there is one model."""
    rows, parts = results.primary(), []
    for class_name in _shown(results).names:
        if len(of_class := rows[rows["class_name"] == class_name]):
            most = int(of_class["images"].max())
            parts.append(
                {
                    "class_name": class_name,
                    "images": count(most, "image"),
                    "rows": _matrix(results, of_class),
                    "charts": [
                        (KIND_WORDS[kind], _chart(results, class_name, kind, own), _missing(own))
                        for kind in KINDS
                        if len(own := of_class[of_class["kind"] == kind])
                    ],
                    "beside": _beside(results, class_name, of_class),
                    "see": _beyond_baselines(of_class),
                    "notes": class_notes(results.statements, class_name)
                    if class_name in judged_classes(results)
                    else [],
                }
            )
    return parts


def _beyond_baselines(rows: "pd.DataFrame") -> str:
    """How many pairs agree beyond every baseline, by their intervals; empty where no pair has one."""
    known = [row for row in rows.to_dict("records") if row["low"] == row["low"]]
    measured = [null for null in NULLS if all(row[null] == row[null] for row in known)]
    if not known or not measured:
        return ""
    beyond = sum(1 for row in known if all(row["low"] > row[null] for null in measured))
    missing = listed(NULLS[null] for null in NULLS if null not in measured) if len(measured) < len(NULLS) else ""
    pairs, without = count(len(known), "pair"), f" Not measured for all of them: {missing}." if missing else ""
    return f"The whole interval lies above every baseline for {beyond} of {pairs} of models.{without}"


def _missing(rows: "pd.DataFrame") -> str:
    """Why no pair has a correlation, where none has one."""
    few = (rows["images"] + rows["left_out"]).max() < FEWEST_IMAGES
    return f"at least {FEWEST_IMAGES} images are needed" if few else "the maps do not vary"


def nothing_compared(results: Results) -> str:
    """Why no two models are compared."""
    if len(results.names) == 1:
        return "There is one model, so there is nothing to compare."
    return "No two models have CAMs of their last layer, so there is nothing to compare."


def _matrix(results: Results, rows: "pd.DataFrame") -> list[dict[str, Any]]:
    known = {(row.model_a, row.model_b): row.mean for row in rows[["model_a", "model_b", "mean"]].itertuples()}
    known |= {(b, a): mean for (a, b), mean in known.items()}
    names = charts.clustered(results.names, known) if charts.families(results.recipe_of) else results.names
    return [{"name": a, "cells": [_cell(a == b, known.get((a, b))) for b in names]} for a in names]


def _beside(results: Results, class_name: str, rows: "pd.DataFrame") -> dict[str, Any] | None:
    """Each pair's agreement on the train split, and by group; None where there is neither."""
    train = {(r["model_a"], r["model_b"]): r for r in results.train if r["class_name"] == class_name}
    by_group = "group_lowest" in rows and bool(rows["group_lowest"].notna().any())
    if charts.families(results.recipe_of) or (not train and not by_group):
        return None
    pairs = []
    for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        known = train.get((row["model_a"], row["model_b"]), {})
        pairs.append(
            {
                "pair": f"{row['model_a']}, {row['model_b']}",
                "kind": KIND_WORDS[row["kind"]],
                "held_out": number(row["mean"]),
                "train": number(known.get("mean")),
                "groups": _by_group(row) if by_group else "",
            }
        )
    return {"pairs": pairs, "by_group": by_group, "train": bool(train)}


def _by_group(row: dict[str, Any]) -> str:
    """The spread of the groups (patients)."""
    if row["group_lowest"] is None:
        return NOTHING
    lowest, highest, spread = (number(row[f"group_{key}"]) for key in ("lowest", "highest", "sd"))
    return f"{row['groups']} groups: {lowest} to {highest}, SD {spread}"


def _cell(same: bool, mean: float | None) -> dict[str, str]:
    if same or mean is None or mean != mean:
        return {"text": "" if same else NOTHING, "share": "0"}
    return {"text": number(mean), "share": f"{max(0.0, mean):.3f}"}


def _chart(results: Results, class_name: str, kind: str, rows: "pd.DataFrame") -> IntervalChart | None:
    known: list[dict[str, Any]] = rows[rows["mean"].notna()].to_dict("records")
    if family := charts.families(results.recipe_of):
        known = charts.by_family(known, family, NULLS)
    measured = [_measured(row) for row in known]
    return interval_chart(f"Agreement for {class_name}, {KIND_WORDS[kind]}", measured) if measured else None


def _measured(row: dict[str, Any]) -> Measured:
    low, high = (None if row[key] != row[key] else float(row[key]) for key in ("low", "high"))
    nulls = tuple((kind, float(row[kind])) for kind in NULLS if row[kind] == row[kind])
    label = f"{row['model_a']}, {row['model_b']}"
    beside = ", ".join(f"{NULLS[kind]} {number(value)}" for kind, value in nulls)
    words = f"{label}: {number_with_interval(row['mean'], low, high)}; {beside}"
    return Measured(label, row["kind"], float(row["mean"]), low, high, nulls, words)


SIDES = {"more": "larger", "less": "smaller"}  # than in the other classes
SMALLEST = 0.005  # logits: a smaller difference reads as 0.00


def differences_section(results: Results) -> dict[str, Any] | None:
    """Tables of regions or of cells, and what the models have in common; None where classes were not tested."""
    found = results.differences
    if found is None:
        return None
    # JSON has the models by name, the page in the order of params.yaml.
    models = {name: found["models"][name] for name in results.names if name in found["models"]}
    shown = shown_classes(results, PAGE, {name for model in models.values() for name in model["classes"]})
    tables = [_table(models, class_name) for class_name in shown.names]
    return {
        "reason": found["reason"],
        "no_p_value": found.get("no_p_value") or "",
        "alpha": f"{found['alpha']:g}",
        "permutations": f"{found['permutations']:,}",
        "names": list(models),
        "tables": tables,
        "note": f"{shown.note} reports/comparison/differences.json has all." if shown.note else "",
        "regions": any("regions" in own for model in models.values() for own in model["classes"].values()),
        "consensus": _consensus(found["consensus"], found["alpha"]),
    }


def _table(models: Mapping[str, Any], class_name: str) -> dict[str, Any]:
    """One class: a row for each region, or for the cells with larger and with smaller contributions."""
    own = {name: model["classes"][class_name] for name, model in models.items()}
    first = next(iter(own.values()))
    regions = [region["region"] for region in first["regions"]] if "regions" in first else []
    rows = [_region_row(region, own) for region in regions]
    if "cells" in first:
        rows = [_cell_row(side, own) for side in ("more", "less")]
        rows += [row for side in ("more", "less") if (row := _patch_row(side, own))]
    return {
        "class_name": class_name,
        "against": f"{count(first['images'], 'image')}, {first['rest']:,} of other classes",
        "differences": [number(each["difference"]) for each in own.values()],
        "rows": rows,
    }


def has_shares(model: Mapping[str, Any]) -> bool:
    """Whether a difference of mean logits is large enough to be shared out.

    Where its parts for and against nearly cancel, shares of what is left exceed any whole (1,953 % and −1,853 %).
    """
    sides = (model.get("cells") or {}).values()
    shares = [row["share_of_difference"] for row in (*model.get("regions", ()), *sides)]
    known = [abs(share) for share in shares if share is not None]
    return abs(model["difference"]) >= SMALLEST and max(known, default=0.0) <= LARGEST_SHARE


def _share(row: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    return percent(row["share_of_difference"]) if has_shares(model) else "no difference to share"


def _region_row(region: str, own: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    each = [next((row for row in model["regions"] if row["region"] == region), None) for model in own.values()]
    cells = [
        _region_cell(row, model) if row else {"share": NOTHING} for row, model in zip(each, own.values(), strict=True)
    ]
    area = next(row["share_of_area"] for row in each if row)
    # Regions do not overlap here; elsewhere the foreground includes the evidence.
    name = "rest of the foreground" if region == "foreground" else region
    return {"name": name, "area": percent(area), "cells": cells}


def _region_cell(row: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    return {"share": _share(row, model), "p": p_value(row["p"])}


def _cell_row(side: str, own: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    cells = [_cells(model["cells"][side] if model["cells"] else None, model) for model in own.values()]
    return {"name": f"cells with a {SIDES[side]} contribution", "area": "", "cells": cells}


def _cells(row: Mapping[str, Any] | None, model: Mapping[str, Any]) -> dict[str, str]:
    """Share of the difference, with the number of cells and their share of the area."""
    if row is None:
        return {"share": NOTHING, "p": p_value(None)}
    area = f"{count(row['cells'], 'cell')}, {percent(row['share_of_area'])} of area"
    return {"share": _share(row, model), "p": area}


def _patch_row(side: str, own: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The largest connected patch of such cells; None where no model has one."""
    each = [(model["cells"] or {}).get(side, {}).get("patches", []) for model in own.values()]
    if not any(each):
        return None
    return {
        "name": f"largest patch with a {SIDES[side]} contribution",
        "area": "",
        "cells": [
            _patch(patches[0], model) if patches else {"share": NOTHING}
            for patches, model in zip(each, own.values(), strict=True)
        ],
    }


def _patch(patch: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    where = place_in_grid(patch["rows"], patch["columns"], patch["grid"])
    return {"share": _share(patch, model), "p": f"{count(patch['cells'], 'cell')}, {where}"}


def p_value(p: float | None) -> str:
    """A p-value; none where too few relabellings exist."""
    if p is None:
        return "no p-value"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _consensus(found: Mapping[str, Any] | None, alpha: float) -> str:
    """How many places differ in all models, with one model left out, and in most models."""
    if found is None:
        return ""
    places = found["places_of_all"]
    more = {name: each for name, each in found["places_without"].items() if each is not None and each > places}
    without = "".join(f", {each} in all but {name}" for name, each in more.items())
    return (
        f"{capitalised(found['wording'])}: {count(places, 'place')} {'differs' if places == 1 else 'differ'} in every "
        f"model at p ≤ {alpha:g}{without}, and {found['places_of_most']} in at least {found['most']} of "
        f"{len(found['models'])} models (partial conjunction test)."
    )
