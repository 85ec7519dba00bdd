"""Statements in prose: the one place where a verdict, its reason and its figures become sentences."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wheretolook.report.words import count, listed, number, percent
from wheretolook.results.agreement_row import NULLS
from wheretolook.results.statement import Figure, Kind, Reason, Scope, Statement, Verdict
from wheretolook.results.statement import statement_from_json as read_statement

VERDICTS = {
    Verdict.SUPPORTED: "Supported",
    Verdict.SHOWN_NOT: "Shown not to hold",
    Verdict.CANNOT_TELL: "Cannot be told",
}
REGIONS = {
    "evidence": "the evidence",
    "mark": "the mark",
    "foreground": "the foreground",
    "rest of the foreground": "the foreground beside the evidence",
    "background": "the background",
}
CUES = {
    "hue": "the colour of the whole image",
    "saturation": "the saturation of the whole image",
    "brightness": "the brightness of the whole image",
    "frequency": "the spatial frequencies of the whole image",
    "outside object": "what lies outside the object",
}
TWINS = {
    "same file": "is the same file as",
    "same weights": "has the weights of",
    "same seed": "shares its seed, and so its first weights and batch order, with",
}
PERCENT = ("recall", "area", "energy", "share of the difference", "flips", "kept")  # figures that are shares


def sentence(said: Statement) -> str:
    """The statement itself, whatever its verdict."""
    many = f"The {len(said.models)} models" if len(said.models) > 1 else "The model"
    if said.scope is Scope.RECIPE:
        many = f"Networks trained like {said.models[0]} ({len(said.models)} seeds)"
    verb = (lambda word: word) if len(said.models) > 1 or said.scope is Scope.RECIPE else (lambda word: word + "s")
    if said.kind is Kind.AGREEMENT:
        return f"{many} {verb('look')} at the same places in images of {said.class_name}."
    if said.kind is Kind.PLACE:
        return f"{many} {verb('look')} at {region_words(said)} in images of {said.class_name}, and {verb('need')} it."
    if said.kind is Kind.GLOBAL_CUE:
        cue = CUES.get(said.cue, said.cue)
        return f"{many} {verb('decide')} by {cue} in images of {said.class_name}."
    others = listed(said.others) if 0 < len(said.others) <= 3 else "every other class"
    if said.exploratory:
        return f"Maps of {said.class_name} and {others} differ at {region_words(said)}."
    where = f"by {region_words(said)}" if said.region else "by a place"
    return f"{many} {verb('tell')} {said.class_name} from {others} {where}."


def region_words(said: Statement) -> str:
    """A region with its article; cells as they are."""
    return REGIONS.get(said.region, said.region)


def because(said: Statement) -> str:
    """Why the verdict is what it is, with the figure that decided."""
    parts = [_reason(said)]
    if said.reason is Reason.ALL_MET:
        shown = [figure for figure in said.figures if figure.name.startswith(("odds ratio", "flips"))]
        parts = [figure_words(figure) for figure in (shown if said.kind is Kind.PLACE else said.figures[:1])]
    elif said.figures and said.reason not in (Reason.NECESSITY_MISSING, Reason.LOOK_ALIKES_MISSING, Reason.NO_TEST):
        parts.append(figure_words(said.figures[0]))
    if said.verdict is Verdict.CANNOT_TELL and said.images_needed is not None and said.minimum_detectable is not None:
        parts.append(
            f"the smallest difference from the threshold that {count(said.images, 'image')} can detect is "
            f"{number(said.minimum_detectable)}; about {count(said.images_needed, 'image')} would tell"
        )
    if said.exploratory:
        parts.append("exploratory: not adjusted for the number of statements")
    return "; ".join(part for part in parts if part)


def _reason(said: Statement) -> str:
    """Words of a reason."""
    worst = said.worst
    return {
        Reason.ALL_MET: "",
        Reason.ONE_MODEL: "it takes two trainings to tell a network's own habit from what the class teaches",
        Reason.TRAINED_ON: "the networks were trained on these images",
        Reason.NO_MAPS: f"no CAMs of the last layer of {worst}" if worst else "no CAMs of the last layer",
        Reason.FEW_IMAGES: "too few independent images",
        Reason.NOT_RECOGNISED: f"the networks do not recognise {said.class_name} above chance ({worst})",
        Reason.BASELINE_MISSING: f"agreement was not compared with {NULLS.get(worst, worst)}",
        Reason.BELOW_MARGIN: f"not beyond {NULLS.get(worst, worst)} by the margin",
        Reason.MODELS_DIFFER: f"{worst} differs from the other models",
        Reason.FAMILIES_DISAGREE: "maps of another family (occlusion) disagree with the CAMs",
        Reason.NOT_LOCATED: "the maps do not lie there",
        Reason.MEASURES_DISAGREE: "energy and AUROC of the maps contradict each other",
        Reason.UNREACHABLE: "no map on this grid could reach the threshold",
        Reason.NECESSITY_MISSING: "whether the predictions need it was not measured",
        Reason.INFILLS_DISAGREE: "the two ways to infill it disagree",
        Reason.NOT_NEEDED: "the predictions do not need it: they stay when it is infilled",
        Reason.NOT_DIFFERENT: f"no difference from {worst} was shown there",
        Reason.NOT_CONCENTRATED: f"it holds no more of the difference from {worst} than its area explains",
        Reason.NO_TEST: "the classes could not be compared by place",
        Reason.LOOK_ALIKES_MISSING: "not compared with look-alike places in images of the other classes",
        Reason.LOOK_ALIKES: f"look-alike places in images of {worst} count as much",
        Reason.PLACE_NOT_SUPPORTED: "that the predictions need this place is not supported",
        Reason.NO_CUE: "most predictions stay when it is changed",
        Reason.IMPRECISE: "the interval includes the threshold",
        Reason.ADJUSTED: "not significant once adjusted for the number of statements",
        Reason.SEEDS: "varies too much from seed to seed",
    }[said.reason]


def figure_words(figure: Figure) -> str:
    """ "odds ratio 13.1 (12.5 to 13.7), threshold 2.0"."""
    write = percent if figure.name.startswith(PERCENT) else _plain
    of = f" ({figure.of})" if figure.of else ""
    ends = ""
    if figure.low is not None and figure.high is not None:
        ends = f" ({write(figure.low)} to {write(figure.high)})"
    threshold = "" if figure.threshold is None else f", threshold {write(figure.threshold)}"
    if figure.name == "excess":
        name, of = f"agreement beyond {NULLS.get(figure.of, figure.of)}:", ""
    else:
        name = figure.name
    return f"{name}{of} {write(figure.value)}{ends}{threshold}"


def _plain(value: float | None) -> str:
    return number(value, 4 if value is not None and 0 < abs(value) < 0.01 else 2)


def rules_words(thresholds: Mapping[str, float]) -> dict[str, str]:
    """The conditions of each kind of statement, with the thresholds of this study."""
    t = {key: f"{value:g}" for key, value in thresholds.items()}
    return {
        "every statement": (
            "Two independent trainings or more; images that the networks were not trained on, "
            f"{t['images']} or more of the class in {t['groups']} effective groups or more; and every model recognises "
            "the class: its recall is above chance, and so is its AUROC against each other class (lower bounds)."
        ),
        "same places": (
            "The correlation of two models' maps of one image, mean over pairs, exceeds each baseline by "
            f"{t['margin']} (lower bound): {listed(NULLS.values())}."
        ),
        "look at a region": (
            "The maps, less their mean, have odds of energy inside of at least "
            f"{t['odds_ratio']} times those of its area, and an AUROC of {t['auroc']} (lower bounds, mean over models)."
        ),
        "need it": (
            "Infilling it changes predictions more often than infilling control places of the same size and shape "
            f"(by {t['flips']} of images, lower bound) and costs log-odds beyond them, by two families of infills. A "
            f"region without room for controls must also suffice by itself for {t['kept']} of images."
        ),
        "tell apart by a region": (
            "Each pair of classes by itself: the mean contributions differ (permutation and wild bootstrap, adjusted "
            "for all places), the region holds more of the difference than its area explains, it is needed, and counts "
            "for more than its best look-alike places in images of the other class. The worst other class decides."
        ),
        "decide by a property of the whole image": (
            f"No place smaller than half of the image is needed, and changing the property changes {t['cue_flips']} of "
            "predictions beyond a harmless change (lower bound)."
        ),
        "shown not to hold": "An upper bound lies below a threshold: not the absence of proof, but proof of absence.",
        "error rate": (
            f"All confirmatory statements together are adjusted to a familywise error rate of {t['alpha']} (Holm). "
            "Exploratory ones are not, and say so."
        ),
        "networks trained by a recipe": (f"{t['seeds']} seeds or more of one recipe; the models are the sample."),
    }


def limits(found: Mapping[str, Any]) -> list[str]:
    """What the study as a whole cannot show."""
    counts = [len(recipe) for recipe in found["recipes"]]
    out = []
    if not counts or max(counts) < found["thresholds"]["seeds"]:
        seeds = listed(map(str, counts)) if counts else "none"
        out.append(
            f"The statements are about these {count(len(found['models']), 'model')}, not about all networks trained "
            f"by their recipes: that takes {found['thresholds']['seeds']:g} seeds of one recipe (found {seeds})."
        )
    out.append("Maps and infills show what a network uses, not what makes a thing belong to its class.")
    for twin in found["twins"]:
        out.append(f"{twin['model']} is not counted: it {TWINS[twin['how']]} {twin['of']}.")
    return out


def said_in(found: Mapping[str, Any]) -> list[Statement]:
    """The statements of statements.json."""
    return [read_statement(each) for each in found["statements"]]


def by_verdict(statements: Iterable[Statement]) -> dict[Verdict, list[Statement]]:
    """Statements by verdict, in the order of VERDICTS."""
    found: dict[Verdict, list[Statement]] = {verdict: [] for verdict in VERDICTS}
    for each in statements:
        found[each.verdict].append(each)
    return found


def without_words(about: Mapping[str, Any], models: Sequence[str]) -> str:
    """Leave one model out: the lowest lower bound of the excess agreement without it; empty for fewer than three."""
    lows = [(name, low) for name in models if (low := about["without"].get(name)) is not None]
    if not lows:
        return ""
    listing = "; ".join(f"without {name} {_signed(low)}" for name, low in lows)
    return f"Smallest lower bound of (agreement - baseline), one model left out: {listing}."


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
            each_line = [f"- {sentence(each)} ({because(each)})" for each in said] or ["- nothing"]
            lines += [f"**{VERDICTS[verdict]}**", "", *each_line, ""]
        if left_out := without_words(about, found["models"]):
            lines += [left_out, ""]
        lines.pop()
    rules = rules_words(found["thresholds"]).items()
    lines += ["", "## The rules", "", *(f"- **{rule}**: {words}" for rule, words in rules)]
    return "\n".join(lines) + "\n"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
