"""The tab "convscope" in TensorBoard's own server, in a browser: the viewer's page, as it is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Frame, Page, expect

from browser_pages import ready, settled, until
from convscope.recording import SummaryWriter
from convscope.view import serve
from tensorboard_server import Server, serving

pytestmark = pytest.mark.browser
TENSORBOARDS_OWN = "Multiple instances of Three.js"


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs")
    with SummaryWriter(path / "train") as writer:
        for step in range(30):
            writer.add_scalar("loss", 1 / (step + 1), step, walltime=1000.0 + step)
        writer.add_embedding(np.random.default_rng(0).random((12, 5)), tag="vectors")
    return path


@pytest.fixture(scope="module")
def tensorboard(logdir: Path) -> Iterator[Server]:
    with serving(logdir, fast=True) as server:
        server.wait_for("plugin/scalars/tags")
        yield server


def open_tab(page: Page, tensorboard: Server) -> Frame:
    """Open the tab and return its frame, once its page is there."""
    page.goto(f"{tensorboard.root}#convscope")
    until(page, lambda: any("host=tensorboard" in frame.url for frame in page.frames), "the frame of the tab")
    frame = next(frame for frame in page.frames if "host=tensorboard" in frame.url)
    frame.wait_for_selector("html[data-ready='true']")
    return frame


def theme(frame: Frame) -> str:
    return str(frame.evaluate("document.documentElement.dataset.theme"))


@pytest.mark.parametrize("page", [(TENSORBOARDS_OWN,)], indirect=True)
def test_the_tab_shows_our_page_in_tensorboards_theme_and_reads_only(
    page: Page, tensorboard: Server, logdir: Path
) -> None:
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if "127.0.0.1" not in request.url else None)
    frame = open_tab(page, tensorboard)
    expect(frame.get_by_role("heading", name="loss")).to_be_visible()
    mine = settled(frame.locator("#content"))
    shown = page.screenshot(clip=mine)

    before = theme(frame)
    page.evaluate("document.body.classList.toggle('dark-mode')")
    until(page, lambda: theme(frame) != before, "the other theme")
    page.evaluate("document.body.classList.toggle('dark-mode')")
    until(page, lambda: theme(frame) == before, "the first theme")

    with SummaryWriter(logdir / "later") as writer:
        writer.add_scalar("loss", 0.5, 3)
    expect(frame.get_by_text("later", exact=True).first).to_be_visible()

    frame.goto(frame.url.partition("#")[0] + "#/embedding")
    frame.wait_for_selector("html[data-ready='true']")
    expect(frame.get_by_role("heading", name="Embedding").first).to_be_visible()
    expect(frame.get_by_text("Project now")).to_have_count(0)
    assert outside == []

    # the same view of the same data from our own server
    for path in (logdir / "later").iterdir():
        path.unlink()
    (logdir / "later").rmdir()
    with serve(logdir, port=0) as server:
        page.set_viewport_size({"width": 1280, "height": 800 - int(mine["y"]) + 48})
        page.goto(server.url)
        ready(page)
        theirs = settled(page.locator("#content"))
        assert (theirs["width"], theirs["height"]) == (mine["width"], mine["height"])
        one, other = (
            np.asarray(Image.open(BytesIO(data)).convert("RGB"), int) for data in (shown, page.screenshot(clip=theirs))
        )
    assert np.abs(one - other).max() <= 2


@pytest.mark.parametrize("page", [(TENSORBOARDS_OWN,)], indirect=True)
def test_a_tab_that_is_not_shown_gives_its_stream_back_and_is_found_as_it_was_left(
    page: Page, tensorboard: Server
) -> None:
    page.clock.install()
    frame = open_tab(page, tensorboard)
    ended: list[str] = []
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: ended.append(request.url) if request.url.endswith("api/events") else None)
    frame.goto(frame.url.partition("#")[0] + "#/images")
    expect(frame.get_by_role("heading", name="Images").first).to_be_visible()
    page.get_by_role("tab", name="Scalars").first.click()
    until(
        page,
        lambda: bool(frame.evaluate("!frameElement.checkVisibility({ visibilityProperty: true })")),
        "the other tab",
    )
    page.get_by_role("tab", name="convscope").first.click()
    expect(frame.get_by_role("heading", name="Images").first).to_be_visible()
    page.goto("about:blank")
    again = open_tab(page, tensorboard)
    expect(again.get_by_role("heading", name="Images").first).to_be_visible()
