"""Handing a picture to an attached network, in a real Chromium: dropped, pasted, chosen, refused, forgotten."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, Request, Route, expect
from torch import nn

from browser_pages import WAIT, outage, until
from convscope import Model, SummaryWriter
from convscope.jobs.live import LiveModel
from convscope.nets.preprocessing import Preprocessing
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
GIVE = """([event, files]) => {
    const data = new DataTransfer();
    for (const [name, type, text] of files) {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
    }
    const init = { bubbles: true, cancelable: true };
    const made = event === "paste"
        ? new ClipboardEvent(event, { ...init, clipboardData: data })
        : new DragEvent(event, { ...init, dataTransfer: data });
    document.body.dispatchEvent(made);
    return made.defaultPrevented;
}"""


def encoded(seed: int = 0) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def give(page: Page, event: str, *files: tuple[str, str, bytes]) -> bool:
    """Drop or paste files on the page; return whether it took them."""
    named = [(name, kind, base64.b64encode(data).decode()) for name, kind, data in files]
    return bool(page.evaluate(GIVE, [event, named]))


def picture_file(name: str) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": encoded()}


def a_network() -> LiveModel:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12 * 12 * 12, 5)
    )
    how = Preprocessing(16, (16, 16))
    classes = ["crane", "drake", "finch", "heron", "robin"]
    return LiveModel(Model(net, input_shape=(3, 16, 16), preprocessing=how, name="small"), classes=classes)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    with SummaryWriter(path / "trained") as writer:
        writer.add_scalar("loss", 1.0, 1)
    return path


@pytest.fixture
def server(logdir: Path) -> Iterator[RunningServer]:
    with serve(logdir, port=0, live=a_network()) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own, left before the server stops; any console error fails the test, but for those it expects."""
    complaints: list[str] = []
    size = {"width": getattr(request, "param", 1280), "height": 800}
    context = chromium.new_context(viewport=size, reduced_motion="reduce")
    fresh = context.new_page()
    fresh.set_default_timeout(WAIT)
    fresh.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    fresh.on("pageerror", lambda error: complaints.append(str(error)))
    yield fresh
    fresh.goto("about:blank")
    context.close()
    expected = ("422", "404")  # a bad picture is refused; one may be forgotten while its maps are on their way
    assert [text for text in complaints if not any(status in text for status in expected)] == []


def open_page(page: Page, server: RunningServer, address: str = "") -> None:
    page.goto(server.url + address)
    page.wait_for_selector("html[data-ready='true']", timeout=WAIT)
    expect(page.get_by_role("button", name="Choose a picture").first).to_be_attached()


def test_without_a_network_the_page_offers_nothing(page: Page, logdir: Path) -> None:
    with serve(logdir, port=0) as plain:
        page.goto(plain.url)
        page.wait_for_selector("html[data-ready='true']", timeout=WAIT)
        expect(page.get_by_role("button", name="Choose a picture")).to_have_count(0)
        assert not give(page, "drop", ("cat.png", "image/png", encoded()))
        expect(page.get_by_test_id("live-status")).to_have_count(0)


def test_a_dropped_picture_is_shown_in_the_layer_that_is_looked_at(page: Page, server: RunningServer) -> None:
    open_page(page, server, "#/filters?run=live:+small&tag=2")
    assert give(page, "dragenter", ("cat.png", "image/png", encoded()))
    expect(page.get_by_text("Drop it: small looks at it")).to_be_visible()
    assert give(page, "drop", ("cat.png", "image/png", encoded()))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    expect(page.get_by_role("heading", level=1)).to_contain_text("2")
    expect(page.get_by_test_id("live-status")).to_contain_text("cat.png")
    page.get_by_label("Dismiss").click()  # first: the card goes by itself
    expect(page.get_by_test_id("live-status")).to_be_empty()
    expect(page.get_by_text("Drop it: small looks at it")).to_have_count(0)
    page.wait_for_selector("html[data-ready='true']", timeout=WAIT)
    expect(page.locator("main canvas").first).to_be_visible()
    assert "tag=2+" in page.url
    expect(page.get_by_text("not stored")).to_be_visible()


def test_pasting_several_shows_the_last_and_another_page_learns_of_them(
    page: Page, chromium: Browser, server: RunningServer
) -> None:
    open_page(page, server, "#/scalars")
    other = chromium.new_page()
    open_page(other, server, "#/scalars")
    files = [(f"{n}.png", "image/png", encoded(n)) for n in range(2)]
    assert give(page, "paste", *files)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    kept = page.get_by_role("list", name="Pictures that are kept")
    expect(kept.get_by_role("link")).to_have_text(["1.png", "0.png"])
    expect(kept.get_by_role("link", name="1.png")).to_have_attribute("aria-current", "true")
    expect(other.get_by_role("link", name="1.png", exact=True)).to_be_visible()
    other.close()
    assert not give(page, "paste")  # text is none of its business


