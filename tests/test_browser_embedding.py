"""The page of an embedding in a browser: one page is searched, selected, filtered, replayed and saved from."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

import convscope as cs
from browser_pages import open_view, settled, until
from convscope.embed import Embedding
from convscope.embed.frames import Frame, Frames
from convscope.embed.projection import Projection
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

EACH = 30
NAMES = ("dog", "hot dog", "dogfish", "<b>dog</b>", "כלב")
CENTRES = np.array([[-4.0, 2.0], [4.0, 2.0], [-4.0, -2.0], [4.0, -2.0], [0.0, 0.0]])


def add_embedding(writer: cs.SummaryWriter) -> None:
    """Write five groups of points, each where its class is, with frames on the way there."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(NAMES)), EACH)
    points = (CENTRES[labels] + rng.normal(0, 0.25, (len(labels), 2))).astype(np.float32)
    vectors = np.hstack([points, rng.normal(0, 0.01, (len(labels), 6))]).astype(np.float32)
    columns = {
        "loss": np.geomspace(0.01, 100, len(labels)),
        "split": ["train" if i % 3 else "val" for i in range(len(labels))],
        "file": [f"<i>{i}</i>.jpg" for i in range(len(labels))],
    }
    thumbnails = np.broadcast_to((labels * 50)[:, None, None, None], (len(labels), 12, 16, 3)).astype(np.uint8)
    embedding = Embedding(
        vectors, labels, label_names=NAMES, columns=columns, thumbnails=thumbnails, layer="fc", network="net"
    )
    identity = writer.add(embedding.to_summary("fc", 0))
    noise = rng.normal(0, 0.25, points.shape)
    way = [Frame(10 * k, 2.0 - k / 4, (points * k / 4 + noise * (4 - k)).astype(np.float32)) for k in range(5)]
    projection = Projection(points, "tsne", 40, 40, 1.0, embedding=identity, frames=Frames.of(way))
    writer.add(projection.to_summary("fc/tsne", 0))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("embedding")
    with cs.SummaryWriter(logdir / "run") as writer:
        add_embedding(writer)
    with serve(logdir, port=0) as running:
        yield running


