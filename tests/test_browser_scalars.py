"""Curves in a real Chromium: groups of many tags, zoom over all charts, tooltip, means, tables, files."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from browser_pages import open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
TAGS = 10_000
STEPS = 101
TRAIN = "closed=custom:Mine,/band,/"
"""Only the group of training is open."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Three seeds whose curves tell the step, and a run that is odd in every way."""
    logdir = tmp_path_factory.mktemp("scalars")
    for seed in range(3):
        with SummaryWriter(logdir / f"sweep/seed{seed}") as writer:
            for step in range(STEPS):
                writer.add_scalar("train/ramp", float(step), step)
                writer.add_scalar("train/level", 10.0 * (seed + 1), step)
            if seed == 0:
                for tag, value in (("band/mean", 5.0), ("band/low", 2.0), ("band/high", 9.0)):
                    writer.add_scalar(tag, value, 0)
                    writer.add_scalar(tag, value, 50)
                charts = {
                    "both": ["Multiline", ["train/(ramp|level)"]],
                    "band": ["Margin", ["band/mean", "band/low", "band/high"]],
                }
                writer.add_custom_scalars({"Mine": charts})
    with SummaryWriter(logdir / "odd") as writer:
        values = [math.nan, math.inf, -math.inf, 1000.0, *(float(value) for value in range(36))]
        for step, value in enumerate(values):
            writer.add_scalar("odd", value, step)
        for step in (0, 1, 2, 3, 2, 3, 4):
            writer.add_scalar("restart", 1.0, step)
    with serve(logdir, port=0) as running:
        yield running


def card(page: Page, tag: str) -> Locator:
    return page.get_by_role("article", name=f"Curve {tag}", exact=True)


def chart(page: Page, tag: str) -> Locator:
    return card(page, tag).get_by_role("group", name=f"Chart of {tag}:")


def drag(page: Page, tag: str, start: float, stop: float) -> None:
    """Drag over the plot of a card, from one share of its width to another."""
    card(page, tag).scroll_into_view_if_needed()
    box = settled(card(page, tag).locator(".u-over"))
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + stop) / 2 * box["width"], y)
    page.mouse.move(box["x"] + stop * box["width"], y)
    page.mouse.up()


def zoomed(page: Page) -> tuple[float, float] | None:
    found = re.search(r"zoom=([-\d.e]+):([-\d.e]+)", page.url)
    return (float(found[1]), float(found[2])) if found else None


def has_zoom(page: Page, low: float, high: float, tolerance: float) -> bool:
    now = zoomed(page)
    return now is not None and abs(now[0] - low) < tolerance and abs(now[1] - high) < tolerance


