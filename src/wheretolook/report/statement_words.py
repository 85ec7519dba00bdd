"""Statements in prose: the one place where a verdict, its reason and its figures become sentences."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.analysis.results.statement import Figure, Kind, Reason, Scope, Statement, Verdict
from wheretolook.analysis.results.statement import statement_from_json as read_statement
from wheretolook.report.words import all_models, capitalised, in_words, listed, number, number_with_interval, percent

VERDICTS = {
    Verdict.SUPPORTED: "Supported",
    Verdict.SHOWN_NOT: "Shown not to hold",
    Verdict.CANNOT_TELL: "Undecided",
}
REGIONS = {
    "evidence": "the evidence",
    "mark": "the mark",
    "foreground": "the foreground",
    "rest of the foreground": "the foreground around the evidence",
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
    "same weights": "has the same weights as",
    "same seed": "has the same seed, and so the same initial weights and batch order, as",
}
AGREE_WITH = {  # what two models' maps agree with as much as with each other, by baseline
    "other": "maps of other images",
    "centre": "a blob at the centre",
    "mean_map": "the models' own mean maps",
    "random": "maps of networks with random weights",
}
PERCENT = ("recall", "area", "energy", "share of the difference", "flips", "kept")  # figures that are shares
# Reasons that the sentence about a refuted statement gives already.
IN_SENTENCE = (
    *(Reason.BELOW_MARGIN, Reason.NOT_LOCATED, Reason.NOT_NEEDED, Reason.NO_CUE),
    *(Reason.NOT_CONCENTRATED, Reason.LOOK_ALIKES),
)
LARGEST_SHARE = 3.0  # of a difference, for one place: beyond it the parts cancel, and nothing is left to share
MOST_NAMED = 3  # other classes named one by one


def sentence(said: Statement) -> str:
    """What the verdict says: that the statement holds, that it does not, or what is undecided."""
    if said.verdict is Verdict.SUPPORTED:
        return capitalised(f"{subject(said, True)} {clause(said)}.")
    if said.verdict is Verdict.CANNOT_TELL:
        return f"Whether {subject(said)} {clause(said)}."
    return capitalised(_refuted(said))


def subject(said: Statement, every: bool = False) -> str:
    """Which networks: "all four models", "the four models", "networks trained like last-0 (6 seeds)"."""
    if said.scope is Scope.RECIPE:
        return f"networks trained like {said.models[0]} ({len(said.models)} seeds)"
    if every or len(said.models) == 1:
        return all_models(len(said.models))
    return f"the {in_words(len(said.models))} models"


def clause(said: Statement, of_class: bool = True) -> str:
    """The statement without its subject: "look at the same places in images of infected"."""
    one = len(said.models) == 1 and said.scope is Scope.MODELS
    images = f" in images of {said.class_name}" if of_class else ""
    look, need, decide = ("looks", "needs", "decides") if one else ("look", "need", "decide")
    if said.kind is Kind.AGREEMENT:
        return f"{look} at the same places{images}"
    if said.kind is Kind.PLACE:
        return f"{look} at {region_words(said)}{images} and {need} it"
    if said.kind is Kind.GLOBAL_CUE:
        return f"{decide} by {CUES.get(said.cue, said.cue)}{images}"
    distinguish = "distinguishes" if one else "distinguish"
    what = said.class_name if of_class else "it"
    where = f"at {region_words(said)}" if said.exploratory else f"by {region_words(said) or 'a place'}"
    return f"{distinguish} {what} from {others_words(said)} {where}"


def _refuted(said: Statement) -> str:
    """What was shown in place of the statement."""
    if said.kind is Kind.AGREEMENT:
        return f"in images of {said.class_name}, {no_agreement(said)}."
    if said.kind is Kind.PLACE and said.reason is Reason.NOT_LOCATED:
        return f"in images of {said.class_name}, the maps do not concentrate on {region_words(said)}."
    if said.reason is Reason.NOT_NEEDED:  # of two places that can replace each other, neither is needed: both are used
        return f"predictions of {said.class_name} do not need {region_words(said)}."
    if said.reason is Reason.NOT_CONCENTRATED:  # a fact about maps: predictions may need the place all the same
        about = f"how {said.class_name} differs from {said.worst or others_words(said)}"
        return f"in the maps, {about} does not concentrate on {region_words(said)}."
    if said.reason is Reason.LOOK_ALIKES:
        alike = f"places in images of {said.worst} that look like {region_words(said)}"
        return f"{alike} count as much for {said.class_name}, or more."
    if said.kind is Kind.GLOBAL_CUE:
        figure = said.figures[0] if said.figures else Figure("", None)
        few = f"changing {CUES.get(said.cue, said.cue)} changes less than {_share(figure.threshold)} %"
        return f"{few} of the predictions of {said.class_name} beyond what a harmless change does."
    verb = "does not" if len(said.models) == 1 and said.scope is Scope.MODELS else "do not"
    plural = Statement(**{**vars(said), "scope": Scope.RECIPE})
    return f"{subject(said)} {verb} {clause(plural)}."


def no_agreement(said: Statement) -> str:
    """How little the maps agree: "maps of two models agree with each other no better than with a blob"."""
    figure = said.figures[0] if said.figures else None
    if said.reason is not Reason.BELOW_MARGIN or figure is None or figure.high is None:
        return f"{subject(said)} do not look at the same places"
    baseline = AGREE_WITH.get(figure.of, figure.of)
    if figure.high <= 0:
        return f"maps of two models agree with each other no better than with {baseline}"
    least = f"r higher by less than {number(figure.threshold)}"
    return f"maps of two models agree with each other hardly better than with {baseline} ({least})"


def others_words(said: Statement) -> str:
    """The other classes that a difference is about."""
    return listed(said.others) if 0 < len(said.others) <= MOST_NAMED else "every other class"


def region_words(said: Statement) -> str:
    """A region with its article; cells as they are."""
    return REGIONS.get(said.region, said.region)


def because(said: Statement) -> str:
    """Why the verdict is what it is, with the figures that decided."""
    parts = [] if said.verdict is Verdict.SHOWN_NOT and said.reason in IN_SENTENCE else [reason_words(said)]
    if said.reason is Reason.ALL_MET:
        second = {Kind.PLACE: "odds ratio", Kind.DIFFERENCE: "share of the difference"}.get(said.kind)
        chosen = [*said.figures[:1], *(figure for figure in said.figures[1:] if figure.name == second)]
        parts = [figure_words(figure) for figure in chosen[:2]]
    elif said.figures and said.reason not in (
        *(Reason.NECESSITY_MISSING, Reason.LOOK_ALIKES_MISSING, Reason.NO_TEST, Reason.NOT_ADDITIVE),
        Reason.PLACE_NOT_SUPPORTED,
    ):
        parts.append(figure_words(said.figures[0], mean=said.reason is Reason.MODELS_DIFFER))
    if said.exploratory:
        parts.append("exploratory: not adjusted for the number of statements")
    return "; ".join(part for part in parts if part)


def reason_words(said: Statement) -> str:
    """The condition that decided, in words; empty where all conditions are met."""
    worst, region = said.worst, region_words(said)
    baseline = NULLS.get(worst, worst)
    return {
        Reason.ALL_MET: "",
        Reason.ONE_MODEL: "a single training cannot separate what one network does from what the class teaches",
        Reason.TRAINED_ON: "the networks were trained on these images",
        Reason.NO_MAPS: f"no primary maps (compare.primary){f' of {worst}' if worst else ''}",
        Reason.FEW_IMAGES: f"too few {'groups' if few_groups(said) else 'images'} of {said.class_name}",
        Reason.NOT_RECOGNISED: _not_recognised(said),
        Reason.BASELINE_MISSING: f"agreement was not compared with {baseline}",
        Reason.BELOW_MARGIN: f"the margin over {baseline} is not reached",
        Reason.MODELS_DIFFER: f"the mean over models does not hold of {worst}",
        Reason.NOT_LOCATED: "the maps have too little energy there for its area",
        Reason.UNREACHABLE: "no map on this grid could reach the threshold",
        Reason.NECESSITY_MISSING: "whether the predictions need it was not measured",
        Reason.INFILLS_DISAGREE: "the two ways to infill it disagree",
        Reason.NOT_NEEDED: "the predictions stay when it is infilled",
        Reason.NOT_DIFFERENT: f"no difference from {worst} was shown there",
        Reason.NOT_CONCENTRATED: f"{region} holds too little of the difference for its area",
        Reason.NO_TEST: "the classes could not be compared by place",
        Reason.NOT_ADDITIVE: "Grad-CAMs do not add up to the logits, so a place's share of the difference is not known",
        Reason.LOOK_ALIKES_MISSING: "not compared with look-alike places in images of the other classes",
        Reason.LOOK_ALIKES: f"look-alike places in images of {worst} count as much",
        Reason.PLACE_NOT_SUPPORTED: "only a place that the models are shown to look at and need can count",
        Reason.NO_CUE: "too few predictions change with it",
        Reason.IMPRECISE: "the confidence interval includes the threshold",
        Reason.ADJUSTED: "not significant after adjustment for the number of statements",
        Reason.SEEDS: "varies too much from seed to seed",
        Reason.FAMILIES_DISAGREE: "occlusion maps disagree with the CAMs",
        Reason.MEASURES_DISAGREE: "energy and AUROC of the maps contradict each other",
    }[said.reason]


def shown_at_chance(said: Statement) -> tuple[bool, bool]:
    """Whether recall, and not an AUROC, decided that a class is not recognised; whether it is shown to be at chance."""
    figure = said.figures[0] if said.figures else Figure("recall", None)
    shown = figure.high is not None and figure.threshold is not None and figure.high <= figure.threshold
    return figure.name == "recall", shown


def _not_recognised(said: Statement) -> str:
    recall, shown = shown_at_chance(said)
    if recall:
        verb = "recognises" if shown else "is not shown to recognise"
        return f"{said.worst} {verb} {said.class_name} {'no ' if shown else ''}better than chance"
    verb = "some model distinguishes" if shown else "not every model is shown to distinguish"
    return f"{verb} {said.class_name} from {said.worst} {'no ' if shown else ''}better than chance"


def few_groups(said: Statement) -> bool:
    """Whether groups, and not images, are too few."""
    return bool(said.figures) and said.figures[0].name == "effective groups"


def differ(models: str) -> str:
    """ "last-1 differs"; "last-0 and last-1 differ"."""
    return f"{models} differ{'' if ' and ' in models else 's'}"


FIGURE_NAMES = {
    "odds ratio": "odds ratio of map energy",
    "flips beyond control": "predictions changed by infilling, beyond control places",
    "flips": "predictions changed",
    "kept by the region alone": "predictions kept by the region alone",
}


def figure_words(figure: Figure, mean: bool = False) -> str:
    """ "odds ratio of map energy 13.1 (12.5 to 13.7; threshold 2.0)"; `mean`: say that a figure is of no one model."""
    if figure.name == "share of the difference" and abs(figure.value or 0.0) > LARGEST_SHARE:
        return f"no difference from {figure.of} to share"
    counts = figure.name in ("images", "effective groups")
    write = _share if figure.name.startswith(PERCENT) else _count if counts else _plain
    unit = " %" if write is _share else ""
    if figure.name == "excess":
        name = f"r beyond {NULLS.get(figure.of, figure.of)}"
    elif figure.name == "share of the difference":
        name = f"share of the difference from {figure.of}"
    elif figure.name == "p":
        return f"p = {_plain(figure.value)}" + (f" against {figure.of}" if figure.of else "")
    else:
        of = figure.of or ("mean over models" if mean else "")
        name = FIGURE_NAMES.get(figure.name, figure.name) + (f" ({of})" if of else "")
    known = figure.low is not None and figure.high is not None
    parts = [f"{write(figure.low)} to {write(figure.high)}"] if known else []
    parts += [f"threshold {write(figure.threshold)}{unit}"] if figure.threshold is not None else []
    return f"{name} {write(figure.value)}{unit}" + (f" ({'; '.join(parts)})" if parts else "")


def _share(value: float | None) -> str:
    return percent(value).removesuffix(" %")


def _plain(value: float | None) -> str:
    return number(value, 4 if value is not None and 0 < abs(value) < 0.01 else 2)


def _count(value: float | None) -> str:
    return number(value, 1).removesuffix(".0")


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
    """The smallest lower bound of the excess agreement with each model left out; empty for fewer than three models."""
    lows = [(name, low) for name in models if (low := about["without"].get(name)) is not None]
    if not lows:
        return ""
    listing = "; ".join(f"without {name} {_signed(low)}" for name, low in lows)
    return f"Smallest lower confidence bound of (agreement - baseline), one model left out: {listing}."


def class_notes(statements: Mapping[str, Any] | None, class_name: str) -> list[str]:
    """How agreement on a class changes with one model left out, and whether models of a recipe fall into groups."""
    about = ((statements or {}).get("classes") or {}).get(class_name)
    if not about or not statements:
        return []
    left_out = without_words(about, statements["models"])
    return [*([left_out] if left_out else []), *(_basins(each, class_name) for each in about.get("basins") or ())]


def _basins(found: Mapping[str, Any], class_name: str) -> str:
    models, p = in_words(len(found["models"])), max(found["p_shuffled"], found["p_unimodal"])
    if not found["several"]:
        return f"The maps of {class_name} show no groups among the {models} models of one recipe (p = {p:.3f})."
    gap = number_with_interval(found["within"] - found["between"], found["gap_low"], found["gap_high"])
    return (
        f"By their maps of {class_name}, the {models} models of one recipe fall into two groups: "
        f"{'; and '.join(listed(names) for names in found['basins'])}. Maps correlate by {number(found['within'])} "
        f"within a group and by {number(found['between'])} between the groups (difference {gap}; p = {p:.3f}). Mean "
        f"recall is {' and '.join(percent(recall) for recall in found['recall'])}. The groups differ most on "
        f"{listed(found['examples'])}."
    )


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
