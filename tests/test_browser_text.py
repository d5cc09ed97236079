"""Logged texts in a real Chromium: every step, formatted Markdown, a search through them, and texts that attack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser_pages import open_view, ready, until
from convscope import SummaryWriter
from convscope.view import RunningServer, program, serve

pytestmark = pytest.mark.browser

HUGE = 10_000_000
MARKDOWN = """# Results of epoch {0}

Line one
line two with `code`, **bold** and a [link](https://example.org/a?b=1&c=2).

| class | recall |
|:------|-------:|
| cat   | 0.9{0} |

```python
print("<b>not bold</b>")
```

- [x] done
- [ ] open
"""
RUN = "window.ran=(window.ran||0)+1"
HOSTILE = (
    f"<script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f"<svg onload={RUN}><a href='javascript:{RUN}'>x</a><animate onbegin={RUN} attributeName=x /></svg>",
    f"[click](javascript:{RUN})  [data](data:text/html,<script>{RUN}</script>)  [vb](VbScript:{RUN})",
    f"[entity](jav&#x09;ascript:{RUN}) <a href='java\nscript:{RUN}'>newline</a>",
    "[here](#/scalars) [relative](//evil.invalid)",
    "![picture](https://evil.invalid/p.png) <img src='api/image?run=a' srcset='https://evil.invalid/s.png 2x'>",
    "<style>@import 'https://evil.invalid/s.css'; * { background: url(https://evil.invalid/b.png) }</style>",
    "<p style='background:url(https://evil.invalid/i.png);position:fixed;inset:0'>cover</p>",
    "<iframe src='https://evil.invalid/'></iframe><object data='https://evil.invalid/'></object>",
    f"<embed src=x onload={RUN}><iframe srcdoc='<script>top.{RUN}</script>'></iframe>",
    "<link rel=stylesheet href='https://evil.invalid/l.css'><link rel=dns-prefetch href='//evil.invalid'>",
    "<meta http-equiv=refresh content='0;url=https://evil.invalid/'><base href='https://evil.invalid/'>",
    f"<form action='https://evil.invalid/'><button formaction='javascript:{RUN}'>go</button></form>",
    f"<input autofocus onfocus={RUN}>",
    f"<details open ontoggle={RUN}><summary>more</summary>text</details>",
    f"<video autoplay poster='https://evil.invalid/v.png'><source onerror={RUN}></video>",
    "<audio src='https://evil.invalid/a'></audio>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={RUN}&gt;'>",
    f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<svg></p><style><a id='</style><img src=1 onerror={RUN}>'>",
    f"<template><img src=x onerror={RUN}></template><x-y onclick={RUN} style=animation-name:x>own</x-y>",
    f"<a id=app name=location href='https://example.org' ping='https://evil.invalid/ping' onclick={RUN}>named</a>",
    f"`<img src=x onerror={RUN}>` and ```\n<script>{RUN}</script>\n```",
    f"</div></article><h1 onmouseover={RUN} tabindex=1 onfocus={RUN}>out of the card</h1>",
    ">" * 4000 + " deep",
    "\x00\ud800".encode("utf-8", "replace").decode() + "*_~`[](<" * 400,
)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    with SummaryWriter(folder / "a") as writer:
        for step in range(4):
            writer.add_text("notes", MARKDOWN.format(step), step * 10)
        writer.add_text("other <b>tag</b>", "nothing but a needle in hay")
    with SummaryWriter(folder / "b") as writer:
        writer.add_text("notes", "of run *b*", 15)
    with SummaryWriter(folder / "hostile") as writer:
        for step, text in enumerate(HOSTILE):
            writer.add_text("attack", text, step)
    with SummaryWriter(folder / "huge") as writer:
        writer.add_text("huge", "# Huge\n" + "0123456789\n" * (HUGE // 11))
    return folder


@pytest.fixture(scope="module")
def server(logdir: Path) -> Iterator[RunningServer]:
    with serve(logdir, port=0) as running:
        yield running


def card(page: Page, tag: str, run: str) -> Locator:
    return page.get_by_role("article", name=f"Text {tag}, {run}", exact=True)


def test_markdown_is_formatted_and_its_source_is_one_click_away(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/text?only=a&q=notes")
    notes = card(page, "notes", "a")
    expect(notes.get_by_role("heading", name="Results of epoch 3")).to_be_visible()
    expect(notes.get_by_role("cell", name="0.93")).to_have_css("text-align", "right")
    expect(notes.locator("pre")).to_have_text('print("<b>not bold</b>")\n')
    expect(notes.locator("p").filter(has_text="Line one").locator("br")).to_have_count(1)
    expect(notes.get_by_role("listitem")).to_have_text(["☑ done", "☐ open"])
    link = notes.get_by_role("link", name="link")
    assert (link.get_attribute("href"), link.get_attribute("target")) == ("https://example.org/a?b=1&c=2", "_blank")
    assert {"noopener", "noreferrer"} <= set((link.get_attribute("rel") or "").split())
    page.get_by_text("Source", exact=True).click()
    page.wait_for_url("**raw=1*")
    expect(notes.locator("pre")).to_have_text(MARKDOWN.format(3))


def test_every_step_is_reached_and_cards_of_other_steps_say_so(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/text?runs=^[ab]$&step=10")
    expect(card(page, "notes", "a")).to_contain_text("Results of epoch 1")
    expect(card(page, "notes", "b")).to_contain_text("nothing before 15")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**step=15*")
    expect(card(page, "notes", "a")).to_contain_text("nothing at 15")
    expect(card(page, "notes", "b")).to_contain_text("of run b")
    page.get_by_role("button", name="List").click()
    page.wait_for_url("**last=10*")
    expect(card(page, "notes", "a").get_by_role("heading", level=1)).to_have_text(
        ["Results of epoch 1", "Results of epoch 0"]
    )
    page.get_by_role("button", name="Latest").click()
    expect(card(page, "notes", "a").get_by_role("heading", level=1)).to_have_count(4)


def test_a_search_goes_through_tags_and_texts_and_marks_what_it_finds(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/text?runs=^[ab]$")
    page.keyboard.press("/")
    page.keyboard.type("needle")
    expect(page.locator(".text-card")).to_have_count(1)
    expect(card(page, "other <b>tag</b>", "a")).to_contain_text("nothing but a needle in hay")
    until(page, lambda: bool(page.evaluate("CSS.highlights.get('found')?.size === 1")), "the mark")
    page.locator("#search").fill("no such words")
    expect(page.get_by_test_id("empty")).to_contain_text("no such words")
    page.locator("#search").fill("NOTES")
    expect(page.locator(".text-card")).to_have_count(2)


def test_of_a_gigantic_text_the_beginning_is_fetched_and_all_of_it_can_be_saved(
    page: Page, server: RunningServer, logdir: Path, tmp_path: Path
) -> None:
    with page.expect_response(lambda answer: "/api/text" in answer.url) as waiting:
        open_view(page, server, "#/text?only=huge")
    assert len(waiting.value.body()) <= 1 << 20
    huge = card(page, "huge", "huge")
    expect(huge).to_contain_text("The first 1 MB of 10 MB are shown")
    expect(huge).to_contain_text("more than the 100,000 that are formatted")
    with page.expect_download() as saving:
        huge.get_by_role("link", name="download the whole text").click()
    saving.value.save_as(tmp_path / "whole.md")
    assert (tmp_path / "whole.md").read_text() == "# Huge\n" + "0123456789\n" * (HUGE // 11)


def test_texts_that_attack_do_nothing(chromium: Browser, server: RunningServer) -> None:
    """With the content security policy off, so that the sanitiser alone is what holds."""
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(f"dialog: {dialog.message}"))
    context.on("page", lambda other: asked.append(f"window: {other.url}"))
    open_view(page, server, "#/text?only=hostile&last=50")
    sections = page.locator(".text-entry")
    expect(sections).to_have_count(len(HOSTILE))
    where = page.url
    for part in page.locator(".text-body :is(summary, p, h1, code)").all()[:60]:
        part.dispatch_event("mouseover")
        part.dispatch_event("click")
        part.dispatch_event("focus")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.ran") is None
    assert page.url == where
    assert [url for url in asked if not url.startswith((server.url, "data:"))] == []
    assert not any("api/image" in url for url in asked)
    bad = page.evaluate(
        """() => [...document.querySelectorAll('.text-body *')].flatMap((el) => {
            const tags = 'script style svg math iframe object embed form input button link meta base video audio';
            const wrong = ({name, value}) => /^on|^style$|^id$|^name$|^srcset$|^ping$/i.test(name)
                || (name === 'href' && !/^(https?:\\/\\/|mailto:)/.test(value));
            const attributes = [...el.attributes].filter(wrong).map(({name}) => `${el.localName} ${name}`);
            return tags.split(' ').includes(el.localName) ? [el.localName, ...attributes] : attributes;
        })"""
    )
    assert bad == []
    for link in page.locator(".text-body a[href]").all():
        assert "noopener" in (link.get_attribute("rel") or "")
        assert link.get_attribute("target") == "_blank"
    # The listeners do hear: the same picture put in as it is runs its script.
    page.evaluate("html => { document.body.insertAdjacentHTML('beforeend', html); }", HOSTILE[1])
    until(page, lambda: page.evaluate("window.ran") == 1, "the script of the control")
    context.close()


def test_hostile_texts_are_shown_as_they_are_in_their_source(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/text?only=hostile&last=50&raw=1")
    sources = page.locator(".text-source")
    expect(sources).to_have_count(len(HOSTILE))
    expect(sources.last).to_have_text(HOSTILE[0])
    page.reload()
    ready(page)
    expect(page.get_by_text("out of the card")).to_have_count(1)


def test_an_empty_page_says_which_call_fills_it(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path, port=0) as running:
        open_view(page, running, "#/text")
        expect(page.get_by_test_id("empty")).to_contain_text("SummaryWriter.add_text")
        open_view(page, running, "#/mesh")
        expect(page.get_by_test_id("empty")).to_contain_text(re.compile("SummaryWriter.add_mesh"))


def test_exported_pages_without_texts_carry_neither_parser_nor_sanitiser() -> None:
    def sanitises(views: list[str]) -> bool:
        return any(b"DOMPurify" in program.chunk(name) for name in program.chunks(views))

    assert sanitises(["text"])  # the word survives the build: what follows can fail
    assert not sanitises(["network", "layer", "scalars", "images"])
