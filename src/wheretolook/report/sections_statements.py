"""The page's statements by verdict, the rules behind them, their limits, and all of them as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.statement import Kind, Reason, Statement, Verdict
from wheretolook.report.headline import statements_by_class, supported
from wheretolook.report.loaded import PAGE, Results
from wheretolook.report.statement_words import (
    TWINS,
    VERDICTS,
    because,
    by_verdict,
    class_notes,
    differ,
    few_groups,
    region_words,
    said_in,
    sentence,
    shown_at_chance,
)
from wheretolook.report.words import all_models, count, listed, percent


def rules_words(thresholds: Mapping[str, float]) -> dict[str, str]:
    """The conditions of each kind of statement, with the thresholds of this study."""
    t = {key: f"{value:g}" for key, value in thresholds.items()}
    t |= {key: percent(thresholds[key], 0) for key in ("flips", "kept", "cue_flips")}
    return {
        "every statement": (
            "At least two independent trainings; images that the networks were not trained on, at least "
            f"{t['images']} of the class in at least {t['groups']} effective groups (groups of unequal size count as "
            "fewer); and every model recognises the class: its recall is above chance, and so is its AUROC against "
            "each other class (lower bounds)."
        ),
        "same places": (
            "The correlation of two models' maps of one image, averaged over pairs, exceeds each baseline by "
            f"{t['margin']} (lower bound). The baselines: {listed(NULLS.values())}."
        ),
        "look at a region": (
            "The maps, less their mean, have odds of energy inside of at least "
            f"{t['odds_ratio']} times the odds of its area, and an AUROC of at least {t['auroc']} (lower bounds, mean "
            "over models)."
        ),
        "need a region": (
            "Infilling it changes predictions more often than infilling control places of the same size and shape "
            f"(by {t['flips']} of images, lower bound) and costs more log-odds, for two families of infills. A "
            f"region that leaves no room for controls must instead suffice by itself for {t['kept']} of images."
        ),
        "distinguish classes by a region": (
            "Each pair of classes on its own: the mean contributions of the region differ (permutation test and wild "
            "bootstrap, adjusted for all places); its share of the difference has at least "
            f"{t['odds_ratio']} times the odds of its area; the models are shown to look at it and need it; and it "
            "counts for more than its best look-alikes in images of the other class. Of several other classes, the "
            "least different one decides."
        ),
        "decide by a property of the whole image": (
            "Each region smaller than half of the image, the object as a whole aside, is shown not to be needed; "
            f"and changing the property changes at least {t['cue_flips']} of the predictions beyond those that a "
            "harmless change of the same kind does (lower bound)."
        ),
        "shown not to hold": "An upper bound lies below a threshold, and no single model lies above it.",
        "all models": (
            "Figures are means over models. A statement about all of them is made only where no model's own figure "
            "contradicts it; else that model is named."
        ),
        "error rate": (
            f"All confirmatory statements together have a familywise error rate of {t['alpha']} (Holm). "
            "Exploratory statements are not adjusted and are marked."
        ),
        "number of images that would tell": (
            "The number at which the statement would be decided with a power of 80 %, if the estimate is the truth and "
            "the images come from as many more groups."
        ),
        "networks trained by a recipe": f"At least {t['seeds']} seeds of one recipe; the models are the sample.",
    }


def limits(found: Mapping[str, Any]) -> list[str]:
    """What the study as a whole cannot show."""
    counts = [len(recipe) for recipe in found["recipes"]]
    out = []
    if not counts or max(counts) < found["thresholds"]["seeds"]:
        seeds = listed(map(str, counts)) if counts else "none"
        out.append(
            f"The statements are about {all_models(len(found['models']))} here, not about every network trained by the "
            f"same recipe: that takes {found['thresholds']['seeds']:g} seeds of one recipe (found {seeds})."
        )
    out.append("Maps and infills show what a network uses, not what makes a thing belong to its class.")
    out += twin_lines(found)
    return out


def twin_lines(found: Mapping[str, Any]) -> list[str]:
    """A sentence for each model that repeats another training."""
    return [f"{twin['model']} is not counted: it {TWINS[twin['how']]} {twin['of']}." for twin in found["twins"]]


def statements_markdown(found: Mapping[str, Any]) -> str:
    """The content of `reports/statements.md`, from that of `statements.json`."""
    statements = said_in(found)
    lines = [
        "# What these models look at",
        "",
        f"Models: {', '.join(found['models'])}. Images: the {found['split']} split.",
        "",
        *(f"- {limit}" for limit in limits(found)),
    ]
    for name, about in found["classes"].items():
        lines += ["", f"## {name}", ""]
        for verdict, said in by_verdict(each for each in statements if each.class_name == name).items():
            listing = [_line(each, about["untested"]) for each in said] or ["- nothing"]
            lines += [f"**{VERDICTS[verdict]}**", "", *listing, ""]
        for note in class_notes(found, name):
            lines += [note, ""]
        lines.pop()
    rules = rules_words(found["thresholds"]).items()
    lines += ["", "## The rules", "", *(f"- **{rule}**: {words}" for rule, words in rules)]
    return "\n".join(lines) + "\n"


def _line(said: Statement, untested: str) -> str:
    """One statement as an item of a list, with its reason and what would decide it."""
    tell = would_tell(said, untested)
    return f"- {sentence(said)} ({because(said)}{f'; what would tell: {tell}' if tell else ''})"


# What makes a comparison of classes by place possible, by the code of `untested` in statements.json.
UNTESTED = {
    "no_places": "masks, or compare.aligned: true if all images show the same thing at the same place",
    "no_maps_of_every_class": "maps of every class of each image (export.every_class_up_to)",
}


def would_tell(said: Statement, untested: str = "") -> str:
    """What would decide an undecided statement; empty where nothing simple would, or it is decided.

    Args:
        said: the statement.
        untested: why the classes could not be compared by place, as statements.json has it.
    """
    if said.verdict is not Verdict.CANNOT_TELL:
        return ""
    if said.reason in (Reason.IMPRECISE, Reason.ADJUSTED, Reason.FEW_IMAGES) and said.images_needed is not None:
        needed = f"about {count(said.images_needed, 'image')} of {said.class_name}"
        if said.images_measured is None:
            return f"{needed} (now {said.images:,})"
        return (
            f"infills in {needed} (now in {said.images_measured:,} of {said.images:,}; raise score.faithfulness_images)"
        )
    return {
        Reason.ONE_MODEL: "a second model with another seed",
        Reason.TRAINED_ON: "images that the models were not trained on",
        Reason.NO_MAPS: "maps of the last layer by one method of all models, cam or gradcam (export.methods)",
        Reason.FEW_IMAGES: f"images of {said.class_name} from more groups, such as patients"
        if few_groups(said)
        else f"more images of {said.class_name} (now {said.images:,})",
        Reason.NOT_RECOGNISED: _would_be_recognised(said),
        Reason.BASELINE_MISSING: f"the comparison with {NULLS.get(said.worst, said.worst)}",
        Reason.MODELS_DIFFER: f"the reason why {differ(said.worst)}",
        Reason.UNREACHABLE: "a layer with finer maps",
        Reason.NECESSITY_MISSING: "an infilling experiment for this region",
        Reason.LOOK_ALIKES_MISSING: "the comparison with look-alike places",
        Reason.NO_TEST: UNTESTED.get(untested, ""),
        Reason.PLACE_NOT_SUPPORTED: f"a verdict on whether they look at {region_words(said)} and need it",
        Reason.IMPRECISE: "more images; this study cannot say how many",
        Reason.ADJUSTED: "more images, or fewer statements",
        Reason.SEEDS: "more seeds of the recipe",
    }.get(said.reason, "")


def _would_be_recognised(said: Statement) -> str:
    recall, shown = shown_at_chance(said)
    of = said.class_name if recall else f"{said.class_name} and {said.worst}"
    return f"models that recognise {said.class_name}" if shown else f"more images of {of}, or better models"


# Statements in sight on the first screen; the others are one click away.
IN_SIGHT = {Verdict.SUPPORTED: 8, Verdict.SHOWN_NOT: 4, Verdict.CANNOT_TELL: 4}
# The section of the page with a statement's evidence.
EVIDENCE = {
    Kind.AGREEMENT: "agreement",
    Kind.PLACE: "regions",
    Kind.DIFFERENCE: "classes",
    Kind.GLOBAL_CUE: "cues",
}
# The rule behind it, by its heading in `rules_words`.
RULE = {
    Kind.AGREEMENT: "same places",
    Kind.PLACE: "need a region",
    Kind.DIFFERENCE: "distinguish classes by a region",
    Kind.GLOBAL_CUE: "decide by a property of the whole image",
}
INTRODUCTIONS = {
    Verdict.SUPPORTED: "may be written of these models",
    Verdict.SHOWN_NOT: "the data support these negatives",
    Verdict.CANNOT_TELL: "the data do not decide",
}


def statements_section(results: Results) -> dict[str, Any] | None:
    """Statements by verdict, and the rules behind them; None where there are none."""
    found = results.statements
    if found is None:
        return None
    of_class = statements_by_class(results)
    names = list(of_class)
    # Of too many classes, those with a supported statement come first.
    shown = sorted(names, key=lambda name: not supported(of_class[name]))[:PAGE] if len(names) > PAGE else names
    # Exploratory statements come last.
    said = sorted((each for name in shown for each in of_class[name]), key=lambda each: each.exploratory)
    verdicts = []
    for verdict, title in VERDICTS.items():
        items = _by_reason([each for each in said if each.verdict is verdict], found["classes"])
        verdicts.append(
            {
                "verdict": verdict.value,
                "title": title,
                "introduction": INTRODUCTIONS[verdict],
                "statements": items[: IN_SIGHT[verdict]],
                "more": items[IN_SIGHT[verdict] :],
            }
        )
    return {
        "verdicts": verdicts,
        "rules": rules_words(found["thresholds"]).items(),
        "limits": limits(found),
        "note": _left_out(of_class, names, shown),
    }


def _by_reason(said: Sequence[Statement], classes: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Statements of one class that share a reason are one item, so that the reason is given once."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in said:
        why, tell = because(each), would_tell(each, classes[each.class_name]["untested"])
        item: dict[str, Any] = {"class_name": each.class_name, "sentences": [], "because": why, "tell": tell}
        item["evidence"] = "located" if each.reason is Reason.NOT_LOCATED else EVIDENCE[each.kind]
        item["rule"] = "look at a region" if each.reason is Reason.NOT_LOCATED else RULE[each.kind]
        found.setdefault((each.class_name, why, tell), item)["sentences"].append(each)
    return [item | {"sentences": [sentence(each) for each in _merged(item["sentences"])]} for item in found.values()]


def _merged(said: Sequence[Statement]) -> list[Statement]:
    """Undecided statements of one reason that differ in their region alone, as one that names every region."""
    found: dict[tuple[Any, ...], list[Statement]] = {}
    for number, each in enumerate(said):
        alike = each.verdict is Verdict.CANNOT_TELL and each.region and not each.exploratory
        key = (each.kind, each.scope, each.others, each.models) if alike else (number,)
        found.setdefault(key, []).append(each)
    return [
        replace(each[0], region=listed((region_words(one) for one in each), "or")) if len(each) > 1 else each[0]
        for each in found.values()
    ]


def _left_out(of_class: Mapping[str, list[Statement]], names: Sequence[str], shown: Sequence[str]) -> str:
    """Which classes are left out; empty where none is."""
    if len(shown) == len(names):
        return ""
    held = sum(1 for name in names if name not in shown and supported(of_class[name]))
    which = f"{held} of the others also have a supported statement" if held else "nothing is supported of the others"
    return f"{len(shown)} of {count(len(names), 'class')} are shown; {which}. reports/statements.md has all."
