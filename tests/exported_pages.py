"""What the tests of exported pages share: opening a file so that no request goes unseen, and its pixels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Locator, Page

from browser_pages import ready, settled
from convscope import export


class Visit:
    """Exports the run when it is first called, opens the file at a place in it, and notes what it asks for."""

    def __init__(self, page: Page, run: Path, file: Path) -> None:
        self._page, self._run, self._file = page, run, file
        self.outside: list[str] = []
        page.on("request", lambda request: self._note(request.url))
        page.on("dialog", lambda dialog: self._note(dialog.message))

    def _note(self, url: str) -> None:
        if not url.startswith((self._file.as_uri(), "blob:", "data:", "about:")):
            self.outside.append(url)

    def __call__(self, place: str = "", **choice: Any) -> Page:
        if not self._file.exists():
            export(self._run, self._file, **choice)
        self._page.goto("about:blank")
        self._page.goto(self._file.as_uri() + place)
        ready(self._page)
        return self._page

    def go(self, place: str) -> Page:
        """Open another place of the file as a link in it does."""
        self._page.evaluate("place => { delete document.documentElement.dataset.ready; location.hash = place; }", place)
        ready(self._page)
        return self._page


def pixels(element: Locator) -> npt.NDArray[np.uint8]:
    """What is inside its frame, but for the browser's own players.

    How Chromium blends round corners depends on what else it composes, and a player on how it has got its sound.
    """
    settled(element)
    return np.asarray(Image.open(BytesIO(element.screenshot(mask=[element.page.locator("audio")]))).convert("RGB"))[
        3:-3, 3:-3
    ]
