"""Bring files that DVC tracks and that are not here: first from its cache, then from its remote."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# That a file is neither in the cache nor in the remote is what the caller says, too.
_NO_MORE = "Checkout failed for following targets"


def bring(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Let DVC put back those of `paths` that are missing.

    DVC holds no lock while a stage runs, so a stage may ask for this. Outside a DVC repository nothing is tried.

    Returns:
        Those that are missing still, and why, to stand behind "found no file" (`told`); empty where DVC gave no reason.
    """
    said = ""
    for command in ("checkout", "pull"):
        missing = [path for path in paths if not path.is_file()]
        root = repository_of(missing[0]) if missing else None
        if root is None:
            return missing, ""
        targets = [str(path.absolute().relative_to(root)) for path in missing]
        # A target that DVC does not know is no error here: what counts is what stands there afterwards. Not --quiet,
        # which would keep the reason back: a login that failed, a kind of remote that is not installed.
        done = subprocess.run(
            [sys.executable, "-m", "dvc", command, *targets], cwd=root, capture_output=True, check=False
        )
        said = _reason(done.stderr.decode(errors="replace")) if done.returncode else ""
    return [path for path in paths if not path.is_file()], told(said)


def told(reason: str) -> str:
    """DVC's reason as it stands behind "found no file"; nothing for none."""
    return f" (DVC said: {reason})" if reason else ""


def repository_of(path: Path) -> Path | None:
    """The DVC repository that `path` lies in, if any."""
    return next((folder for folder in path.absolute().parents if (folder / ".dvc" / "config").is_file()), None)


def _reason(stderr: str) -> str:
    """The first error, which those behind it follow from; what ended it otherwise, as the last line of a traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return next((line for line in errors if _NO_MORE not in line), "") if errors else "".join(lines[-1:])
