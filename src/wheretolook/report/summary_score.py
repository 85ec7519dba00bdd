"""The summary's part of what `score` found: removal, foreground, groups and sanity."""

from collections.abc import Callable, Iterable, Sequence

from wheretolook.report.baselines import baseline_of
from wheretolook.report.results import Results
from wheretolook.report.sanity import sanity_lines
from wheretolook.report.sections_faithfulness import faithfulness_section
from wheretolook.report.sections_located import located_section
from wheretolook.report.shown import in_order
from wheretolook.report.words import NOTHING, number, number_with_interval, percent

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
REMOVAL = (
    "model",
    "class",
    "whole",
    "evidence out",
    "own map out",
    "random map out",
    "random less own",
    "own less evidence",
)
NECESSITY = (
    "model",
    "class",
    "region",
    "infill",
    "images",
    "predictions that flip",
    "at control places",
    "log-odds lost beyond them",
)
CUES = ("model", "cue", "class", "images", "predictions that flip", "by the same class's")
FOREGROUND = ("model", "class", "images", "area (estimated)", "energy on it (estimated, 95 %)", "ratio")
GROUPS = ("model", "figure", "groups", "mean (95 %)", "lowest", "highest", "SD", "worst groups")
SANITY = (
    "A map passes if its likeness to the same image's map by networks of random weights exceeds its likeness to their "
    "maps of other images of the class by less than 0.1, and fails if by more (95 % intervals over images and draws; "
    "open where neither is sure). Maps that fail show the image, and not only what was learned."
)


def score_parts(results: Results, table: Table) -> Iterable[str]:
    """Headings, tables and notes, as far as there are such figures.

    Args:
        results: finished results.
        table: makes Markdown of a head and rows.
    """
    removal = list(_removal(results))
    if removal:
        asked = next(found for name in results.names if (found := results.models[name]["faithfulness"]))
        yield "## Score after removal"
        yield table(REMOVAL, removal)
        yield (
            f"Mean score of the true class with the first {percent(asked['fraction'], 0)} of the pixels taken out; "
            "differences are paired by image, with 95 % intervals. Undefined where an image that is filled in from "
            "its frame keeps over half of its score."
        )
        if note := faithfulness_section(results)["note"]:
            yield note
    if rows := list(_necessity(results)):
        yield "## Is a region needed?"
        yield table(NECESSITY, rows)
        yield (
            "Regions of the masks infilled in two ways, beside places of the same size and shape in the same images; "
            "95 % intervals."
        )
    if rows := list(_cues(results)):
        yield "## Cues of the whole image"
        yield table(CUES, rows)
        yield "Each cue taken from an image of another class; beside it, from another image of the same class."
    located, baseline = located_section(results), baseline_of(results)
    for title, head, rows, note in (
        ("Energy on the estimated foreground", FOREGROUND, located["foreground"], located["foreground_note"]),
        ("By group", GROUPS, located["groups"], f"Accuracy compares with {baseline.words}." if baseline else ""),
    ):
        if rows:
            yield f"## {title}"
            yield table(head, (tuple(row.values()) for row in rows))
            yield from [note] if note else []
    sane = list(sanity_lines(results))
    if sane:
        yield from ("## Sanity of the maps", "\n".join(sane), SANITY)


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
    """The classes whose removal is shown: of hundreds not all."""
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
