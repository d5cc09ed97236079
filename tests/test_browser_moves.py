"""Going from page to page of a searched network: the focus goes along, and nothing of the page before is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import searched_run
from browser_pages import open_view
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """A search whose audit is still to come."""
    with SummaryWriter(tmp_path / "pets") as writer:
        for layer in searched_run.LAYERS:
            writer.add(searched_run.layer_summary(layer), layer)
    return tmp_path


@pytest.fixture
def server(logdir: Path) -> Iterator[RunningServer]:
    with serve(logdir, port=0) as server:
        yield server


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"))


def test_the_focus_goes_to_the_other_layer(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?ch=2")
    page.get_by_role("link", name="Open picture 2").focus()
    crumb = page.get_by_role("navigation", name="Breadcrumb")
    before = crumb.inner_text()
    page.keyboard.press("]")
    expect(crumb).not_to_have_text(before)
    expect(page.get_by_role("heading", name="Channel 2", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    card = page.get_by_test_id("channel")
    expect(card.nth(2)).to_be_focused()
    page.keyboard.press("[")
    expect(card.first).to_be_focused()


def test_a_search_leaves_the_picture_that_is_open(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer?ch=2&hit=2")
    expect(page.get_by_test_id("large")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("dog")
    page.wait_for_url("**q=dog*")
    page.get_by_test_id("channel").first.click()
    expect(page.get_by_test_id("channel-panel")).to_be_visible()
    expect(page.get_by_test_id("hit").first).to_be_visible()
    expect(page.get_by_test_id("large")).to_have_count(0)
    assert "hit=" not in page.url


def test_a_channel_that_is_opened_right_after_typing_stays_open(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/layer")
    expect(page.get_by_test_id("channel").first).to_be_visible()
    page.evaluate(
        """() => {
          const box = document.querySelector(".topbar input[type='search']");
          box.value = "dog";
          box.dispatchEvent(new Event("input", { bubbles: true }));
          document.querySelector("[data-testid='channel']").click();
        }"""
    )
    page.wait_for_url("**q=dog*")
    assert "ch=" in page.url
    expect(page.get_by_test_id("channel-panel")).to_be_visible()


def test_images_get_their_names_when_the_audit_comes(page: Page, server: RunningServer, logdir: Path) -> None:
    open_view(page, server, "#/layer?ch=2")
    hit = page.get_by_test_id("hit").first
    expect(hit).to_be_visible()
    expect(hit).not_to_contain_text(".jpg")
    with SummaryWriter(logdir / "pets") as writer:
        writer.add(searched_run.audit_summary())
    expect(hit).to_contain_text(".jpg")