def lasso(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw around a part of the map, given in shares of it."""
    box = settled(page.locator(".points-map canvas.gl"))
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.keyboard.down("Shift")
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in [*spots[1:], spots[0]]:
        page.mouse.move(*spot, steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")


def a_dot(page: Page) -> tuple[float, float]:
    """Where on the page one of the coloured dots of the map is."""
    canvas = page.locator(".points-map canvas.gl")
    box = settled(canvas)
    seen = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
    y, x = np.argwhere(np.ptp(seen, axis=2) > 60)[len(seen) // 2]
    return box["x"] + x + 0.5, box["y"] + y + 0.5


def saved(page: Page, item: str) -> str:
    page.get_by_role("button", name="Save", exact=True).first.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=item).click()
    return Path(download.value.path()).read_text("utf-8")


LEFT = [(0.02, 0.12), (0.4, 0.12), (0.4, 0.98), (0.02, 0.98)]
TOP_LEFT = [(0.02, 0.12), (0.4, 0.12), (0.4, 0.5), (0.02, 0.5)]


def test_points_are_searched_selected_filtered_and_saved(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding?draw=dots")
    expect(page.get_by_test_id("points")).to_have_text("150 points")
    selected, matches = page.get_by_test_id("selected"), page.get_by_test_id("matches")

    # Search: "dog" is not "hot dog"; the tiers are counted, and the expression that is none is explained.
    search = page.locator("#search")
    search.fill("dog")
    expect(matches).to_have_text("30 of 150 match")
    chips = page.locator(".chips")
    assert chips.inner_text().split("\n") == ["whole name", "30", "whole word", "60", "part of a word", "30"]
    expect(page.locator(".points-classes li")).to_have_text(["dog30"])
    page.get_by_role("button", name="Next match").click()
    until(page, lambda: "point=0" in page.url and "cam=" in page.url, "the first match, and the camera at it")
    page.get_by_role("button", name="Zoom to matches").click()  # where the search itself leads
    until(page, lambda: "cam=" not in page.url, "an address that needs no camera")
    page.mouse.click(*a_dot(page))
    until(page, lambda: re.search(r"point=[1-9]", page.url) is not None, "the point that was clicked")
    assert int(page.url.partition("point=")[2].partition("&")[0]) < EACH
    search.fill("class:dog split:val")
    expect(matches).to_have_text("10 of 150 match")
    search.fill("/(/")
    expect(page.get_by_role("alert")).to_contain_text("is not a regular expression")
    search.fill("")
    until(page, lambda: "q=" not in page.url, "the address without a search")

    # The chosen point has neighbours of its class, by both metrics, and a card with every column as text.
    strip = page.get_by_test_id("neighbours")
    expect(strip.locator(".thumb")).to_have_count(10)
    assert all("dog · distance" in (one.get_attribute("title") or "") for one in strip.locator(".thumb").all())
    euclidean = page.get_by_role("button", name="Euclidean")
    settled(euclidean)  # what comes above it would move it away between the press and the release
    euclidean.click()
    until(page, lambda: "metric=l2" in page.url, "the metric in the address")
    expect(page.locator(".points-panel .point-card")).to_contain_text(re.compile(r"<i>[1-9]\d?</i>\.jpg"))
    page.keyboard.press("Escape")
    expect(strip).to_be_hidden()

    # Lasso, less a part of it; the channels that tell it apart.
    page.get_by_role("button", name="Fit").click()
    lasso(page, LEFT)
    expect(selected).to_have_text("60 selected")
    expect(page.locator(".class-bars").first).to_contain_text("dogfish")
    less = page.get_by_role("list", name="Channels that fire less")
    expect(less.locator("li").first).to_contain_text("channel 0")
    page.keyboard.down("Alt")
    lasso(page, TOP_LEFT)
    page.keyboard.up("Alt")
    expect(selected).to_have_text("30 selected")
    until(page, lambda: "sel=60-89" in page.url, "the selection in the address")
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV of the selection"))))
    assert len(rows) == EACH
    assert {row["class"] for row in rows} == {"dogfish"}
    assert rows[0]["file"] == "<i>60</i>.jpg"
    assert float(rows[0]["x"]) < 0
    assert json.loads(saved(page, "JSON of the selection"))["points"] == list(range(60, 90))
    page.keyboard.press("Escape")
    expect(selected).to_have_count(0)

    # The legend filters; what it leaves can be selected.
    legend = page.get_by_role("region", name="Legend")
    legend.get_by_role("button", name="dogfish").first.click()
    legend.get_by_role("button", name="Select what is shown").click()
    expect(selected).to_have_text("120 selected")
    page.keyboard.press("Escape")
    page.get_by_label("Colour", exact=True).select_option(label="loss")
    expect(page.locator(".points-histogram")).to_be_visible()
    legend.get_by_label("Greatest of loss").fill("1")
    legend.get_by_label("Greatest of loss").press("Enter")
    legend.get_by_text("Logarithmic").click()
    until(page, lambda: "range=0.01..1" in page.url and "log=1" in page.url, "the range in the address")
    legend.get_by_role("button", name="Select what is shown").click()
    expect(selected).to_have_text("75 selected")

    # All of it is in the address: the same page opens again.
    page.evaluate("localStorage.clear()")
    page.reload()
    page.wait_for_selector("html[data-ready='true']")
    expect(legend.get_by_label("Greatest of loss")).to_have_value("1")
    expect(page.get_by_label("Colour", exact=True)).to_have_value("column:loss")


def test_frames_are_replayed_and_the_table_is_read(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding?draw=dots")
    iteration = page.get_by_label("Iteration", exact=True)
    expect(iteration).to_have_attribute("aria-valuetext", "40")
    expect(page.locator(".points-panel .spark")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".origin-step")).to_have_text("t-SNE, iteration 30 of 40")
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".origin-step")).to_have_text("t-SNE, iteration 40 of 40")

    page.keyboard.press("t")
    table = page.get_by_role("region", name="Table of the points")
    expect(table).to_contain_text("1–50 of 150 points")
    table.get_by_role("button", name="loss").click()
    table.get_by_role("button", name="loss").click()
    expect(table.locator("tbody tr").first).to_contain_text("כלב")
    table.get_by_role("button", name="Next page").click()
    expect(table).to_contain_text("51–100 of 150 points")
    assert page.locator("main b, main i").filter(has_text="dog").count() == 0
    page.set_viewport_size({"width": 390, "height": 800})
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= 390, "a page as wide as the screen")
