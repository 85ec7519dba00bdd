"""`wheretolook diff`: changes between models or git revisions. `wheretolook moved`: changes since the last commit."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wheretolook.base.terminal.command import Command
from wheretolook.base.terminal.options import FiniteRange

if TYPE_CHECKING:
    from wheretolook.diff.model_changes import MetricChange

FILE = click.Path(path_type=Path)


class Place(click.Path):
    """An output path that is not empty: an unset shell variable would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check."""
        return super().convert(value, param, ctx) if value != "" else self.fail("expected a path, found none", param)


class Limit(click.ParamType):
    """`METRIC=X`: a figure's name and a number of 0 or more."""

    name = "METRIC=X"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Split and parse."""
        metric, equals, limit = str(value).rpartition("=")
        if not (equals and metric):
            self.fail(f"{value!r} is not METRIC=X, like test.accuracy=0.02", param, ctx)
        return metric, FiniteRange(0).convert(limit, param, ctx)


def once(ctx: click.Context, param: click.Parameter, values: Sequence[float]) -> float | None:
    """The value of an option that may be given once, or None."""
    if len(values) > 1:
        raise click.BadParameter(f"given {len(values)} times; give one", ctx, param)
    return values[0] if values else None


def by_name(ctx: click.Context, param: click.Parameter, limits: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Limits by their names, each given once."""
    names = [name for name, _ in limits]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise click.BadParameter(f"{', '.join(doubled)}: given more than once; give one limit for each", ctx, param)
    return dict(limits)


def limit_option(name: str, moves: str) -> Callable[[Any], Any]:
    """An option that may be given for several figures, each with the most by which it may fall or rise."""
    text = f"Exit with status 1 if a figure of any model {moves} by more than X."
    return click.option(name, type=Limit(), multiple=True, callback=by_name, help=text)


@click.command(cls=Command, short_help="Show what changed between two models or revisions.")
@click.argument("a")
@click.argument("b", default="workspace")
@click.option("--md", "form", flag_value="md", help="Markdown, for a pull request.")
@click.option("--json", "form", flag_value="json", help="Everything as JSON, figures of all splits too.")
@click.option(
    "--html", type=Place(dir_okay=False, path_type=Path), help="Also write a page, with pictures inside, to this file."
)
@click.option(
    "--pictures",
    type=Place(file_okay=False, path_type=Path),
    help="Also write the pictures, as PNG files, to this folder; --md links them.",
)
@click.option("--images", type=click.IntRange(1), default=6, show_default=True, help="Images listed for each model.")
@click.option(
    "--max-drift",
    type=FiniteRange(0, 2),
    multiple=True,
    callback=once,
    help="Exit with status 1 if any model drifts by more than X.",
)
@limit_option("--max-drop", "falls")
@limit_option("--max-rise", "rises")
@click.option("--root", type=FILE, default=Path(), show_default=True, help="The folder of dvc.yaml.")
def diff(
    a: str,
    b: str,
    form: str | None,
    html: Path | None,
    pictures: Path | None,
    images: int,
    max_drift: float | None,
    max_drop: dict[str, float],
    max_rise: dict[str, float],
    root: Path,
) -> None:
    """Show what changed from A to B: predictions, figures, agreement, and the images whose maps changed most.

    A and B are two models of this tree, or two git revisions or experiments of DVC; "workspace" is the
    working tree, and the default of B. Maps of a revision come from DVC's cache or its remote. A name
    that is both a model and a branch is the model; write refs/heads/NAME for the branch.

    Drift is 1 minus the mean Pearson correlation of the two maps of an image, over the images in the test split of both
    sides: the last layer's CAM of the true class, as a contrast with the other classes. 0 means the same maps, 1
    unrelated ones, 2 opposite ones. Constant maps have no correlation and are left out.

    METRIC is a key of a model in reports/metrics.json, such as test.accuracy or localisation.infected.energy. A figure
    that could not be measured also exceeds its limit.
    """
    from tempfile import TemporaryDirectory

    from wheretolook.base.files import write_text
    from wheretolook.diff.changes import Gates, broken_gates, compare
    from wheretolook.diff.output import as_json, draw_moved, markdown, page_of, terminal_text

    with compare(root, a, b, images) as compared, TemporaryDirectory() as scratch:
        difference = compared.difference
        drawn = draw_moved(compared, pictures or Path(scratch)) if pictures or html else {}
        if html:
            write_text(html, page_of(difference, drawn))
        broken = broken_gates(Gates(max_drift, max_drop, max_rise), difference)
        if form == "json":
            # JSON is UTF-8, whatever the terminal's encoding is.
            click.echo(as_json(difference, broken).encode(), nl=False)
        elif form == "md":
            click.echo(markdown(difference, drawn if pictures else {}), nl=False)
        else:
            click.echo(terminal_text(difference), nl=False)
    if broken:
        raise click.ClickException("; ".join(broken))


METRICS = "reports/metrics.json"
SHOWN = 3


def committed_figures(root: Path) -> dict[str, Any] | None:
    """The figures of the last commit; None where git, the commit or the file is missing."""
    try:
        shown = subprocess.run(["git", "show", f"HEAD:./{METRICS}"], cwd=root, capture_output=True)
    except FileNotFoundError:
        return None
    return _read(shown.stdout) if shown.returncode == 0 else None


def moved_figures(root: Path) -> tuple[int, "list[MetricChange]"]:
    """The number of figures in both folder and commit, and those that differ, largest change first."""
    from wheretolook.diff.model_changes import metric_changes

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
def moved() -> None:
    """Print which figures of reports/metrics.json differ from the committed ones, and by how much; else nothing."""
    count, changes = moved_figures(Path())
    if not changes:
        return
    click.echo(f"{METRICS}: {len(changes)} of {count} figures differ from the committed ones. The largest changes:")
    for change in changes[:SHOWN]:
        click.echo(f"  {change.name}: {change.a:.4g} -> {change.b:.4g} ({change.change:+.2g})")
    click.echo("  Expect small differences on another processor or PyTorch version. All changes: `dvc metrics diff`.")
