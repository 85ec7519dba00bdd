"""`wheretolook diff A B`: what changed between two models, or two git revisions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wheretolook.terminal.command import Command
from wheretolook.terminal.options import FiniteRange

FILE = click.Path(path_type=Path)


class Place(click.Path):
    """A path to write to. Empty, as of an unset variable, it would be the current folder."""

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
    """The one value of an option, or None: of several, nobody knows which was meant."""
    if len(values) > 1:
        raise click.BadParameter(f"given {len(values)} times; give one", ctx, param)
    return values[0] if values else None


def by_name(ctx: click.Context, param: click.Parameter, limits: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Limits by their names, each given once."""
    names = [name for name, _ in limits]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise click.BadParameter(f"{', '.join(doubled)}: given more than once; give one limit for each", ctx, param)
    return dict(limits)


@click.command(cls=Command, short_help="What changed between two models, or two revisions.")
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
@click.option("--images", type=click.IntRange(1), default=6, show_default=True, help="Images named for each model.")
@click.option(
    "--max-drift", type=FiniteRange(0, 2), multiple=True, callback=once, help="End with 1 if any model's drift is more."
)
@click.option(
    "--max-drop",
    type=Limit(),
    multiple=True,
    callback=by_name,
    help="End with 1 if a figure of any model falls by more than X.",
)
@click.option(
    "--max-rise",
    type=Limit(),
    multiple=True,
    callback=by_name,
    help="End with 1 if a figure of any model rises by more than X.",
)
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
    """What changed from A to B: predictions, figures, agreement, and the images whose maps moved most.

    A and B are two models of this tree, or two git revisions or experiments of DVC; "workspace" is the tree as it
    stands, and what B is if it is not given. Maps of a revision come out of DVC's cache, or else its remote. A name
    that is both a model and a branch is the model; write refs/heads/NAME for the branch.

    Drift is 1 less the mean Pearson correlation of the two maps of an image: over the images that both sides have in
    their test split, of the last layer's CAM, of the true class, as a contrast (less the mean of the other classes'
    maps). 0 is the same gaze, 1 an unrelated one, 2 the opposite. Constant maps have no correlation and are left out.

    METRIC is a name in reports/metrics.json without the model's, such as test.accuracy or localisation.infected.energy.
    What could not be measured fails a limit, too.
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
