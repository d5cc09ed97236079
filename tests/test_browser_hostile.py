"""The page in a real Chromium over logs and addresses that mean it no good: no error, no blank page, nothing run."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import searched_run
from browser_pages import open_view, outage, ready, until
from convscope import SummaryWriter
from convscope.formats.events import encode_file_version
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars
from convscope.inspect.filters import examine_filters
from convscope.view import RunningServer, serve
from training_runs import VIEWS, write_ours, write_series

pytestmark = pytest.mark.browser
NASTY = "<img src=x onerror=document.title='owned'>"
RUNS = (NASTY.replace("/", ""), 'it\'s "quoted" & 100 %', "läufe/ünï ☃ 🙂", "a b/c#d?e=f", "x" * 200)
KEYS = (
    *("run", "hide", "only", "runs", "pin", "group", "tag", "q", "step", "ch", "hit", "class", "image", "show"),
    *("sort", "scale", "rule", "after", "x", "smooth", "log", "point", "graph"),
)
VALUES = (
    *("", "-1", "1e99", "NaN", "99999999999999999999", NASTY, "../../etc/passwd"),
    *("%", "%00", "[", "(", "\\", "a,b", "🙂"),
)
BLANK = "(document.querySelector('main')?.innerText ?? '').trim().length"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Every kind of series under names of all sorts; some files are damaged."""
    logdir = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(RUNS):
        with SummaryWriter(logdir / name) as writer:
            writer.add_scalar(NASTY, 0.5 + number, 1)
            writer.add_scalar("../../secret", 1.0, 1)
    with SummaryWriter(logdir / "all") as writer:
        write_series(writer)
        write_ours(writer)
        writer.add_text(NASTY, f"{NASTY} <script>document.title='owned'</script> [x](javascript:alert(1))", 1)
        writer.add_hparams({NASTY: NASTY}, {f"{NASTY}/metric": 1.0}, run_name="hp")
    with SummaryWriter(logdir / "search") as writer:
        searched_run.write_search(writer)
    damage(logdir)
    with serve(logdir, port=0) as running:
        yield running


def damage(logdir: Path) -> None:
    """Make runs of a file that ends too early, of one of noise, of an empty one and of a record without its arrays."""
    whole = next((logdir / "all").glob("events*"))
    for name, data in (("torn", whole.read_bytes()[:-7]), ("noise", b"\xff" * 5000), ("empty", b"")):
        (logdir / name).mkdir()
        (logdir / name / whole.name).write_bytes(data)
    shutil.copytree(logdir / "search", logdir / "wrong")
    for arrays in (logdir / "wrong").rglob("arrays.safetensors"):
        arrays.write_bytes(b"no tensors")


def shown(page: Page) -> bool:
    """Whether there is something to read on the page."""
    return bool(page.evaluate(BLANK))


def go(page: Page, address: str) -> None:
    page.evaluate("(address) => { location.hash = address; }", address)


