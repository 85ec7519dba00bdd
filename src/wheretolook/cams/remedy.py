"""The command that makes a model's maps or figures again; of a model from Drive the stages have names of their own."""

import json
from collections.abc import Collection
from pathlib import Path

NAMES = "reports/names.json"


def remedy(path: Path, stage: str = "export") -> str:
    """How that which `path` belongs to is made again: `run "dvc repro -sf export@last-0"`.

    Args:
        path: of a model, in its place in a project: a folder of maps or a manifest, or figures, `NAME.json`.
        stage: what makes it, "export" or "score".
    """
    name = path.parent.name if path.name == "manifest.json" else path.stem if path.suffix == ".json" else path.name
    drive = _from_drive(path, name)
    here, fetched = f'"dvc repro -sf {stage}@{name}"', f'"dvc repro -sf {stage}-drive@{name}"'
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
