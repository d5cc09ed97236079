"""The widget in Chromium: its own script in a page that passes messages to a real widget, as a notebook does."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Frame, Page, expect

import convscope as cs
from browser_pages import WAIT, inked, open_view, settled, until
from convscope.jobs.given import given_to_show
from convscope.view import serve
from convscope.view import widget as widget_module
from convscope.view.widget import make_widget

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)> 中文"
RNG = np.random.default_rng(3)

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>notebook</title></head>
<body style="margin:0;background:rgb(255, 255, 255)"><div id="cells"></div></body></html>"""
HOST = """async (made) => {
  globalThis.models ??= new Map();
  const { default: widget } = await import(URL.createObjectURL(new Blob([made.esm], { type: "text/javascript" })));
  const heard = new Map();
  const hear = (name) => { if (!heard.has(name)) heard.set(name, new Set()); return heard.get(name); };
  const model = {
    get: (name) => made.state[name],
    on: (name, callback) => hear(name).add(callback),
    off: (name, callback) => hear(name).delete(callback),
    send: (content) => {
      if (model.dead) throw new Error("Cannot send");
      ask(made.key, content).then((answers) => answers.forEach((one) => model.tell(one)));
    },
    tell: ({ content, data }) => {
      const bytes = data === null ? [] : [Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))];
      const views = bytes.map(({ buffer }) => new DataView(buffer));
      for (const callback of hear("msg:custom")) callback(content, views);
    },
    fire: (name) => { for (const callback of hear(name)) callback(); },
  };
  models.set(made.key, model);
  const el = document.createElement("div");
  document.getElementById("cells").append(el);
  model.remove = widget.render({ model, el });
}"""


