"""An example notebook in a real JupyterLab, driven in Chromium; ``make test-jupyter`` installs what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.jupyterlab]


def test_the_widgets_of_a_notebook_are_drawn_and_ask_nobody_outside(page: Page, tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: make test-jupyter")
    from jupyterlab_host import FRAME, PATIENCE, frame_of, lab, run_all

    with lab(tmp_path, "dark") as address:
        asked: list[str] = []
        page.set_default_timeout(1000 * PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        run_all(page, address)
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
        widgets = page.locator(FRAME).count()
        assert widgets >= 3
        for number in range(widgets):
            frame = frame_of(page, number)
            assert frame.locator("html").get_attribute("data-theme") == "dark", "as the notebook"
            assert frame.locator("canvas").count() > 0
        home = address.partition("/lab/")[0]
        assert [url for url in asked if not url.startswith((home, "data:", "blob:", "about:"))] == []
        page.goto("about:blank")
