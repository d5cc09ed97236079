"""Logged pictures, films and sounds in a real Chromium: what is shown is what was logged, at every step of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Error, FloatRect, Locator, Page, expect

from browser_pages import inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser

Pixels = npt.NDArray[np.uint8]
STEPS = {"a": (0, 10, 20, 30), "b": (0, 20)}
RATE = 8000


def picture(run: str, step: int) -> Pixels:
    """The picture of a run at a step: 8 x 8 random pixels."""
    return np.random.default_rng([ord(run), step]).integers(0, 256, (8, 8, 3)).astype(np.uint8)


def film() -> Pixels:
    """Four frames, each of one shade of grey."""
    return np.stack([np.full((6, 6, 3), 40 + 60 * t, np.uint8) for t in range(4)])


def tone(step: int) -> npt.NDArray[np.float64]:
    """Half a second of two channels, the second silent; at step 20 louder than can be stored."""
    loud = (1.25 if step == 20 else 0.5) * np.sin(2 * np.pi * 200 * np.arange(RATE // 2) / RATE)
    return np.stack([loud, np.zeros_like(loud)], 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("media")
    for run, steps in STEPS.items():
        with SummaryWriter(logdir / run) as writer:
            for step in steps:
                writer.add_image("pixels", picture(run, step), step, dataformats="HWC")
                writer.add_audio("tone", tone(step), step, sample_rate=RATE)
            writer.add_image("bright", np.full((3, 4, 4), 1.5), 0)
            writer.add_video("film", film(), 0, fps=4, dataformats="THWC")
    with serve(logdir, port=0) as running:
        yield running


def card(page: Page, tag: str, run: str) -> Locator:
    return page.get_by_role("article", name=f"Pictures {tag}, {run}", exact=True)


def shown(element: Locator) -> Pixels:
    """The pixels of an element on the screen, which the browser puts on whole pixels."""
    element.scroll_into_view_if_needed()
    box = settled(element)
    place = FloatRect(x=round(box["x"]), y=round(box["y"]), width=round(box["width"]), height=round(box["height"]))
    return np.asarray(Image.open(BytesIO(element.page.screenshot(clip=place))).convert("RGB"))


def blocks(pixels: Pixels, side: int = 8) -> Pixels:
    """The colours of equal squares, each of which is of one colour only: pixels that were enlarged, not smoothed."""
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    assert pixels.shape == (height * side, width * side, 3)
    squares = pixels.reshape(side, height, side, width, 3).swapaxes(1, 2).reshape(side, side, -1, 3)
    assert (squares == squares[:, :, :1]).all()
    return squares[:, :, 0]


def shows(page: Page, element: Locator, wanted: Pixels) -> None:
    """Wait until an element shows the enlarged pixels of a picture, and no others."""

    def matches() -> bool:
        try:
            return np.array_equal(blocks(shown(element), len(wanted)), wanted)
        except (AssertionError, Error):  # it is being replaced
            return False

    expect(element).to_have_count(1)
    until(page, matches, "the picture with the pixels that were logged")


def test_one_slider_moves_all_cards_and_each_shows_the_pixels_that_were_logged(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/images")
    pictures = {run: card(page, "pixels", run).locator(".picture img") for run in STEPS}
    for run, steps in STEPS.items():
        shows(page, pictures[run], picture(run, steps[-1]))
    slider = page.get_by_role("slider", name="Step of all cards")
    expect(slider).to_have_attribute("aria-valuetext", "30, the latest")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url("**step=0*")
    for run in STEPS:
        shows(page, pictures[run], picture(run, 0))
    page.keyboard.press("ArrowRight")
    shows(page, pictures["a"], picture("a", 10))
    expect(card(page, "pixels", "b")).to_contain_text("step 0 · (nothing at 10)")
    page.wait_for_url("**step=10*")
    page.reload()
    ready(page)
    shows(page, pictures["a"], picture("a", 10))
    page.get_by_role("button", name="Latest").click()
    shows(page, pictures["a"], picture("a", 30))
    until(page, lambda: "step=" not in page.url, "an address without a step")


def test_a_card_leaves_the_slider_of_the_page_says_so_and_is_put_back(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?step=20&q=pixels")
    own = card(page, "pixels", "a")
    own.get_by_role("slider", name="Own step of pixels, a").fill("1")
    shows(page, own.locator(".picture img"), picture("a", 10))
    shows(page, card(page, "pixels", "b").locator(".picture img"), picture("b", 20))
    page.get_by_role("slider", name="Step of all cards").fill("0")
    expect(card(page, "pixels", "b")).to_contain_text("step 0 ·")
    expect(own).to_contain_text("step 10 ·")
    own.get_by_role("button", name="follow the page").click()
    shows(page, own.locator(".picture img"), picture("a", 0))
    expect(own.get_by_role("button", name="follow the page")).to_have_count(0)


def test_true_pixels_are_zoomed_alike_in_all_runs_and_the_address_knows(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?q=pixels&step=20")
    page.get_by_role("button", name="Enlarge pixels, a").click()
    dialog = page.get_by_role("dialog", name="Enlarged pictures")
    shows(page, dialog.locator(".pane-layer:first-child .picture img"), picture("a", 20))
    dialog.get_by_role("button", name="All runs").click()
    panes = dialog.locator(".pane")
    expect(panes).to_have_count(2)
    dialog.get_by_role("button", name="True pixels").click()
    images = panes.locator(".pane-layer:first-child .picture img")
    expect(images).to_have_count(2)
    for image, run in zip(images.all(), "ab", strict=True):
        until(page, lambda image=image: shown(image).shape == (8, 8, 3), "one pixel for one")
        assert (shown(image) == picture(run, 20)).all()
    stage = dialog.locator(".pane-stage").first
    stage.focus()
    for _ in range(5):
        page.keyboard.press("+")
    expect(dialog.locator(".zoom-size")).to_have_text("800 %")
    for image, run in zip(images.all(), "ab", strict=True):
        shows(page, image, picture(run, 20))
    box = settled(stage)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 16, middle[1] + 8)
    page.mouse.up()
    page.mouse.move(middle[0] + 4, middle[1] + 4)
    red, green, blue = picture("a", 20)[3, 2]
    expect(dialog.locator(".pane-pixel").first).to_have_text(f"row 3, column 2 · RGB {red} {green} {blue}")
    places = [settled(image) for image in images.all()]
    offsets = [
        place["x"] - settled(one)["x"] for place, one in zip(places, dialog.locator(".pane-stage").all(), strict=True)
    ]
    assert abs(offsets[0] - offsets[1]) <= 1, "all panes have moved"
    page.wait_for_url(re.compile(r"z=8,0\.25,0\.375"))
    page.mouse.wheel(0, -200)
    until(page, lambda: dialog.locator(".zoom-size").inner_text() != "800 %", "a zoom by the wheel")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    until(page, lambda: "pic=" not in page.url, "an address without the picture")


def test_two_pictures_on_top_of_each_other_show_how_far_they_are_apart(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?pic=pixels&of=a&cmp=diff&with=b&step=20")
    layers = page.locator(".pane-layers .picture")
    a, b = (picture(run, 20).astype(int) for run in "ab")
    shows(page, layers.first, np.abs(a - b).astype(np.uint8))
    page.get_by_role("combobox", name="Over").select_option("a")
    page.get_by_role("slider", name="Step of the upper").fill("1")
    page.wait_for_url("**bstep=10*")
    shows(page, layers.first, np.abs(a - picture("a", 10)).astype(np.uint8))
    page.get_by_role("button", name="Swipe").click()
    page.get_by_role("slider", name="Where the second").fill("100")
    shows(page, layers.first, picture("a", 20))


def test_more_light_and_larger_cards(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?q=pixels&bright=50&size=96")
    image = card(page, "pixels", "a").locator(".picture img")
    expect(image).to_be_visible()
    until(page, lambda: shown(image).shape == (96, 96, 3), "twelve pixels for one")
    half = shown(image)[6::12, 6::12]
    assert np.abs(half - picture("a", 30) / 2).max() <= 1
    page.get_by_role("button", name="Reset light").click()
    shows(page, image, picture("a", 30))
    page.get_by_role("button", name="Runs side by side").click()
    row = page.get_by_role("region", name="pixels")
    expect(row.get_by_role("article")).to_have_count(2)
    tops = "cards => new Set(cards.map((one) => one.getBoundingClientRect().top)).size"
    until(page, lambda: row.get_by_role("article").evaluate_all(tops) == 1, "the two side by side")


def test_films_stand_still_where_motion_is_not_wanted_and_go_frame_by_frame(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?q=film")
    one = card(page, "film", "a")
    frame = one.locator(".picture canvas")
    for number, grey in ((1, 40), (2, 100), (3, 160)):
        expect(one.get_by_title(f"frame {number} of 4")).to_be_visible()
        assert (shown(frame) == grey).all()
        one.get_by_role("button", name="Next frame").click()
    one.get_by_role("button", name="Play the film").click()
    until(page, lambda: bool((shown(frame) == 40).all()), "the film from its beginning")
    one.get_by_role("button", name="Pause the film").click()


def test_the_original_file_and_what_was_clipped(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/images?step=10")
    expect(card(page, "bright", "a")).to_contain_text("48 values clipped")
    save = card(page, "pixels", "a")
    save.get_by_role("button", name="Save pixels, a").click()
    with page.expect_download() as download:
        save.get_by_role("menuitem", name="Original file").click()
    assert download.value.suggested_filename == "a-pixels-10.png"
    saved = np.asarray(Image.open(download.value.path()))
    assert (saved == picture("a", 10)).all()


def test_a_running_training_is_followed_unless_a_step_was_chosen(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "a") as writer, serve(tmp_path, port=0) as server:
        writer.add_image("pixels", picture("a", 0), 0, dataformats="HWC")
        writer.flush()
        open_view(page, server, "#/images")
        image = card(page, "pixels", "a").locator(".picture img")
        shows(page, image, picture("a", 0))
        writer.add_image("pixels", picture("a", 1), 1, dataformats="HWC")
        writer.flush()
        shows(page, image, picture("a", 1))
        page.get_by_role("button", name="Previous step").click()
        shows(page, image, picture("a", 0))
        writer.add_image("pixels", picture("a", 2), 2, dataformats="HWC")
        writer.flush()
        expect(page.get_by_role("slider", name="Step of all cards")).to_have_attribute("max", "2")
        shows(page, image, picture("a", 0))
        page.goto("about:blank")


def test_only_cards_that_are_near_hold_pictures(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "many") as writer:
        for tag in range(300):
            writer.add_image(f"tag{tag:03}", picture("a", tag), 0, dataformats="HWC")
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/images?size=96")
        shows(page, card(page, "tag000", "many").locator(".picture img"), picture("a", 0))
        assert page.locator(".picture img").count() < 40
        page.evaluate("document.querySelector('main').scrollTo(0, 1e6)")
        shows(page, card(page, "tag299", "many").locator(".picture img"), picture("a", 299))
        assert page.locator(".picture img").count() < 40
        expect(card(page, "tag000", "many")).to_have_count(0)
        page.goto("about:blank")


def test_sounds_are_drawn_played_and_described(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audio")
    one = page.get_by_role("article", name="Sounds tone, a")
    expect(one).to_contain_text("0.5 s · 8,000 Hz · 2 channels")
    inked(page, ".sound-card canvas", 2)
    rows = one.get_by_role("row")
    expect(rows).to_have_count(3)
    least, greatest, loud = (float(cell.replace("−", "-")) for cell in rows.nth(1).locator("td").all_inner_texts()[1:])
    assert (least, greatest, loud) == pytest.approx((-0.5, 0.5, 0.5 / np.sqrt(2)), abs=2e-4)
    assert rows.nth(2).locator("td").all_inner_texts()[1:] == ["0", "0", "0"]
    player = one.locator("audio")
    player.evaluate("player => { player.preload = 'auto'; player.load(); }")
    until(page, lambda: player.evaluate("player => player.duration") == 0.5, "the length of the sound")
    page.get_by_role("slider", name="Step of all cards").fill("2")
    expect(one).to_contain_text("step 20 ·")
    expect(one).to_contain_text(re.compile(r"step 20 · [\d,]+ values clipped"))
    page.wait_for_url("**step=20*")
    page.get_by_role("button", name="Runs side by side").click()
    expect(page.get_by_role("region", name="tone").get_by_role("article")).to_have_count(2)


def test_pages_without_pictures_and_sounds_name_the_calls(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, port=0) as bare:
        open_view(page, bare, "#/images")
        expect(page.get_by_test_id("empty")).to_contain_text("SummaryWriter.add_image")
        open_view(page, bare, "#/audio")
        expect(page.get_by_test_id("empty")).to_contain_text("SummaryWriter.add_audio")


def test_media_fit_a_phone(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for address in ("#/images", "#/images?by=runs", "#/images?pic=pixels", "#/audio"):
        page.goto("about:blank")
        open_view(page, server, address)
        until(page, lambda: bool(page.evaluate(fits)), f"{address}, no wider than the screen,")
