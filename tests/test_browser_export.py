"""An exported page in a real Chromium, from file://: no request, every link, the same pixels as the server's page."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from playwright.sync_api import Page, expect

import searched_run
from browser_pages import ink, inked, open_view, ready, settled, until
from convscope import Embedding, Model, Summary, SummaryWriter, export
from convscope.inspect.filters import examine_filters
from convscope.view import serve
from exported_pages import Visit, pixels

pytestmark = pytest.mark.browser
EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A searched network with its filters, curves of hostile names, pictures and an embedding."""
    path = tmp_path_factory.mktemp("exported") / "pets"
    conv = torch.nn.Conv2d
    stages = torch.nn.Sequential(conv(12, 20, 3), conv(20, 40, 3))
    net = torch.nn.Sequential(OrderedDict(stem=conv(3, 12, 3), stages=stages))
    random = np.random.default_rng(0)
    with SummaryWriter(path) as writer:
        writer.add(Model(net, input_shape=(3, 16, 16), name="net").architecture(), "net")
        searched_run.write_search(writer)
        writer.add(examine_filters(random.standard_normal((40, 20, 3, 3), np.float32), layer="stages.1"), "stages.1")
        for step in range(20):
            writer.add_scalar(EVIL, 1 / (step + 1), step)
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_histogram("weights", random.standard_normal(500), 1)
        writer.add_image("seen", random.random((3, 16, 16)).astype(np.float32), 3)
    return path


@pytest.fixture
def visit(page: Page, tmp_path: Path, run: Path) -> Iterator[Visit]:
    """A way to open exported pages; any request but that for the file itself fails the test."""
    visit = Visit(page, run, tmp_path / "page.html")
    yield visit
    assert visit.outside == []


def test_a_file_is_not_live_however_young_its_run(visit: Visit) -> None:
    page = visit()
    expect(page.get_by_role("treeitem", name="pets")).to_be_visible()
    expect(page.locator(".sidebar .live")).to_have_count(0)


def test_from_the_network_to_a_layer_to_a_channel(visit: Visit) -> None:
    page = visit("#/network?as=layers")
    expect(page.get_by_test_id("status")).to_contain_text("Exported file")
    expect(page.get_by_test_id("status")).to_contain_text("pets · ")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Layers").click()
    page.wait_for_url(re.compile("page.html#/layer"))
    page.get_by_role("link", name="stages.0").first.click()
    card = page.get_by_role("link", name="channel 5", exact=True)
    inked(page, "a[aria-label='channel 5'] canvas", 20)
    card.click()
    page.wait_for_url(re.compile("ch=5"))
    expect(page.get_by_test_id("channel-panel")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("ch=6"))
    page.reload()
    ready(page)
    expect(page.get_by_role("heading", name="stages.0 · channel 6")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("link", name="channel 5", exact=True)).to_be_visible()


def test_a_link_into_the_file_opens_its_place(visit: Visit) -> None:
    page = visit("#/layer?run=pets&tag=stages.1&ch=33")
    expect(page.get_by_role("heading", name="stages.1 · channel 33")).to_be_visible()
    page = visit("#/filters?tag=stages.1")
    inked(page, "canvas[aria-label='filter 0']", 3)
    page = visit("#/scalars")
    expect(page.get_by_text(EVIL).first).to_be_visible()
    assert page.locator("img[onerror]").count() == 0
    page = visit("#/images")
    expect(page.locator("img").first).to_have_js_property("naturalWidth", 16)
    page = visit("#/audit")
    inked(page, ".view-audit canvas", 20)
    page = visit("#/histograms")
    expect(page.get_by_role("heading", name="weights")).to_be_visible()


def test_both_hosts_draw_the_same_pixels(visit: Visit, run: Path) -> None:
    place = "#/layer?tag=stages.0"
    names = [f"a[aria-label='channel 2'] canvas >> nth={n}" for n in (0, 1)]

    def drawn(page: Page) -> list[npt.NDArray[np.uint8]]:
        until(page, lambda: all(ink(page, name) > 20 for name in names), "the pictures")
        return [pixels(page.locator(name)) for name in names]

    page = visit(place, quality=100)
    exported = drawn(page)
    assert visit.outside == []
    with serve(run, port=0) as server:
        page.goto("about:blank")
        open_view(page, server, place)
        shown = drawn(page)
        page.goto("about:blank")
    visit.outside.clear()  # those are the server's
    assert all(np.array_equal(a, b) for a, b in zip(exported, shown, strict=True))


