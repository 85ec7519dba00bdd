"""A finished project, and a copy of its outputs to be spoilt."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.finished import finished_project
from tests.pipeline.project import Project
from wheretolook.project.dvc_state import Locked, read_lock


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished_project(tmp_path_factory.mktemp("verify"))


@pytest.fixture(scope="module")
def locked(project: Project) -> Locked:
    return read_lock(project.root)


@pytest.fixture
def copy(project: Project, locked: Locked, tmp_path: Path) -> Locked:
    """The same outputs in a folder of their own, to be spoilt."""
    for folder in ("data", "models", "reports"):
        shutil.copytree(project.root / folder, tmp_path / folder)
    return replace(locked, root=tmp_path)
