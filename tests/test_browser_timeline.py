"""Embeddings over training steps and beside each other in a real Chromium, and replay from an exported file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import inked, open_view, ready, settled, until
from convscope import Embedding, SummaryWriter, export
from convscope.jobs import projections
from convscope.jobs.projections import record_projection
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
COUNT = 90
STEPS = (0, 50, 100)


def layer(step: int, chosen: slice = slice(None)) -> Embedding:
    """Three classes that move apart from step to step."""
    rng = np.random.default_rng(5)
    labels = np.arange(COUNT) % 3
    vectors = rng.normal(size=(COUNT, 6)) + (1 + step / 25) * rng.normal(size=(3, 6))[labels]
    thumbnails = np.repeat(80 * labels[:, None, None, None], 8, 1).repeat(8, 2).astype(np.uint8) + 40
    names = ["cat", "dog", "bird"]
    whole = Embedding(vectors.astype(np.float32), labels, label_names=names, thumbnails=thumbnails, dataset="pets")
    return whole.take(chosen)


def quarter(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn a layout: what an alignment has to undo."""
    return np.stack([-points[:, 1], points[:, 0]], axis=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer at three steps, each map turned by a quarter more; and another layer of fewer pictures."""
    path = tmp_path_factory.mktemp("steps") / "pets"
    with pytest.MonkeyPatch.context() as patch, SummaryWriter(path) as writer:
        patch.setattr(projections, "PART_SECONDS", 0.0)
        for turns, step in enumerate(STEPS):
            made = layer(step)

            def turn(points: np.ndarray[Any, Any], turns: int = turns) -> np.ndarray[Any, Any]:
                for _ in range(turns):
                    points = quarter(points)
                return points

            identity = writer.add(made, "fc", step)
            record_projection(made, identity, writer, "fc", "pca", step=step, place=turn)
        record_projection(made, identity, writer, "fc", "tsne", step=step, perplexity=10, iterations=60)
        fewer = layer(30, slice(10, 70))
        record_projection(fewer, writer.add(fewer, "conv", 0), writer, "conv", "pca")
    return path


@pytest.fixture(scope="module")
def server(run: Path) -> Iterator[RunningServer]:
    with serve(run) as server:
        yield server


def test_the_steps_are_played_over_each_other(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding?tag=fc&proj=pca&draw=dots&point=4")
    bar = page.get_by_role("region", name="Steps of the embedding")
    expect(bar.locator("output")).to_have_text("100 · 3 of 3")
    inked(page, ".points-map canvas", 4)
    ways = page.locator(".points-trails circle")
    expect(ways).to_have_count(3)

    def spread() -> float:
        """How far the way of the chosen point leads, as a share of the map."""
        *at, height = page.evaluate(
            """() => [...[...document.querySelectorAll('.points-trails circle')].map(
                (one) => [+one.getAttribute('cx'), +one.getAttribute('cy')]
            ), document.querySelector('.points-map canvas').getBoundingClientRect().height]"""
        )
        return float(np.abs(np.diff(np.array(at), axis=0)).max() / height)

    expect(page.get_by_role("table", name="Mean distance moved")).to_have_count(1)
    settled(page.locator(".points-map canvas").first)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    close = spread()
    bar.get_by_label("Aligned").uncheck()
    until(page, lambda: spread() > 2 * close, "the map as recorded")
    bar.get_by_label("Aligned").check()
    until(page, lambda: spread() == pytest.approx(close, abs=1e-3), "the aligned map")

    page.get_by_label("Training step").press("ArrowLeft")
    page.wait_for_url(re.compile("step=50"))
    expect(bar.locator("output")).to_have_text("50 · 2 of 3")
    expect(page.locator(".view-header")).to_contain_text("step 50")
    page.get_by_label("Training step").press("Home")
    page.wait_for_url(re.compile("step=0"))
    bar.get_by_role("button", name="Play the steps").click()
    page.wait_for_url(lambda address: "step=" not in address)
    expect(bar.locator("output")).to_have_text("100 · 3 of 3")
    expect(page.get_by_role("table", name="Mean distance moved")).to_contain_text("followed points")


def test_two_layers_are_linked_by_their_pictures(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding?tag=fc&proj=pca&draw=dots")
    page.get_by_label("Compare with").select_option(label="conv · PCA")
    page.wait_for_url(re.compile("pair=.%7Cconv%7Cpca"))
    second = page.get_by_role("region", name="Second embedding")
    inked(page, ".points-pair canvas", 4)
    facts = page.get_by_test_id("agreement")
    expect(facts).to_contain_text("60 pictures are in both, of 90 and 60")
    expect(facts).to_contain_text(re.compile(r"10 nearest neighbours \d+"))

    box = second.locator("canvas").bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 3)
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + 3, box["y"] + box["height"] / 2)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(facts).to_contain_text(re.compile(r"of the \d+ selected points \d+"))
    expect(page).to_have_url(re.compile("sel=1\\d"))  # in the numbers of the first, which has ten pictures more
    second.get_by_role("button", name="Close the second map").click()
    expect(second).to_be_hidden()
    expect(page).not_to_have_url(re.compile("pair="))


def test_a_file_replays_what_was_recorded(page: Page, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "map.html"
    export(run, file)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{file.as_uri()}#/embedding?tag=fc&proj=tsne&draw=dots&pair=pets|conv|pca")
    ready(page)
    inked(page, ".points-stage canvas", 4)
    expect(page.get_by_test_id("agreement")).to_contain_text("60 pictures are in both")
    player = page.locator(".player").get_by_role("slider")
    expect(player).to_have_attribute("max", re.compile(r"1\d"))
    player.focus()
    page.keyboard.press("Home")
    page.wait_for_url(re.compile("it=0"))
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("it=5"))
    expect(page.locator(".view-header")).to_contain_text("iteration 5 of 60")
    page.goto(f"{file.as_uri()}#/embedding?tag=fc&proj=pca&draw=dots&step=50")
    expect(page.get_by_label("Training step")).to_have_attribute("aria-valuetext", "50")
    outside = [url for url in asked if not url.startswith((file.as_uri(), "blob:", "data:"))]
    assert outside == []
