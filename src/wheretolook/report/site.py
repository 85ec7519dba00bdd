"""reports/data.json: what the page says, for scripts of one's own and for the comparison of two revisions."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from wheretolook.base.display import visible
from wheretolook.dataset.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.report.drawing import diverging, sequential
from wheretolook.report.findings import alerts_of, findings_of, measured_findings, still_falling
from wheretolook.report.gallery import Gallery
from wheretolook.report.guessing import all_on_these, baseline_of, baseline_rows, seen_words
from wheretolook.report.loaded import PAGE, TARGET, Results, shown_classes
from wheretolook.report.page_data import PageData
from wheretolook.report.plots import metrics_of
from wheretolook.report.revision import PLACE
from wheretolook.report.sections_agreement import (
    SHAPES,
    agreement_note,
    agreements,
    differences_section,
    nothing_compared,
)
from wheretolook.report.sections_data import audit_section, provenance_section
from wheretolook.report.sections_faithfulness import faithfulness_section, sanity_section
from wheretolook.report.sections_localisation import located_section
from wheretolook.report.sections_models import (
    confusions,
    curves_section,
    head_rows,
    located,
    model_rows,
    split_baselines,
    training_charts,
)
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.words import NOTHING, count, listed
from wheretolook.results.agreement_row import NULLS


def data_of(results: Results, prepared: Prepared, gallery: Gallery) -> dict[str, Any]:
    """Findings, metrics, and the gallery's images with each model's scores and how far their maps stand apart.

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
                    "disagreement": round(float(apart), 6) if np.isfinite(apart) else None,
                    "scores": {name: [round(float(s), 6) for s in gallery.scores[name][i]] for name in results.names},
                }
                for i, (image_id, class_name, apart) in enumerate(
                    zip(chosen["image_id"], chosen["class_name"], gallery.disagreement, strict=True)
                )
            ],
        },
    }


STYLES = ("style.css", "explore.css")
# In the order in which one builds on another.
SCRIPTS = ("unpack.js", "maps.js", "paint.js", "state.js", "gallery.js", "layers.js", "classes.js", "main.js")
PARTS = {
    "answers": "Answers",
    "models": "Models",
    "located": "Where maps lie",
    "gallery": "Image by image",
    "layers": "Layer by layer",
    "classes": "Classes",
    "agreement": "Agreement",
    "faithfulness": "Faithfulness",
    "curves": "Insertion and deletion",
    "sanity": "Sanity",
    "training": "Training",
    "data": "Data",
    "provenance": "Provenance",
}


def page_of(results: Results, maps: Mapping[str, Maps], data: PageData) -> str:
    """The whole page, but for its git revision: the same text for the same inputs."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("wheretolook.report"),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    inlined = {
        "styles": Markup(_sources(STYLES)),
        "scripts": Markup(_sources(SCRIPTS)),
        "described": Markup(_json(data.described)),
        "blocks": data.blocks,
    }
    return templates.get_template("page.html.j2").render(**_context(results, maps, data), **inlined)


def _context(results: Results, maps: Mapping[str, Maps], data: PageData) -> dict[str, Any]:
    layers = data.described["layers"]
    split = results.audit["splits"][results.split]
    located_rows, baseline = located(results, layers), baseline_of(results)
    optional = {
        "faithfulness": faithfulness_section(results),
        "curves": curves_section(results),
        "sanity": sanity_section(results, layers),
    }
    return {
        "heading": listed(results.names),
        "lead": _lead(results),
        "parts": [(part, title) for part, title in PARTS.items() if optional.get(part, True)],
        **optional,
        "differences": differences_section(results),
        "names": results.names,
        "class_names": results.class_names,
        "split": results.split,
        "images": count(split["images"], "image"),
        "statements": statements_section(results),
        "alerts": alerts_of(results),
        "findings": measured_findings(results),
        "models": model_rows(results),
        "baselines": baseline_rows(results),
        "baseline": baseline.words if baseline else NOTHING,
        "split_baselines": split_baselines(results),
        "seen": seen_words(results),
        "held_out": all_on_these(results),
        "has_evidence": located_rows is not None,
        "confusions": confusions(results),
        "located": located_rows,
        "located_figures": located_section(results),
        "target": TARGET,
        "classes_note": _classes_note(results),
        "gallery_note": _gallery_note(results, data.described),
        "agreements": agreements(results),
        "agreement_note": agreement_note(results),
        "nothing_compared": nothing_compared(results),
        "null_labels": [(kind, NULLS[kind]) for kind in NULLS if results.primary()[kind].notna().any()],
        "null_shapes": SHAPES,
        "training": training_charts(results),
        "still_falling": still_falling(results),
        "heads": head_rows(results, layers),
        "audit": audit_section(results.audit),
        "provenance": provenance_section(results, maps),
        "revision": PLACE,
        "ramps": {"sequential": _ramp(sequential()), "diverging": _ramp(diverging())},
    }


def _lead(results: Results) -> str:
    models = count(len(results.names), "image classifier")
    images = count(results.audit["images"], "image")
    names = results.class_names
    classes = listed(names) if len(names) <= PAGE else count(len(names), "class")
    return f"Class activation maps of {models}, over {images} of {classes}."


def _classes_note(results: Results) -> str:
    note = shown_classes(results, PAGE, results.overlays["classes"]).note
    return f"{note} All stand in data/comparison/." if note else ""


def _gallery_note(results: Results, described: Mapping[str, Any]) -> str:
    shown, total, split = len(described["images"]), described["total"], described["split"]
    which = (
        f"All {total} images of the {split} split."
        if shown == total
        else f"{shown} of the {total} images of the {split} split: of each class, images that all models got right and "
        "images that some model got wrong have equal shares of the places; what one of them cannot fill, the others "
        "share."
    )
    apart = (
        " Maps apart: 1 less the mean correlation of two models' maps "
        f"({described['method']}, last layer, {TARGET}); 0 alike, 1 unrelated, 2 opposed. "
        "Correlation is blind to strength: where every map is pale, the models found little, each in its own place."
        if len(described["models"]) > 1
        else ""
    )
    return which + apart


def _sources(names: tuple[str, ...]) -> str:
    folder = files("wheretolook.report") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _json(value: Any) -> str:
    """JSON that may stand inside a script element: no "<" can end it."""
    text = json.dumps(_seen(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _seen(value: Any) -> Any:
    """The same value, with every character in its texts to be seen: what the script shows, a reader can trust."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _seen(each) for key, each in value.items()}
    return [_seen(each) for each in value] if isinstance(value, list | tuple) else value


def _ramp(table: Any) -> str:
    stops = ",".join(f"rgb({r} {g} {b})" for r, g, b in table[::15].tolist())
    return f"linear-gradient(90deg,{stops})"
