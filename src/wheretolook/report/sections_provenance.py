"""Where everything comes from: models by content, how they were trained, every parameter, versions."""

from collections.abc import Iterable, Mapping
from typing import Any

from wheretolook.cams.store import Maps
from wheretolook.report.results import Results
from wheretolook.report.trained_on import origin_of, trained_on
from wheretolook.report.words import NOTHING, listed

PACKAGES = ("dvc", "matplotlib", "numpy", "pandas", "pillow", "safetensors", "scikit-learn", "scipy", "torch")
# Sections of params.yaml in the order of the pipeline; these two hold an entry for each model.
SECTIONS = ("fetch", "prepare", "train", "models", "sync", "drive", "export", "score", "compare", "report")
BY_MODEL = ("models", "drive")


def provenance_section(results: Results, maps: Mapping[str, Maps]) -> dict[str, Any]:
    """Each model by content, how it was trained, the parameters of every stage, and what made the page."""
    return {
        "models": [_model(results, maps[name], name) for name in results.names],
        "names": results.names,
        "training": training_rows(results),
        "parameters": parameter_rows(results),
        "lines": list(_lines(results)),
    }


def _model(results: Results, stored: Maps, name: str) -> dict[str, str]:
    model = results.models[name]["model"]
    arguments = ", ".join(f"{key} {value}" for key, value in sorted((model.get("arguments") or {}).items()))
    methods = sorted({method for method, _ in stored.names})
    return {
        "name": name,
        "network": f"{model['architecture']}{f' ({arguments})' if arguments else ''}",
        "origin": origin_of(results, name),
        "trained_on": trained_on(results, name).value,
        "maps": f"{listed(methods)}, {results.exports[name]['precision']}",
        "sha256": model["sha256"],
    }


def training_rows(results: Results) -> list[dict[str, Any]]:
    """For each option that some model's training read, its value in each model, as the model's file says it."""
    each = [results.models[name]["model"].get("training") or {} for name in results.names]
    keys = dict.fromkeys(key for training in each for key in training)
    return [{"name": key, "cells": [said(training.get(key)) for training in each]} for key in keys]


def parameter_rows(results: Results) -> list[dict[str, str]]:
    """Every section of params.yaml in one line; `models` and `drive` have a line for each of their entries."""
    rows = []
    for section in SECTIONS:
        values = results.parameters[section]
        if section in BY_MODEL:
            named = [name for name in results.names if name in values]
            rows += [{"name": f"{section}.{name}", "said": _values(values[name])} for name in named]
        else:
            rows.append({"name": section, "said": _values(values)})
    return rows


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {said(value)}" for key, value in values.items())


def said(value: Any) -> str:
    """A value as params.yaml would have it: true, [cam, gradcam], ''; a dash where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(said, value))}]"
    return str(value) if value != "" else "''"


def _lines(results: Results) -> Iterable[str]:
    import platform
    from importlib.metadata import version

    hashes = results.audit["sha256"]
    yield f"Images: SHA-256 {hashes['images.npy']}; index: {hashes['index.csv']}."
    yield "Maps: every array by its SHA-256 in reports/exports/, a manifest for each model."
    packages = listed(f"{name} {version(name)}" for name in PACKAGES)
    yield f"This page was made with Python {platform.python_version()}, {packages}."
