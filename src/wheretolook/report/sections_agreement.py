"""The page's agreement of models: a matrix and an interval chart for each class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wheretolook.report.charts import IntervalChart, Measured, interval_chart
from wheretolook.report.loaded import KINDS, PAGE, Results, Shown, shown_classes
from wheretolook.report.words import NOTHING, count, number, number_with_interval, percent, place_in_grid
from wheretolook.results.agreement_row import NULLS
from wheretolook.results.thresholds import FEWEST_IMAGES

if TYPE_CHECKING:
    import pandas as pd


KIND_WORDS = {"seeds": "one recipe, other seeds", "recipes": "different recipes", "drive": "with an imported model"}
# Each null has its own shape, since colour alone would not be read by everybody.
SHAPES = {
    "other": "M-4 -4L4 4M-4 4L4 -4",
    "centre": "M0 -5V5M-5 0H5",
    "mean_map": "M-4 -4H4V4H-4Z",
    "random": "M0 -5L5 4H-5Z",
}


def agreement_note(results: Results) -> str:
    """Which classes have a part, where there are too many for each; else empty."""
    note = _shown(results).note
    return f"{note} All stand in reports/plots/agreement.csv." if note else ""


def _shown(results: Results) -> Shown:
    return shown_classes(results, PAGE, set(results.primary()["class_name"]))


def agreements(results: Results) -> list[dict[str, Any]]:
    """For each class with a pair of models: matrix rows and a chart; empty where there is one model."""
    rows = results.primary()
    parts = []
    for class_name in _shown(results).names:
        of_class = rows[rows["class_name"] == class_name]
        if len(of_class):
            most = int(of_class["images"].max())
            parts.append(
                {
                    "class_name": class_name,
                    "images": count(most, "image"),
                    "rows": _matrix(results, of_class),
                    "charts": [
                        (KIND_WORDS[kind], _chart(class_name, kind, own), _missing(own))
                        for kind in KINDS
                        if len(own := of_class[of_class["kind"] == kind])
                    ],
                    "beside": _beside(results, class_name, of_class),
                }
            )
    return parts


def _missing(rows: "pd.DataFrame") -> str:
    """Why no pair has a correlation, where none has one."""
    few = (rows["images"] + rows["left_out"]).max() < FEWEST_IMAGES
    return f"it takes {FEWEST_IMAGES} images" if few else "maps do not vary"


def nothing_compared(results: Results) -> str:
    """Why no two models are compared."""
    if len(results.names) == 1:
        return "One model: there is nothing to compare."
    return "No two models have CAMs of their last layer: there is nothing to compare."


def _matrix(results: Results, rows: "pd.DataFrame") -> list[dict[str, Any]]:
    known = {(row.model_a, row.model_b): row.mean for row in rows[["model_a", "model_b", "mean"]].itertuples()}
    known |= {(b, a): mean for (a, b), mean in known.items()}
    return [{"name": a, "cells": [_cell(a == b, known.get((a, b))) for b in results.names]} for a in results.names]


def _beside(results: Results, class_name: str, rows: "pd.DataFrame") -> dict[str, Any] | None:
    """Each pair's agreement on the train split, and by group; None where there is neither."""
    train = {(r["model_a"], r["model_b"]): r for r in results.train if r["class_name"] == class_name}
    by_group = "group_lowest" in rows and bool(rows["group_lowest"].notna().any())
    if not train and not by_group:
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
    """How far the groups (patients) are apart."""
    if row["group_lowest"] is None:
        return NOTHING
    lowest, highest, spread = (number(row[f"group_{key}"]) for key in ("lowest", "highest", "sd"))
    return f"{row['groups']} groups: {lowest} to {highest}, SD {spread}"


def _cell(same: bool, mean: float | None) -> dict[str, str]:
    if same or mean is None or mean != mean:
        return {"text": "" if same else NOTHING, "share": "0"}
    return {"text": number(mean), "share": f"{max(0.0, mean):.3f}"}


def _chart(class_name: str, kind: str, rows: "pd.DataFrame") -> IntervalChart | None:
    measured = [_measured(row) for row in rows.to_dict("records") if row["mean"] == row["mean"]]
    return interval_chart(f"Agreement for {class_name}, {KIND_WORDS[kind]}", measured) if measured else None


def _measured(row: dict[str, Any]) -> Measured:
    low, high = (None if row[key] != row[key] else float(row[key]) for key in ("low", "high"))
    nulls = tuple((kind, float(row[kind])) for kind in NULLS if row[kind] == row[kind])
    label = f"{row['model_a']}, {row['model_b']}"
    beside = ", ".join(f"{NULLS[kind]} {number(value)}" for kind, value in nulls)
    said = f"{label}: {number_with_interval(row['mean'], low, high)}; {beside}"
    return Measured(label, row["kind"], float(row["mean"]), low, high, nulls, said)


SMALLEST = 0.005  # logits: a smaller difference reads as 0.00
LARGEST_SHARE = 3.0  # of the difference, for one place: beyond that, its parts cancel


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
        "note": f"{shown.note} All stand in reports/comparison/differences.json." if shown.note else "",
        "regions": any("regions" in own for model in models.values() for own in model["classes"].values()),
        "consensus": _consensus(found["consensus"], found["alpha"]),
    }


def _table(models: Mapping[str, Any], class_name: str) -> dict[str, Any]:
    """One class: a row for each region, or for the cells that say more and those that say less."""
    own = {name: model["classes"][class_name] for name, model in models.items()}
    first = next(iter(own.values()))
    regions = [region["region"] for region in first["regions"]] if "regions" in first else []
    rows = [_region_row(region, own) for region in regions]
    if "cells" in first:
        rows = [_cell_row(side, own) for side in ("more", "less")]
        rows += [row for side in ("more", "less") if (row := _patch_row(side, own))]
    return {
        "class_name": class_name,
        "against": f"{count(first['images'], 'image')} against {first['rest']:,} of the rest",
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
        _cell_of_sections_differences(row, model) if row else {"share": NOTHING}
        for row, model in zip(each, own.values(), strict=True)
    ]
    area = next(row["share_of_area"] for row in each if row)
    # Here regions don't overlap; elsewhere the foreground has the evidence within.
    name = "rest of the foreground" if region == "foreground" else region
    return {"name": name, "area": percent(area), "cells": cells}


def _cell_of_sections_differences(row: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
    return {"share": _share(row, model), "p": p_value(row["p"])}


def _cell_row(side: str, own: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    cells = [_cells(model["cells"][side] if model["cells"] else None, model) for model in own.values()]
    return {"name": f"cells that say {side}", "area": "", "cells": cells}


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
        "name": f"largest patch, {side}",
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
    """What all models have in common, and who stands against it."""
    if found is None:
        return ""
    places = found["places_of_all"]
    more = {name: each for name, each in found["places_without"].items() if each is not None and each > places}
    veto = "".join(f"; without {name} {each}" for name, each in more.items())
    told = (
        f"{found['wording'][:1].upper()}{found['wording'][1:]}: {count(places, 'place')} with p up to {alpha:g} in all"
    )
    return f"{told}{veto}.{_at_least(found)}"


def _at_least(found: Mapping[str, Any]) -> str:
    """The same of most models."""
    return f" In {found['most']} or more of {len(found['models'])}: {found['places_of_most']} (partial conjunction)."