def test_a_drag_zooms_all_charts_shift_pans_and_the_address_knows(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?only=sweep/seed0&smooth=0&" + TRAIN)
    drag(page, "train/level", 0.2, 0.6)
    until(page, lambda: has_zoom(page, 20, 60, 1.5), "the zoom")
    chart(page, "train/level").press("Home")
    expect(card(page, "train/ramp").locator(".reading b")).to_have_text("20")  # the other chart follows
    page.keyboard.down("Shift")
    drag(page, "train/ramp", 0.75, 0.25)
    page.keyboard.up("Shift")
    until(page, lambda: has_zoom(page, 40, 80, 2), "the pan")
    page.reload()
    ready(page)
    chart(page, "train/ramp").press("End")
    until(page, lambda: abs(float(reading(page, "train/ramp")) - 80) <= 2, "the end of the zoomed range")
    chart(page, "train/ramp").locator(".u-over").dblclick()
    until(page, lambda: zoomed(page) is None, "the whole range")
    expect(page.get_by_role("button", name="Whole range")).to_be_hidden()
    page.go_back()
    until(page, lambda: zoomed(page) is not None, "the zoom again")
    expect(page.get_by_role("button", name="Whole range")).to_be_visible()


def reading(page: Page, tag: str) -> str:
    return card(page, tag).locator(".reading b").first.inner_text()


def test_arrow_keys_read_a_chart_point_by_point(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?only=sweep/seed1&smooth=0&zoom=10:14&" + TRAIN)
    plot = chart(page, "train/ramp")
    plot.press("Home")
    for _ in range(3):
        plot.press("ArrowRight")
    expect(card(page, "train/ramp").locator("[aria-live]")).to_have_text("train/ramp: sweep/seed1 13 step 13")
    plot.press("ArrowLeft")
    expect(card(page, "train/level").locator(".reading b")).to_have_text("20")
    expect(page.get_by_role("tooltip")).to_contain_text("step 12")
    plot.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()
    plot.press("0")
    until(page, lambda: zoomed(page) is None, "the whole range")


def test_a_parked_tooltip_stays_and_is_sorted(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?smooth=0&" + TRAIN)
    page.get_by_text("Park tooltip").click()
    page.wait_for_url("**tip=park*")
    parked = page.get_by_role("complementary", name="Values at the cursor")
    over = card(page, "train/level").locator(".u-over")
    over.scroll_into_view_if_needed()
    over.hover()
    rows = parked.get_by_role("row")
    expect(rows.first).to_contain_text("seed0")
    page.get_by_label("Tooltip", exact=True).select_option("high")
    page.wait_for_url("**sort=high*")
    over.hover(position={"x": 60, "y": 60})
    expect(rows.first).to_contain_text("seed2")
    expect(page.get_by_role("tooltip")).to_be_hidden()
    page.mouse.move(2, 2)
    expect(rows).to_have_count(3)  # it keeps what it said
    page.get_by_label("Tooltip", exact=True).select_option("near")
    box = settled(over)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 12)  # the lowest line is seed0's
    expect(rows.first).to_contain_text("seed0")
    expect(rows.first).to_have_class(re.compile("nearest"))


def test_grouped_runs_are_a_mean_with_its_deviation(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?group=/&smooth=0&" + TRAIN)
    level = card(page, "train/level")
    expect(level).to_contain_text("mean ± standard deviation of 3 runs")
    level.locator(".u-over").hover()
    tooltip = page.get_by_role("tooltip")
    expect(tooltip).to_contain_text("sweep20± 10, 3 of 3 runs")
    expect(page.get_by_role("table", name="Last values of train/level")).to_contain_text("sweep (mean of 3 runs)")


def test_pins_and_tables_are_in_the_address(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?" + TRAIN)
    card(page, "train/level").get_by_role("button", name="Pin").click()
    page.wait_for_url("**pins=train/level*")
    pinned = page.get_by_role("region", name="Pinned")
    expect(pinned.get_by_role("heading", name="train/level")).to_be_visible()
    pinned.get_by_role("button", name="Table of train/level").click()
    page.wait_for_url("**table=train/level*")
    page.reload()
    ready(page)
    table = pinned.get_by_role("region", name="Smallest, largest and last values")
    first = table.get_by_role("row").nth(1)
    expect(first).to_contain_text("seed0")
    expect(first).to_contain_text("10 @ 100")
    table.get_by_role("button", name="Max").click()
    expect(table.get_by_role("columnheader", name="Max")).to_have_attribute("aria-sort", "ascending")
    table.get_by_role("button", name="Max").click()
    page.wait_for_url("**by=-max*")
    expect(first).to_contain_text("seed2")
    pinned.get_by_role("button", name="Pin train/level").click()
    expect(pinned).to_have_count(0)


def test_what_is_odd_is_said(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?only=odd&clip=1&smooth=0")
    expect(card(page, "odd")).to_contain_text("1 NaN × · 1 +∞ ▲ · 1 −∞ ▼")
    # The axis ends a little beyond the percentiles 1.8 and 34.2 of the 37 finite points.
    expect(card(page, "odd")).to_contain_text("axis: 5–95 % of the points, 1 outside")
    expect(card(page, "restart")).to_contain_text("steps go back once: drawn apart")
    page.get_by_text("Log x").click()
    page.wait_for_url("**logx=1*")
    expect(card(page, "restart")).to_contain_text("1 point not above 0, without a place on a log axis")
    page.get_by_role("button", name="Wall").click()
    page.wait_for_url("**x=wall*")
    expect(card(page, "restart")).not_to_contain_text("steps go back")


def test_a_card_is_saved_as_csv_svg_and_png(page: Page, server: RunningServer, tmp_path: Path) -> None:
    open_view(page, server, "#/scalars?only=odd")

    def save(label: str) -> Path:
        card(page, "odd").get_by_role("button", name="Save odd").click()
        with page.expect_download() as waiting:
            page.get_by_role("menuitem", name=label).click()
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
        return tmp_path / waiting.value.suggested_filename

    rows = list(csv.DictReader(save("CSV of all points").read_text().splitlines()))
    assert [row["step"] for row in rows] == [str(step) for step in range(40)]
    assert math.isnan(float(rows[0]["value"]))
    assert float(rows[1]["value"]) == math.inf
    assert (rows[3]["run"], rows[3]["tag"], rows[3]["value"]) == ("odd", "odd", "1000")
    svg = save("SVG")
    assert svg.name == "odd.svg"
    drawn = ET.parse(svg).getroot()
    paths = [path.get("d", "") for path in drawn.iter("{http://www.w3.org/2000/svg}path")]
    assert any(path.count("L") == 36 for path in paths), "a line through the 37 finite points"
    pixels = np.asarray(Image.open(save("PNG")).convert("RGB"))
    assert pixels.shape[1] == 1520
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_custom_charts_have_a_section(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?only=sweep/seed0&smooth=0")
    section = page.get_by_role("region", name="Custom charts · Mine")
    both = section.get_by_role("article", name="Curve Mine: both")
    expect(both.locator(".reading")).to_have_count(2)
    expect(both.locator(".reading").first).to_contain_text("train/ramp")
    band = section.get_by_role("article", name="Curve Mine: band")
    band.locator(".u-over").hover()
    expect(band.locator(".reading b")).to_have_text("5")


def test_runs_of_one_colour_differ_by_their_dashes(page: Page, tmp_path: Path) -> None:
    for run in range(14):
        with SummaryWriter(tmp_path / f"run{run:02}") as writer:
            writer.add_scalar("loss", 1.0 + run, 1)
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars?table=loss&by=-last")
        rows = card(page, "loss").get_by_role("row").filter(has=page.get_by_role("rowheader"))
        expect(rows).to_have_count(14)
        dashed = rows.filter(has=page.locator("svg.swatch path[stroke-dasharray]"))
        expect(dashed).to_have_count(2)
        expect(dashed.first).to_contain_text("run13")
        expect(card(page, "loss")).to_contain_text("and 6 more lines")
        page.goto("about:blank")


def test_ten_thousand_tags_open_at_once(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for tag in range(TAGS):
            writer.add_scalar(f"group{tag % 4}/tag{tag}", 1.0, 1)
    with serve(tmp_path, port=0) as server:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        open_view(page, server, "#/scalars")
        cards = page.get_by_role("article")
        expect(card(page, "group0/tag0")).to_be_visible()
        assert cards.count() <= 180
        assert 0 < sum("api/series" in url for url in asked) <= 40, "only what is on the screen is fetched"
        page.locator("[data-scroller]").evaluate("(main) => main.scrollTo(0, main.scrollHeight)")
        last = card(page, f"group3/tag{TAGS - 1}")
        expect(last.locator("canvas")).to_be_visible()
        assert cards.count() <= 240
        assert page.locator("canvas").count() <= 40, "canvases far from the screen are given back"
        page.locator("[data-scroller]").evaluate("(main) => main.scrollTo(0, 0)")
        page.get_by_role("button", name="Close all").click()
        page.wait_for_url(re.compile(r"closed=\*|closed=%2A"))
        expect(cards).to_have_count(0)
        group = page.get_by_role("region", name="group2").get_by_role("button", name="group2")
        expect(group).to_have_attribute("aria-expanded", "false")
        group.click()
        expect(card(page, "group2/tag2")).to_be_visible()
        page.goto("about:blank")
