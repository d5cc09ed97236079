"""Meshes and clouds of points in a real Chromium: drawn, turned together, stepped through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import inked, open_view, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 5, 7], [4, 7, 6], [0, 1, 5], [0, 5, 4], [2, 3, 7], [2, 7, 6]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("meshes")
    points = np.random.default_rng(1).normal(size=(2, 500, 3)).astype(np.float32)
    points[0, 0] = np.nan
    for run, size in (("a", 1), ("b", 2)):
        with SummaryWriter(logdir / run) as writer:
            for step in (0, 5):
                writer.add_mesh("cube", CUBE * (size + step), colors=CUBE * 255, faces=FACES, global_step=step)
            writer.add_mesh("cloud", points, global_step=5)
    with serve(logdir, port=0) as running:
        yield running


def card(page: Page, tag: str, run: str) -> Locator:
    return page.get_by_role("article", name=f"Mesh {tag}, {run}", exact=True)


def picture(page: Page, tag: str, run: str) -> bytes:
    return card(page, tag, run).locator("canvas").screenshot()


def test_meshes_are_drawn_and_said_in_words(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/mesh")
    inked(page, "[aria-label='Mesh cube, a'] canvas", 20)
    expect(card(page, "cube", "a")).to_contain_text("8 vertices · 8 triangles · colours")
    expect(card(page, "cloud", "a")).to_contain_text("500 vertices · no triangles: a cloud of points · 1 not finite")
    inked(page, "[aria-label='Mesh cloud, a'] canvas", 1)
    rows = page.get_by_role("table", name="Extent of cube, a").locator("tbody tr")
    expect(rows.first.locator("td")).to_have_text(["x", "0", "6"])
    page.get_by_label("Mesh", exact=True).fill("1")
    page.wait_for_url("**item=1*")
    expect(card(page, "cloud", "a")).not_to_contain_text("not finite")


def test_all_turn_together_and_come_back(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/mesh?q=cube")
    home = {run: picture(page, "cube", run) for run in "ab"}
    assert home["a"] != home["b"]  # one scale: the larger cube looks larger
    card(page, "cube", "a").get_by_role("group", name="cube, a").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    for run in "ab":
        until(page, lambda run=run: picture(page, "cube", run) != home[run], f"the turn of {run}")  # type: ignore[misc]
    page.get_by_role("button", name="Reset view").click()
    for run in "ab":
        until(page, lambda run=run: picture(page, "cube", run) == home[run], f"{run} at home")  # type: ignore[misc]


def test_steps_and_wireframes_are_shown(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/mesh?q=cube")
    last = picture(page, "cube", "a")
    page.get_by_role("button", name="Wireframe").click()
    page.wait_for_url("**draw=wireframe*")
    until(page, lambda: picture(page, "cube", "a") != last, "the wires")
    page.get_by_role("button", name="Surface").click()
    until(page, lambda: picture(page, "cube", "a") == last, "the surface")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**step=0*")
    expect(card(page, "cube", "a")).to_contain_text("step 0")
    until(page, lambda: picture(page, "cube", "a") != last, "the smaller cube")
