"""Compare the figures of this folder with the committed ones: another processor rounds differently."""

import json
import subprocess
from pathlib import Path
from typing import Any

import click

from wheretolook.diff.model_changes import MetricChange, metric_changes
from wheretolook.terminal.command import Command

METRICS = "reports/metrics.json"
SHOWN = 3


def committed_figures(root: Path) -> dict[str, Any] | None:
    """The figures of the last commit; None where git, the commit or the file is missing."""
    try:
        shown = subprocess.run(["git", "show", f"HEAD:./{METRICS}"], cwd=root, capture_output=True)
    except FileNotFoundError:
        return None
    return _read(shown.stdout) if shown.returncode == 0 else None


def moved_figures(root: Path) -> tuple[int, list[MetricChange]]:
    """The number of figures in both folder and commit, and those that differ, largest change first."""
    committed = committed_figures(root)
    path = root / METRICS
    found = _read(path.read_bytes()) if path.is_file() else None
    if committed is None or found is None:
        return 0, []
    shared = [change for change in metric_changes(committed, found) if change.change is not None]
    moved = [change for change in shared if change.change]
    return len(shared), sorted(moved, key=lambda change: -abs(change.change or 0.0))


def _read(content: bytes) -> dict[str, Any] | None:
    try:
        figures = json.loads(content)
    except ValueError:
        return None
    return figures if isinstance(figures, dict) else None


@click.command(cls=Command)
def main() -> None:
    """Print which figures of reports/metrics.json differ from the committed ones, and by how much."""
    count, moved = moved_figures(Path())
    if not moved:
        return
    click.echo(f"{METRICS}: {len(moved)} of {count} figures differ from the committed ones. The largest changes:")
    for change in moved[:SHOWN]:
        click.echo(f"  {change.name}: {change.a:.4g} -> {change.b:.4g} ({change.change:+.2g})")
    click.echo("  Another processor or PyTorch rounds differently. All changes: `dvc metrics diff`.")


if __name__ == "__main__":
    main()
