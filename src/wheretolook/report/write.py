"""Write every file of the report, and record the git revision that it was made from.

A page that named HEAD would change with every commit, even with the commit of the results themselves, and DVC would
see changed results. So the revision is recorded with a hash of the page's content in a small file that git tracks; a
run that produces the same content keeps the recorded revision.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wheretolook.base.files import replacing_folder, write_json, write_text
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.report.figures_maps import draw_augmentation, draw_classes, draw_images, draw_layers
from wheretolook.report.figures_results import (
    captions,
    draw_agreement,
    draw_confusion,
    draw_localisation,
    draw_training,
)
from wheretolook.report.gallery import Gallery
from wheretolook.report.headline import findings_of
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
    stability_table,
    training_table,
)
from wheretolook.report.sections_statements import statements_markdown
from wheretolook.report.site import page_of
from wheretolook.report.summary import summary_of
from wheretolook.report.words import REVISION_MARK

if TYPE_CHECKING:
    import pandas as pd


INPUTS = ("params.yaml", "dvc.yaml", "src", "stages")
SHOWN = 5


@dataclass(frozen=True)
class Revision:
    """A commit, and the inputs of the pipeline that differed from it.

    Attributes:
        commit: its hash; empty where there was no git repository, or no commit in it.
        changed: paths, sorted; a commit of later holds them.
        unknown: why the revision is unknown, in git's words; empty where it is known.
    """

    commit: str
    changed: tuple[str, ...]
    unknown: str = ""

    def words(self) -> str:
        """For the page."""
        if self.unknown:
            return f"unknown: {self.unknown}"
        if not self.commit:
            return "none: these results were made outside of a git repository, or before its first commit"
        shown = ", ".join(self.changed[:SHOWN])
        more = f" and {len(self.changed) - SHOWN} more" if len(self.changed) > SHOWN else ""
        return self.commit + (f", with changes in {shown}{more} that were not committed yet" if self.changed else "")


class GitRefusalError(Exception):
    """Git is not installed, or refuses a repository: its reason, in one line."""


def name_revision(page: str, record: Path) -> tuple[str, str]:
    """Put the revision that a page was first made from into its place.

    Args:
        page: with `REVISION_MARK` in it.
        record: the file that keeps the revision of one content, reports/revision.json; its folder lies in the
            project. Written where the content is another than it says.

    Returns:
        The same page, for the same page and record; and why the revision is unknown, or empty.
    """
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()
    known = _known(record, digest)
    if known is None:
        known = current_revision(record.parent.parent)
        kept = asdict(known)
        if not known.unknown:
            del kept["unknown"]
        write_json(record, {"page": digest, **kept})
    return page.replace(REVISION_MARK, known.words()), known.unknown


def _known(record: Path, digest: str) -> Revision | None:
    """The revision on record for this content; None where it is unknown, or the file is no record of this content."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        same = kept["page"] == digest and not kept.get("unknown")
        return Revision(kept["commit"], tuple(kept["changed"])) if same else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def current_revision(root: Path) -> Revision:
    """HEAD, and which inputs of the pipeline differ from it now.

    Args:
        root: the folder of dvc.yaml.
    """
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD").strip()
        if not commit:
            return Revision("", ())
        lines = _git(root, "status", "--porcelain", "--no-renames", "-z", "--", *INPUTS).split("\0")
    except GitRefusalError as refusal:
        return Revision("", (), str(refusal))
    return Revision(commit, tuple(sorted(line[3:] for line in lines if line)))


def _git(root: Path, *words: str) -> str:
    """What git prints; nothing outside of a repository, or where there is no commit yet.

    Raises:
        GitRefusalError: git is not installed, or fails with a reason.
    """
    english = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False, env=english)
    except FileNotFoundError:
        raise GitRefusalError("git is not installed, or not on the path") from None
    # "(or any": of the folders above, either. Without it, the repository that a file .git names is gone.
    if done.returncode and done.stderr.strip() and "not a git repository (or any" not in done.stderr:
        lines = done.stderr.strip().splitlines()
        said = next((line for line in lines if line.startswith("fatal:")), lines[0])
        raise GitRefusalError(_without_folders(said, root))
    return done.stdout if done.returncode == 0 else ""


def _without_folders(said: str, root: Path) -> str:
    """Replace absolute folders by relative ones: pages and records must not depend on the machine."""
    root = root.resolve()  # as git has it
    for folder in (root, *root.parents):
        said = said.replace(f"'{folder}'", f"'{os.path.relpath(folder, root)}'")
    return said


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
        _write_csv(folder / "stability.csv", stability_table(results))
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
        draw_figures(figures, results, prepared, maps, gallery, comparison)
        (site / "figures").mkdir()
        vectors = sorted(figures.glob("*.pdf"))
        for file in vectors:
            file.rename(site / "figures" / file.name)
        names = [file.stem for file in vectors]
        write_text(site / "figures/captions.md", captions(results, gallery.method, names))
        write_text(site / "index.html", page)
    return len(page.encode("utf-8")), unknown


def draw_figures(
    folder: Path, results: Results, prepared: Prepared, maps: Mapping[str, Maps], gallery: Gallery, comparison: Path
) -> None:
    """Every figure as PNG and PDF into an empty folder."""
    draw_images(folder / "images.png", results, prepared, maps, gallery)
    draw_layers(folder / "layers.png", results, prepared, maps, gallery)
    draw_classes(folder / "classes.png", results, maps, comparison, gallery.method)
    draw_agreement(folder / "agreement.png", results)
    draw_training(folder / "training.png", results)
    draw_confusion(folder / "confusion.png", results)
    draw_localisation(folder / "localisation.png", results)
    draw_augmentation(folder / "augmentation.png", results, prepared)


def data_of(results: Results, prepared: Prepared, gallery: Gallery) -> dict[str, Any]:
    """Findings, metrics, and the gallery's images with each model's scores and the difference of their maps.

    Figures are rounded to six digits; disagreement is null where it does not exist.
    """
    chosen = prepared.index.iloc[gallery.rows]
    return {
        "format": 1,
        "split": results.split,
        "class_names": list(results.class_names),
        "models": list(results.names),
        "data": next(iter(results.exports.values()))["data"]["sha256"],
        "findings": findings_of(results),
        "metrics": metrics_of(results),
        "gallery": {
            "of": gallery.total,
            "method": gallery.method,
            "images": [
                {
                    "image_id": image_id,
                    "class_name": class_name,
                    "disagreement": round(float(difference), 6) if np.isfinite(difference) else None,
                    "scores": {name: [round(float(s), 6) for s in gallery.scores[name][i]] for name in results.names},
                }
                for i, (image_id, class_name, difference) in enumerate(
                    zip(chosen["image_id"], chosen["class_name"], gallery.disagreement, strict=True)
                )
            ],
        },
    }


def _write_csv(path: Path, table: "pd.DataFrame") -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
