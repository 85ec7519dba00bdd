"""reports/data.json: what the page says, for scripts of one's own and for the comparison of two revisions."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.base.errors import visible
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.report.drawing import diverging, sequential
from wheretolook.report.gallery import Gallery
from wheretolook.report.guessing import all_on_these, baseline_of, baseline_rows, judged_models, seen_words
from wheretolook.report.headline import (
    accuracy_findings,
    agreement_findings,
    alerts_of,
    evidence_findings,
    findings_of,
    headlines,
)
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
from wheretolook.report.sections_localisation import located_section, test_sets_section
from wheretolook.report.sections_models import (
    confusions,
    curves_section,
    head_rows,
    located,
    model_rows,
    split_baselines,
    training_charts,
)
from wheretolook.report.sections_probing import cues_section, occlusion_section, regions_section
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.soundness import named_problems, soundness
from wheretolook.report.words import NOTHING, count, listed


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


STYLES = ("style.css", "explore.css")
# In the order in which one builds on another.
SCRIPTS = ("unpack.js", "maps.js", "paint.js", "state.js", "gallery.js", "layers.js", "classes.js", "main.js")
PARTS = {
    "models": "Models",
    "located": "Where maps lie",
    "gallery": "Image by image",
    "layers": "Layer by layer",
    "classes": "Classes",
    "agreement": "Agreement",
    "regions": "Necessity",
    "cues": "Global cues",
    "faithfulness": "Faithfulness",
    "occlusion": "Occlusion",
    "curves": "Insertion and deletion",
    "sanity": "Sanity",
    "training": "Training",
    "data": "Data",
    "provenance": "Provenance",
}
# Shown where the section has no finding of its own.
GISTS = {
    "models": "Accuracy, calibration and confusion matrix of each model.",
    "located": "Where the maps lie, by mask and by split.",
    "gallery": "Each image with the maps of every model, side by side.",
    "layers": "One image through all layers of all models.",
    "classes": "The mean map of each class, and the places where classes differ.",
    "agreement": "How well the maps of two models agree.",
    "regions": "Whether predictions change when a region is infilled, and when a look-alike place is.",
    "cues": "What the colour, brightness and frequencies of the image do to the predictions.",
    "faithfulness": "What removing the pixels that a map marks does to the score.",
    "occlusion": "A check of the CAMs by a method that needs only the network's outputs.",
    "curves": "The classic curves, which score.curve_steps turns on.",
    "sanity": "Whether the maps depend on the learned weights.",
    "training": "Loss by epoch.",
    "data": "Images by class and split, copies and contradictory labels.",
    "provenance": "Models, parameters and versions behind this page.",
}
GLOSSARY = {
    "CAM": "Class activation map: for each place of the image, how much it contributes to a class; signed, in logits.",
    "Contrast": "The CAM of a class minus the mean CAM of the other classes.",
    "Evidence mask": "Where the truth is: for instance the parasite of an infected cell.",
    "Foreground": "The object, for instance the whole cell.",
    "Energy": "The share of a map's positive sum inside a region. At chance it equals the region's share of the area.",
    "Odds ratio of map energy": "Odds of energy inside a region over the odds of its area; 1 is the chance level.",
    "r": "Pearson correlation of two models' maps of one image, averaged over images.",
    "Baseline": "What a figure is without a shared view: maps of other images, a blob at the centre, average maps, "
    "networks with random weights.",
    "Infilling": "Replacing the pixels of a region by plausible ones, to see whether the prediction changes.",
    "Control place": "A place of the same size and shape in the same image, outside the region.",
    "Look-alike": "A place in an image of another class that resembles the region.",
    "ECE": "Expected calibration error: how far scores are from the share of correct predictions.",
    "Balanced accuracy": "Mean of the recalls of all classes.",
    "95 % interval": "Confidence interval; its unit is the group (for instance the patient) where groups are known.",
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
        "packed": data,
    }
    return templates.get_template("page.html.j2").render(**_context(results, maps, data), **inlined)


def _context(results: Results, maps: Mapping[str, Maps], data: PageData) -> dict[str, Any]:
    layers = data.described["layers"]
    checks, regions, cues = soundness(results), regions_section(results), cues_section(results)
    see = {part: section["see"] for part, section in (("regions", regions), ("cues", cues)) if section}
    split = results.audit["splits"][results.split]
    located_rows, baseline = located(results, layers), baseline_of(results)
    optional = {
        "faithfulness": faithfulness_section(results),
        "curves": curves_section(results),
        "sanity": sanity_section(results, layers),
        "regions": regions,
        "cues": cues,
        "occlusion": occlusion_section(results),
    }
    parts = {part: title for part, title in PARTS.items() if optional.get(part, True)}
    return {
        "heading": listed(results.names),
        "lead": _lead(results),
        "parts": list(parts.items()),
        "titles": PARTS,
        "gists": _gists(results, {check.key: check.text for check in checks}, see),
        "links": {part: part if part in parts else INSTEAD[part] for part in PARTS if part in parts or part in INSTEAD},
        "checks": checks,
        "problems": named_problems(checks),
        "headlines": headlines(results),
        "judged": judged_models(results),
        "glossary": GLOSSARY.items(),
        **optional,
        "differences": differences_section(results),
        "names": results.names,
        "class_names": results.class_names,
        "split": results.split,
        "images": count(split["images"], "image"),
        "statements": statements_section(results),
        "alerts": alerts_of(results),
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
        "heads": head_rows(results, layers),
        "audit": audit_section(results.audit) | test_sets_section(results),
        "provenance": provenance_section(results, maps),
        "revision": PLACE,
        "ramps": {"sequential": _ramp(sequential()), "diverging": _ramp(diverging())},
    }


# Sections that a link leads to where its own section is missing.
INSTEAD = {"regions": "located", "cues": "models", "sanity": "models"}


def _gists(results: Results, checks: Mapping[str, str], see: Mapping[str, str]) -> dict[str, str]:
    """One sentence for each section: its finding, else what is in it."""
    found = {
        "models": " ".join(accuracy_findings(results)),
        "located": " ".join(evidence_findings(results)),
        "agreement": " ".join(agreement_findings(results)) or nothing_compared(results),
        "sanity": checks.get("sanity", ""),
        "training": checks.get("convergence", ""),
        "data": checks["leaks"],
        **see,
    }
    if not judged_models(results):
        found |= dict.fromkeys(("models", "located", "agreement"), "")
    return {part: found.get(part) or gist for part, gist in GISTS.items()}


def _lead(results: Results) -> str:
    models = count(len(results.names), "image classifier")
    images = count(results.audit["images"], "image")
    names = results.class_names
    classes = listed(names) if len(names) <= PAGE else count(len(names), "class")
    return f"Class activation maps of {models}, over {images} of {classes}."


def _classes_note(results: Results) -> str:
    note = shown_classes(results, PAGE, results.overlays["classes"]).note
    return f"{note} data/comparison/ has all." if note else ""


def _gallery_note(results: Results, described: Mapping[str, Any]) -> str:
    shown, total, split = len(described["images"]), described["total"], described["split"]
    which = (
        f"All {total} images of the {split} split."
        if shown == total
        else f"{shown} of the {total} images of the {split} split: of each class, as many images that all models "
        "classify correctly as images that some model does not; what one kind cannot fill, the others share."
    )
    difference = (
        " Difference of maps: 1 minus the mean correlation of two models' maps "
        f"({described['method']}, last layer, {TARGET}); 0 equal, 1 unrelated, 2 opposite. "
        "Correlation ignores strength: where every map is pale, the models found little, each in its own place."
        if len(described["models"]) > 1
        else ""
    )
    return which + difference


def _sources(names: tuple[str, ...]) -> str:
    folder = files("wheretolook.report") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _json(value: Any) -> str:
    """JSON that is safe inside a script element: no "<" can end it."""
    text = json.dumps(_seen(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _seen(value: Any) -> Any:
    """The same value with every character of its texts visible, so that no name can mislead the reader."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _seen(each) for key, each in value.items()}
    return [_seen(each) for each in value] if isinstance(value, list | tuple) else value


def _ramp(table: Any) -> str:
    stops = ",".join(f"rgb({r} {g} {b})" for r, g, b in table[::15].tolist())
    return f"linear-gradient(90deg,{stops})"
