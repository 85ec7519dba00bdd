"""A finished report of made-up results, and a browser to open it in."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.fake import World, write_report, write_world
from tests.report.page import Page, open_page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four models, two classes, three layers; a few predictions are wrong. The report is not written yet."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two models and 30 classes, too many for a panel, a row or a section of each."""
    names = [f"class {number:02d}" for number in range(30)]
    root = tmp_path_factory.mktemp("many")
    return write_world(root, ("last-0", "last-1"), names, per_class=4, size=28, grids=(4, 2))


@pytest.fixture(scope="session")
def reports(world: World) -> Path:
    """The folder of the finished report."""
    write_report(world.root)
    return world.root / "reports"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium; without one the tests are skipped, but never where CI must have it.

    Closed with each module: Playwright leaves an event loop running, which other tests may trip over.
    """
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on the path, and CI is set: install the package chromium")
        pytest.skip("no Chromium on the path: the page cannot be looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # --no-sandbox: tests may run as root, as in a container; the page is our own.
        running = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def opened(browser, reports: Path) -> Iterator[Page]:
    """The page in a wide window, opened once."""
    with open_page(browser, reports) as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """The same page, as it opens."""
    opened.reload()
    return opened
