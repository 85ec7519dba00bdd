"""Bring files that DVC tracks and that are not here: first from its cache, then from its remote."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def bring(paths: Sequence[Path]) -> list[Path]:
    """Let DVC put back those of `paths` that are missing, and give those that are missing still.

    DVC holds no lock while a stage runs, so a stage may ask for this. Outside a DVC repository nothing is tried.
    """
    for command in ("checkout", "pull"):
        missing = [path for path in paths if not path.is_file()]
        root = repository_of(missing[0]) if missing else None
        if root is None:
            return missing
        targets = [str(path.absolute().relative_to(root)) for path in missing]
        # A target that DVC does not know is no error here: what counts is what stands there afterwards.
        subprocess.run(
            [sys.executable, "-m", "dvc", command, "--quiet", *targets], cwd=root, capture_output=True, check=False
        )
    return [path for path in paths if not path.is_file()]


def repository_of(path: Path) -> Path | None:
    """The DVC repository that `path` lies in, if any."""
    return next((folder for folder in path.absolute().parents if (folder / ".dvc" / "config").is_file()), None)
