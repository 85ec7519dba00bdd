"""Stands in for stages/report.py: the same files, but for the pictures, which take most of its time."""

from pathlib import Path
from unittest import mock

from wheretolook.base.terminal.command import run_stage


def draw_no_figures(folder: Path, *_: object) -> None:
    """An empty file in place of each picture."""
    for suffix in ("png", "pdf"):
        (folder / f"images.{suffix}").touch()


if __name__ == "__main__":
    from real_report import report

    with mock.patch("wheretolook.report.write.draw_figures", draw_no_figures):
        run_stage(report)