def test_names_of_runs_and_tags_are_text_everywhere(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars")
    sidebar = page.get_by_role("complementary", name="Runs and views")
    for part in ('it\'s "quoted" & 100 %', "ünï ☃ 🙂", NASTY):
        expect(sidebar.get_by_text(part).first).to_be_attached()
    expect(page.get_by_role("heading", name=NASTY).first).to_be_attached()
    for view in VIEWS:
        go(page, f"#/{view}?run={quote(RUNS[0])}&tag={quote(NASTY)}&q={quote(NASTY)}")
        expect(page.locator(f"html[data-ready='true'] a[aria-current='page'][href^='#/{view}']").first).to_be_attached()
        assert shown(page), view
    assert page.locator("img[src='x']").count() == 0
    assert "owned" not in page.title()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", [("status of 4", "/api/")], indirect=True)
def test_wrong_keys_in_the_address_leave_no_blank_page(page: Page, server: RunningServer, view: str) -> None:
    """A reader may have written anything there; damaged runs are among those that are named."""
    draw = random.Random(view)
    runs = (*RUNS, "all", "search", "torn", "noise", "empty", "wrong", "gone")
    open_view(page, server, f"#/{view}")
    for _ in range(6):
        chosen = {key: draw.choice(VALUES) for key in draw.sample(KEYS, 6)} | {"run": draw.choice(runs)}
        go(page, f"#/{view}?" + "&".join(f"{key}={quote(value)}" for key, value in chosen.items()))
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        until(page, lambda: shown(page), f"something to read at {page.url}")
    go(page, f"#/{view}")
    expect(page.locator("main h1, main h2").first).to_be_visible()
    assert "owned" not in page.title()


@pytest.mark.parametrize("address", ["#/nowhere", "#/../../etc/passwd", "#/%3Cimg%20src=x%3E", "#//", "#?run=x", "#/%"])
def test_an_address_that_names_no_view_shows_the_first(page: Page, server: RunningServer, address: str) -> None:
    open_view(page, server, address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Scalars")


def test_damaged_runs_are_named_and_the_others_are_shown(page: Page, server: RunningServer) -> None:
    open_view(page, server, "#/scalars?q=train/loss")
    expect(page.get_by_label("Curve train/loss", exact=True)).to_be_visible()
    run = page.get_by_role("treeitem").filter(has_text="noise")
    expect(run.locator(".trouble").first).to_have_attribute("title", re.compile("damaged"))


@pytest.mark.parametrize("page", [("422", "/api/")], indirect=True)
def test_a_damaged_record_says_so_in_place_of_its_figures(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        kernels = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
        writer.add(examine_filters(kernels, layer="conv"), "conv")
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:37])
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/filters")
        expect(page.locator("main")).to_contain_text("has no readable arrays")
        page.goto("about:blank")


def test_a_logdir_that_appears_later_fills_the_page(page: Page, tmp_path: Path) -> None:
    later = tmp_path / "not" / "yet"
    with serve(later, port=0) as server:
        open_view(page, server)
        expect(page.get_by_test_id("empty")).to_be_visible()
        with SummaryWriter(later / "run") as writer:
            writer.add_scalar("loss", 1.0, 1)
        expect(page.get_by_label("Curve loss", exact=True)).to_be_visible()
        page.goto("about:blank")


def test_a_run_that_vanishes_leaves_no_error(page: Page, tmp_path: Path) -> None:
    for name in ("stays", "goes"):
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_scalar("loss", 1.0, 1)
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars")
        table = page.get_by_role("table", name="Last values of loss")
        expect(table).to_contain_text("goes")
        shutil.rmtree(tmp_path / "goes")
        expect(table).not_to_contain_text("goes")
        expect(table).to_contain_text("stays")
        page.goto("about:blank")


def test_a_run_that_begins_anew_is_shown_as_it_is_now(page: Page, tmp_path: Path) -> None:
    def write(value: float, steps: range, **choice: int) -> None:
        with SummaryWriter(tmp_path / "run", **choice) as writer:
            for step in steps:
                writer.add_scalar("loss", value, step)

    write(1, range(5))
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars?table=loss")
        table = page.get_by_label("Smallest, largest and last values of loss")
        expect(table.first).to_contain_text("1 @ 0")
        shutil.rmtree(tmp_path / "run")
        write(7, range(9))  # at once: nobody has seen that it was away, and there are more points than before
        expect(table.first).not_to_contain_text("1 @ 0")
        expect(table.first).to_contain_text("7 @ 0")
        write(50, range(5, 30), purge_step=5)  # taken up at an earlier step
        expect(table.first).to_contain_text("50 @ 5")
        expect(page.get_by_role("table", name="Last values of loss")).to_contain_text("30")
        page.goto("about:blank")


def test_a_run_of_which_nothing_comes_leaves_the_others(page: Page, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_scalar("loss", 1.0, 1)
            writer.add_histogram("weights", np.arange(50.0), 1)
    page.route("**/api/series?run=bad*", lambda route: route.fulfill(status=200, body="no numbers"))
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars")
        card = page.get_by_label("Curve loss", exact=True)
        expect(card.locator("canvas")).to_be_visible()
        expect(card).to_contain_text("1 of 2 series could not be had")
        go(page, "#/histograms?mode=compare")
        expect(page.get_by_role("article")).to_contain_text("1 of 2 could not be had")
        page.goto("about:blank")


@pytest.mark.parametrize("page", [("net::ERR_", "/api/")], indirect=True)
def test_a_question_that_was_lost_is_asked_again(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer, serve(tmp_path, port=0) as server:
        writer.add_scalar("loss", 1.0, 1)
        writer.flush()
        open_view(page, server, "#/scalars")
        page.route("**/api/index*", lambda route: route.abort(), times=1)
        writer.add_scalar("loss", 9.25, 2)
        writer.flush()
        expect(page.get_by_role("table", name="Last values of loss")).to_contain_text("9.25")
        expect(page.locator(".banner")).to_have_count(0)
        page.goto("about:blank")


def test_the_focus_stays_while_others_write(page: Page, tmp_path: Path) -> None:
    labels, scores = np.array([0, 1, 1, 0]), np.array([0.1, 0.8, 0.6, 0.7])
    for name in ("a", "b"):
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_pr_curve("pr", labels, scores, 1)
    with SummaryWriter(tmp_path / "c") as writer, serve(tmp_path, port=0) as server:
        open_view(page, server, "#/curves?run=a")
        button = page.locator(".class-table").get_by_role("button", name="b")
        button.focus()
        writer.add_scalar("loss", 1.0, 1)
        writer.flush()
        expect(page.get_by_role("treeitem", name="c")).to_be_visible()
        expect(button).to_be_focused()
        page.goto("about:blank")


def test_a_page_that_nobody_sees_gives_its_connection_back(page: Page, server: RunningServer) -> None:
    page.add_init_script("""
      const Plain = EventSource;
      window.streams = [];
      window.EventSource = class extends Plain { constructor(url) { super(url); streams.push(this); } };
    """)
    open_view(page, server, "#/scalars")
    turn = """(state) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    states = "streams.map(({ readyState }) => readyState)"
    until(page, lambda: page.evaluate(states) == [1], "the stream")
    page.evaluate(turn, "hidden")
    until(page, lambda: page.evaluate(states) == [2], "its end")
    page.evaluate(turn, "visible")
    until(page, lambda: page.evaluate(states) == [2, 1], "another one")


def test_a_gigantic_text_does_not_stop_the_page(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_text("huge", "all work and no play " * 250_000, 1)  # 5 MB
        writer.add_text("deep", "> " * 5000 + "end", 1)
        writer.add_text("stars", "**a" * 20_000, 1)
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/text")
        expect(page.get_by_text("all work and no play").first).to_be_visible()
        assert shown(page), "the page still answers"
        page.goto("about:blank")


def test_twenty_thousand_tags_in_a_run_are_searched(page: Page, tmp_path: Path) -> None:
    tags = [f"layer{n // 100:03d}/value{n % 100:02d}" for n in range(20_000)]
    number = np.arange(len(tags))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "events.out.tfevents.1.host").write_bytes(
        frame(encode_file_version(1e9)) + encode_scalars(tags, number, number * 0 + 1, number + 1e9, number / 3)
    )
    with serve(tmp_path, port=0) as server:
        open_view(page, server, "#/scalars")
        assert page.evaluate("document.querySelectorAll('*').length") < 20_000, "what is out of sight is not built"
        page.locator("#search").first.fill("layer123/value45")
        expect(page.get_by_label("Curve layer123/value45", exact=True)).to_be_visible()
        page.goto("about:blank")


def test_a_clock_that_goes_back_and_steps_without_order_are_drawn(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for number, step in enumerate((0, 10, 5, 5, 20, 3)):
            writer.add_scalar("loss", float(number), step, walltime=2e9 - 1000 * number)
        for number, value in enumerate((float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324)):
            writer.add_scalar("wild", value, number)
        for step in range(50):
            writer.add_scalar("constant", float(np.float32(0.1)), step)  # smoothed, it differs in its last bits
    with serve(tmp_path, port=0) as server:
        for key in ("", "x=relative", "x=wall", "log=1"):
            page.goto("about:blank")
            open_view(page, server, f"#/scalars?{key}")
            for tag in ("loss", "wild", "constant"):
                expect(page.get_by_label(f"Curve {tag}", exact=True)).to_be_visible()
        page.goto("about:blank")


@pytest.mark.parametrize("page", [("net::ERR_", "/api/")], indirect=True)
def test_a_browser_that_is_offline_keeps_its_page_and_comes_back(page: Page, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer, serve(tmp_path, port=0) as server:
        writer.add_scalar("loss", 1.0, 1)
        writer.flush()
        open_view(page, server, "#/scalars")
        status = page.get_by_test_id("status")
        expect(status).to_contain_text("updated")
        expect(page.get_by_label("Curve loss", exact=True)).to_be_visible()
        page.context.set_offline(True)
        with outage(server):  # an open stream of events outlives the switch
            expect(status).not_to_contain_text("updated")
            go(page, "#/text")
            until(page, lambda: shown(page), "something to read offline")
            go(page, "#/scalars")
            expect(page.get_by_label("Curve loss", exact=True)).to_be_visible()
            page.context.set_offline(False)
            again = serve(tmp_path, port=server.port)
        assert again.port == server.port
        with again:
            expect(status).to_contain_text("updated")
            writer.add_scalar("loss", 7.25, 2)
            writer.flush()
            expect(page.get_by_role("table", name="Last values of loss")).to_contain_text("7.25")
            ready(page)
            page.goto("about:blank")