def test_the_button_works_from_the_keyboard_and_pictures_can_be_forgotten(page: Page, server: RunningServer) -> None:
    names = iter(("a.png", "b.png"))
    page.on("filechooser", lambda chooser: chooser.set_files(picture_file(next(names))))
    open_page(page, server)
    button = page.get_by_role("complementary").get_by_role("button", name="Choose a picture")
    button.focus()
    for name in ("a.png", "b.png"):
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    page.get_by_role("button", name="Forget a.png").click()
    expect(page.get_by_role("link", name="a.png", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="b.png", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    expect(page.locator(".failed")).to_have_count(0)
    page.get_by_role("button", name="Forget b.png").click()
    expect(page.get_by_test_id("empty")).to_be_visible()


def test_a_picture_that_is_dropped_while_another_is_being_shown_is_not_lost(page: Page, server: RunningServer) -> None:
    page.route("**/api/events", lambda _: None)  # nobody tells the page; it has to ask by itself
    open_page(page, server)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/index*", hold)
    give(page, "drop", ("first.png", "image/png", encoded(1)))
    until(page, lambda: bool(held), "the question for what there is")
    give(page, "drop", ("second.png", "image/png", encoded(2)))
    page.unroute("**/api/index*")
    for route in held:
        route.continue_()
    kept = page.get_by_role("list", name="Pictures that are kept")
    expect(kept.get_by_role("link")).to_have_text(["second.png", "first.png"])


def test_two_pages_hand_in_pictures_at_once(page: Page, chromium: Browser, server: RunningServer) -> None:
    other = chromium.new_page()
    for one in (page, other):
        open_page(one, server)
    for seed, one in enumerate((page, other)):
        assert give(one, "drop", *[(f"{seed}{n}.png", "image/png", encoded(10 * seed + n)) for n in range(4)])
    names = sorted(f"{seed}{n}.png" for seed in range(2) for n in range(4))
    for one in (page, other):
        kept = one.get_by_role("list", name="Pictures that are kept").get_by_role("link")
        expect(kept).to_have_count(8)
        assert sorted(kept.all_inner_texts()) == names
        expect(one.get_by_role("alert")).to_have_count(0)
        expect(one.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    other.close()


def test_a_page_lives_through_a_restart_of_its_network(chromium: Browser, logdir: Path) -> None:
    page = chromium.new_page()
    first = serve(logdir, port=0, live=a_network())
    open_page(page, first)
    give(page, "drop", ("old.png", "image/png", encoded()))
    expect(page.get_by_role("link", name="old.png", exact=True)).to_be_visible()
    expect(page.locator(".map-cell canvas").first).to_be_visible()  # the code of the page is here, too
    with outage(first):
        again = serve(logdir, port=first.port, live=a_network())
    with again as second:
        assert second.port == first.port
        expect(page.get_by_role("link", name="old.png", exact=True)).to_have_count(0)
        give(page, "drop", ("new.png", "image/png", encoded()))
        expect(page.get_by_role("link", name="new.png", exact=True)).to_be_visible()
        expect(page.locator(".map-cell canvas").first).to_be_visible()
        expect(page.locator(".failed")).to_have_count(0)
        page.close()


def test_switching_layers_looks_at_nothing_again(page: Page, server: RunningServer) -> None:
    posts: list[Request] = []
    open_page(page, server)
    give(page, "drop", ("cat.png", "image/png", encoded()))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    page.on("request", lambda request: posts.append(request) if request.method != "GET" else None)
    page.get_by_label("Layer", exact=True).select_option("2")
    expect(page.get_by_role("heading", level=1)).to_contain_text("2")
    page.wait_for_selector("html[data-ready='true']", timeout=WAIT)
    assert posts == []


def test_what_is_no_picture_is_refused_in_a_sentence(page: Page, server: RunningServer) -> None:
    open_page(page, server)
    give(page, "drop", ("good.png", "image/png", encoded()))
    expect(page.get_by_role("link", name="good.png", exact=True)).to_be_visible()
    give(page, "drop", ("bad.png", "image/png", b"<svg onload=alert(1)>"))
    expect(page.get_by_role("alert")).to_contain_text("bad.png: the picture cannot be read (not an image)")
    give(page, "drop", ("notes.pdf", "application/pdf", b"%PDF"))
    expect(page.get_by_role("alert")).to_contain_text("“notes.pdf” is not a picture")
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("link", name="good.png", exact=True)).to_be_visible()


@pytest.mark.parametrize("page", [390], indirect=True)
def test_on_a_phone_the_button_is_in_the_top_bar(page: Page, server: RunningServer) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(picture_file("cat.png")))
    open_page(page, server)
    page.get_by_role("banner").get_by_role("button", name="Choose a picture").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Feature maps")
    page.wait_for_selector("html[data-ready='true']", timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
