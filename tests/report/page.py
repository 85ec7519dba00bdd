"""The page as a test handles it: by its controls, as a person would, and by what its canvases hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


class Page:
    """An open page, and what it has said in its console or asked of the network."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def reload(self) -> None:
        """Open it anew."""
        self.page.goto(self.address)
        self.page.wait_for_selector("html[data-drawn]")

    def choose(self, **controls: str) -> None:
        """Set select elements by their ids, and wait until all is drawn."""
        for name, value in controls.items():
            with self.redrawn():
                self.page.select_option(f"#{name}", value)

    def fill(self, name: str, value: str) -> None:
        """Set an input by its id."""
        self.page.fill(f"#{name}", value)
        self.page.wait_for_timeout(50)

    def uncheck(self, name: str) -> None:
        """Clear a check box."""
        self.page.uncheck(f"#{name}")

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Wait until what the block asks for is drawn."""
        before = self.evaluate("document.documentElement.dataset.drawn")
        yield
        self.page.wait_for_function(f"document.documentElement.dataset.drawn !== '{before}'")

    def evaluate(self, script: str) -> Any:
        """Run a script in the page."""
        return self.page.evaluate(script)

    def text(self, selector: str) -> str:
        """Text of the first element."""
        return self.page.text_content(selector).strip()

    def layer_value(self, name: str) -> str:
        """Value of the layer control's option that starts with a name."""
        return self.evaluate(
            f"[...document.getElementById('layer').options].find(o => o.text.startsWith('{name}')).value"
        )

    def canvas(self, image: str, model: int) -> np.ndarray:
        """What the gallery's canvas of an image and a model holds: (h, w, 4) uint8; turns pages until it is found."""
        card = f"document.querySelector('#cards [data-image=\"{image}\"]')"
        while not self.evaluate(f"Boolean({card})"):
            with self.redrawn():
                self.page.click("#next")
        width, height, data = self.evaluate(
            f"""(() => {{
              const canvas = {card}.querySelectorAll('canvas')[{model}];
              const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
              return [canvas.width, canvas.height, [...pixels.data]];
            }})()"""
        )
        return np.array(data, np.uint8).reshape(height, width, 4)

    def images(self) -> list[str]:
        """Ids of the images shown, in order."""
        return self.evaluate("[...document.querySelectorAll('#cards [data-image]')].map(c => c.dataset.image)")


@contextmanager
def open_page(browser: Any, reports: Path, **context: Any) -> Iterator[Page]:
    """Open the report's page; `context` is Playwright's: viewport, color_scheme, java_script_enabled."""
    opened = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
    page = Page(opened.new_page(), (reports / "site/index.html").absolute().as_uri())
    page.page.goto(page.address)
    if context.get("java_script_enabled", True):
        page.page.wait_for_selector("html[data-drawn]")
    yield page
    opened.close()
