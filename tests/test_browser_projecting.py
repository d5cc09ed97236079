"""A projection that forms on the page, in a real Chromium: it is started, paused, changed, kept and found again."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import open_view, ready, until
from convscope import Run, SummaryWriter
from convscope.embed import Embedding
from convscope.embed.tsne import Settings
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
COUNT = 60


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("projecting")
    random = np.random.default_rng(3)
    labels = np.arange(COUNT) % 3
    vectors = random.normal(size=(COUNT, 8)).astype(np.float32)
    vectors[np.arange(COUNT), labels] += 5
    embedding = Embedding(vectors, labels, label_names=("ant", "bee", "cat"))
    with SummaryWriter(path / "run") as writer:
        writer.add(embedding, "fc", 0)
        writer.add(embedding.project("pca"), "fc/pca", 0)
    return path


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:  # openTSNE takes longer to load than numpy needs for so few points
        patch.setattr(sys.modules[Settings.__module__], "find_spec", lambda _: None)
        with serve(logdir, port=0) as running:
            yield running


def iteration(page: Page) -> int:
    found = re.search(r"iteration ([\d,]+) of", page.get_by_test_id("live-said").inner_text())
    return int(found[1].replace(",", "")) if found else -1


def rests(page: Page) -> bool:
    """Whether no frame comes any more."""
    before = iteration(page)
    page.wait_for_timeout(200)
    return iteration(page) == before


def test_a_projection_is_watched_changed_and_kept(page: Page, server: RunningServer, logdir: Path) -> None:
    open_view(page, server, "#/embedding?run=run")
    live, said = page.get_by_test_id("live"), page.get_by_test_id("live-said")
    canvas = page.locator(".scene canvas").first
    expect(live.get_by_role("button", name="Keep")).to_be_hidden()
    live.get_by_label("Iterations").fill("100000")
    live.get_by_role("button", name="Start").click()
    until(page, lambda: iteration(page) > 20, "the first iterations")
    first = canvas.screenshot()
    until(page, lambda: canvas.screenshot() != first, "another layout")

    live.get_by_role("button", name="Pause").click()
    expect(live.get_by_role("button", name="Continue")).to_be_focused()
    expect(said).to_contain_text("Paused")
    until(page, lambda: rests(page), "the frame that was under way")
    with page.expect_response(lambda answer: "change" in (answer.request.post_data or "")) as changed:
        live.get_by_label("Perplexity").press("Home")
    assert changed.value.request.post_data_json == {"action": "change", "parameters": {"perplexity": 2}}
    at, still = iteration(page), canvas.screenshot()
    with page.expect_response(lambda answer: "exaggeration" in (answer.request.post_data or "")):
        live.get_by_label("Exaggeration").press("ArrowRight")
    assert (iteration(page), canvas.screenshot()) == (at, still)

    live.get_by_role("button", name="Continue").press("Enter")
    until(page, lambda: iteration(page) > at + 20, "more iterations")
    live.get_by_role("button", name="Keep").click()
    expect(said).to_contain_text("kept as fc/tsne")
    live.get_by_role("button", name="Stop").click()
    expect(said).to_contain_text("Stopped")

    run = Run(logdir / "run")
    kept = run.record(run.entries("projection", "fc/tsne")[-1])
    assert (kept.meta["parameters"]["perplexity"], kept.meta["parameters"]["exaggeration"]) == (2, 1.5)
    page.reload()
    ready(page)
    shown = page.get_by_role("combobox", name="Projection", exact=True)
    expect(shown.locator("option")).to_have_text([re.compile("PCA"), re.compile("t-SNE")])
    expect(shown).to_have_value("tsne")


def test_a_failure_is_said_in_a_sentence_and_one_may_start_again(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/embedding?run=run")
    live, said = page.get_by_test_id("live"), page.get_by_test_id("live-said")
    live.get_by_label("Method").select_option("axes")
    live.get_by_label("x −").select_option("ant")  # from a class to itself
    live.get_by_role("button", name="Start").click()
    expect(said).to_contain_text("have the same mean")
    live.get_by_label("Method").select_option("pca")
    live.get_by_role("button", name="3-D").click()
    live.get_by_role("button", name="Start").click()
    expect(said).to_contain_text("Done")

    # What else is done on the page leaves it there, until what is recorded is asked for again.
    origin = page.locator(".view-origin")
    expect(origin).to_contain_text("not recorded")
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("region", name="Table of the points")).to_be_visible()
    expect(origin).to_contain_text("not recorded")
    live.get_by_role("button", name="Back to what is recorded").click()
    expect(origin).not_to_contain_text("not recorded")
