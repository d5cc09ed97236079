"""The page in a real Chromium, on the results of a small demo: what a person can see and do in each view."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from browser_pages import inked, open_view, outage, ready, settled, until
from convscope import Run, SummaryWriter
from convscope.summary import Summary
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
VIEWS = (
    "Scalars",
    "Histograms",
    "Images",
    "Confusion",
    "PR and ROC",
    "Network",
    "Filters",
    "Feature maps",
    "Layers",
    "Embedding",
    "Weight gradients",
    "Importance",
    "Ablation",
    "Volume",
)


@pytest.fixture(scope="module")
def server(small_demo: Path) -> Iterator[RunningServer]:
    with serve(small_demo, port=0) as running:
        yield running


def test_a_click_through_all_views(page: Page, server: RunningServer) -> None:
    open_view(page, server)
    for view in VIEWS:
        page.get_by_label("Views").get_by_role("link", name=view, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(view)
        ready(page)
        expect(page.get_by_test_id("empty")).to_have_count(0)


def test_scalars_show_every_curve_with_its_last_value(page: Page, server: RunningServer, small_demo: Path) -> None:
    open_view(page, server, "#/scalars")
    for tag in ("train/loss", "train/accuracy", "test/accuracy"):
        expect(page.get_by_label(f"Curve {tag}")).to_be_visible()
    expect(page.get_by_role("table", name="Last values of train/loss")).to_contain_text("24")
    inked(page, "[aria-label='Curve train/loss'] canvas", 20)
    page.get_by_text("Log y").click()
    page.wait_for_url("**log=1*")
    page.keyboard.press("/")
    page.keyboard.type("loss")
    expect(page.get_by_label("Curve test/accuracy")).to_have_count(0)
    expect(page.get_by_label("Curve train/loss")).to_be_visible()


def test_a_growing_run_is_seen(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "live") as writer, serve(tmp_path, port=0) as server:
        writer.add_scalar("loss", 1.0, 1)
        writer.flush()
        open_view(page, server, "#/scalars")
        table = page.get_by_role("table", name="Last values of loss")
        expect(table).to_contain_text("1")
        for step in range(2, 40):
            writer.add_scalar("loss", 1 / step, step)
        expect(table).to_contain_text("39")
        page.goto("about:blank")


def test_tags_are_text_whatever_they_say(page: Page, tmp_path: Path) -> None:
    nasty = "<img src=x onerror=document.title='owned'>"
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar(nasty, 1.0, 1)
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars")
        expect(page.get_by_role("heading", name=nasty)).to_be_visible()
        assert "owned" not in page.title()
        page.goto("about:blank")


def test_an_empty_logdir_says_what_fills_it_and_fills(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, port=0) as server:
        open_view(page, server)
        expect(page.get_by_test_id("empty")).to_contain_text("convscope demo")
        with SummaryWriter(tmp_path / "run") as writer:
            writer.add_scalar("loss", 1.0, 1)
        expect(page.get_by_label("Curve loss")).to_be_visible()
        page.goto("about:blank")


def test_filters_have_a_scale_a_norm_and_a_history(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/filters?run=mnist/training")
    expect(page.get_by_role("listitem")).not_to_have_count(0)
    first = page.get_by_role("link", name="filter 0, L2 norm").first
    before = first.get_attribute("aria-label")
    inked(page, "canvas[aria-label='filter 0']", 5)
    page.get_by_label("Step", exact=True).first.focus()
    page.keyboard.press("Home")
    expect(first).not_to_have_attribute("aria-label", before or "")
    first.click()
    expect(page.get_by_label("Chosen filter")).to_be_visible()


def test_a_layer_shows_patches_and_projections_of_every_channel(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=mnist/channels&tag=conv1")
    channels = page.get_by_test_id("channel")
    expect(channels.first).to_be_visible()
    expect(page.locator("body")).to_contain_text("ReLUs ruled")
    expect(page.locator("body")).to_contain_text("7 × 7")
    inked(page, "canvas[aria-label='patches of channel 0']", 5)
    inked(page, "canvas[aria-label='projections of channel 0']", 5)
    channels.first.click()
    panel = page.get_by_test_id("channel-panel")
    expect(panel).to_be_visible()
    assert "ch=0" in page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**ch=1*")
    page.reload()
    ready(page)
    expect(page.get_by_test_id("channel-panel")).to_contain_text("1")


def test_the_embedding_is_searched_by_whole_words(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding")
    expect(page.get_by_test_id("points")).to_contain_text("120 points")
    inked(page, "canvas.gl", 8)
    page.locator("#search").fill("wrong")
    expect(page.get_by_test_id("matches").first).to_be_visible()
    page.locator("#search").fill("no such word")
    expect(page.get_by_test_id("matches").first).to_contain_text("Nothing matches")


def test_the_volume_is_drawn_and_read(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/volume")
    inked(page, "canvas.gl", 50)
    page.get_by_role("button", name="Maps").or_(page.get_by_role("button", name="Grid")).first.click()
    ready(page)
    expect(page.get_by_role("img", name="feature map 0", exact=True)).to_be_visible()


def test_themes_switch_and_the_choice_is_kept(page: Page, server: RunningServer) -> None:
    open_view(page, server)
    body = page.locator("body")
    light = str(body.evaluate("body => getComputedStyle(body).backgroundColor"))
    page.get_by_test_id("theme").click()
    expect(body).not_to_have_css("background-color", light)
    page.reload()
    ready(page)
    expect(body).not_to_have_css("background-color", light)


def test_a_narrow_page_has_a_drawer_and_no_sideways_scrolling(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for address in ("#/scalars", "#/layer?run=mnist/channels", "#/embedding", "#/volume", "#/filters"):
        open_view(page, server, address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.get_by_label("Open the menu").click()
    page.get_by_label("Views").get_by_role("link", name="Scalars", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Scalars")


@pytest.mark.parametrize("width", [390, 1280])
def test_all_points_of_an_embedding_are_in_sight(page: Page, server: RunningServer, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_view(page, server, "#/embedding?draw=dots")
    page.locator("canvas.gl").scroll_into_view_if_needed()

    def in_sight() -> bool:
        """Whether points are seen, and none of them at the edges."""
        box = settled(page.locator("canvas.gl"))
        shown = page.screenshot(
            clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}, full_page=True
        )
        pixels = np.asarray(Image.open(BytesIO(shown)).convert("RGB"))[3:-3, 3:-3].astype(int)
        coloured = np.ptp(pixels, axis=2) > 40
        inner = coloured[2:-2, 2:-2]
        return bool(inner.any()) and int(inner.sum()) == int(coloured.sum())

    until(page, in_sight, "a picture with all points within its edges")


def test_the_help_lists_the_keys(page: Page, server: RunningServer) -> None:
    open_view(page, server)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("page", [("net::ERR_",)], indirect=True)
def test_the_page_survives_a_restart_of_the_server(page: Page, small_demo: Path) -> None:
    first = serve(small_demo, port=0)
    open_view(page, first, "#/scalars")
    with outage(first):
        expect(page.get_by_test_id("status")).not_to_contain_text("updated")
        again = serve(small_demo, port=first.port)
    assert again.port == first.port
    with again:
        expect(page.get_by_test_id("status")).to_contain_text("updated")


def test_while_a_layer_is_on_its_way_nothing_of_another_is_shown_in_its_name(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=mnist/channels&tag=conv1")
    channels = page.get_by_test_id("channel")
    expect(channels.first).to_be_visible()
    held: list[Route] = []
    released = False

    def hold(route: Route) -> None:
        route.continue_() if released else held.append(route)

    page.route("**/api/arrays?*", hold)
    page.evaluate("location.hash = '#/layer?run=mnist/channels&tag=conv2'")
    expect(page.get_by_text("Loading conv2")).to_be_visible()
    page.evaluate("location.hash = '#/layer?run=mnist/channels&tag=conv2&sort=max'")
    page.get_by_test_id("theme").click()
    until(page, lambda: bool(held), "the question for the layer")
    page.wait_for_timeout(300)
    expect(page.get_by_role("heading", level=1)).to_contain_text("conv2")
    expect(channels).to_have_count(0)
    released = True
    for request in held:
        request.continue_()
    expect(channels.first).to_be_visible()
    expect(page.get_by_role("table", name="Channels of conv2")).to_have_count(1)


@pytest.mark.parametrize("number", ["1.5", "-1", "99999", "NaN"])
def test_a_wrong_channel_in_the_address_is_named(page: Page, server: RunningServer, number: str) -> None:
    for view, name in (("layer", "channel"), ("filters", "filter"), ("volume", "place")):
        open_view(page, server, f"#/{view}?ch={number}")
        expect(page.get_by_role("status").filter(has_text=f"No {name} “{number}” here")).to_be_visible()
        expect(page.get_by_label("Breadcrumb")).not_to_contain_text(number)
    page.goto("about:blank")
    open_view(page, server, "#/embedding?point=3.7")
    expect(page.get_by_role("status").filter(has_text="No point “3.7” here")).to_be_visible()


def test_an_unknown_run_or_tag_in_the_address_is_named(page: Page, server: RunningServer) -> None:
    for view in ("layer", "filters", "volume", "embedding"):
        open_view(page, server, f"#/{view}?run=gone&tag=nowhere")
        note = page.get_by_role("status").filter(has_text="No run “gone” here; showing mnist")
        expect(note).to_contain_text("No “nowhere” in mnist")
        expect(page.get_by_label("Breadcrumb")).to_contain_text("mnist")
    page.evaluate("location.hash = '#/layer?run=mnist/channels'")
    ready(page)
    expect(page.get_by_test_id("channel").first).to_be_visible()
    expect(page.get_by_text("here; showing")).to_have_count(0)


def test_odd_values_in_the_address_of_the_curves_do_no_harm(page: Page, server: RunningServer) -> None:
    for address in ("#/scalars?hide=%25", "#/scalars?smooth=-5", "#/scalars?smooth=99", "#/scalars?smooth=NaN"):
        page.goto("about:blank")
        open_view(page, server, address)
        expect(page.get_by_label("Curve train/loss")).to_be_visible()


def test_a_channel_is_opened_and_left_by_keyboard(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?run=mnist/channels&tag=conv1")
    page.get_by_role("link", name="channel 5", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="Channel 5")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", level=2, name="Channel 6")).to_be_focused()
    page.get_by_role("link", name="Next channel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2, name="Channel 7")).to_be_visible()
    expect(page.get_by_role("link", name="Next channel")).to_be_focused()
    page.keyboard.press("Escape")
    card = page.get_by_role("link", name="channel 7", exact=True)
    expect(card).to_be_focused()
    page.wait_for_timeout(300)  # the grid lays itself out anew once it has its size
    expect(card).to_be_focused()


def test_no_page_scrolls_sideways_on_the_smallest_phones(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for view in (
        "scalars",
        "histograms",
        "images",
        "confusion",
        "curves?class=1",
        "layer",
        "layer?ch=0",
        "filters?ch=0",
        "embedding",
        "volume",
    ):
        page.goto("about:blank")
        open_view(page, server, f"#/{view}")
        settled(page.locator(".view-header"))
        until(page, lambda: bool(page.evaluate(fits)), f"{view}, no wider than the screen,")
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), view


def test_an_embedding_made_anew_has_no_old_positions(page: Page, tmp_path: Path) -> None:
    def embedding(points: int) -> Summary:
        arrays = {"label": np.zeros(points, np.int32), "index": np.arange(points), "vector": np.eye(points, 3)}
        return Summary("embedding", "fc", 0, time.time(), arrays, {}, {"layer": "fc", "label_names": ["dog"]})

    def projection(points: int) -> Summary:
        arrays = {"points": np.random.default_rng(0).normal(size=(points, 2)).astype(np.float32)}
        return Summary("projection", "fc/pca", 0, time.time(), arrays, {}, {"method": "pca"})

    with SummaryWriter(tmp_path / "run") as writer, serve(tmp_path, port=0) as server:
        writer.add(embedding(40))
        writer.add(projection(40))
        writer.flush()
        open_view(page, server, "#/embedding")
        points = page.get_by_test_id("points")
        expect(points).to_have_text("40 points")
        writer.add(embedding(50))
        writer.flush()
        expect(points).to_contain_text("No projection recorded yet")
        writer.add(projection(30))
        writer.flush()
        expect(points).to_contain_text("30 positions do not fit the 50 points")
        writer.add(projection(50))
        writer.flush()
        expect(points).to_have_text("50 points")
        page.goto("about:blank")


def test_filters_keep_their_shape_and_the_colours_of_a_bgr_network(page: Page, tmp_path: Path) -> None:
    weight = np.zeros((2, 3, 9, 3), np.float32)
    weight[:, 0] = 1  # the first input of such a network is blue
    arrays = {"weight": weight, "norm": np.ones(2, np.float32)}
    meta = {"layer": "conv1", "network": "caffe", "dead": [], "weak": [], "scale": 1.0, "order": "BGR"}
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add(Summary("filters", "conv1", 0, time.time(), arrays, {}, meta))
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/filters")
        canvas = page.get_by_role("img", name="filter 0", exact=True)
        box = settled(canvas)
        assert box["height"] == pytest.approx(3 * box["width"], rel=0.05)
        pixel = canvas.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]")
        assert pixel == [128, 128, 255, 255]
        page.goto("about:blank")


def test_a_confusion_matrix_is_read_by_keyboard_and_by_its_table(
    page: Page, server: RunningServer, small_demo: Path
) -> None:
    run = Run(small_demo / "mnist" / "training")
    counts = run.record(run.entries("confusion_matrix")[-1]).arrays()["counts"]
    open_view(page, server, "#/confusion")
    cells = page.get_by_role("table", name="Confusion matrix").locator("tbody tr").nth(3).locator("td")
    assert [int(text) for text in cells.all_inner_texts()] == [3, *counts[3]]
    inked(page, "canvas.heat-map", 20)
    page.locator("canvas.heat-map").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.get_by_role("tooltip")).to_contain_text("1 taken for 1")
    expect(page.get_by_role("tooltip")).to_contain_text(f"{counts[1, 1]} of {counts[1].sum()}")
    page.get_by_role("button", name="Row", exact=True).click()
    page.wait_for_url("**norm=row*")
    page.keyboard.press("/")
    page.keyboard.type("7")
    classes = page.get_by_role("table", name="How well each class is recognised").locator("tbody tr")
    expect(classes).to_have_count(1)


def test_one_class_is_picked_out_of_the_curves(page: Page, server: RunningServer, small_demo: Path) -> None:
    run = Run(small_demo / "mnist" / "training")
    record = run.record(run.entries("curves")[-1])
    open_view(page, server, "#/curves")
    areas = page.get_by_role("table", name="Areas under the curves of each class")
    expect(areas.locator("tbody tr").nth(7)).to_contain_text(f"{record.arrays()['auc'][7]:.4f}")
    inked(page, "[aria-label='ROC'] canvas", 20)
    areas.get_by_role("button", name="7").click()
    page.wait_for_url("**class=7*")
    rows = page.get_by_role("table", name="Curves of 7").locator("tbody tr")
    expect(rows).to_have_count(record.arrays()["threshold"].shape[1])
    page.get_by_role("button", name="Corner").click()
    page.wait_for_url("**range=corner*")
    page.keyboard.press("Escape")
    expect(rows).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**step=12*")
