"""Made-up statements, tests of classes and faithfulness, in the layout of docs/results.md."""

from typing import Any

from wheretolook.analysis.results.statement import Figure, Kind, Reason, Statement, Verdict
from wheretolook.base.files import write_json


def said(world: Any, class_name: str, verdict: str, reason: str, **about: Any) -> dict[str, Any]:
    """A statement about a class, by default that the models look at the same places."""
    excess = Figure("excess", 0.35 if verdict == "supported" else -0.1, -0.2, 0.4, 0.2, "mean_map")
    models, kind = tuple(world.names), about.pop("kind", Kind.AGREEMENT)
    return Statement(
        kind, class_name, Verdict(verdict), Reason(reason), models, 10, figures=(excess,), worst="mean_map", **about
    ).to_json()


def write_statements(world: Any) -> None:
    """statements.json: a statement about the first class is supported, about the others shown not to hold."""
    first, *others = world.class_names
    recognised = {"recall": [0.9, 0.8, 1.0], "chance": 1 / len(world.class_names), "discrimination": {}}
    about = {
        "images": 10,
        "recognition": dict.fromkeys(world.names, recognised),
        "without": dict.fromkeys(world.names, 0.1) | {world.names[-1]: 0.3},
        "untested": "",
    }
    write_json(
        world.root / "reports/comparison/statements.json",
        {
            "format": 2,
            "split": "test",
            "models": list(world.names),
            "twins": [],
            "recipes": [list(world.names)[:2], list(world.names)[2:]],
            "primary": {"method": "cam", "layer": "last", "figure": "pearson", "target": "true class"},
            "thresholds": {
                "margin": 0.2,
                "images": 20,
                "groups": 10,
                "seeds": 6,
                "odds_ratio": 2.0,
                "auroc": 0.6,
                "flips": 0.1,
                "kept": 0.5,
                "cue_flips": 0.5,
                "alpha": 0.05,
            },
            "classes": dict.fromkeys(world.class_names, about),
            "statements": [
                said(world, first, "supported", "all_met"),
                *(said(world, name, "shown_not", "below_margin") for name in others),
            ],
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


def sanity(world: Any, maps: Any) -> dict[str, Any]:
    """Sanity of every map: all pass but the Grad-CAMs of the first layer."""

    def found(fails: bool) -> dict[str, Any]:
        steps = ["heads", *reversed(world.layers)]
        spearman = [0.6 - 0.4 * (i + 1) / len(steps) + 0.4 * fails for i in range(len(steps))]
        return {
            "images": 20,
            "draws": 10,
            "steps": [
                {"randomised": name, "spearman": r, "least": r - 0.1, "most": r + 0.1}
                for name, r in zip(steps, spearman, strict=True)
            ],
            "baseline": 0.2,
            "excess": spearman[-1] - 0.2,
            "excess_low": spearman[-1] - 0.25,
            "excess_high": spearman[-1] - 0.15,
            "margin": 0.1,
            "verdict": "fail" if fails else "pass",
        }

    return {f"{m}.{y}": found((m, y) == ("gradcam", world.layers[0])) for m, y in maps}


def curves(world: Any, maps: Any) -> dict[str, Any]:
    """Classic curves of every map and of noise; undefined for all classes but the first."""
    shares = [0.0, 0.5, 1.0]

    def of_class(first: bool) -> dict[str, Any]:
        return {
            "images": 10,
            "undefined": not first,
            "deletion": [0.9, 0.3, 0.1 if first else 0.8],
            "insertion": [0.1 if first else 0.8, 0.8, 0.9],
            "deletion_auc": 0.4,
            "insertion_auc": 0.65,
            "average_drop": 0.2,
            "average_increase": 0.3,
        }

    by_class = {name: of_class(k == 0) for k, name in enumerate(world.class_names)}
    keys = [*(f"{m}.{y}" for m, y in maps), "random"]
    return {"split": "test", "images": 20, "shares": shares, "maps": dict.fromkeys(keys, by_class)}


def groups(region: str) -> dict[str, Any]:
    """Accuracy and energy by group, the same on every split."""

    def summed(figure: str) -> dict[str, Any]:
        ends = {f"{figure}_low": 0.7, f"{figure}_high": 0.9, "lowest": 0.5, "highest": 1.0, "spread": 0.1}
        return {"groups": 12, figure: 0.8, **ends, "worst": [{"group": "P03", "images": 4, figure: 0.5}]}

    by_split = summed("accuracy") | {"energy": {"region": region, **summed("energy")}}
    return dict.fromkeys(("train", "val", "test"), by_split)


def estimated(world: Any, maps: Any) -> dict[str, Any]:
    """Energy on the estimated foreground."""
    row = {"images": 10, "area_share": 0.4, "energy": 0.7, "energy_low": 0.6, "energy_high": 0.8, "ratio": 1.75}
    by_split = dict.fromkeys(("train", "val", "test"), dict.fromkeys(world.class_names, row))
    return {f"{m}.{y}": by_split for m, y in maps}
