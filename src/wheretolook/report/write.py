"""Write every file of the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wheretolook.base.files import replacing_folder, write_json, write_text
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.report.figures_maps import draw_classes, draw_images, draw_layers
from wheretolook.report.figures_results import (
    captions,
    draw_agreement,
    draw_confusion,
    draw_localisation,
    draw_training,
)
from wheretolook.report.gallery import Gallery
from wheretolook.report.loaded import Results
from wheretolook.report.page_data import page_data
from wheretolook.report.plots import (
    agreement_table,
    confusion_table,
    curves_table,
    faithfulness_table,
    layers_table,
    localisation_table,
    metrics_of,
    sanity_table,
    training_table,
)
from wheretolook.report.revision import name_revision
from wheretolook.report.sections_statements import statements_markdown
from wheretolook.report.site import data_of, page_of
from wheretolook.report.summary import summary_of

if TYPE_CHECKING:
    import pandas as pd


def write_tables(
    reports: Path, results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery
) -> None:
    """metrics.json, summary.md, statements.md, data.json and plots/."""
    write_json(reports / "metrics.json", metrics_of(results))
    write_text(reports / "summary.md", summary_of(results))
    if results.statements is not None:
        write_text(reports / "statements.md", statements_markdown(results.statements))
    write_json(reports / "data.json", data_of(results, prepared, gallery))
    rows = prepared.rows(results.split)
    with replacing_folder(reports / "plots") as folder:
        _write_csv(folder / "training.csv", training_table(results))
        _write_csv(folder / "training_layers.csv", layers_table(results))
        _write_csv(folder / "agreement.csv", agreement_table(results))
        _write_csv(folder / "localisation.csv", localisation_table(results))
        _write_csv(folder / "faithfulness.csv", faithfulness_table(results))
        _write_csv(folder / "sanity.csv", sanity_table(results))
        _write_csv(folder / "curves.csv", curves_table(results))
        (folder / "confusion").mkdir()
        for name, stored in maps.items():
            predicted = stored.logits()[rows].argmax(axis=1)
            table = confusion_table(prepared.labels[rows], predicted, prepared.class_names)
            _write_csv(folder / "confusion" / f"{name}.csv", table)


def write_site(
    reports: Path,
    results: Results,
    prepared: Prepared,
    maps: Mapping[str, Maps],
    gallery: Gallery,
    comparison: Path,
    cells: int,
) -> tuple[int, str]:
    """figures/*.png; site/ with index.html and the same figures as PDF with captions; and revision.json.

    Returns:
        The page's size in bytes; and why its git revision is unknown, or empty.
    """
    page = page_of(results, maps, page_data(results, prepared, maps, gallery, comparison, cells))
    page, unknown = name_revision(page, reports / "revision.json")
    with replacing_folder(reports / "figures") as figures, replacing_folder(reports / "site") as site:
        _draw(figures, results, prepared, maps, gallery, comparison)
        (site / "figures").mkdir()
        vectors = sorted(figures.glob("*.pdf"))
        for file in vectors:
            file.rename(site / "figures" / file.name)
        names = [file.stem for file in vectors]
        write_text(site / "figures/captions.md", captions(results, gallery.method, names))
        write_text(site / "index.html", page)
    return len(page.encode("utf-8")), unknown


def _draw(
    folder: Path, results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery, comparison: Path
) -> None:
    draw_images(folder / "images.png", results, prepared, maps, gallery)
    draw_layers(folder / "layers.png", results, prepared, maps, gallery)
    draw_classes(folder / "classes.png", results, maps, comparison, gallery.method)
    draw_agreement(folder / "agreement.png", results)
    draw_training(folder / "training.png", results)
    draw_confusion(folder / "confusion.png", results)
    draw_localisation(folder / "localisation.png", results)


def _write_csv(path: Path, table: "pd.DataFrame") -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
