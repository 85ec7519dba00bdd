"""Compare the models: classes over each other, and the agreement of every two models."""

from pathlib import Path

import click

from wheretolook.terminal.command import FiniteRange
from wheretolook.terminal.options import InputPath, OutputPath
from wheretolook.terminal.stage import StageCommand, run_stage


@click.command(cls=StageCommand)
@click.option("--split", type=click.Choice(["train", "val", "test"]), required=True, help="Whose images are compared.")
@click.option("--resamples", type=click.IntRange(199), required=True, help="Resamples of each bootstrap interval.")
@click.option(
    "--margin",
    type=FiniteRange(0, 2),
    required=True,
    help="Smallest excess of agreement over each baseline, in units of correlation, for a statement about a class.",
)
@click.option(
    "--aligned/--no-aligned",
    required=True,
    help="Whether all images show things at the same place, as aligned faces do; else regions of masks are compared.",
)
@click.option(
    "--permutations",
    type=click.IntRange(199),
    required=True,
    help="Relabellings, and flips of signs, of each class test.",
)
@click.option("--seed", type=click.IntRange(0), required=True, help="Of all that is drawn at random.")
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--names", cls=InputPath, default="reports/names.json")
@click.option("--exports", cls=InputPath, default="reports/exports")
@click.option("--cams", cls=InputPath, default="data/cams")
@click.option("--arrays", cls=OutputPath, default="data/comparison")
@click.option("--reports", cls=OutputPath, default="reports/comparison")
@click.option("--scores", cls=InputPath, default="reports/models")
def compare(
    split: str,
    resamples: int,
    margin: float,
    aligned: bool,
    permutations: int,
    seed: int,
    prepared: Path,
    names: Path,
    exports: Path,
    cams: Path,
    arrays: Path,
    reports: Path,
    scores: Path,
) -> None:
    """Write reports/comparison/ and data/comparison/, laid out in docs/results.md."""
    from wheretolook.analysis.agreement.agreement_table import (
        agreement_csv,
        agreement_json,
        agreement_on,
        agreement_table,
    )
    from wheretolook.analysis.agreement.study import load_study
    from wheretolook.analysis.classes.class_differences import write_differences
    from wheretolook.analysis.classes.overlays import write_overlays
    from wheretolook.analysis.statements.pooled import Sampling
    from wheretolook.analysis.statements.study_statements import load_scores, study_statements
    from wheretolook.base.files import check_replaceable, replacing_folder, write_json, write_text
    from wheretolook.dataset.prepared import load_prepared
    from wheretolook.results.schema import to_json

    for written in (arrays, reports):  # before work of minutes or hours
        check_replaceable(written)
    study = load_study(names, exports, cams, load_prepared(prepared), split)
    click.echo(f"compare: {len(study.names)} models on {len(study.rows)} {split} images")
    with replacing_folder(arrays) as folder:
        overlays = write_overlays(study, folder)
        differences = write_differences(study, folder, aligned, permutations, seed)
    rows = agreement_table(study, resamples, seed)
    train = agreement_on(study, "train", resamples, seed)
    known = load_scores(scores, study.names)
    sampling = Sampling(resamples, seed)
    result = study_statements(study, rows, known, margin, aligned, permutations, sampling)
    with replacing_folder(reports) as folder:
        write_text(folder / "agreement.csv", agreement_csv(rows))
        write_json(folder / "agreement.json", to_json(agreement_json(study, rows, train)))
        write_json(folder / "overlays.json", overlays)
        write_json(folder / "differences.json", differences)
        write_json(folder / "statements.json", to_json(result))
    supported = sum(each.verdict == "supported" for each in result.statements)
    click.echo(f"compare: {len(rows)} rows of agreement; {supported} of {len(result.statements)} statements supported")


if __name__ == "__main__":
    run_stage(compare)
