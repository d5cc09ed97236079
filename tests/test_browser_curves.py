"""TensorBoard's PR curves, classes compared between runs, and the confusion matrix in a real Chromium."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import ink, open_view, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

RNG = np.random.default_rng(7)
LABELS = RNG.integers(0, 2, 120)
SCORES = {
    (run, step): np.clip(LABELS * 0.25 * (1 + step / 10) + RNG.random(120) * noise, 0, 0.95)
    for run, noise in (("one", 0.9), ("two", 0.5))
    for step in (0, 10)
}
CLASSES = ("cat", "dog", "<b>owl")
COUNTS = np.array([[8, 1, 1], [4, 6, 0], [0, 7, 13]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("curves")
    truth, guess = (np.repeat(axis, COUNTS.ravel()) for axis in np.divmod(np.arange(9), 3))
    scores = RNG.random((40, 3)) / 3 + np.eye(3)[truth] / 3
    for run in ("one", "two"):
        with SummaryWriter(logdir / run) as writer:
            for step in (0, 10):
                writer.add_pr_curve("binary", LABELS, SCORES[run, step], step, num_thresholds=201)
            writer.add_pr_curves("classes", truth, scores if run == "one" else scores**2, CLASSES, 10)
            writer.add_confusion_matrix("val", truth, guess, CLASSES, 10)
    with serve(logdir, port=0) as running:
        yield running


def average_precision(scores: npt.NDArray[Any]) -> float:
    """The definition, at the thresholds that were logged."""
    total, before = 0.0, 0.0
    for threshold in np.linspace(0, 1, 201, dtype=np.float32)[::-1]:
        chosen = scores.astype(np.float32) >= threshold
        if not chosen.any():
            continue
        recall = LABELS[chosen].sum() / LABELS.sum()
        total += (recall - before) * LABELS[chosen].mean()
        before = recall
    return total


def areas(page: Page) -> Locator:
    return page.get_by_role("table", name="Areas under the curves of binary, run by run").locator("tbody tr")


def test_runs_are_compared_in_one_chart_with_the_average_precision_of_its_definition(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/curves?run=two&tag=binary")
    expect(areas(page)).to_have_count(2)
    for row, run in enumerate(("two", "one")):
        expect(areas(page).nth(row)).to_contain_text(run)
        expect(areas(page).nth(row)).to_contain_text(f"{average_precision(SCORES[run, 10]):.4f}")
    both = ink(page, "[aria-label='Precision and recall'] canvas")
    assert both > 20
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**step=0*")
    expect(areas(page).nth(0)).to_contain_text(f"{average_precision(SCORES['two', 0]):.4f}")
    areas(page).nth(1).get_by_role("button").click()
    page.wait_for_url("**run=one*")
    expect(areas(page).nth(0)).to_contain_text("one")


def test_a_threshold_is_read_by_keyboard_and_where_nothing_is_predicted_it_says_so(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/curves?run=two&tag=binary")
    page.locator("[aria-label='Precision and recall'] canvas").focus()
    page.keyboard.press("ArrowRight")
    tooltip = page.get_by_role("tooltip")
    expect(tooltip).to_contain_text("threshold1")
    expect(tooltip).to_contain_text("not defined: nothing is predicted")
    page.keyboard.press("End")
    positives = int(LABELS.sum())
    expect(tooltip).to_contain_text(f"precision{positives / 120:.4g}")
    expect(tooltip).to_contain_text(f"true positives{positives}")
    expect(page.get_by_role("status").filter(has_text="two: threshold 0, recall 1")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(tooltip).to_contain_text("one")
    page.keyboard.press("Escape")
    expect(tooltip).to_be_hidden()


def test_lines_of_equal_f1_come_and_go_and_points_are_saved(page: Page, server: RunningServer, tmp_path: Path) -> None:
    open_view(page, server, "#/curves?run=two&tag=binary")
    canvas = page.locator("[aria-label='Precision and recall'] canvas")
    shown = canvas.screenshot()
    page.get_by_text("F1 lines").click()
    page.wait_for_url("**f1=0*")
    until(page, lambda: canvas.screenshot() != shown, "the plot without lines")
    page.get_by_role("button", name="Save Precision and recall").click()
    with page.expect_download() as saving:
        page.get_by_role("menuitem", name="CSV of all points").click()
    saving.value.save_as(tmp_path / "points.csv")
    rows = list(csv.DictReader((tmp_path / "points.csv").read_text().splitlines()))
    assert len(rows) == 2 * 201
    assert (rows[0]["precision"], rows[200]["recall"]) == ("NaN", "1")
    page.get_by_role("button", name="Save ROC").click()
    with page.expect_download() as saving:
        page.get_by_role("menuitem", name="SVG").click()
    assert saving.value.suggested_filename == "binary-roc.svg"


def test_the_curves_of_classes_are_listed_once_and_a_class_is_compared_between_runs(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/curves?run=one&tag=classes")
    tags = page.get_by_role("region", name="Tags").get_by_role("link")
    expect(tags).to_have_text(["classes", "binary"])
    page.get_by_role("table", name="Areas under the curves of each class").get_by_role("button", name="dog").click()
    compared = page.get_by_role("table", name="dog in all shown runs").locator("tbody tr")
    expect(compared).to_have_count(2)
    expect(compared.nth(1)).to_contain_text("two")


def test_a_confusion_matrix_is_sorted_and_its_shares_are_of_rows_or_columns(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/confusion")
    table = page.get_by_role("table", name="How well each class is recognised").locator("tbody tr")
    expect(table.nth(1)).to_contain_text("60.0 %")
    expect(table.nth(1)).to_contain_text(f"{600 / 14:.1f} %")
    page.get_by_label("Order").select_option("worst recall")
    page.wait_for_url("**sort=recall*")
    expect(table.nth(0)).to_contain_text("dog")
    cells = page.get_by_role("table", name="Confusion matrix").locator("tbody tr").first.locator("td")
    expect(cells).to_have_text(["dog", "6", "0", "4"])
    canvas = page.locator("canvas.heat-map")
    pictures = set()
    for name, key in (("Row", "norm=row"), ("Column", "norm=column")):
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_url(f"**{key}*")
        pictures.add(canvas.screenshot())
    assert len(pictures) == 2
    mistake = page.get_by_role("button", name="<b>owl → dog")
    before = canvas.screenshot()
    mistake.focus()
    until(page, lambda: canvas.screenshot() != before, "the frame around its cell")
    canvas.focus()
    page.keyboard.press("End")
    expect(page.get_by_role("tooltip")).to_contain_text("dog taken for cat")
    expect(page.get_by_role("status").filter(has_text="dog taken for cat: 4 of 10 (40.0 %)")).to_have_count(1)
