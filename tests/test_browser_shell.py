"""The shell around the views in a real Chromium: the list of runs, the keyboard, what is said of the server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from browser_pages import open_view, outage, ready, until
from convscope import SummaryWriter
from convscope.view import RunningServer, serve

pytestmark = pytest.mark.browser
RUNS = 500
# Milliseconds from a click on the list until its effect is painted.
CHANGES_OF_A_CLICK = """async (selector) => {
  const row = document.querySelector(selector);
  const before = row.getAttribute("aria-checked");
  const seen = [];
  const watch = new MutationObserver((changes) => seen.push(...changes));
  watch.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  row.click();
  while (document.querySelector(selector).getAttribute("aria-checked") === before) {
    await new Promise((go) => requestAnimationFrame(go));
  }
  await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
  watch.disconnect();
  return seen.length;
}"""
KEYS_AT_ONCE = """(keys) => {
  const key = (name) => new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true });
  for (const name of keys) (document.activeElement ?? document.body).dispatchEvent(key(name));
}"""
"""However slow the machine is: the second of two letters counts alone if it comes late."""


def write(logdir: Path, run: str) -> Path:
    """Write a run of one curve."""
    with SummaryWriter(logdir / run) as writer:
        for step in range(3):
            writer.add_scalar("loss", 1 / (step + 1), step)
    return next((logdir / run).glob("*tfevents*"))


def serve_runs(logdir: Path, *runs: str) -> RunningServer:
    for run in runs:
        write(logdir, run)
    return serve(logdir, port=0)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serve_runs(
        tmp_path_factory.mktemp("few"), "base", "net/lr0.1/s1", "net/lr0.1/s2", "net/lr1/s1", "odd/a,b"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("many")
    first = write(logdir, "sweep0/seed000")
    for i in range(1, RUNS):
        folder = logdir / f"sweep{i % 5}" / f"seed{i:03}"
        folder.mkdir(parents=True)
        shutil.copy(first, folder)
    with serve(logdir, port=0) as running:
        yield running


def tree(page: Page) -> Locator:
    return page.get_by_role("tree", name="Runs")


def row(page: Page, name: str) -> Locator:
    return page.locator(f".run-row[title='{name}']")


def shown(page: Page) -> Locator:
    return page.get_by_test_id("runs-shown")


def active(page: Page) -> str:
    """The name of the row that the keys act on."""
    found = page.evaluate(
        "() => document.getElementById(document.querySelector('.runs').getAttribute('aria-activedescendant'))?.title"
    )
    return str(found)


def query(page: Page) -> str:
    return page.url.partition("?")[2]


def test_runs_stand_in_folders_that_close_and_hide_as_one(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars")
    expect(shown(page)).to_have_text("5 of 5 shown")
    names = tree(page).locator(".run-name")
    expect(names).to_have_text(["base", "net", "lr0.1", "s1", "s2", "lr1/s1", "odd/a,b"])
    row(page, "net/lr0.1").click()
    expect(shown(page)).to_have_text("3 of 5 shown")
    expect(row(page, "net")).to_have_attribute("aria-checked", "mixed")
    assert query(page) == "hide=net/lr0.1/s1,net/lr0.1/s2"
    row(page, "net").locator(".fold-area").click()
    expect(row(page, "net")).to_have_attribute("aria-expanded", "false")
    expect(tree(page).get_by_role("treeitem")).to_have_count(3)
    row(page, "odd/a,b").click()
    page.reload()
    ready(page)
    expect(row(page, "odd/a,b")).to_have_attribute("aria-checked", "false")
    expect(shown(page)).to_have_text("2 of 5 shown")
    page.get_by_role("button", name="All", exact=True).click()
    expect(shown(page)).to_have_text("5 of 5 shown")
    assert query(page) == ""


def test_only_one_run_a_few_to_compare_none_and_back(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars")
    row(page, "net/lr1/s1").hover()
    page.get_by_role("button", name="Show only net/lr1/s1").click()
    expect(shown(page)).to_have_text("1 of 5 shown")
    assert query(page) == "only=net/lr1/s1"
    page.get_by_role("link", name="Histograms", exact=True).click()
    page.wait_for_url("**#/histograms?only=net/lr1/s1")
    page.get_by_role("link", name="Scalars", exact=True).click()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("button", name="Show the ticked")).to_be_disabled()
    row(page, "base").click()
    row(page, "net/lr0.1/s2").click()
    expect(shown(page)).to_have_text("1 of 5 shown")
    page.get_by_role("button", name="Show these 2").click()
    expect(shown(page)).to_have_text("2 of 5 shown")
    assert query(page) == "only=base,net/lr0.1/s2"
    page.get_by_role("button", name="None", exact=True).click()
    assert query(page) == "hide=*"
    notice = page.get_by_test_id("none-shown")
    expect(notice).to_contain_text("All runs are hidden.")
    notice.get_by_role("button", name="Show all runs").click()
    expect(notice).to_have_count(0)
    expect(shown(page)).to_have_text("5 of 5 shown")


def test_a_regex_filters_and_a_wrong_one_is_explained(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars")
    page.keyboard.press("r")
    field = page.get_by_role("searchbox", name="Filter runs by regex")
    expect(field).to_be_focused()
    field.fill("LR.*s1$")
    expect(shown(page)).to_have_text("2 of 5 shown")
    page.wait_for_url("**runs=LR*")
    field.fill("lr[")
    expect(page.locator("#run-filter-wrong")).to_contain_text("“lr[” is no regular expression: Unterminated")
    expect(field).to_have_attribute("aria-invalid", "true")
    page.get_by_test_id("none-shown").get_by_role("button", name="Clear the filter").click()
    expect(field).to_have_value("")
    expect(page.locator("#run-filter-wrong")).to_have_count(0)
    expect(shown(page)).to_have_text("5 of 5 shown")
    page.get_by_role("combobox", name="Group runs").select_option("By folder")
    page.wait_for_url("**group=/")


def test_runs_are_pinned_and_get_colours_that_last(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars")
    row(page, "odd/a,b").hover()
    page.get_by_role("button", name="Pin odd/a,b").click()
    expect(tree(page).get_by_role("treeitem").first).to_have_attribute("title", "odd/a,b")
    page.wait_for_url("**pin=odd/a%252Cb")
    tree(page).focus()
    page.keyboard.press("Home")
    page.keyboard.press("c")
    panel = page.get_by_role("dialog", name="Colour of odd/a,b")
    expect(panel.locator("button[aria-pressed='true']")).to_be_focused()
    panel.get_by_role("button", name="Red", exact=True).click()
    expect(panel).to_have_count(0)
    expect(tree(page)).to_be_focused()
    page.reload()
    ready(page)
    expect(row(page, "odd/a,b").locator(".dot")).to_have_css("background-color", "rgb(179, 39, 61)")
    page.get_by_test_id("theme").click()
    expect(row(page, "odd/a,b").locator(".dot")).to_have_css("background-color", "rgb(242, 120, 138)")


def test_the_list_is_walked_with_the_keyboard(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars")
    tree(page).focus()
    assert active(page) == "base"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(tree(page).get_by_role("treeitem")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert active(page) == "net/lr0.1"
    page.keyboard.press("Space")
    expect(shown(page)).to_have_text("3 of 5 shown")
    page.keyboard.press("End")
    page.keyboard.press("o")
    page.wait_for_url("**only=odd/a%252Cb")
    page.keyboard.press("o")
    expect(shown(page)).to_have_text("5 of 5 shown")
    page.keyboard.press("p")
    expect(tree(page).get_by_role("treeitem").first).to_have_attribute("title", "odd/a,b")


def test_letters_open_pages_and_the_help_gives_the_focus_back(page: Page, few: RunningServer) -> None:
    open_view(page, few, "#/scalars?only=base")
    page.evaluate(KEYS_AT_ONCE, ["g", "h"])
    page.wait_for_url("**#/histograms?only=base")
    page.evaluate(KEYS_AT_ONCE, ["g", "z"])
    button = page.get_by_role("button", name="Keyboard shortcuts")
    button.focus()
    button.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Only this run; again: all")
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    assert "#/histograms" in page.url


def test_five_hundred_runs_are_a_few_rows_and_a_short_address(page: Page, many: RunningServer) -> None:
    open_view(page, many, "#/images")
    expect(shown(page)).to_have_text("500 of 500 shown")
    assert tree(page).get_by_role("treeitem").count() < 60
    changes = [page.evaluate(CHANGES_OF_A_CLICK, "[data-run='sweep0/seed010']") for _ in range(4)]
    print(changes)
    assert 0 < min(changes) < 60, "a click changes its row and what counts the rows, not every row"
    tree(page).focus()
    page.keyboard.press("End")
    assert active(page) == "sweep4/seed499"
    page.keyboard.press("Space")
    page.wait_for_url("**hide=sweep4/seed499")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    expect(shown(page)).to_have_text("399 of 500 shown")
    assert query(page) == "hide=sweep0/seed*,sweep4/seed499"
    page.get_by_role("searchbox", name="Filter runs by regex").fill("seed0[0-4]")
    expect(shown(page)).to_have_text("40 of 500 shown")
    page.get_by_role("button", name="None", exact=True).click()
    expect(shown(page)).to_have_text("0 of 500 shown")
    assert len(query(page)) < 400


def test_runs_past_the_palette_have_a_mark_of_their_own(page: Page, many: RunningServer) -> None:
    open_view(page, many, "#/images")
    rounds = page.locator(".run-row .dot").evaluate_all("dots => dots.slice(0, 14).map((dot) => dot.dataset.round)")
    assert rounds == ["0"] * 12 + ["1"] * 2


def test_a_missing_logdir_is_waited_for(page: Page, tmp_path: Path) -> None:
    logdir = tmp_path / "later"
    with serve(logdir, port=0) as server:
        open_view(page, server)
        expect(page.get_by_test_id("waiting")).to_contain_text("Waiting for the first run")
        expect(page.get_by_test_id("waiting")).to_contain_text("There is no directory")
        write(logdir, "first")
        expect(page.get_by_test_id("waiting")).to_have_count(0)
        expect(tree(page).get_by_role("treeitem")).to_have_count(1)
        expect(page.get_by_test_id("status")).to_contain_text(
            re.compile("newest point (just now|less than a minute ago)")
        )
        page.goto("about:blank")


def test_a_new_problem_is_told_once_and_stays_in_the_list(page: Page, tmp_path: Path) -> None:
    logdir = tmp_path / "logs"
    with serve_runs(logdir, "fine") as server:
        open_view(page, server, "#/scalars")
        written = write(tmp_path / "elsewhere", "bad")
        damaged = bytearray(written.read_bytes())
        damaged[60:90] = b"x" * 30
        (logdir / "bad").mkdir()
        (logdir / "bad" / written.name).write_bytes(damaged)
        toast = page.get_by_test_id("toast")
        expect(toast).to_contain_text("bad")
        expect(toast).to_contain_text("damaged")
        assert page.locator(".toasts").get_attribute("role") == "status"
        toast.get_by_role("button", name="Close the message").click()
        expect(toast).to_have_count(0)
        write(logdir, "another")
        expect(row(page, "another")).to_be_visible()
        expect(toast).to_have_count(0)
        page.get_by_text("1 problem while reading").click()
        expect(page.locator(".problems li")).to_contain_text("bad: ")
        page.goto("about:blank")


@pytest.mark.parametrize("page", [("net::ERR_",)], indirect=True)
def test_a_server_that_is_gone_is_named_and_asked_again(page: Page, tmp_path: Path) -> None:
    first = serve_runs(tmp_path, "run")
    open_view(page, first, "#/scalars")
    offline = page.get_by_test_id("offline")
    with outage(first):
        expect(offline).to_contain_text("The server does not answer.")
        expect(offline).to_contain_text("what is shown came before")
        offline.get_by_role("button", name="Try now").click()
        expect(offline.get_by_role("button", name="Try now")).to_be_enabled()
        expect(offline).to_be_visible()
        again = serve(tmp_path, port=first.port)
    assert again.port == first.port
    with again:
        page.evaluate("document.querySelector('[data-testid=offline] button')?.click()")  # it may have come by itself
        expect(offline).to_have_count(0)
        expect(page.get_by_test_id("status")).to_contain_text("updated")


def test_the_drawer_takes_the_focus_and_gives_it_back(page: Page, few: RunningServer) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    open_view(page, few, "#/scalars")
    menu = page.get_by_role("button", name="Open the menu")
    menu.press("Enter")
    until(page, lambda: bool(page.evaluate("() => document.activeElement.id === 'sidebar'")), "the focus in the drawer")
    assert page.locator(".stage").evaluate("(stage) => stage.inert")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    assert not page.locator(".stage").evaluate("(stage) => stage.inert")
