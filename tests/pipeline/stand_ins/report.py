"""Stands in for stages/report.py: the same files, but for the pictures, which take most of its time."""

from pathlib import Path
from unittest import mock

from wheretolook.base.files import replacing_folder
from wheretolook.base.terminal.command import run_stage


def write_no_figures(reports: Path, *_: object) -> None:
    """An empty file in place of each picture."""
    with replacing_folder(reports / "figures") as folder:
        (folder / "images.png").touch()


if __name__ == "__main__":
    from real_report import report

    with mock.patch("wheretolook.report.write.write_figures", write_no_figures):
        run_stage(report)
