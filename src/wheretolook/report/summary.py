"""reports/summary.md: the answers as a page of Markdown, for a pull request or a terminal."""

from collections.abc import Iterable, Sequence

from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.data.readable import markdown_text
from wheretolook.report.baselines import baseline_rows
from wheretolook.report.findings import findings_of, still_falling
from wheretolook.report.metrics import evidence_of
from wheretolook.report.results import TARGET, Results, escaped_results, loss_of, seed_of
from wheretolook.report.sections_agreement import agreement_note, agreements, nothing_compared
from wheretolook.report.sections_data import classes_left_out
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.shown import in_order
from wheretolook.report.statement_words import VERDICTS
from wheretolook.report.summary_score import score_parts
from wheretolook.report.trained_on import seen_words
from wheretolook.report.words import NOTHING, count, number, number_with_interval, percent, percent_with_interval

MODELS = ("model", "loss", "seed", "accuracy", "balanced (95 %)", "AUROC", "ECE", "energy inside", "ratio")
SHORT = {"other": "other images", "centre": "centre", "mean_map": "mean map", "random": "random weights"}
KINDS = {"drive": "imported"}  # of pairs of models; the others are called what they are
CORRELATION = (
    "r is the mean correlation of two models' maps of one image. Beside it, what r is against maps that know "
    "nothing of the image: agreement counts as far as it exceeds each of them."
)
AGREEMENT = ("models", "kind", "class", "images", "r (95 %)", *(SHORT[null] for null in NULLS))


def summary_of(results: Results) -> str:
    """Findings first, then a table of the models and one of their agreement; figures are of the compared split.

    Names of classes, files and groups are escaped, so that they are read as they are.
    """
    results = escaped_results(results, markdown_text)
    agreement = list(_agreement(results))
    parts = [
        "# Where to look?",
        "\n".join(f"- {finding}" for finding in (*findings_of(results), *classes_left_out(results.audit))),
        *_statements(results),
        f"## Models, on the {results.split} split",
        f"{count(results.audit['splits'][results.split]['images'], 'image')}. {seen_words(results)}",
        _table(MODELS, [*_models(results), *_baselines(results)]),
        "Energy is the share of a map's positive part inside the evidence mask, over all classes that have one; the "
        f"ratio divides it by the mask's share of the area. Maps: CAM of the last layer, {TARGET}.",
        *([fell] if (fell := still_falling(results)) else []),
        "## Agreement",
        *([_table(AGREEMENT, agreement), CORRELATION] if agreement else [nothing_compared(results)]),
        *([note] if (note := agreement_note(results)) else []),
    ]
    parts += score_parts(results, _table)
    return "\n\n".join(parts) + "\n"


def _statements(results: Results) -> Iterable[str]:
    """The statements of each class by verdict, with the reason; of many classes, of some."""
    section = statements_section(results)
    if section is None:
        return
    for verdict, title in VERDICTS.items():
        lines = [
            f"- {sentence} ({group['because']})"
            for part in section["classes"]
            for of_verdict in part["verdicts"]
            for group in of_verdict["statements"]
            for sentence in group["sentences"]
            if of_verdict["verdict"] == verdict
        ]
        yield f"## {title}"
        yield "\n".join(lines) or "Nothing."
    if section["note"]:
        yield section["note"]


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
