"""reports/summary.md: the headline, the soundness of the study, statements by verdict, then every table."""

from collections.abc import Callable, Iterable, Sequence

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.base.errors import markdown_text
from wheretolook.report.guessing import baseline_of, baseline_rows, judged_models, label_notes, seen_words
from wheretolook.report.headline import alerts_of, measured_findings, overview
from wheretolook.report.loaded import TARGET, Results, escaped_results, in_order, loss_of, sanity_lines, seed_of
from wheretolook.report.plots import evidence_of
from wheretolook.report.sections_agreement import agreement_note, agreements, nothing_compared
from wheretolook.report.sections_data import classes_left_out
from wheretolook.report.sections_faithfulness import faithfulness_section, stability_findings
from wheretolook.report.sections_localisation import located_section, test_sets_section
from wheretolook.report.sections_models import label_agreement_rows, label_rows, value_rows
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.soundness import soundness
from wheretolook.report.words import NOTHING, count, number, number_with_interval, percent, percent_with_interval

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
REMOVAL = (
    "model",
    "class",
    "whole image",
    "evidence removed",
    "own map removed",
    "random map removed",
    "random minus own",
    "own minus evidence",
)
NECESSITY = (
    "model",
    "class",
    "region",
    "infill",
    "images",
    "predictions changed",
    "at control places",
    "log-odds lost beyond control",
)
CUES = ("model", "cue", "class", "images", "predictions changed", "by an exchange within the class")
FOREGROUND = ("model", "class", "images", "area (estimated)", "energy on it (estimated, 95 %)", "ratio")
ATTRIBUTES = ("attribute", "value", "model", "images", "accuracy (95 %)", "map energy (95 %)")
GROUPS = ("model", "figure", "groups", "mean (95 %)", "lowest", "highest", "SD", "worst groups")
STABILITY = (
    "Test images are shifted, flipped, compressed and so on; r is the correlation of the maps before and after, where "
    "the prediction stays. A map is unstable under a change that moves it more than half as far as the map of another "
    "image of the class is away (95 % intervals; exploratory, not adjusted for the number of changes)."
)
SANITY = (
    "A map passes if its correlation with maps of the same image by networks with random weights exceeds the "
    "correlation with their maps of other images of the class by less than 0.1, and fails if by more (95 % intervals "
    "over images and draws; otherwise undecided). Maps that fail depend on the image, not only on the learned weights."
)


def score_parts(results: Results, table: Table) -> Iterable[str]:
    """Headings, tables and notes, as far as there are such figures.

    Args:
        results: finished results.
        table: makes Markdown of a head and rows.
    """
    removal, section = list(_removal(results)), faithfulness_section(results)
    if removal and section:
        fraction = next(found["fraction"] for name in results.names if (found := results.models[name]["faithfulness"]))
        yield "## Score after removal"
        yield table(REMOVAL, removal)
        yield (
            f"Mean score of the true class after removal of the first {percent(fraction, 0)} of the pixels; "
            "differences are paired by image, with 95 % intervals. Undefined where an image that is infilled from "
            "its border keeps over half of its score."
        )
        if section["note"]:
            yield section["note"]
    if rows := list(_necessity(results)):
        yield "## Do predictions need a region?"
        yield table(NECESSITY, rows)
        yield (
            "Regions of the masks, infilled in two ways; control places have the same size and shape in the same "
            "images; 95 % intervals."
        )
    if rows := list(_cues(results)):
        yield "## Cues of the whole image"
        yield table(CUES, rows)
        yield "Each cue is taken from an image of another class; the last column takes it from the same class."
    located, baseline = located_section(results), baseline_of(results)
    for title, head, rows, note in (
        ("Energy on the estimated foreground", FOREGROUND, located["foreground"], located["foreground_note"]),
        ("By attribute", ATTRIBUTES, located["attributes"], ""),
        ("By group", GROUPS, located["groups"], f"Baselines of the accuracy: {baseline.words}." if baseline else ""),
    ):
        if rows:
            yield f"## {title}"
            yield table(head, (tuple(row.values()) for row in rows))
            yield from [note] if note else []
    if found := stability_findings(results):
        yield from ("## Stability of the maps", "\n".join(f"- {sentence}" for sentence in found), STABILITY)
    sane = list(sanity_lines(results))
    if sane:
        yield from ("## Sanity check of the maps", "\n".join(sane), SANITY)


