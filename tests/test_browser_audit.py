"""The page of a data set in a real Chromium: images by the channels they dominate, one of them, near-duplicates."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

import searched_run
from browser_pages import inked, open_view, ready, settled, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
PAIRS = ((1, 2), (2, 5), (8, 9))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("audits")
    with SummaryWriter(logdir / "net") as writer:
        searched_run.write_search(writer, pairs=PAIRS)
    with SummaryWriter(logdir / "single") as writer:
        writer.add(searched_run.audit_summary())
    with serve(logdir, port=0) as running:
        yield running


def images(page: Page) -> Locator:
    return page.get_by_test_id("audit-image")


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Chosen image")


def row_of(image: int) -> int:
    """The row of an image in the record."""
    return searched_run.audit_summary().arrays["index"].tolist().index(image)


def test_images_that_dominate_most_come_first_and_a_sentence_says_how_much(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audit?run=net")
    first = images(page).first
    expect(first).to_contain_text("hot7.jpg" if searched_run.LABELS[7] == 1 else "dog7.jpg")
    expect(first).to_contain_text("36 channels")
    expect(first.locator(".share-bars i")).to_have_count(3)
    expect(page.get_by_text(re.compile(r"^The 12 images .* % of all 648 top-9 places"))).to_be_visible()
    expect(page.get_by_text("2 images of 40 are among the best of no channel.")).to_be_visible()
    table = page.get_by_role("table", name="Images by the channels they dominate")
    expect(table.get_by_role("row")).to_have_count(39)
    inked(page, "[data-testid='audit-image'] canvas", 20)


def test_images_are_sorted_and_searched_and_the_address_knows(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audit?run=net")
    page.get_by_role("button", name="Name", exact=True).click()
    page.wait_for_url("**sort=name*")
    expect(images(page).first).to_contain_text("<b>4.jpg")
    page.locator("#search").fill("tabby")
    expect(images(page)).to_have_count(7)
    for image in images(page).all():
        expect(image).to_contain_text("cat, tabby")
    page.wait_for_url("**q=tabby*")
    page.reload()
    ready(page)
    expect(images(page).first).to_contain_text("cat3.jpg")
    page.locator("#search").fill("zebra")
    expect(page.get_by_test_id("empty")).to_contain_text("zebra")


def test_an_image_leads_to_the_channels_it_dominates(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audit?run=net&image=7")
    expect(images(page).first).to_have_attribute("aria-current", "true")
    expect(panel(page)).to_contain_text("as the strongest36")
    layers = panel(page).get_by_role("region")
    expect(layers).to_have_count(3)
    stages = panel(page).get_by_role("region", name="stages.1")
    expect(stages.get_by_role("link")).to_have_count(20)
    stages.get_by_role("link", name="channel 12 of stages.1, place 1").click()
    page.wait_for_url("**/#/layer?run=net&tag=stages.1&ch=12*")
    page.go_back()
    expect(stages.get_by_role("link")).to_have_count(20)


def test_the_keyboard_goes_from_image_to_image(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audit?run=net")
    settled(images(page).first)
    images(page).nth(1).focus()
    page.keyboard.press("Enter")
    expect(panel(page)).to_be_visible()
    page.wait_for_url("**image=*")
    chosen = page.url
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**image=7*")
    page.keyboard.press("ArrowLeft")
    expect(panel(page).get_by_role("heading", level=2)).to_contain_text("7.jpg")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(chosen)
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(images(page).nth(1)).to_have_attribute("aria-current", "false")


def test_near_duplicates_stand_side_by_side_and_say_when_their_classes_differ(
    page: Page, server: RunningServer
) -> None:
    open_view(page, server, "#/audit?run=net&show=pairs")
    groups = page.get_by_test_id("duplicates")
    expect(groups).to_have_count(2)
    expect(groups.first.get_by_role("link")).to_have_count(3)
    expect(groups.first).to_contain_text("likeness 0.975 to 0.99")
    expect(groups.first).to_contain_text("different classes")
    places = [settled(link)["y"] for link in groups.first.get_by_role("link").all()]
    assert len(set(places)) == 1, "side by side"
    groups.nth(1).get_by_role("link").first.click()
    expect(panel(page)).to_contain_text("Nearly the same as")
    expect(panel(page).locator(".twins a")).to_have_count(1)


def test_a_data_set_without_its_layers_or_pairs_says_so(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/audit?run=single&image=7")
    expect(panel(page).get_by_text("This run has no top images of the layer.")).to_have_count(3)
    page.get_by_role("button", name="Near-duplicates").click()
    expect(page.get_by_test_id("empty")).to_contain_text("No near-duplicates")
    page.goto("about:blank")
    open_view(page, server, "#/audit?run=single&image=39")
    expect(page.get_by_role("status").filter(has_text="Image 39 is among the best of no channel.")).to_be_visible()
    page.goto("about:blank")
    open_view(page, server, "#/audit?run=single&image=400")
    expect(page.get_by_role("status").filter(has_text="No image “400” here")).to_be_visible()


def test_a_data_set_fits_a_phone(page: Page, server: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    fits = "['html', 'main'].every(n => ((e) => e.scrollWidth <= e.clientWidth)(document.querySelector(n)))"
    for address in ("#/audit?run=net", "#/audit?run=net&show=pairs", "#/audit?run=net&image=7"):
        page.goto("about:blank")
        open_view(page, server, address)
        settled(page.locator(".audit-main"))
        until(page, lambda: bool(page.evaluate(fits)), f"{address}, no wider than the screen,")
    expect(panel(page).get_by_role("button", name="Close")).to_be_in_viewport()
    assert settled(panel(page))["y"] < settled(page.locator(".audit-main"))["y"]


def test_without_a_search_the_page_says_the_command(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serve(tmp_path_factory.mktemp("nothing"), port=0) as bare:
        open_view(page, bare, "#/audit")
        expect(page.get_by_test_id("empty")).to_contain_text("convscope inspect MODEL IMAGES -o RUN")
