"""Logs that torch.utils.tensorboard and tensorboardX have written, in a real Chromium: they are shown like ours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser_pages import open_view, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve
from tensorboard_oracle import torch_writer
from training_runs import STEPS, picture, write_series

pytestmark = pytest.mark.browser
WRITERS = ("ours", "torch", "tensorboardX")


def writer_of(name: str, folder: Path) -> Any:
    if name == "ours":
        return SummaryWriter(folder)
    if name == "torch":
        return torch_writer(folder)
    from tensorboardX import SummaryWriter as Peer

    return Peer(str(folder))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("foreign")
    for name in WRITERS:
        writer = writer_of(name, logdir / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracing of the graph
            write_series(writer, sounds=name != "tensorboardX")  # tensorboardX needs one more library for sounds
        writer.close()
    with serve(logdir, port=0) as running:
        yield running


def texts(page: Page, name: str) -> list[list[str]]:
    """The cells of a table for screen readers, row by row."""
    table = page.get_by_role("table", name=name, exact=True)
    expect(table.first).to_be_attached()
    return [row.locator("th, td").all_inner_texts() for row in table.first.locator("tbody tr").all()]


def test_curves_are_those_of_our_writer(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?q=train/loss")
    until(page, lambda: len(texts(page, "Last values of train/loss")) >= len(WRITERS), "a row for each writer")
    rows = {row[0]: row[1:] for row in texts(page, "Last values of train/loss")}
    assert rows["torch"] == rows["tensorboardX"] == rows["ours"]
    assert rows["ours"][0] == str(len(STEPS))


@pytest.mark.parametrize("view", ["histograms", "mesh"])
def test_cards_of_all_writers_say_the_same(page: Page, server: RunningServer, view: str) -> None:
    tables = []
    for name in WRITERS:
        page.goto("about:blank")
        open_view(page, server, f"#/{view}?only={name}")
        expect(page.locator("main table").first).to_be_attached()
        tables.append([row.replace(name, "") for row in page.locator("main table tbody").all_inner_texts()])
    assert tables[1] == tables[2]
    if view == "histograms":  # ours has finer buckets: what is read from them differs; step, count and ends do not
        tables = [[[row.split("\t")[:3] for row in table.splitlines()] for table in found] for found in tables]
    assert tables[0]
    assert tables[0] == tables[1]


def test_pictures_have_the_very_pixels(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?q=samples")
    for name in WRITERS:
        found = page.evaluate(
            """async (run) => {
  const answer = await fetch(`api/image?run=${run}&tag=samples%2Fpicture&index=2`);
  const bitmap = await createImageBitmap(await answer.blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  canvas.drawImage(bitmap, 0, 0);
  return Array.from(canvas.getImageData(0, 0, bitmap.width, bitmap.height).data);
}""",
            name,
        )
        pixels = np.array(found).reshape(16, 16, 4)[..., :3]
        assert np.array_equal(pixels, picture(STEPS[-1]).transpose(1, 2, 0)), name
    expect(page.get_by_role("article")).to_have_count(len(WRITERS))


@pytest.mark.parametrize("name", WRITERS)
def test_texts_are_set_as_markdown(page: Page, server: RunningServer, name: str) -> None:
    open_view(page, server, f"#/text?only={name}")
    main = page.get_by_role("main")
    expect(main.get_by_text("Step 20.").first).to_be_visible()
    expect(main.locator("strong", has_text="strong").first).to_be_visible()


def test_sounds_can_be_played(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audio")
    main = page.get_by_role("main")
    expect(main.get_by_role("article")).to_have_count(2)
    expect(main.get_by_text(re.compile(r"8(,?000 Hz| kHz)")).first).to_be_visible()


@pytest.mark.parametrize("name", WRITERS)
def test_precision_and_recall_are_curves(page: Page, server: RunningServer, name: str) -> None:
    open_view(page, server, f"#/curves?run={name}")
    expect(page.locator("main canvas").first).to_be_visible()
    expect(page.get_by_test_id("empty")).to_have_count(0)


def test_hyper_parameters_stand_in_one_table(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/hparams")
    table = page.get_by_role("main").get_by_role("table").first
    for text in ("optimiser", "sgd", "augment"):
        expect(table.get_by_text(text).first).to_be_visible()
    for name in WRITERS:
        expect(table.get_by_text(name).first).to_be_visible()


def test_custom_charts_of_a_layout_are_drawn(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars")
    expect(page.get_by_role("heading", name="both").first).to_be_visible()


@pytest.mark.parametrize("name", WRITERS)
def test_graphs_are_drawn(page: Page, server: RunningServer, name: str) -> None:
    open_view(page, server, f"#/graph?run={name}")
    expect(page.locator("main svg.graph")).to_be_visible()
    expect(page.get_by_test_id("empty")).to_have_count(0)