def _removal(results: Results) -> Iterable[tuple[str, ...]]:
    shown = _shown(results)
    for name in results.names:
        classes = (results.models[name]["faithfulness"] or {}).get("classes", {})
        for class_name, figures in in_order(classes.items(), shown, lambda row: row[0]):
            removed, gaps = figures["removed"], figures["gaps"]
            if figures["undefined"]:
                yield name, class_name, number(figures["whole"]["score"]), *["undefined"] * 3, NOTHING, NOTHING
                continue
            left = (
                number(removed[kind]["score"]) if kind in removed else NOTHING for kind in ("evidence", "cam", "random")
            )
            yield (
                name,
                class_name,
                number(figures["whole"]["score"]),
                *left,
                *(_gap(gaps, k) for k in ("random", "evidence")),
            )


def _shown(results: Results) -> list[str]:
    """The classes whose removal is shown, where there are too many for all."""
    section = faithfulness_section(results)
    return [part["class_name"] for part in section["classes"]] if section else []


def _necessity(results: Results) -> Iterable[tuple[str, ...]]:
    shown = _shown(results)
    for name in results.names:
        for row in (row for row in results.models[name].get("necessity") or () if row["class_name"] in shown):
            about = name, row["class_name"], row["region"], row["infill"], str(row["images"])
            flips = number_with_interval(row["flips"], row["flips_low"], row["flips_high"])
            excess = number_with_interval(row["excess"], row["excess_low"], row["excess_high"])
            yield *about, flips, number(row["control_flips"]), excess


def _cues(results: Results) -> Iterable[tuple[str, ...]]:
    shown = _shown(results)
    for name in results.names:
        for row in (row for row in results.models[name].get("global_cues") or () if row["class_name"] in shown):
            if row["exchanged"]:
                about = name, row["cue"], row["class_name"], str(row["images"])
                flips = number_with_interval(row["flips"], row["flips_low"], row["flips_high"])
                yield *about, flips, number(row["floor_flips"])


def _gap(gaps: dict, kind: str) -> str:
    if kind not in gaps:
        return NOTHING
    gap = gaps[kind]["score"]
    return number_with_interval(gap["mean"], gap["low"], gap["high"])


TEST_SET = ("model", "accuracy", "balanced (95 %)", "change, points (95 %)", "ECE", "map energy inside")
MODELS = ("model", "loss", "seed", "accuracy", "balanced (95 %)", "AUROC", "ECE", "energy inside", "ratio")
SHORT = {"other": "other images", "centre": "centre", "mean_map": "mean map", "random": "random weights"}
LABELS = ("model", "label", "images", "with it", "AUROC", "average precision", "F1")
LABEL_AGREEMENT = ("label", "models", "images", "r (95 %)", SHORT["other"], SHORT["centre"], SHORT["mean_map"])
VALUES = ("model", "number", "images", "RMSE", "RMSE of the mean", "mean absolute error", "R²", "Spearman")
KINDS = {"drive": "imported"}  # of pairs of models; the others are called what they are
CORRELATION = (
    "r is the mean correlation of two models' maps of one image. The last four columns are baselines, r with maps that "
    "do not depend on the image; models agree as far as r exceeds each of them."
)
AGREEMENT = ("models", "kind", "class", "images", "r (95 %)", *(SHORT[null] for null in NULLS))


def summary_of(results: Results) -> str:
    """The headline, the checks, the statements, then the tables; figures are of the compared split.

    Names of classes, files and groups are escaped for Markdown.
    """
    results = escaped_results(results, markdown_text)
    agreement = list(_agreement(results))
    measured = measured_findings(results) if judged_models(results) else []
    heads = [*overview(results, "*"), *alerts_of(results), *classes_left_out(results.audit)]
    parts = [
        "# Where to look?",
        *(["\n".join(f"- {finding}" for finding in heads)] if heads else []),
        "## Is the study sound?",
        "\n".join(f"- {check.mark} **{check.title}:** {check.text}" for check in soundness(results)),
        *_statements(results),
        *(["## Main figures", "\n".join(f"- {finding}" for finding in measured)] if measured else []),
        f"## Models, on the {results.split} split",
        f"{count(results.audit['splits'][results.split]['images'], 'image')}. {seen_words(results)}",
        _table(MODELS, [*_models(results), *_baselines(results)]),
        "Energy inside is the share of the positive map energy inside the evidence mask, over all classes that have "
        "one; the ratio divides it by the mask's share of the area, so 1 is the chance level. ECE: in brackets, that "
        f"of a perfectly calibrated model on as many images. Maps: CAM of the last layer, {TARGET}.",
        *_other_outputs(results),
        *_test_sets(results),
        "## Agreement",
        *([_table(AGREEMENT, agreement), CORRELATION] if agreement else [nothing_compared(results)]),
        *([note] if (note := agreement_note(results)) else []),
    ]
    parts += score_parts(results, _table)
    return "\n\n".join(parts) + "\n"


