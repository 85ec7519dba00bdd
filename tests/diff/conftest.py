"""Two revisions of a finished project, which all tests of the difference read."""

import pytest

from tests.diff.changed import change_all_right, change_gaze, read_diff
from tests.finished import commit, finished_project, write_outputs
from tests.pipeline.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tag `base`; then every-0 sees 3 of its 12 test images the other way round, and gets one of those wrong.

    last-0 stays as it was, last-1 is removed, every-1 is added.
    """
    names = ("last-0", "last-1", "every-0")
    project = finished_project(tmp_path_factory.mktemp("diff"), names, change=change_all_right)
    project.run("git", "tag", "base")
    write_outputs(project.root, ("last-0", "every-1", "every-0"), 12)
    change_all_right(project.root)
    change_gaze(project.root)
    commit(project)
    return project


@pytest.fixture(scope="session")
def found(project: Project) -> dict:
    """The difference of the two, with the four images that moved most of each model."""
    return read_diff(project, "base", "HEAD", "--images", "4")
