"""The page of a layer's filters in a real Chromium: bytes, flags, feature maps, comparison, keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import Traffic, inked, open_view, settled, until
from convscope import SummaryWriter
from convscope.inspect.filters import examine_filters
from convscope.summary import Summary
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filter_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Layers of two networks: one as large as VGG-16's conv5_3, one in colour with feature maps, at two steps."""
    folder = tmp_path_factory.mktemp("filters")
    random = np.random.default_rng(0)
    large = random.standard_normal((512, 512, 3, 3), np.float32)
    large[3], large[5], large[7, 0, 0, 0] = -large[1], 0, np.nan
    first = random.standard_normal((2, 12, 3, 5, 5), np.float32)
    maps = np.linspace(0, 1, 12 * 6 * 6, dtype=np.float32).reshape(12, 6, 6)
    known = {"map": maps, "small": np.full((12, 6, 6), 255, np.uint8), "range": maps.reshape(12, -1)[:, [0, -1]]}
    with SummaryWriter(folder / "vgg") as writer:
        writer.add(examine_filters(large, layer="conv5_3"), "conv5_3")
    with SummaryWriter(folder / "net") as writer:
        for step, weight in enumerate(first):
            writer.add(examine_filters(weight, layer="conv1"), "conv1", 10 * step)
        for picture in ("dog.png", "cat.png"):
            writer.add(Summary("maps", f"conv1/{picture}", arrays=known, meta={"layer": "conv1"}))
    with serve(folder, port=0) as running:
        yield running


def test_a_layer_as_large_as_vggs_opens_with_less_than_a_megabyte(page: Page, filter_run: RunningServer) -> None:
    traffic = Traffic(page)
    open_view(page, filter_run, "#/filters?run=vgg")
    first = "canvas[aria-label='filter 0']"
    inked(page, first, 3)
    opened = traffic.bytes()
    assert 50_000 < opened < 1_000_000, "the weights alone are 9.4 MB"
    page.get_by_role("button", name="All", exact=True).click()
    page.wait_for_url("**input=all*")
    expect(page.locator(first)).to_have_js_property("width", 23 * (3 * 4 + 2) - 2)
    until(page, lambda: traffic.bytes() > opened, "the rows that are on the screen")
    assert traffic.bytes() < opened + 1_000_000


def test_filters_are_chosen_by_flag_and_sorted(page: Page, filter_run: RunningServer) -> None:
    open_view(page, filter_run, "#/filters?run=vgg")
    group = page.get_by_role("group", name="Show only filters that are")
    expect(group.get_by_role("button")).to_have_count(4)
    expect(group.get_by_role("button", name="dead")).to_have_text("dead1")
    group.get_by_role("button", name="duplicate").click()
    page.wait_for_url("**flag=duplicate*")
    expect(page.get_by_role("list", name="Filters").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("link", name="filter 1, L2 norm").click()
    panel = page.get_by_label("Chosen filter")
    expect(panel).to_contain_text("Most like the negative of filter 3: cosine −1")
    panel.get_by_role("link", name="filter 3").click()
    expect(panel.get_by_role("heading")).to_have_text("Filter 3")
    expect(panel.get_by_role("img", name="all input slices of filter 3")).to_be_visible()
    page.get_by_text("How this is judged").click()
    page.wait_for_url("**health=1*")
    expect(page.get_by_label("Health of the filters")).to_contain_text("L2 norm < 1e−6")
    page.goto("about:blank")
    open_view(page, filter_run, "#/filters?run=vgg&sort=norm")
    norms = page.get_by_role("table", name="Filters by number").locator("tbody tr td:nth-child(2)").all_inner_texts()
    assert [float(norm) for norm in norms] == sorted((float(norm) for norm in norms), reverse=True)


def test_a_filter_leads_to_its_feature_map(page: Page, filter_run: RunningServer) -> None:
    open_view(page, filter_run, "#/filters?run=net")
    tile = page.get_by_role("link", name="filter 4, L2 norm")
    settled(tile)
    tile.hover()
    expect(page.get_by_role("tooltip")).to_contain_text("dog.png")
    expect(page.get_by_role("tooltip").get_by_role("img", name="feature map 4 of dog.png")).to_be_visible()
    page.mouse.move(2, 2)
    expect(page.get_by_role("tooltip")).to_have_count(0)
    tile.click()
    panel = page.get_by_label("Chosen filter")
    panel.get_by_label("Picture of the feature map").select_option(label="cat.png")
    expect(panel.get_by_role("img", name="feature map 4 of cat.png")).to_be_visible()
    link = panel.get_by_role("link", name="Its feature map").get_attribute("href") or ""
    assert link.startswith("#/maps?")
    assert "tag=conv1/cat.png" in link
    assert "ch=4" in link


def test_two_layers_are_compared_filter_by_filter(page: Page, filter_run: RunningServer) -> None:
    open_view(page, filter_run, "#/filters?run=net")
    page.get_by_label("Compare with").select_option(label="net · conv1")
    page.wait_for_url("**with=net&layer=conv1*")
    expect(page.get_by_role("img", name="filter 0 minus the other")).to_be_visible()
    first = page.get_by_role("list", name="Filters").get_by_role("listitem").first
    expect(first).to_contain_text("Δ 0 %")
    page.get_by_label("Other step").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**at=0*")
    expect(first).not_to_contain_text("Δ 0 %")
    pixels = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 5, 5).data]"
    this, other, apart = (
        np.array(page.get_by_role("img", name=name, exact=True).evaluate(pixels), float)
        for name in ("filter 0", "filter 0 of the other", "filter 0 minus the other")
    )
    inside = (apart > 1) & (apart < 254)
    inside[3::4] = False
    assert inside.sum() > 40
    assert np.abs((this - other - (apart - 128))[inside]).max() <= 2, "all three on one scale"
    page.get_by_label("Compare with").select_option(label="vgg · conv5_3")
    expect(page.get_by_role("img", name="filter 0 of the other", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="filter 0 minus the other")).to_have_count(0)
    page.goto("about:blank")
    open_view(page, filter_run, "#/filters?run=net&with=gone")
    note = page.get_by_role("status").filter(has_text="No filters of a run “gone” to compare with")
    expect(note).to_be_visible()


def test_filters_are_gone_through_by_keyboard(page: Page, filter_run: RunningServer) -> None:
    open_view(page, filter_run, "#/filters?run=net")
    settled(page.get_by_role("link", name="filter 0, L2 norm"))
    page.get_by_role("link", name="filter 0, L2 norm").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("link", name="filter 1, L2 norm")).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.get_by_label("Chosen filter")
    expect(panel.get_by_role("heading")).to_have_text("Filter 1")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading")).to_have_text("Filter 2")
    page.wait_for_timeout(200)
    expect(page.get_by_role("link", name="filter 2, L2 norm")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.wait_for_timeout(200)
    expect(page.get_by_role("link", name="filter 2, L2 norm")).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page.get_by_role("link", name="filter 2, L2 norm"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
