"""The page reports/site/index.html: every section's content, filled into the templates."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from wheretolook.analysis.results.comparison_result import NULLS
from wheretolook.base.errors import visible
from wheretolook.mapstore.store import Maps
from wheretolook.report.drawing import diverging, sequential
from wheretolook.report.gallery import sample_rows
from wheretolook.report.guessing import (
    all_on_these,
    baseline_of,
    baseline_rows,
    judged_models,
    label_notes,
    seen_words,
    val_chose,
)
from wheretolook.report.headline import accuracy_findings, agreement_findings, alerts_of, evidence_findings, headlines
from wheretolook.report.loaded import PAGE, TARGET, Results, shown_classes
from wheretolook.report.page_data import PageData, page_templates
from wheretolook.report.sections_agreement import (
    SHAPES,
    agreement_note,
    agreements,
    differences_section,
    nothing_compared,
)
from wheretolook.report.sections_data import audit_section, provenance_section
from wheretolook.report.sections_faithfulness import faithfulness_section, sanity_section, stability_section
from wheretolook.report.sections_localisation import located_section, test_sets_section
from wheretolook.report.sections_models import (
    confusions,
    curves_section,
    head_rows,
    label_agreement_rows,
    label_rows,
    located,
    model_rows,
    split_baselines,
    training_charts,
    value_rows,
)
from wheretolook.report.sections_probing import cues_section, occlusion_section, regions_section
from wheretolook.report.sections_statements import statements_section
from wheretolook.report.soundness import named_problems, soundness
from wheretolook.report.words import GLOSSARY, NOTHING, REVISION_MARK, count, link_terms, listed, term_id

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
    "stability": "Stability",
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
    "stability": "How far the maps move when the image changes a little.",
    "sanity": "Whether the maps depend on the learned weights.",
    "training": "Loss by epoch.",
    "data": "Images by class and split, copies and contradictory labels.",
    "provenance": "Models, parameters and versions behind this page.",
}


def page_of(results: Results, maps: Mapping[str, Maps], data: PageData) -> str:
    """The whole page, but for its git revision: the same text for the same inputs."""
    from markupsafe import Markup

    inlined = {
        "styles": Markup(_sources(STYLES)),
        "scripts": Markup(_sources(SCRIPTS)),
        "described": Markup(_json(data.described)),
        "packed": data,
    }
    page = page_templates().get_template("page.html.j2").render(**_context(results, maps, data), **inlined)
    shown, script, rest = page.partition("<script")
    return link_terms(shown) + script + rest


def _context(results: Results, maps: Mapping[str, Maps], data: PageData) -> dict[str, Any]:
    layers = data.described["layers"]
    checks, regions, cues = soundness(results), regions_section(results), cues_section(results)
    occlusion, stability = occlusion_section(results), stability_section(results)
    sections = {"regions": regions, "cues": cues, "occlusion": occlusion, "stability": stability}
    see = {part: section["see"] for part, section in sections.items() if section}
    split = results.audit["splits"][results.split]
    located_rows, baseline = located(results, layers), baseline_of(results)
    optional = {
        "faithfulness": faithfulness_section(results),
        "curves": curves_section(results),
        "stability": stability,
        "sanity": sanity_section(results, layers),
        "regions": regions,
        "cues": cues,
        "occlusion": occlusion,
    }
    parts = {part: title for part, title in PARTS.items() if optional.get(part, True)}
    links = {part: part if part in parts else INSTEAD[part] for part in PARTS if part in parts or part in INSTEAD}
    compared, where, differences = agreements(results), located_section(results), differences_section(results)
    anchors = {
        part: {row["class_name"]: _anchor(results, part, row["class_name"]) for row in rows}
        for part, rows in {
            "agreement": compared,
            "located": where["classes"],
            "regions": regions["classes"] if regions else (),
            "cues": cues["classes"] if cues else (),
            "classes": () if not differences or differences["reason"] else differences["tables"],
        }.items()
    }
    return {
        "heading": listed(results.names),
        "lead": _lead(results),
        "parts": list(parts.items()),
        "titles": PARTS,
        "gists": _gists(results, {check.key: check.text for check in checks}, see)
        | _gallery_gist(results, data.described),
        "links": links,
        "anchors": anchors,
        "checks": checks,
        "problems": named_problems(checks),
        "headlines": headlines(results),
        "judged": judged_models(results),
        "glossary": [(term, term_id(term), words) for term, words in GLOSSARY.items()],
        **optional,
        "differences": differences,
        "names": results.names,
        "class_names": results.class_names,
        "split": results.split,
        "images": count(split["images"], "image"),
        "statements": statements_section(results),
        "alerts": alerts_of(results),
        "models": model_rows(results),
        "baselines": baseline_rows(results),
        "labels": label_rows(results),
        "label_agreement": label_agreement_rows(results),
        "label_notes": label_notes(results),
        "values": value_rows(results),
        "baseline": baseline.words if baseline else NOTHING,
        "split_baselines": split_baselines(results),
        "seen": seen_words(results),
        "held_out": all_on_these(results),
        "val_chose": val_chose(results),
        "has_evidence": located_rows is not None,
        "confusions": confusions(results),
        "located": located_rows,
        "located_figures": where,
        "target": TARGET,
        "classes_note": _classes_note(results),
        "gallery_note": _gallery_note(results, data.described),
        "sample": sample_rows(results.class_names, data.cells),
        "agreements": compared,
        "agreement_note": agreement_note(results),
        "nothing_compared": nothing_compared(results),
        "null_labels": [(kind, NULLS[kind]) for kind in NULLS if results.primary()[kind].notna().any()],
        "null_shapes": SHAPES,
        "training": training_charts(results),
        "heads": head_rows(results, layers),
        "audit": audit_section(results.audit) | test_sets_section(results),
        "provenance": provenance_section(results, maps),
        "revision": REVISION_MARK,
        "ramps": {"sequential": _ramp(sequential()), "diverging": _ramp(diverging())},
    }


def _anchor(results: Results, part: str, class_name: str) -> str:
    """Id of a class's part of a section; names of classes may hold anything, so it has the number."""
    return f"{part}-of-{results.class_names.index(class_name)}"


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


def _gallery_gist(results: Results, described: Mapping[str, Any]) -> dict[str, str]:
    """The images whose maps differ most and least; empty where there is nothing to compare."""
    known = [each for each in described["images"] if each["disagreement"] is not None]
    if len(known) < 2 or not judged_models(results):
        return {}
    ends = (pick(known, key=lambda each: each["disagreement"]) for pick in (max, min))
    most, least = (f"{each['id']} ({described['classNames'][each['label']]})" for each in ends)
    return {"gallery": f"Of the images shown, the maps of two models differ most on {most} and least on {least}."}


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
        "classify correctly as images that some model does not; what one kind cannot fill, the others share. Of each "
        "kind, images are taken at even steps from the lowest to the highest mean score of the true class."
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
