"""Turn finished results into metrics, tables for plots, pictures and the page."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.report_options import ReportOptions


@click.command(cls=StageCommand)
@takes(ReportOptions)
@click.option("--reports", cls=OutputPath, default="reports")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--cams", cls=InputPath, default="data/cams")
@click.option("--comparison", cls=InputPath, default="data/comparison")
def report(options: ReportOptions, reports: Path, prepared: Path, cams: Path, comparison: Path) -> None:
    """Write reports/: metrics.json, plots/, data.json, summary.md, figures/ and site/."""
    from wheretolook.base.errors import visible
    from wheretolook.base.prepared import load_prepared
    from wheretolook.mapstore.store import load_maps
    from wheretolook.report.drawing import undrawable
    from wheretolook.report.gallery import make_gallery
    from wheretolook.report.loaded import load_results
    from wheretolook.report.words import count
    from wheretolook.report.write import write_site, write_tables

    results = load_results(reports, prepared)
    click.echo(f"report: results of {count(len(results.names), 'model')}, tables, figures and the page")
    data = load_prepared(prepared)
    maps = {name: load_maps(cams / name, reports / "exports" / f"{name}.json") for name in results.names}
    gallery = make_gallery(maps, data.labels, data.rows(results.split), options.gallery_images)
    write_tables(reports, results, data, maps, gallery)
    if escaped := undrawable((*data.class_names, *data.index["image_id"].iloc[gallery.rows])):
        click.echo(
            f"report: no font here has all letters of {visible(escaped[0])}{' and others' if escaped[1:] else ''}: "
            "pictures have escapes in their place. Install a font such as Noto Sans CJK, and run it again.",
            err=True,
        )
    size, unknown = write_site(reports, results, data, maps, gallery, comparison, options.gallery_cells)
    images = f"{len(gallery.rows)} of {gallery.total} images of {results.split}"
    page = reports / "site" / "index.html"
    if unknown:
        click.echo(f"report: the page cannot name its git revision: {unknown}", err=True)
    click.echo(f"report: {images} on the page ({size / 1e6:.1f} MB); open {page}")


if __name__ == "__main__":
    run_stage(report)
