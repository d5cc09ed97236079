"""A site in a real Chromium, from the disk and from a static server: no outside request, each link, the same pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

import searched_run
from browser_pages import ink, inked, open_view, ready, settled, until
from convscope import SummaryWriter, export
from convscope.view import serve

pytestmark = pytest.mark.browser
EVIL = "</script><img src=x onerror=alert(1)>"
QUIET = ("blob:", "data:", "about:")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("searched") / "pets"
    with SummaryWriter(path) as writer:
        searched_run.write_search(writer)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, run: Path) -> Path:
    """Two networks and a training run of hostile names."""
    trained = tmp_path_factory.mktemp("trained") / "curves"
    with SummaryWriter(trained) as writer:
        for step in range(20):
            writer.add_scalar(EVIL, 1 / (step + 1), step)
        writer.add_text("note", "**bold**", 1)
        writer.add_hparams({"rate": 0.1}, {"loss": 0.5})
    path = tmp_path_factory.mktemp("host") / "site"
    export({"pets": run, "fewer": run, EVIL: trained}, path)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a server that knows nothing but files has the site, under a path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/site/"
        server.shutdown()


class Visit:
    """Opens places of the site, and notes what is asked of anybody else, and what the browser forbids."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.outside: list[str] = []
        page.on("request", lambda request: self._note(request.url))
        page.on("dialog", lambda dialog: self._note(dialog.message))

    def _note(self, url: str) -> None:
        if not url.startswith((self.base, *QUIET)):
            self.outside.append(url)

    def __call__(self, place: str = "index.html") -> Page:
        self.page.goto("about:blank")
        self.page.goto(self.base + place)
        ready(self.page)
        return self.page


@pytest.fixture(params=["disk", "server"])
def visit(request: pytest.FixtureRequest, page: Page, site: Path, address: str) -> Iterator[Visit]:
    """A way to open the site; any request to elsewhere fails the test, and what the policy forbids does as well."""
    visit = Visit(page, f"{site.as_uri()}/" if request.param == "disk" else address)
    yield visit
    page.goto("about:blank")
    assert visit.outside == []


def pixels(element: Locator) -> npt.NDArray[np.uint8]:
    settled(element)
    return np.asarray(Image.open(BytesIO(element.screenshot())).convert("RGB"))[3:-3, 3:-3]


def test_from_the_front_page_to_a_channel_and_back(visit: Visit) -> None:
    page = visit()
    cards = page.locator(".landing .cards a")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("3 layers, 72 channels, 40 images of pets")
    expect(cards.nth(0).locator("img")).to_have_js_property("naturalWidth", 3 * 264)
    expect(cards.nth(2)).to_contain_text(EVIL)
    cards.nth(0).click()
    page.wait_for_url(re.compile(r"index\.html#/network\?run=pets"))
    expect(page.get_by_test_id("status")).to_contain_text("Exported site")
    expect(page.locator(".landing")).to_be_hidden()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Layers").click()
    page.get_by_role("link", name="stages.0").first.click()
    inked(page, "a[aria-label='channel 5'] canvas", 20)
    page.get_by_role("link", name="channel 5", exact=True).click()
    expect(page.get_by_role("heading", name="stages.0 · channel 5")).to_be_visible()
    page.locator("a.brand").click()
    expect(cards.nth(1)).to_be_visible()
    expect(page.locator("#app")).to_be_hidden()
    assert page.title() == "Networks"


def test_the_page_of_a_channel_opens_the_app_there_and_the_app_hands_it_on(visit: Visit) -> None:
    page = visit("fewer/stages.1/33.html")
    page.wait_for_url(re.compile(r"index\.html#/layer\?run=fewer&tag=stages\.1&ch=33"))
    ready(page)
    expect(page.get_by_role("heading", name="stages.1 · channel 33")).to_be_visible()
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.get_by_role("button", name="Copy link").click()
    until(page, lambda: page.evaluate("window.copied") == f"{visit.base}fewer/stages.1/33.html", "the link")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("ch=34"))


def test_every_kind_of_data_comes_from_files(visit: Visit) -> None:
    page = visit("index.html#/scalars")
    expect(page.get_by_text(EVIL).first).to_be_visible()
    page = visit("index.html#/text")
    expect(page.locator("strong", has_text="bold")).to_be_visible()
    page = visit("index.html#/hparams")
    expect(page.get_by_text("rate").first).to_be_visible()
    expect(page.get_by_text(EVIL).first).to_be_visible()
    page = visit("index.html#/audit?run=fewer")
    inked(page, ".view-audit canvas", 20)
    assert page.locator("img[onerror]").count() == 0


def test_the_site_draws_the_same_pixels_as_the_server(page: Page, site: Path, run: Path) -> None:
    names = [f"a[aria-label='channel 2'] canvas >> nth={n}" for n in (0, 1)]

    def drawn() -> list[npt.NDArray[np.uint8]]:
        until(page, lambda: all(ink(page, name) > 20 for name in names), "the pictures")
        return [pixels(page.locator(name)) for name in names]

    place = "#/layer?run=pets&tag=stages.0"
    page.goto(f"{site.as_uri()}/index.html{place}")
    ready(page)
    exported = drawn()
    with serve(run.parent, port=0) as server:
        page.goto("about:blank")
        open_view(page, server, place)
        shown = drawn()
        page.goto("about:blank")
    assert all(np.array_equal(a, b) for a, b in zip(exported, shown, strict=True))


@pytest.mark.parametrize("host", ["disk", "server"])
def test_without_javascript_all_can_be_read(chromium: Browser, site: Path, address: str, host: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((f"{site.as_uri()}/" if host == "disk" else address) + "index.html")
    page.locator(".cards a").first.click()
    page.get_by_role("link", name=re.compile("stages.0")).click()
    page.get_by_role("link", name="channel 7", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("stages.0 · channel 7 · pets")
    page.wait_for_load_state("load")
    assert page.locator(".landing img").evaluate("image => image.naturalWidth") >= 240
    expect(page.locator(".landing")).to_have_css("max-width", "1180px")
    page.get_by_role("link", name="Next: channel 8").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("channel 8")
    context.close()


def test_a_site_that_is_not_whole_says_so(chromium: Browser, site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    for file in site.rglob("*"):
        if file.is_file() and file.parent.parent.name != "data":
            (broken / file.relative_to(site)).parent.mkdir(parents=True, exist_ok=True)
            (broken / file.relative_to(site)).write_bytes(file.read_bytes())
    page = chromium.new_page()
    page.goto(f"{broken.as_uri()}/index.html#/layer?run=pets")
    expect(page.get_by_text(re.compile(r"the site has no file data/.*copy it again"))).to_be_visible()
    page.close()