@dataclass
class Notebook:
    """A page that shows widgets, and the kernel's end of each."""

    page: Page
    made: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    silent: bool = False

    def open(self) -> None:
        """Load the page, which may request nothing."""
        self.page.expose_function("ask", self._ask)
        self.page.route("**/*", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
        self.page.goto("http://notebook.test/")

    def _ask(self, key: str, content: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(content)
        if self.silent:
            return []
        sent: list[dict[str, Any]] = []

        def send(reply: Any, buffers: Any = None) -> None:
            data = base64.b64encode(buffers[0]).decode() if buffers else None
            sent.append({"content": reply, "data": data})

        made = self.made[key]
        object.__setattr__(made, "send", send)
        made.hear(content)
        return sent

    def show(self, *given: Any, height: int = 500, **options: Any) -> Frame:
        """Show something as ``cs.show`` does, and return its frame when it is painted."""
        shown = given_to_show(given, **options)
        made = make_widget(shown.source, start=shown.start, compact=shown.compact, height=height)
        key = str(len(self.made))
        self.made[key] = made
        state = {name: getattr(made, name) for name in ("height", "start", "compact", "program")}
        self.page.evaluate(HOST, {"key": key, "esm": made._esm, "state": state})
        return self.ready(int(key))

    def ready(self, number: int) -> Frame:
        """Return the frame of a widget when it is painted."""
        element = self.page.locator("iframe").nth(number).element_handle()
        assert element is not None
        frame = element.content_frame()
        assert frame is not None
        frame.wait_for_selector("html[data-ready='true']", timeout=WAIT)
        return frame

    def note(self) -> str:
        """Return what the widgets say beneath their frames."""
        return " ".join(self.page.locator(".convscope > p:visible").all_inner_texts())


@pytest.fixture
def notebook(page: Page) -> Iterator[Notebook]:
    opened = Notebook(page)
    opened.open()
    yield opened
    assert [frame.url for frame in page.frames if frame.url.startswith("http")] == ["http://notebook.test/"]


def heading(frame: Frame) -> str:
    return frame.locator("h1").first.inner_text()


def test_arrays_of_each_kind_show_their_view_alone_and_numbers_come_when_they_are_asked_for(
    notebook: Notebook,
) -> None:
    filters = notebook.show(RNG.normal(size=(12, 3, 5, 5)), tag=HOSTILE)
    assert HOSTILE in heading(filters)
    assert filters.locator("nav[aria-label='Breadcrumb'], #sidebar").count() == 0
    volume = notebook.show(RNG.random((8, 9, 9)), as_="volume")
    points = notebook.show(RNG.normal(size=(60, 6)), height=300)
    assert heading(volume).startswith("Volume")
    assert heading(points).startswith("Embedding")
    asked = [one["names"] for one in notebook.asked if one.get("ask") == "arrays"]
    assert asked
    assert "vector" not in {name for names in asked for name in names}, "the vectors stay in the kernel"
    assert settled(notebook.page.locator("iframe").nth(2))["height"] == 300
    # a question that is not answered in time is asked again under its number
    programs = {one["id"] for one in notebook.asked if one.get("ask") == "program"}
    names = {one["id"]: one["name"] for one in notebook.asked if one.get("ask") == "chunk"}
    assert len(programs) == 1, "the program comes once for all widgets of a page"
    assert len(names) == len(set(names.values()))
    assert notebook.page.evaluate("document.styleSheets.length") == 0, "no style leaves the frame"


def test_a_run_is_followed_and_its_pages_are_turned_inside_the_frame(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convscope.view.source.POLL_SECONDS", 0.0)
    monkeypatch.setattr(widget_module, "WATCH_SECONDS", 3600.0)  # the test tells the news itself
    with cs.SummaryWriter(tmp_path / "a") as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.add_scalar("loss", 0.5, 1)
        writer.add_image("seen", RNG.random((3, 16, 16)), 0)
        writer.add_text(HOSTILE, "**bold** words", 0)
    frame = notebook.show(tmp_path)
    assert heading(frame) == "Scalars"
    assert any(one.get("watch") is True for one in notebook.asked)
    frame.click("#sidebar a[href^='#/images']")
    frame.wait_for_selector(".view-images canvas, .view-images img")
    frame.wait_for_selector("html[data-ready='true']")
    frame.click("#sidebar a[href^='#/text']")
    expect(frame.locator(".view-text strong", has_text="bold")).to_be_visible()
    assert notebook.page.url == "http://notebook.test/", "addresses stay in the frame"
    frame.click("#sidebar a[href^='#/scalars']")
    with cs.SummaryWriter(tmp_path / "b") as writer:
        writer.add_scalar("loss", 0.25, 0)
    version = notebook.made["0"]._source.version()
    notebook.page.evaluate("(version) => models.get('0').tell({ content: { version }, data: null })", version)
    expect(frame.locator(".view-scalars")).to_contain_text("2 of 2")


def test_a_frame_that_is_moved_in_the_page_goes_on_where_it_was(notebook: Notebook) -> None:
    frame = notebook.show(RNG.normal(size=(12, 3, 5, 5)))
    frame.evaluate("location.hash = '#/filters?run=results&tag=filters&sort=norm'")
    expect(frame.locator("[aria-pressed='true'], [aria-checked='true']", has_text="Norm").first).to_be_visible()
    notebook.page.evaluate("document.body.append(document.getElementById('cells'))")
    again = notebook.ready(0)
    assert "sort=norm" in (again.evaluate("location.hash") or again.evaluate("convscopeFrame.startAt"))
    assert len({one["id"] for one in notebook.asked if one.get("ask") == "program"}) == 1


def test_the_theme_is_the_notebooks_whatever_the_system_prefers(notebook: Notebook) -> None:
    frame = notebook.show(np.zeros((2, 3, 4, 4)))
    theme = "document.documentElement.dataset.theme"
    assert frame.evaluate(theme) == "light"
    notebook.page.evaluate("document.body.style.background = 'rgb(17, 17, 17)'")
    until(notebook.page, lambda: frame.evaluate(theme) == "dark", "the dark theme")
    notebook.page.evaluate("document.body.style.background = 'rgb(250, 250, 250)'")
    until(notebook.page, lambda: frame.evaluate(theme) == "light", "the light theme")


def test_a_kernel_that_is_busy_or_gone_is_said_in_a_sentence(notebook: Notebook) -> None:
    frame = notebook.show(np.zeros((2, 3, 4, 4)))
    assert notebook.note() == ""
    notebook.page.evaluate("models.get('0').dead = true")
    frame.evaluate("void convscopeFrame.port.postMessage({ id: 99, ask: 'version' })")
    until(notebook.page, lambda: notebook.note() == "The kernel has ended. Run the cell again.", "the sentence")
    notebook.silent = True
    notebook.page.evaluate("models.get('0').remove()")
    assert notebook.page.locator("iframe").count() == 0
    notebook.page.clock.install()
    made = notebook.made["0"]
    state = {name: getattr(made, name) for name in ("height", "start", "compact", "program")}
    notebook.page.evaluate("globalThis.convscopeChunks.clear()")
    notebook.page.evaluate(HOST, {"key": "0", "esm": made._esm, "state": state})
    until(notebook.page, lambda: notebook.asked[-1].get("ask") == "program", "the question")
    question = notebook.asked[-1]
    notebook.page.clock.run_for(2000)
    until(notebook.page, lambda: notebook.asked.count(question) == 2, "the same question again")
    notebook.page.clock.run_for(4000)
    assert notebook.note().startswith("The kernel does not answer. It is busy, and what is asked for comes when")


def test_a_widget_that_is_removed_leaves_nothing_behind(notebook: Notebook, tmp_path: Path) -> None:
    notebook.show(tmp_path)
    made = notebook.made["0"]
    assert made._watch._views
    notebook.page.evaluate("models.get('0').remove()")
    until(notebook.page, lambda: not made._watch._views, "the end of the watch")
    assert notebook.page.locator(".convscope").count() == 0


def test_a_page_says_that_it_is_there_and_that_it_goes(notebook: Notebook, tmp_path: Path) -> None:
    notebook.page.clock.install()
    notebook.show(tmp_path)
    watch = notebook.made["0"]._watch
    (view,) = watch._views
    heard = watch._views[view]
    notebook.page.clock.run_for(31_000)
    until(notebook.page, lambda: watch._views[view] > heard, "word of the page")
    notebook.page.evaluate("dispatchEvent(new Event('pagehide'))")
    until(notebook.page, lambda: not watch._views, "the end of the watch")
    notebook.page.evaluate("dispatchEvent(new Event('pageshow'))")  # kept by the browser, and shown again
    until(notebook.page, lambda: view in watch._views, "the page that is back")


def test_no_page_in_a_frame_can_reach_the_notebook(notebook: Notebook) -> None:
    frame = notebook.show(np.zeros((2, 3, 4, 4)))
    assert frame.evaluate("origin") == "null"
    reach = "(() => { try { return String(parent.document) } catch (error) { return error.name } })()"
    assert frame.evaluate(reach) == "SecurityError"
    policy = frame.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content") or ""
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'nonce-\d{10,}';", policy)


def test_the_view_is_the_servers_pixel_for_pixel(notebook: Notebook, chromium: Browser) -> None:
    """The same result on the server's page, without its bars, has the same filters."""
    weights = RNG.normal(size=(6, 3, 5, 5))
    frame = notebook.show(weights)
    given = given_to_show([weights])
    with serve(given.source, port=0) as server:
        context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        other = context.new_page()
        open_view(other, server, given.start)
        inked(other, "canvas.filter-tile", 5)
        drawn = "[...document.querySelectorAll('canvas.filter-tile')].map((one) => one.toDataURL())"
        mine, theirs = frame.evaluate(drawn), other.evaluate(drawn)
        context.close()
    assert len(mine) == 6
    assert mine == theirs