def test_what_was_left_out_is_said(visit: Visit) -> None:
    page = visit("#/layer?tag=stages.1", pages=["network", "layer"], channels=[2, 33], rules=["gradient"])
    links = page.get_by_role("navigation", name="Views").get_by_role("link")
    assert links.evaluate_all("all => all.map((a) => a.getAttribute('aria-label'))") == ["Network", "Layers"]
    channels = page.get_by_test_id("channel")
    until(page, lambda: channels.count() == 2, "the two channels")
    assert channels.evaluate_all("all => all.map((a) => a.getAttribute('aria-label'))") == ["channel 2", "channel 33"]
    expect(page.get_by_test_id("exported")).to_contain_text("Some channels were left out")
    page = visit("#/layer?tag=stages.1&ch=3")
    expect(page.get_by_text("Channel 3 is not in this file.")).to_be_visible()
    page = visit("#/filters?tag=stages.1")
    expect(page.get_by_role("heading", name="Filters: not in this file")).to_be_visible()
    page.get_by_label("Filters: not in this file").get_by_role("link", name="Layers").click()
    expect(page.get_by_role("heading", name="Layers").first).to_be_visible()


def test_a_file_that_was_cut_off_says_so(visit: Visit, tmp_path: Path) -> None:
    page = visit("#/layer?tag=stages.1")
    assert page.locator(".cut-off").count() == 0
    file = tmp_path / "page.html"
    data = file.read_bytes()
    file.write_bytes(data[: data.rindex(b'type="image/webp"') + 100])
    page = visit("#/layer?tag=stages.1")
    assert page.get_by_role("alert").inner_text().startswith("This file was cut off on its way")


def test_three_dimensions_are_drawn_from_the_file(visit: Visit, page: Page, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.random((6, 9, 9)).astype(np.float32)
    scale = np.stack([np.zeros(6), np.ones(6)], 1).astype(np.float32)
    voxels = (255 * values).astype(np.uint8)
    arrays = {"volume": values, "voxels": voxels, "scale": scale, "order": np.arange(6, dtype=np.int32)}
    thumbnails = random.integers(0, 256, (60, 8, 8, 3)).astype(np.uint8)
    embedding = Embedding(random.random((60, 5)), [n % 3 for n in range(60)], thumbnails=thumbnails)
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add(Summary("volume", "relu1", arrays=arrays, meta={"layer": "relu1"}))
        writer.add(embedding, "fc")
        writer.add(embedding.project("pca"), "fc/pca")
    export(tmp_path / "run", tmp_path / "page.html")
    visit("#/volume")
    inked(page, ".view-volume canvas", 50)
    visit("#/embedding")
    inked(page, ".view-embedding canvas", 50)


@pytest.mark.parametrize("page", [("Content Security Policy", "ERR_BLOCKED_BY_CSP", "Failed to fetch")], indirect=True)
def test_the_policy_lets_nothing_out_and_no_other_script_run(visit: Visit) -> None:
    page = visit("#/network", pages=["network"])
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'out', (error) => error.name)"
    assert page.evaluate(fetched) == "TypeError"
    injected = "document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.ran = 1\">')"
    page.evaluate(injected)
    added = "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s)"
    page.evaluate(f"() => {{ {added} }}")
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None


class Quiet(SimpleHTTPRequestHandler):
    """A plain static server."""

    def log_message(self, *_: Any) -> None:
        pass


def test_a_page_in_a_sandbox_of_a_static_server_works(page: Page, run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "page.html", pages=["network", "layer"])
    frame = "<iframe sandbox='allow-scripts' src='page.html#/layer?tag=stages.0' width='1000' height='700'></iframe>"
    (tmp_path / "frame.html").write_text(f"<link rel='icon' href='data:,'>{frame}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        page.goto(f"http://127.0.0.1:{server.server_port}/frame.html")
        inside = page.frame_locator("iframe")
        inside.get_by_role("link", name="channel 5", exact=True).click()
        expect(inside.get_by_role("heading", name="stages.0 · channel 5")).to_be_visible()
        inside.get_by_role("button", name="Switch to the dark theme").click()
        expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
        page.goto("about:blank")
    finally:
        server.shutdown()
        server.server_close()
    assert {url.split("/")[3].split("#")[0] for url in asked if url.startswith("http")} == {"frame.html", "page.html"}


def test_on_a_narrow_screen_nothing_sticks_out(visit: Visit) -> None:
    page = visit("#/layer?tag=stages.0", pages=["network", "layer"])
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page.get_by_test_id("channel").first)
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
    expect(page.get_by_test_id("status").get_by_text("Exported file")).to_be_visible()
