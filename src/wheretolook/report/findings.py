"""The few sentences that a reader should take away, made from figures that are tabled elsewhere."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wheretolook.report.metrics import localisation_of
from wheretolook.report.results import Results
from wheretolook.report.sections_statements import statement_overview
from wheretolook.report.words import count, listed, percent_span, span

if TYPE_CHECKING:
    import pandas as pd


def findings_of(results: Results) -> list[str]:
    """What may be said of the classes; how well the models do, whether they agree, where they look."""
    overview = statement_overview(results)
    return [*([overview] if overview else []), *measured_findings(results)]


def measured_findings(results: Results) -> list[str]:
    """The same without the statements."""
    return [*_accuracy(results), *_agreement(results), *_evidence(results)]


def _accuracy(results: Results) -> Iterable[str]:
    splits = [results.models[name]["splits"].get(results.split) for name in results.names]
    known = [figures for figures in splits if figures]
    if known:
        share = percent_span(figures["accuracy"] for figures in known)
        images = count(known[0]["images"], "image")
        models = count(len(known), "model")
        are = "is" if len(known) == 1 else "are"
        yield f"The {models} {are} right on {share} of {images} of the {results.split} split."


def _evidence(results: Results) -> Iterable[str]:
    for class_name in results.class_names:
        rows = [localisation_of(results.models[name], results.split).get(class_name) for name in results.names]
        known = [row for row in rows if row and row["evidence_images"] and row["energy"] is not None]
        if known:
            energy, area = (percent_span(row[key] for row in known) for key in ("energy", "area_share"))
            ratio = span((row["energy_ratio"] for row in known), 1)
            yield (
                f"On images of {class_name}, {energy} of a map's positive part lies inside the evidence, which covers "
                f"{area} of the image: {ratio} times its share."
            )


def _agreement(results: Results) -> Iterable[str]:
    rows = results.primary()
    if len(rows) == 0:
        return
    told = [told for name in results.class_names if (told := _correlations(rows[rows["class_name"] == name], name))]
    if told:
        yield f"Two models' maps of one image correlate by {listed(told)}."


def _correlations(rows: "pd.DataFrame", class_name: str) -> str:
    """ "0.81 to 0.92 for infected (maps of different images: 0.10 to 0.20)"; empty where nothing was measured."""
    means, others = rows["mean"].dropna(), rows["other"].dropna()
    if len(means) == 0:
        return ""
    null = f" (maps of different images: {span(others)})" if len(others) else ""
    return f"{span(means)} for {class_name}{null}"
