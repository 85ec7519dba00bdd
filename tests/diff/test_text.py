"""A difference as it is printed and written: for a terminal, a pull request, a script and a browser."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.diff.changed import run
from tests.pipeline.code_dependencies import ROOT
from tests.pipeline.project import Project, environment


@pytest.fixture(scope="module")
def written(project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with pictures and a page, and the Markdown."""
    folder = tmp_path_factory.mktemp("written")
    words = ("--md", "--images", "1", "--pictures", str(folder), "--html", str(folder / "page.html"))
    result = run(project, "base", "HEAD", *words)
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_markdown_is_a_table_a_pull_request_can_show(written: tuple[Path, str]) -> None:
    folder, text = written
    assert re.search(r"^\| every-0 +\| 12 +\| 0\.5000 +\| infected 1\.0000 +\| 1 ", text, re.MULTILINE)
    assert "|:---" in text
    assert f"]({folder}/moved-every-0.png)" in text
    assert (folder / "moved-every-0.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "moved-last-0.png").exists(), "maps that did not move need no picture"


def test_the_page_stands_alone(written: tuple[Path, str]) -> None:
    page = (written[0] / "page.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "0.5000" in page and "every-1" in page
    assert 'src="http' not in page and 'href="http' not in page


@pytest.mark.parametrize(
    "words", [("--html", ""), ("--html", "{folder}"), ("--pictures", ""), ("--pictures", "{file}")]
)
def test_a_place_to_write_that_is_none_is_a_wrong_use(project: Project, words: tuple[str, str]) -> None:
    place = words[1].format(folder=project.root, file=project.root / "params.yaml")
    done = run(project, "base", words[0], place)
    assert done.exit_code == 2 and words[0] in done.output


def test_on_a_terminal_that_lacks_the_arrow_it_ends_well_and_json_is_utf_8(project: Project) -> None:
    words = [sys.executable, "-m", "wheretolook.cli.main", "diff", "base", "--root", str(project.root)]
    latin = environment() | {"PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "latin-1"}
    shown = subprocess.run(words, env=latin, capture_output=True, check=True).stdout.decode("latin-1")
    assert re.match(r"base \(.{7}\) \? workspace\n", shown)
    printed = subprocess.run([*words, "--json"], env=latin, capture_output=True, check=True).stdout
    assert json.loads(printed.decode("utf-8"))["a"].startswith("base")
