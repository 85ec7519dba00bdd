"""The command that makes a model, its maps or its figures again: for a model from Drive, stages of other names."""

import json
from collections.abc import Collection
from pathlib import Path

NAMES = "reports/names.json"
FROM_DRIVE = {"train": "sync", "export": "export-drive", "score": "score-drive"}


def remedy(path: Path, stage: str = "export") -> str:
    """How that which `path` belongs to is made again: `run "dvc repro -sf export@last-0"`.

    Args:
        path: in its place in a project: a folder of maps, its manifest, NAME.json or NAME.safetensors.
        stage: what makes it for a model that is trained here: a key of FROM_DRIVE.
    """
    name = path.parent.name if path.name == "manifest.json" else path.name
    name = name.removesuffix(".json").removesuffix(".safetensors")
    drive = _from_drive(path, name)
    here, fetched = f'"dvc repro -sf {stage}@{name}"', f'"dvc repro -sf {FROM_DRIVE[stage]}@{name}"'
    return f"run {fetched if drive else here}" + (f", or of a model from Drive {fetched}" if drive is None else "")


def _from_drive(path: Path, name: str) -> bool | None:
    """Whether the project that `path` lies in names the model under `drive`; None where it does not say."""
    names = next((folder / NAMES for folder in path.parents if (folder / NAMES).is_file()), None)
    try:
        found = json.loads(names.read_text(encoding="utf-8")) if names else {}
    except (OSError, ValueError):  # a message is under way: that this file is broken too is told where it is needed
        return None
    drive, models = (_named(found, key) for key in ("drive", "models"))
    return name in drive if name in models else None


def _named(found: object, key: str) -> Collection[str]:
    names = found.get(key) if isinstance(found, dict) else None
    return names if isinstance(names, list) else ()