def _other_outputs(results: Results) -> Iterable[str]:
    """Figures of models that learned labels of their own, or a number."""
    if rows := label_rows(results):
        yield "## Labels"
        yield "\n".join(f"- {note}" for note in label_notes(results))
        yield _table(LABELS, (tuple(row.values()) for row in rows))
    if rows := label_agreement_rows(results):
        yield _table(LABEL_AGREEMENT, (tuple(row.values()) for row in rows))
        yield "r is that of each label's own maps, on the images that have it; the last three columns are baselines."
    if rows := value_rows(results):
        yield "## Predicted number"
        yield _table(VALUES, (tuple(row.values()) for row in rows))


def _test_sets(results: Results) -> Iterable[str]:
    """Each further test set: sentences, and a table of the models."""
    for found in test_sets_section(results)["test_sets"]:
        yield f"## Test set {found['name']}"
        yield "\n".join(f"- {line}" for line in found["lines"])
        yield _table(TEST_SET, (tuple(row.values()) for row in found["rows"]))
        yield f"In brackets, where there is no interval: the same on the {results.split} split."


def _statements(results: Results) -> Iterable[str]:
    """The statements by verdict, each with its reason and what would decide it; of many classes, of some."""
    section = statements_section(results)
    if section is None:
        return
    for group in section["verdicts"]:
        lines: list[str] = []
        for item in (*group["statements"], *group["more"]):
            why = "; ".join(filter(None, (item["because"], _tell(item["tell"]))))
            if len(item["sentences"]) == 1:
                lines.append(f"- {item['sentences'][0]} ({why})")
            else:  # of one class, for one reason
                lines += [f"- {item['class_name']}: {why}", *(f"  - {each}" for each in item["sentences"])]
        yield f"## {group['title']}"
        yield "\n".join(lines) or "Nothing."
    if section["note"]:
        yield section["note"]
    yield "\n".join(f"- {limit}" for limit in section["limits"])


def _tell(tell: str) -> str:
    return f"what would tell: {tell}" if tell else ""


def _models(results: Results) -> Iterable[Sequence[str]]:
    for name in results.names:
        result = results.models[name]
        figures = result["splits"].get(results.split) or {}
        balanced, low, high = (figures.get(f"balanced_accuracy{end}") for end in ("", "_low", "_high"))
        evidence = evidence_of(result, results.split)
        yield (
            name,
            loss_of(result),
            seed_of(result),
            percent(figures.get("accuracy")),
            percent_with_interval(balanced, low, high),
            number(figures.get("auroc"), 3),
            _with_floor(figures.get("ece"), figures.get("ece_floor")),
            percent(evidence.get("energy")),
            number(evidence.get("ratio"), 1),
        )


def _baselines(results: Results) -> Iterable[Sequence[str]]:
    for row in baseline_rows(results):
        figures = (row["accuracy"], row["balanced"], row["auroc"])
        yield row["name"], NOTHING, NOTHING, *figures, *[NOTHING] * (len(MODELS) - 6)


def _with_floor(ece: float | None, floor: float | None) -> str:
    """The calibration error beside that of a perfectly calibrated model on as many images."""
    return number(ece, 3) if floor is None else f"{number(ece, 3)} (calibrated: {number(floor, 3)})"


def _agreement(results: Results) -> Iterable[Sequence[str]]:
    shown = [part["class_name"] for part in agreements(results)]
    rows = results.primary().astype(object).where(lambda frame: frame.notna(), None).to_dict("records")
    if agreement_note(results):
        rows = in_order(rows, shown, lambda row: row["class_name"])
    for row in rows:
        if row["class_name"] not in shown:
            continue
        nulls = (number(row[null]) for null in NULLS)
        pair = f"{row['model_a']}, {row['model_b']}"
        mean = number_with_interval(row["mean"], row["low"], row["high"])
        yield pair, KINDS.get(row["kind"], row["kind"]), row["class_name"], str(row["images"]), mean, *nulls


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
