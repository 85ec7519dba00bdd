"""The rules behind the statements, their limits, and all statements as Markdown."""

from collections.abc import Mapping
from typing import Any

from wheretolook.report.statement_words import (
    TWINS,
    VERDICTS,
    because,
    by_verdict,
    said_in,
    sentence,
    without_words,
    would_tell,
)
from wheretolook.report.words import all_models, listed, percent
from wheretolook.results.agreement_row import NULLS
from wheretolook.results.statement import Statement


def rules_words(thresholds: Mapping[str, float]) -> dict[str, str]:
    """The conditions of each kind of statement, with the thresholds of this study."""
    t = {key: f"{value:g}" for key, value in thresholds.items()}
    t |= {key: percent(thresholds[key], 0) for key in ("flips", "kept", "cue_flips")}
    return {
        "every statement": (
            "At least two independent trainings; images that the networks were not trained on, at least "
            f"{t['images']} of the class in at least {t['groups']} effective groups; and every model recognises the "
            "class: its recall is above chance, and so is its AUROC against each other class (lower bounds)."
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
            "Each pair of classes on its own: the mean contributions differ (permutation and wild bootstrap, adjusted "
            "for all places), the region holds more of the difference than its area explains, it is needed, and it "
            "counts for more than its best look-alikes in images of the other class. The least different class decides."
        ),
        "decide by a property of the whole image": (
            f"No place smaller than half of the image is needed, and changing the property changes {t['cue_flips']} of "
            "predictions more often than a harmless change does (lower bound)."
        ),
        "shown not to hold": "An upper bound lies below a threshold. This is evidence of absence.",
        "error rate": (
            f"All confirmatory statements together have a familywise error rate of {t['alpha']} (Holm). "
            "Exploratory statements are not adjusted and are marked."
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
            lines += [f"**{VERDICTS[verdict]}**", "", *([_line(each) for each in said] or ["- nothing"]), ""]
        if left_out := without_words(about, found["models"]):
            lines += [left_out, ""]
        lines.pop()
    rules = rules_words(found["thresholds"]).items()
    lines += ["", "## The rules", "", *(f"- **{rule}**: {words}" for rule, words in rules)]
    return "\n".join(lines) + "\n"


def _line(said: Statement) -> str:
    """One statement as an item of a list, with its reason and what would decide it."""
    tell = would_tell(said)
    return f"- {sentence(said)} ({because(said)}{f'; what would tell: {tell}' if tell else ''})"
