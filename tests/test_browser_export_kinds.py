"""Everything that training logs, in one file: the pages are those of the server, and nothing is asked for."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from torch import nn, rand

from browser_pages import open_view, until
from convscope import SummaryWriter
from convscope.view import serve
from exported_pages import Visit, pixels

pytestmark = pytest.mark.browser
EVIL = "</script><img src=x onerror=alert(1)>"
VIEWS = ("scalars", "histograms", "hparams", "text", "images", "audio", "mesh", "curves", "graph")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logged") / "runs"
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 50)
    corners = random.random((2, 20, 3)).astype(np.float32)
    with SummaryWriter(path / "a") as writer:
        for step in (1, 5):
            writer.add_scalar("loss", 1 / step, step)
            writer.add_scalar("acc", 1 - 1 / step, step)
            writer.add_text(f"notes {EVIL}", f"# step {step}\n\n*ü* 日本", step, walltime=10.0 + step)
            writer.add_audio("beep", np.sin(np.arange(800.0)), step, sample_rate=8000)
            writer.add_histogram("weights", random.standard_normal(500), step)
            writer.add_image("still", random.random((3, 8, 8)).astype(np.float32), step)
            writer.add_pr_curve("pr", ramp > 0.5, random.random(50), step, num_thresholds=9)
            writer.add_mesh("cloud", corners + step, colors=(255 * corners).astype(np.uint8), global_step=step)
        writer.add_custom_scalars({"Mine": {"both": ["Multiline", ["loss", "acc"]]}})
        writer.add_graph(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()), rand(1, 3, 8, 8))
        writer.add_hparams({"lr": 0.1, "net": EVIL, "clip": float("inf")}, {"accuracy": 0.9})
    with SummaryWriter(path / "b") as writer:
        writer.add_hparams({"lr": 0.2, "net": "vgg"}, {"accuracy": 0.8})
    return path


@pytest.fixture
def visit(page: Page, tmp_path: Path, run: Path) -> Iterator[Visit]:
    visit = Visit(page, run, tmp_path / "page.html")
    yield visit
    assert visit.outside == []


def is_same(pages: tuple[Page, Page]) -> bool:
    """Whether two pages show the same; Chromium blends lines some levels of 255 higher or lower at times."""
    ours, theirs = [pixels(page.locator("#content")).astype(int) for page in pages]
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() <= 24)


def test_every_page_of_a_training_is_the_servers_page(visit: Visit, page: Page, run: Path) -> None:
    with serve(run, port=0) as server:
        served = page.context.new_page()
        for view in VIEWS:
            served.goto("about:blank")
            open_view(served, server, f"#/{view}")
            visit(f"#/{view}")
            until(page, partial(is_same, (page, served)), f"the server's page of {view}")
            assert page.get_by_role("alert").count() == 0
            assert page.locator(f".view-{view}").get_by_role("heading").count() > 0
        served.close()


def test_what_was_logged_can_be_played_and_saved(visit: Visit) -> None:
    page = visit("#/audio")
    sound = page.locator("audio").first
    heard = "new Promise((go) => { a.onloadedmetadata = () => go(a.duration); a.onerror = () => go(-1); a.load(); })"
    assert sound.evaluate(f"a => {{ a.preload = 'auto'; return {heard}; }}") == pytest.approx(0.1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save beep, a").click()
        page.get_by_role("menuitem", name="Original file").or_(page.get_by_text("Original file")).first.click()
    with wave.open(str(saved.value.path())) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 800)
    visit.go("#/images")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save still, a").click()
        page.get_by_text("Original file").first.click()
    with Image.open(BytesIO(saved.value.path().read_bytes())) as picture:
        assert picture.size == (8, 8)


def test_a_file_without_texts_has_no_code_for_them(visit: Visit) -> None:
    page = visit("#/text", pages=["scalars", "audio"])
    expect(page.get_by_role("heading", name="Text: not in this file")).to_be_visible()
    assert page.locator("script[id^='chunk-text-']").count() == 0
    assert page.locator("script[id^='chunk-audio-']").count() == 1
