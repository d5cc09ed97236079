"""Every view in a real Chromium, looked through by axe-core for what keeps people out: WCAG 2 levels A and AA."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

import searched_run
from browser_pages import WAIT, ready
from conftest import ROOT
from convscope import SummaryWriter
from convscope.view import RunningServer, serve
from training_runs import VIEWS, write_ours, write_series

pytestmark = pytest.mark.browser
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
QUICK = {"resultTypes": ["violations"], "preload": False}
ALL = {**QUICK, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
COLOURS = {**QUICK, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""All that another theme can change."""
WIDTHS = (1440, 390)
STEADY = "* { transition: none !important; animation: none !important }"


@pytest.fixture(scope="module")
def server(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    logdir = tmp_path_factory.mktemp("access")
    shutil.copytree(small_demo / "mnist", logdir / "mnist", ignore=shutil.ignore_patterns(".convscope-columns*"))
    with SummaryWriter(logdir / "train" / "one") as writer:
        write_series(writer)
        write_ours(writer)
    with SummaryWriter(logdir / "train" / "two") as writer:
        write_series(writer, graph=False)
    with SummaryWriter(logdir / "search") as writer:
        searched_run.write_search(writer, pairs=((1, 2), (2, 5)))
    with serve(logdir, port=0) as running:
        yield running


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """One for all pages: what a page has fetched the next one has."""
    made = chromium.new_context(viewport={"width": WIDTHS[0], "height": 900}, reduced_motion="reduce", bypass_csp=True)
    made.set_default_timeout(WAIT)
    made.add_init_script(path=AXE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext) -> Page:
    return context.new_page()


def show(page: Page, server: RunningServer, view: str) -> None:
    """Go to a view; the page is loaded once."""
    if page.url == "about:blank":
        page.goto(f"{server.url}#/{view}")
        page.add_style_tag(content=STEADY)
    else:
        page.evaluate("(view) => { delete document.documentElement.dataset.ready; location.hash = `#/${view}`; }", view)
    ready(page)


def violations(page: Page, rules: dict[str, Any]) -> list[str]:
    found = page.evaluate("(rules) => axe.run(document, rules)", rules)["violations"]
    return [f"{one['id']}: {node['html'][:160]} {summary(node)}" for one in found for node in one["nodes"]]


def summary(node: dict[str, Any]) -> str:
    return " ".join(node.get("failureSummary", "").split())[:240]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(page: Page, server: RunningServer, view: str) -> None:
    found = []
    show(page, server, view)
    assert page.get_by_test_id("empty").count() == 0, "there is something to look at"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme, rules in (("light", ALL), ("dark", COLOURS)):
            page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
            found += [f"{width} {theme}: {one}" for one in violations(page, rules)]
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert not found, "\n".join(found)


def test_axe_sees_what_is_wrong(page: Page, server: RunningServer) -> None:
    """A check of the check: a picture without words and pale letters are found."""
    page.goto("about:blank")
    show(page, server, "text")
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend',"
        ' \'<div id="bad"><img src="logo.svg"><p style="color: #ccc; background: #fff">pale</p></div>\')'
    )
    found = " ".join(violations(page, ALL))
    assert "image-alt" in found
    assert "color-contrast" in found
