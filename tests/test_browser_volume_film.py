"""The animation of the volume page: frames on one scale, played and scrubbed, in the address, saved as films."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import convscope as cs
from browser_pages import open_view, settled, until
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

SIDE: Final = 16
LEVEL: Final = 2.0
"""The value in the middle of every volume."""
STRONGEST: Final = {"ant": 5.1, "bee": 8.5, "cat": 10.2}
"""The largest value of each picture's volume; with it the level is a whole number of a 255th of the scale."""
CAPTION: Final = 54
"""Rows of the strip under a film of 360 rows."""
FRONT: Final = "mode=maximum&cam=0,0,2.75"


def maps(strongest: float) -> npt.NDArray[np.float32]:
    """A block of :data:`LEVEL` along all channels, and one strong voxel in a corner."""
    values = np.zeros((8, SIDE, SIDE), np.float32)
    values[:, 4:12, 4:12] = LEVEL
    values[:, 0, 0] = strongest
    return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("films")
    with cs.SummaryWriter(logdir / "net") as writer:
        for name, strongest in STRONGEST.items():
            writer.add(cs.Volume(maps(strongest), layer="conv1", image={"name": name}), f"conv1/{name}", 0)
        writer.add(cs.Volume(maps(3.4)[:4], layer="conv2", image={"name": "ant"}), "conv2/ant", 0)
        writer.add(cs.Volume(maps(20.4), layer="conv1", image={"name": "ant"}), "conv1/ant", 10)
    with serve(logdir, port=0) as running:
        yield running


def shown(page: Page) -> str:
    return page.get_by_test_id("frame-name").inner_text()


def test_frames_are_played_scrubbed_and_in_the_address(page: Page, server: RunningServer) -> None:
    open_view(page, server, f"#/volume?tag=conv1/ant&step=0&{FRONT}")
    name, notes = page.get_by_test_id("frame-name"), page.get_by_test_id("player-notes")
    bar = page.get_by_role("region", name="Animation")
    expect(name).to_have_text("ant")
    expect(notes).to_have_text("")  # the scales of the others are read when they are needed
    page.keyboard.press(".")
    expect(name).to_have_text("bee")
    expect(page).to_have_url(re.compile(r"[?&]frame=1\b"))
    expect(notes).to_contain_text("One scale for all 3 frames: 0 … 10.2. All frames in the order of conv1/ant (index).")
    page.get_by_label("Frame", exact=True).press("End")
    expect(name).to_have_text("cat")
    expect(page).to_have_url(re.compile(r"frame=2\b"))
    page.reload()
    expect(name).to_have_text("cat")
    expect(page.get_by_label("Frame", exact=True)).to_have_value("2")
    page.get_by_label("Over").select_option("steps")
    expect(name).to_have_text("step 0")
    page.keyboard.press(",")  # round the corner
    expect(name).to_have_text("step 10")
    expect(notes).to_contain_text("One scale for all 2 frames: 0 … 20.4.")
    expect(page).to_have_url(re.compile(r"over=steps&frame=1\b"))
    page.get_by_label("Over").select_option("layers")
    expect(name).to_have_text("conv1")
    expect(notes).to_contain_text("Each frame in its own order")
    page.get_by_label("Over").select_option("images")
    page.get_by_label("Speed").select_option("30")
    bar.get_by_role("combobox", name="Play").select_option("once")
    page.locator("body").press(" ")
    expect(name).to_have_text("cat")
    expect(bar.get_by_role("button", name="Play frames")).to_be_visible()
    expect(page).to_have_url(re.compile(r"frame=2\b"))
    expect(page).to_have_url(re.compile(r"speed=30&repeat=once\b"))
    bar.get_by_role("combobox", name="Play").select_option("loop")
    bar.get_by_role("button", name="Play frames").click()
    until(page, lambda: shown(page) == "bee", "another round")
    bar.get_by_role("button", name="Pause frames").click()
    at = list(STRONGEST).index(shown(page))
    expect(page).to_have_url(re.compile(rf"frame={at}\b"))
    page.get_by_role("link", name="conv2/ant").click()  # another record: not the frame of a series before
    expect(page).not_to_have_url(re.compile("frame="))


def fact(page: Page, name: str) -> Locator:
    return page.locator(".fact").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def test_the_header_and_the_notes_are_those_of_the_frame(page: Page, server: RunningServer) -> None:
    open_view(page, server, f"#/volume?tag=conv1/ant&step=0&{FRONT}&frame=2&order=nope")
    expect(page.locator(".title-tag")).to_have_text("conv1/cat")
    expect(fact(page, "values")).to_have_text("0 … 10.2")
    expect(page.get_by_test_id("player-notes")).to_contain_text("All frames in the order of conv1/ant (index).")
    page.get_by_label("Over").select_option("layers")
    page.get_by_label("Frame", exact=True).press("End")
    expect(page.locator(".title-tag")).to_have_text("conv2/ant")
    expect(fact(page, "channels × rows × columns")).to_have_text("4 × 16 × 16")
    page.get_by_role("button", name="Each its own").click()
    page.get_by_role("group", name="Scale", exact=True).get_by_role("button", name="Each").click()
    expect(page.get_by_test_id("player-notes")).to_contain_text("Each channel of each frame on its own scale.")


