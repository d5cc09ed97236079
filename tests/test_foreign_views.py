"""Logs that torch.utils.tensorboard and tensorboardX have written, in a real Chromium: they are shown like ours."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from browser_pages import open_view, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve
from tensorboard_oracle import torch_writer
from training_runs import STEPS, picture, write_series

pytestmark = pytest.mark.browser
WRITERS = ("ours", "torch", "tensorboardX")
MIDDLE = """canvas => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, canvas.width / 2, canvas.height / 2, 1, 1, 0, 0, 1, 1);
  return pen.getImageData(0, 0, 1, 1).data[0];
}"""
"""What is in the middle of a canvas."""


def writer_of(name: str, folder: Path) -> Any:
    if name == "ours":
        return SummaryWriter(folder)
    if name == "torch":
        return torch_writer(folder)
    from tensorboardX import SummaryWriter as Peer

    return Peer(str(folder))


def write_film(writer: Any, name: str) -> None:
    """Log a film as ``add_video`` of both does, which makes the GIF with one more library."""
    if name == "torch":
        from tensorboard.compat.proto.summary_pb2 import Summary
    else:
        from tensorboardX.proto.summary_pb2 import Summary
    frames = [Image.new("L", (16, 16), grey) for grey in (0, 100, 200)]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100)
    image = Summary.Image(height=16, width=16, colorspace=3, encoded_image_string=buffer.getvalue())
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag="film", image=image)]), 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("foreign")
    for name in WRITERS:
        writer = writer_of(name, logdir / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracing of the graph
            write_series(writer, sounds=name != "tensorboardX")  # tensorboardX needs one more library for sounds
        if name != "ours":
            write_film(writer, name)
        writer.close()
    with serve(logdir, port=0) as running:
        yield running


def facts(page: Page) -> dict[str, str]:
    """What stands in the head of a page: names and values."""
    rows = page.locator("main .facts .fact").all()
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}


def filled(bodies: Locator) -> list[str]:
    """The rows of tables as lines, cells between tabs; none is empty."""
    found: list[str] = bodies.evaluate_all(
        "all => all.map((one) => [...one.rows].map((row) => [...row.cells].map((c) => c.textContent).join('\\t'))"
        ".join('\\n'))"
    )
    return found if all(found) else []


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
        bodies = page.locator("main table tbody")
        until(page, lambda bodies=bodies: len(filled(bodies)) > 0, "the rows")
        tables.append([row.replace(name, "") for row in filled(bodies)])
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


def test_precision_and_recall_are_the_same_curves(page: Page, server: RunningServer) -> None:
    told = []
    for name in WRITERS:
        page.goto("about:blank")
        open_view(page, server, f"#/curves?run={name}&only={name}")
        expect(page.locator("main canvas").first).to_be_visible()
        told.append(facts(page))
    assert float(told[0]["average precision"]) > 0.5
    assert told[0] == told[1] == told[2]


def test_hyper_parameters_stand_in_one_table(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/hparams")
    table = page.get_by_role("main").get_by_role("table").first
    for text in ("optimiser", "sgd", "augment"):
        expect(table.get_by_text(text).first).to_be_visible()
    for name in WRITERS:
        expect(table.get_by_text(name).first).to_be_visible()


def test_custom_charts_of_a_layout_have_their_curves(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars")
    until(page, lambda: len(texts(page, "Last values of losses: both")) == 2 * len(WRITERS), "two tags of each")
    rows = {row[0]: row[1:] for row in texts(page, "Last values of losses: both")}
    for name in WRITERS:
        assert rows[f"{name} · train/loss"] == ["3", "0.0476190485"]
        assert rows[f"{name} · train/accuracy"][0] == "3"


def test_graphs_of_both_have_the_same_nodes(page: Page, server: RunningServer) -> None:
    told = {}
    for name in WRITERS:
        page.goto("about:blank")
        open_view(page, server, f"#/graph?run={name}")
        expect(page.locator("main svg.graph")).to_be_visible()
        told[name] = page.locator("g.box .box-sub").all_text_contents()
    assert len(told["torch"]) == len(told["tensorboardX"]) > 3
    for name in WRITERS:
        drawn = " ".join(told[name])
        assert "conv" in drawn, name
        assert "relu" in drawn, name


def test_films_are_shown_frame_by_frame(page: Page, server: RunningServer) -> None:
    for name in ("torch", "tensorboardX"):
        page.goto("about:blank")
        open_view(page, server, f"#/images?q=film&only={name}")
        card = page.get_by_role("article")
        expect(card.get_by_title("frame 1 of 3")).to_be_visible()
        greys = set()
        for number in range(3):
            expect(card.get_by_title(f"frame {number + 1} of 3")).to_be_visible()
            greys.add(card.locator("canvas").evaluate(MIDDLE))
            card.get_by_role("button", name="Next frame").click()
        assert greys == {0, 100, 200}
