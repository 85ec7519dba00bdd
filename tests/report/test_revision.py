import json
import subprocess
from pathlib import Path

import pytest

from wheretolook.report.words import REVISION_MARK
from wheretolook.report.write import Revision, current_revision, name_revision

PAGE = f"<p>{REVISION_MARK}</p>"


def named(page: str, record: Path) -> str:
    """The page with its revision, where git tells it."""
    page, unknown = name_revision(page, record)
    assert unknown == ""
    return page


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    return subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one commit."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "reports").mkdir()
    (tmp_path / "src/one.py").write_text("1\n")
    commit(tmp_path, "start")
    return tmp_path


def test_the_page_names_the_commit_that_it_was_made_from(root: Path):
    page = named(PAGE, root / "reports/revision.json")
    assert page == f"<p>{git(root, 'rev-parse', 'HEAD')}</p>"


def test_the_commit_of_the_results_does_not_change_the_page(root: Path):
    first = named(PAGE, root / "reports/revision.json")
    commit(root, "results")
    assert named(PAGE, root / "reports/revision.json") == first


def test_other_content_is_made_from_another_commit(root: Path):
    first = named(PAGE, root / "reports/revision.json")
    (root / "params.yaml").write_text("a: 2\n")
    later = commit(root, "other values")
    page = named(f"{PAGE} other", root / "reports/revision.json")
    assert later in page and first not in page
    assert json.loads((root / "reports/revision.json").read_text())["commit"] == later


def test_inputs_that_were_not_committed_are_named_and_results_are_not(root: Path):
    (root / "params.yaml").write_text("a: 2\n")
    (root / "src/two.py").write_text("2\n")
    (root / "reports/summary.md").write_text("of no account\n")
    (root / "NOTE.md").write_text("of no account\n")
    assert current_revision(root).changed == ("params.yaml", "src/two.py")
    page = named(PAGE, root / "reports/revision.json")
    assert ", with changes in params.yaml, src/two.py that were not committed yet" in page
    commit(root, "both at once")
    assert named(PAGE, root / "reports/revision.json") == page


def test_of_many_changes_the_first_are_named():
    assert Revision("abc", tuple("abcdefg")).words().startswith("abc, with changes in a, b, c, d, e and 2 more that")


def test_a_record_that_is_broken_is_written_anew(root: Path):
    (root / "reports/revision.json").write_text("[]")
    assert git(root, "rev-parse", "HEAD") in named(PAGE, root / "reports/revision.json")


def test_outside_of_git_there_is_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "reports").mkdir()
    assert "outside of a git repository" in named(PAGE, tmp_path / "reports/revision.json")


def test_before_the_first_commit_there_is_no_revision(tmp_path: Path):
    git(tmp_path, "init", "-q", "-b", "main")
    assert current_revision(tmp_path) == Revision("", ())


def test_without_git_the_revision_is_unknown(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert current_revision(root).words() == "unknown: git is not installed, or not on the path"


def test_a_refusal_by_git_is_shown_with_its_reason_and_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch):
    record, reason = root / "reports/revision.json", "fatal: detected dubious ownership in repository at '.'"
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own tests of safe.directory
        assert name_revision(PAGE, record) == (f"<p>unknown: {reason}</p>", reason)
    assert json.loads(record.read_text())["unknown"] == reason
    assert named(PAGE, record) == f"<p>{git(root, 'rev-parse', 'HEAD')}</p>"
    assert sorted(json.loads(record.read_text())) == ["changed", "commit", "page"]


def test_a_repository_that_is_gone_is_none_that_never_was(tmp_path: Path):
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert current_revision(tmp_path).unknown.startswith("fatal: not a git repository: ")
