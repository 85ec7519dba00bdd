"""Made-up statements, tests of classes and faithfulness, in the layout of docs/results.md."""

from typing import Any

from wheretolook.data.atomic import write_json


def write_statements(world: Any) -> None:
    """statements.json: something holds of the first class alone; the last model vetoes the others."""

    def said(statement: str, rule: str, because: str) -> dict[str, str]:
        return {"statement": statement, "rule": rule, "because": because}

    first, *others = world.class_names
    agree = f"In these {len(world.names)} models, over 10 test images of {{}}, the networks look at the same places."
    nothing = {
        "images": 10,
        "excess_low": {"other": -0.1, "random": None},
        "vetoes": dict.fromkeys(world.names, 0.1) | {world.names[-1]: 0.3},
        "places": {},
    }
    holds = [said(agree.format(first), "agreement beyond every null", "the excess is +0.35 or more")]
    write_json(
        world.root / "reports/comparison/statements.json",
        {
            "format": 1,
            "split": "test",
            "models": list(world.names),
            "margin": 0.2,
            "rules": {"agreement beyond every null": "For every pair of models the correlation exceeds each null."},
            "accuracy": {name: {"low": 0.9, "chance": 1 / len(world.class_names)} for name in world.names},
            "must_not": [said("Networks trained so look there.", "six seeds", "the study is of these models")],
            "classes": {first: {**nothing, "excess_low": {"other": 0.35}, "holds": holds, "must_not": []}}
            | {
                name: {
                    **nothing,
                    "holds": [],
                    "must_not": [said(agree.format(name), "agreement beyond every null", "the excess is -0.10")],
                }
                for name in others
            },
        },
    )


def write_differences(world: Any) -> None:
    """differences.json: regions of unaligned images, the first class against the rest."""
    first = world.class_names[0]
    regions = [
        {
            "region": region,
            "difference": share * 6,
            "share_of_difference": share,
            "share_of_area": area,
            "t": 9.0,
            "p": p,
        }
        for region, share, area, p in (("evidence", 0.2, 0.01, 0.0001), ("foreground", 0.8, 0.99, 0.3))
    ]
    model = {
        "places": "regions",
        "permutations": 9999,
        "classes": {first: {"images": 10, "rest": 10, "difference": 6.0, "regions": regions}},
    }
    consensus = {
        "models": list(world.names),
        "wording": f"in these {len(world.names)} models, over images",
        "most": 3,
        "regions": ["evidence", "foreground"],
        "p": {"all": {first: [0.0001, 0.3]}, "at_least": {first: [0.0002, 0.04]}},
        "places_of_all": 1,
        "places_of_most": 2,
        "places_without": dict.fromkeys(world.names, 1) | {world.names[-1]: 2},
    }
    write_json(
        world.root / "reports/comparison/differences.json",
        {
            "format": 1,
            "split": "test",
            "aligned": False,
            "permutations": 9999,
            "alpha": 0.05,
            "reason": None,
            "models": dict.fromkeys(world.names, model),
            "consensus": consensus,
        },
    )


def faithfulness(world: Any) -> dict[str, Any]:
    """The score falls for the first class; of the others nothing can be taken out."""

    def figures(first: bool) -> dict[str, Any]:
        left = {"cam": 0.08, "evidence": 0.05, "centre": 0.7, "other": 0.8, "random": 0.9} if first else {"cam": 0.95}
        gap = {"mean": 0.8, "low": 0.7, "high": None}
        return {
            "images": 10,
            "undefined": not first,
            "whole": {"score": 0.95, "log_odds": 3.0},
            "filled": {"score": 0.04 if first else 0.9, "log_odds": 0.0},
            "removed": {kind: {"score": score, "log_odds": 0.0} for kind, score in left.items()},
            "gaps": {kind: {"score": gap, "log_odds": gap} for kind in left if kind != "cam"},
        }

    return {
        "method": "cam",
        "layer": world.layers[-1],
        "split": "test",
        "fraction": 0.1,
        "images": 20,
        "classes": {name: figures(k == 0) for k, name in enumerate(world.class_names)},
    }
