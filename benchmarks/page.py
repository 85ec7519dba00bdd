"""How large the report's page is, how soon it shows a picture, and how long a switch takes, in headless Chromium.

    python benchmarks/page.py [--images 400] [--tries 5]

Four made-up models with maps of every layer (56, 28, 14 and 7 cells a side, two classes), over 112-pixel images. Each
figure is the median of several tries; all are kept in page.json beside this file.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "src")]

from tests.report.fake import page_html, write_world  # noqa: E402
from tests.report.page import open_page  # noqa: E402

SWITCHES = {
    "scale": "image",
    "sign": "positive",
    "target": "contrast-1",
    "smooth": "cells",
    "method": "gradcam",
    "filter-class": "1",
    "sort": "alike",
}
SWITCH = """([id, value]) => new Promise((done) => {
  const control = document.getElementById(id), start = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  }).observe(document.documentElement, { attributeFilter: ["data-shown"] });
  control.value = value;
  control.dispatchEvent(new Event("input"));
})"""


def main() -> None:
    """Build the page, open it some times, print and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--tries", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(root, per_class=options.images, size=112, grids=(56, 28, 14, 7))
        page = root / "reports/site/index.html"
        page.parent.mkdir()
        page.write_text(page_html(root, images=options.images), encoding="utf-8")
        found = {"images": options.images, "megabytes": page.stat().st_size / 1e6}
        found |= measure(root / "reports", options.tries)
    text = json.dumps({name: round(value, 1) for name, value in found.items()}, indent=2) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text, end="")


def measure(reports: Path, tries: int) -> dict[str, float]:
    """Milliseconds to the first pictures, and from each switch to the frame that shows it."""
    from playwright.sync_api import sync_playwright

    first: list[float] = []
    switched: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(tries):
            with open_page(browser, reports) as page:
                first.append(page.evaluate("performance.getEntriesByName('picture')[0].startTime"))
                for name, value in SWITCHES.items():
                    switched.setdefault(name, []).append(page.page.evaluate(SWITCH, [name, value]))
                layers = page.evaluate("[...document.getElementById('layer').options].map(o => o.value)")
                for number, value in enumerate(layers, 1):
                    taken = page.page.evaluate(SWITCH, ["layer", value])
                    switched.setdefault(f"gradcam layer {number}", []).append(taken)
        browser.close()
    medians = {f"switch {name} ms": statistics.median(times) for name, times in switched.items()}
    return {"first picture ms": statistics.median(first), **medians}


if __name__ == "__main__":
    main()
