"""The histograms in a real Chromium: every kind of figure, exact readings, marks of gradients, files, odd logs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import open_view, settled, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
STEPS = 12
LAYERS = 5
NOISE = np.random.default_rng(0).normal(size=500)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("histograms")
    for run, shrink in (("sound", 0.8), ("sinking", 0.02)):
        with SummaryWriter(logdir / run) as writer:
            for step in range(0, 10 * STEPS, 10):
                write_step(writer, run, shrink, step)
    with SummaryWriter(logdir / "odd") as writer:
        write_odd(writer)
    with serve(logdir, port=0) as running:
        yield running


def write_step(writer: SummaryWriter, run: str, shrink: float, step: int) -> None:
    writer.add_histogram("weights/first", np.arange(100) + step, step, walltime=1e9 + step)
    for layer in range(LAYERS):
        gradient = NOISE * shrink ** (LAYERS - 1 - layer)
        if run == "sinking" and layer == LAYERS - 1 and step == 80:
            gradient = 1000 * gradient
        if run == "sinking" and layer == LAYERS - 1 and step == 90:
            gradient = np.concatenate([gradient, [np.nan, np.nan, np.inf]])
        writer.add_histogram(f"grad/{layer}.weight", gradient, step, walltime=1e9 + step)


def write_odd(writer: SummaryWriter) -> None:
    for step in range(3):
        writer.add_histogram("odd/single", [3.0], step)
        writer.add_histogram("odd/nothing", np.full(7, np.nan), step)
        writer.add_histogram("odd/zeros", np.zeros(9), step)
        writer.add_histogram_raw("odd/ends", -1, 1, 4, 0, 2, [-1, 0, 1.7e308], [0, 2, 2], step)
    for step in range(300):
        writer.add_histogram("odd/many", [0.0, 1.0, float(step)], step)


def card(page: Page, tag: str, run: str) -> Locator:
    return page.get_by_label(f"Histograms of {tag}, {run}", exact=True)


def numbers(page: Page, tag: str, run: str) -> Locator:
    return card(page, tag, run).locator(".histogram-numbers")


def strip(page: Page) -> Locator:
    return page.get_by_role("region", name="Gradients over depth")


def saved(page: Page, of: Locator, item: str) -> str:
    of.get_by_role("button", name="Save").click()
    with page.expect_download() as download:
        of.get_by_role("menuitem", name=item).click()
    return Path(download.value.path()).read_text()


EMPTY = 4000  # bytes of the address of a picture with little in it
FIGURES = {"Heat map": "mode=heat", "Quantiles": "mode=bands", "Runs": "mode=compare", "Ridges": ""}


def test_every_kind_of_figure_is_drawn_and_in_the_address(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/histograms?q=weights&only=sound,sinking")
    for figure, mode in FIGURES.items():
        page.get_by_role("button", name=figure, exact=True).click()
        until(page, lambda mode=mode: ("mode=" in page.url) == bool(mode) and mode in page.url, "the address")
        shown = page.locator(".ridge-card")
        expect(shown).to_have_count(1 if figure == "Runs" else 2)
        canvas = shown.first.locator("canvas")
        until(page, lambda canvas=canvas: canvas.evaluate("c => c.toDataURL().length") > EMPTY, "a figure")
        if figure == "Runs":
            expect(shown.locator(".histogram-numbers tbody tr")).to_have_count(2)
        else:
            expect(numbers(page, "weights/first", "sound")).to_contain_text("step 110")


def test_the_step_of_the_slider_is_the_step_of_all_cards(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/histograms?q=weights&only=sound,sinking&step=37")
    for run in ("sound", "sinking"):
        expect(numbers(page, "weights/first", run)).to_contain_text("step 30")
        expect(numbers(page, "weights/first", run)).to_contain_text("nothing at 37")
        expect(numbers(page, "weights/first", run)).to_contain_text("mean79.5")
    page.get_by_role("button", name="Next step").click()
    until(page, lambda: "step=40" in page.url, "the next step in the address")
    expect(numbers(page, "weights/first", "sinking")).to_contain_text("step 40")
    page.get_by_role("button", name="Latest").click()
    expect(numbers(page, "weights/first", "sound")).to_contain_text("step 110")


@pytest.mark.parametrize("mode", ["ridges", "heat", "bands"])
def test_a_histogram_is_read_by_pointer_and_by_keyboard(page: Page, server: RunningServer, mode: str) -> None:
    open_view(page, server, f"#/histograms?q=weights&only=sound&step=50&mode={mode}")
    canvas = card(page, "weights/first", "sound").locator("canvas")
    expect(numbers(page, "weights/first", "sound")).to_contain_text("step 50")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    tooltip = page.get_by_role("tooltip")
    expect(tooltip).to_contain_text("step 50")
    page.keyboard.press("ArrowRight")
    expect(tooltip).to_contain_text("step 60")
    expect(tooltip).to_contain_text("after 1 min")
    expect(card(page, "weights/first", "sound").get_by_role("status")).to_contain_text("step 60: values 100")
    if mode != "bands":
        expect(tooltip).to_contain_text("of 100 values in")
        before = tooltip.inner_text()
        page.keyboard.press("ArrowUp")
        until(page, lambda: tooltip.inner_text() != before, "another bin")
    page.keyboard.press("Enter")
    until(page, lambda: "step=60" in page.url, "the step that was read in the address")
    page.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()
    box = settled(canvas)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 30)
    expect(tooltip).to_contain_text("110" if mode == "ridges" else "step")


def test_gradients_that_vanish_or_explode_are_marked_by_thresholds_that_can_be_changed(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/histograms?only=sound,sinking&step=70&q=grad")
    expect(strip(page)).to_contain_text("▼ 2 vanishing, ▲ 0 exploding of 10 gradients at step 70")
    expect(numbers(page, "grad/0.weight", "sinking")).to_contain_text("vanishing")
    expect(numbers(page, "grad/0.weight", "sound")).not_to_contain_text("vanishing")
    share = strip(page).get_by_role("textbox", name="Vanishing: share of the largest RMS")
    expect(share).to_have_value("1e-4")
    share.fill("1e-3")
    share.press("Enter")
    until(page, lambda: "vanish=0.001" in page.url, "the threshold in the address")
    expect(strip(page)).to_contain_text("▼ 3 vanishing")
    share.fill("nonsense")
    share.press("Enter")
    expect(share).to_have_attribute("aria-invalid", "true")
    open_view(page, server, "#/histograms?only=sinking&step=80&q=grad&vanish=0&floor=0")
    expect(strip(page)).to_contain_text("▼ 0 vanishing, ▲ 1 exploding of 5 gradients at step 80")
    open_view(page, server, "#/histograms?only=sinking&step=80&q=grad&explode=2000")
    expect(strip(page)).to_contain_text("▲ 0 exploding")


def test_values_that_are_not_finite_are_counted_and_flagged(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/histograms?only=sinking&step=90&q=grad/4")
    broken = card(page, "grad/4.weight", "sinking")
    expect(broken.locator(".histogram-flags")).to_contain_text(
        "NaN or infinite values at 1 step of 12, first at step 90"
    )
    expect(numbers(page, "grad/4.weight", "sinking")).to_contain_text("NaN2")
    expect(numbers(page, "grad/4.weight", "sinking")).to_contain_text("infinite1")
    expect(strip(page).get_by_role("row", name="grad/4.weight")).to_contain_text("exploding")


def test_gradients_over_depth_are_read_layer_by_layer(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/histograms?only=sinking&step=70&q=grad")
    expect(strip(page).get_by_role("row")).to_have_count(1 + LAYERS)
    expect(strip(page)).to_contain_text("2 vanishing")
    strip(page).locator("canvas").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    tooltip = page.get_by_role("tooltip")
    expect(tooltip).to_contain_text("grad/1.weight")
    expect(tooltip).to_contain_text("vanishing")
    page.keyboard.press("Enter")
    expect(page.locator(".ridge-card")).to_have_count(1)
    rows = list(csv.DictReader(io.StringIO(saved(page, strip(page), "CSV of this step"))))
    assert [row["gradient"] for row in rows] == [f"grad/{layer}.weight" for layer in range(LAYERS)]
    truth = np.sqrt(np.mean(np.square(NOISE))) * 0.02 ** np.arange(LAYERS - 1, -1, -1)
    assert np.allclose([float(row["rms"]) for row in rows], truth, rtol=1e-5)


def test_quantiles_of_every_step_are_saved(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/histograms?q=weights&only=sound&bands=tensorboard&mode=bands")
    text = saved(page, card(page, "weights/first", "sound"), "CSV of quantiles, every step")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["step"]) for row in rows] == list(range(0, 10 * STEPS, 10))
    assert [(float(row["q0"]), float(row["q100"])) for row in rows] == [(s, s + 99) for s in range(0, 10 * STEPS, 10)]
    for row in rows:  # within a bucket: those of such values are 6 to 12 % wide
        assert float(row["q50"]) == pytest.approx(int(row["step"]) + 49.5, rel=0.12)
        assert float(row["mean"]) == pytest.approx(int(row["step"]) + 49.5)


def test_odd_histograms_are_drawn_or_say_why_not(page: Page, server: RunningServer) -> None:
    for mode in ("ridges", "heat", "bands"):
        open_view(page, server, f"#/histograms?q=odd&only=odd&mode={mode}&logn=1&logv=1")
        expect(numbers(page, "odd/single", "odd")).to_contain_text("median3")
        expect(numbers(page, "odd/nothing", "odd")).to_contain_text("NaN7")
        expect(numbers(page, "odd/nothing", "odd")).not_to_contain_text("median")
        expect(numbers(page, "odd/zeros", "odd")).to_contain_text("zeros9 (100 %)")
        expect(card(page, "odd/zeros", "odd").locator(".histogram-flags")).to_contain_text("all zero")
        expect(numbers(page, "odd/ends", "odd")).to_contain_text("max1")
    many = card(page, "odd/many", "odd")
    many.scroll_into_view_if_needed()
    expect(many).to_contain_text("300 steps in ")
    expect(many.get_by_role("table", name="odd/many by step, 60 of 300 steps")).to_have_count(1)


def test_the_histograms_fit_a_phone(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for mode in ("heat", "compare"):
        open_view(page, server, f"#/histograms?mode={mode}")
        settled(page.locator(".ridge-card").first)
        until(page, lambda: bool(page.evaluate(fits)), f"{mode}, no wider than the screen,")
