"""Compare the models: class aggregates, and the agreement of every two models."""

from pathlib import Path

import click

from wheretolook.base.terminal.command import StageCommand, run_stage
from wheretolook.base.terminal.options import InputPath, OutputPath
from wheretolook.base.terminal.section import takes
from wheretolook.params.compare_options import CompareOptions


@click.command(cls=StageCommand)
@takes(CompareOptions)
@click.option("--prepared", cls=InputPath, default="data/prepared")
@click.option("--names", cls=InputPath, default="reports/names.json")
@click.option("--exports", cls=InputPath, default="reports/exports")
@click.option("--cams", cls=InputPath, default="data/cams")
@click.option("--arrays", cls=OutputPath, default="data/comparison")
@click.option("--reports", cls=OutputPath, default="reports/comparison")
@click.option("--scores", cls=InputPath, default="reports/models")
def compare(
    options: CompareOptions,
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
        label_agreement,
    )
    from wheretolook.analysis.agreement.study import load_study
    from wheretolook.analysis.classes.class_differences import write_differences
    from wheretolook.analysis.classes.overlays import write_overlays
    from wheretolook.analysis.results.schema import to_json
    from wheretolook.analysis.statements.pooled import Sampling
    from wheretolook.analysis.statements.study_statements import load_scores, study_statements
    from wheretolook.base.files import check_replaceable, replacing_folder, write_json, write_text
    from wheretolook.base.prepared import load_prepared

    for written in (arrays, reports):  # before work of minutes or hours
        check_replaceable(written)
    study = load_study(names, exports, cams, load_prepared(prepared), options.split, options.primary)
    click.echo(f"compare: {len(study.names)} models on {len(study.rows)} {options.split} images")
    with replacing_folder(arrays) as folder:
        overlays = write_overlays(study, folder)
        differences = write_differences(study, folder, options.aligned, options.permutations, options.seed)
    rows = agreement_table(study, options.resamples, options.seed)
    train = agreement_on(study, "train", options.resamples, options.seed)
    by_label = label_agreement(study, options.resamples, options.seed)
    known = load_scores(scores, study.names)
    sampling = Sampling(options.resamples, options.seed)
    result = study_statements(study, rows, known, options.margin, options.aligned, options.permutations, sampling)
    with replacing_folder(reports) as folder:
        write_text(folder / "agreement.csv", agreement_csv(rows))
        write_json(folder / "agreement.json", to_json(agreement_json(study, rows, train, by_label)))
        write_json(folder / "overlays.json", overlays)
        write_json(folder / "differences.json", differences)
        write_json(folder / "statements.json", to_json(result))
    supported = sum(each.verdict == "supported" for each in result.statements)
    click.echo(f"compare: {len(rows)} rows of agreement; {supported} of {len(result.statements)} statements supported")


if __name__ == "__main__":
    run_stage(compare)
