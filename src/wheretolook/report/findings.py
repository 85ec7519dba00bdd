"""The few sentences that a reader should take away, made from figures that are tabled elsewhere."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wheretolook.report.metrics import localisation_of
from wheretolook.report.results import Results
from wheretolook.report.sections_statements import statement_lines
from wheretolook.report.words import count, listed, percent_span, span

if TYPE_CHECKING:
    import pandas as pd


def findings_of(results: Results) -> list[str]:
    """What may be said of each class; how well the models do, where they look, whether they agree."""
    return [*statement_lines(results), *measured_findings(results)]


def measured_findings(results: Results) -> list[str]:
    """The same without the statements."""
    return [*_accuracy(results), *_evidence(results), *_agreement(results)]


def _accuracy(results: Results) -> Iterable[str]:
    splits = [results.models[name]["splits"].get(results.split) for name in results.names]
    known = [figures for figures in splits if figures]
    if known:
        share = percent_span(figures["accuracy"] for figures in known)
        images = count(known[0]["images"], "image")
        yield f"Right on {share} of {images} of the {results.split} split ({count(len(known), 'model')})."


def _evidence(results: Results) -> Iterable[str]:
    for class_name in results.class_names:
        rows = [localisation_of(results.models[name], results.split).get(class_name) for name in results.names]
        known = [row for row in rows if row and row["evidence_images"] and row["energy"] is not None]
        if known:
            energy, area = (percent_span(row[key] for row in known) for key in ("energy", "area_share"))
            ratio = span((row["energy_ratio"] for row in known), 1)
            yield (
                f"Images of class {class_name}: {energy} of the positive map energy lies inside the evidence, which "
                f"covers {area} of the image ({ratio} times its share)."
            )


def _agreement(results: Results) -> Iterable[str]:
    rows = results.primary()
    if len(rows) == 0:
        return
    told = [told for name in results.class_names if (told := _correlations(rows[rows["class_name"] == name], name))]
    if told:
        yield f"Maps of two models of the same image correlate by {listed(told)}."


def _correlations(rows: "pd.DataFrame", class_name: str) -> str:
    """ "0.81 to 0.92 for infected (other images of the class: 0.10 to 0.20)"; empty where nothing was measured."""
    means, others = rows["mean"].dropna(), rows["other"].dropna()
    if len(means) == 0:
        return ""
    null = f" (maps of other images of the class: {span(others)})" if len(others) else ""
    return f"{span(means)} for {class_name}{null}"
