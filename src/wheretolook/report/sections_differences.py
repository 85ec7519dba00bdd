"""The page's test of classes: which places differ between a class and the rest, in each model and in all of them."""

from collections.abc import Mapping
from typing import Any

from wheretolook.report.results import Results
from wheretolook.report.shown import PAGE, shown_classes
from wheretolook.report.words import NOTHING, count, number, percent, place_in_grid

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
    cells = [_cell(row, model) if row else {"share": NOTHING} for row, model in zip(each, own.values(), strict=True)]
    area = next(row["share_of_area"] for row in each if row)
    # Here regions don't overlap; elsewhere the foreground has the evidence within.
    name = "rest of the foreground" if region == "foreground" else region
    return {"name": name, "area": percent(area), "cells": cells}


def _cell(row: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, str]:
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