def test_a_run_that_grows_goes_on_playing(page: Page, tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path / "net") as writer, serve(tmp_path, port=0) as running:
        for step in range(2):
            writer.add(cs.Volume(maps(3.4), layer="conv1", image={"name": "ant"}), "conv1/ant", step)
        writer.flush()
        open_view(page, running, "#/volume?speed=8")
        bar = page.get_by_role("region", name="Animation")
        bar.get_by_role("button", name="Play frames").click()
        pause = bar.get_by_role("button", name="Pause frames")
        expect(pause).to_be_visible()
        writer.add(cs.Volume(maps(5.1), layer="conv1", image={"name": "ant"}), "conv1/ant", 2)
        writer.flush()
        expect(page.get_by_test_id("player-notes")).to_contain_text("One scale for all 3 frames: 0 … 5.1.")
        until(page, lambda: shown(page) == "step 2", "the new frame")
        expect(pause).to_be_visible()


def test_the_form_of_a_film_takes_nothing_from_the_scene(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    open_view(page, server, f"#/volume?tag=conv1/ant&step=0&{FRONT}&frame=1")
    before = settled(page.locator(".scene"))["height"]
    page.get_by_role("button", name="Film …").click()
    expect(page.get_by_role("button", name="Save film")).to_be_visible()
    assert settled(page.locator(".scene"))["height"] >= before - 2


def film(page: Page, file_format: str, **choices: str) -> bytes:
    """Save a film and return the file."""
    group = page.get_by_role("group", name="Film", exact=True)
    if not group.is_visible():
        page.get_by_role("button", name="Film …").click()
    group.get_by_label("Format").select_option(file_format)
    group.get_by_label("Pixels").select_option("480×360")
    for label, choice in choices.items():
        group.get_by_label(label).select_option(choice)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save film").click()
    expect(page.locator(".film-status")).to_contain_text("Saved net-conv1-ant-")
    return Path(saved.value.path()).read_bytes()


def frames(content: bytes) -> list[npt.NDArray[np.uint8]]:
    with Image.open(BytesIO(content)) as picture:
        pictures = []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            pictures.append(np.asarray(picture.convert("RGB")))
    return pictures


def middle(picture: npt.NDArray[np.uint8]) -> list[int]:
    """The colour of the block, in the middle of what is above the caption."""
    top = 360 - CAPTION
    colour: list[int] = picture[top // 2 + 4, 480 // 2 + 3].tolist()
    return colour


def test_films_have_one_scale(page: Page, server: RunningServer) -> None:
    open_view(page, server, f"#/volume?tag=conv1/ant&step=0&{FRONT}&frame=1")
    exact = frames(film(page, "apng"))
    assert [picture.shape for picture in exact] == [(360, 480, 3)] * 3
    assert middle(exact[0]) == middle(exact[1]) == middle(exact[2])
    assert max(middle(exact[0])) > 40, "the block is drawn"
    captions = [picture[-CAPTION:] for picture in exact]
    assert not np.array_equal(captions[0], captions[1])
    assert not np.array_equal(captions[1], captions[2])
    expect(page.get_by_test_id("frame-name")).to_have_text("bee")  # what was on screen is there again

    content = film(page, "gif")
    pictures = frames(content)
    assert len(pictures) == 3
    assert middle(pictures[0]) == middle(pictures[1]) == middle(pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    with Image.open(BytesIO(content)) as picture:
        assert (picture.info["duration"], picture.info["loop"]) == (500, 0)

    video = film(page, "webm")
    assert video[:4] == bytes.fromhex("1a45dfa3")
    assert video[4:].count(bytes.fromhex("a301000000")) == 3, "a block a frame"

    page.get_by_role("button", name="Each its own").click()
    expect(page.get_by_test_id("player-notes")).to_contain_text("Each frame on its own scale; this one: 0 … 8.5.")
    own = frames(film(page, "apng"))
    assert len({tuple(middle(picture)) for picture in own}) == 3


def test_a_turn_is_even_and_can_be_given_up(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/volume?tag=conv1/ant&step=0&mode=maximum&cam=1,0.5,2.5")
    page.get_by_role("button", name="Turn", exact=True).click()  # motion is not wanted: a twelfth of a turn
    expect(page).to_have_url(re.compile(r"cam=1.52,0.5,2.5"))
    page.get_by_role("button", name="Film …").click()
    page.get_by_label("Film of").select_option("turn")
    page.get_by_label("Frames/s").select_option("10")
    page.get_by_label("Seconds").fill("120")
    page.get_by_role("button", name="Save film").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".film-status")).to_have_text("Cancelled; nothing was saved.")
    page.get_by_label("Seconds").fill("0.6")
    turned = frames(film(page, "apng"))
    assert len(turned) == 6
    scene = [picture[:-CAPTION].astype(int) for picture in turned]
    changes = [np.abs(scene[k] - scene[(k + 1) % 6]).mean() for k in range(6)]
    assert min(changes) > 0.2 * max(changes), "from the last to the first it goes on as before"
