"""The viewer in a real Chromium, paired with the installed TensorBoard on the same logdir.

Each visit is a page in a context of its own (an empty cache) of a browser whose processes have started, that of the
page too (to start it takes half a second of CPU, the same on all sides); the sides take turns, and ratios are medians
of the pairs' own ratios. Servers have read the logdir, and each has had one visit, before anything is measured.
TensorBoard runs with its defaults (its fast loader, 1,000 points a curve) but where a line says otherwise.

* *first paint*: the browser's First Contentful Paint; *first curve*: the first frame in which a canvas or an SVG at
  least 100 pixels wide shows something coloured; both since the navigation.
* *million*: CPU of all processes of the browser in the 3 seconds from the navigation; all sides have drawn by then, and
  are not watched while they do (looking for ink takes CPU of its own). Plotly draws the same numbers (two float64
  arrays, fetched) as ``scatter`` with ``mode: "lines"``; the case takes its package from the npm registry. TensorBoard
  shows 1,000 of the points. The last line takes from both what the same page costs with 1,000 points: what is left is
  what the points themselves cost.
* *many*: from the navigation until a click on the first run of the list has had its effect, for 500 runs and for one.
* *memory*: resident memory of the server's processes after every point was asked for once.
* *images*: the page is led through all steps, then through all cards; memory of the page's process and of the server.
* *idle*: CPU of server and page while nothing is written; *live*: from a ``flush()`` to the number on the page.
* *tags*: as *many*, for one run of 100,000 tags, and until its search has found one of them.

    python benchmarks/viewer.py [--cases first,million,many,memory,images,idle,live,tags] [--pairs 3] [--profile]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import math
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
from playwright.sync_api import sync_playwright

import convscope as cs
from browsing import INK, Serving, Visit, Visitor, cpu, rss, serving
from convscope.formats.events import encode_file_version
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars

PLOTLY = "4.1.2"
SETTLED = 0.5
DRAWN = 3.0
READY = "document.documentElement.dataset.ready === 'true'"
USABLE = """
(() => {
  const RUNS = "aside [role=treeitem][aria-checked]";
  const state = (one) => one && one.getAttribute("aria-checked");
  let before;
  const look = () => {
    const first = document.querySelector(RUNS);
    if (before === undefined && first) { before = state(first); first.click(); }
    else if (before !== undefined && state(document.querySelector(RUNS)) !== before) {
      window.usable = performance.now();
      return;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""


def write_run(folder: Path, tags: list[str], points: int, seed: int = 0) -> None:
    """Write curves of a training: every tag has a value at every step."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    step = np.repeat(np.arange(points), len(tags))
    tag = np.tile(np.arange(len(tags)), points)
    value = np.exp(-step / points * (2 + tag / len(tags))) + 0.02 * rng.normal(size=len(step))
    times = 1.7e9 + step * 0.1
    with (folder / "events.out.tfevents.1700000000.benchmark").open("wb") as file:
        file.write(frame(encode_file_version(1.7e9)) + encode_scalars(tags, tag, step, times, value))


def names(count: int) -> list[str]:
    return [f"{('train', 'test')[n % 2]}/value{n // 2:02d}" for n in range(count)]


def ours(logdir: Path, runs: int = 1) -> contextlib.AbstractContextManager[Serving]:
    """Serve a logdir with the viewer, until it has read the runs."""

    def ready(server: Serving) -> bool:
        found = json.loads(server.get("api/index"))["runs"]
        return len(found) >= runs and not any(run.get("loading") for run in found)

    code = "from convscope.cli import main; main()"
    command = ["-c", code, "view", str(logdir), "--port", "0", "--no-open"]
    return serving("convscope", command, ready)


def theirs(logdir: Path, runs: int, last: tuple[str, str, int], *options: str) -> Any:
    """Serve a logdir with TensorBoard, until it has read the last point of a curve: of a run, a tag, a step."""
    run, tag, step = last
    path = f"data/plugin/scalars/scalars?run={quote(run)}&tag={quote(tag)}"

    def ready(server: Serving) -> bool:
        return len(json.loads(server.get("data/runs"))) >= runs and json.loads(server.get(path))[-1][1] >= step

    command = ["-m", "tensorboard.main", f"--logdir={logdir}", "--port=0", "--host=127.0.0.1", *options]
    return serving("TensorBoard", command, ready)


def row(what: str, mine: str, other: str, ratio: str, target: str) -> None:
    print(f"| {what} | {mine} | {other} | {ratio} | {target} |", flush=True)


def paired(options: argparse.Namespace, sides: list[Callable[[], Any]]) -> list[list[Any]]:
    """Measure the sides in turn, the order changing; once for nothing before."""
    found: list[list[Any]] = [[] for _ in sides]
    for side in sides:
        side()
    for pair in range(options.pairs):
        for place in sorted(range(len(sides)), reverse=pair % 2 == 1):
            found[place].append(sides[place]())
    return found


def compare(what: str, mine: list[float], other: list[float], unit: str, target: str) -> None:
    ratio = statistics.median(a / b for a, b in zip(mine, other, strict=True))
    cells = [f"{statistics.median(side):,.0f} {unit}" for side in (mine, other)]
    row(what, *cells, f"{ratio:.2f}", target)


def arrive(one: Visit, url: str) -> None:
    """Go to a page of the same origin first: the one that is measured finds its process started."""
    one.page.goto(f"{url}no-such-page")
    time.sleep(SETTLED)


def opened(browser: Visitor, options: argparse.Namespace, url: str) -> tuple[float, float]:
    """Return first paint and first curve in ms."""
    with browser.visit() as one:
        one.watch_for_ink()
        arrive(one, url)
        one.page.goto(url)
        paint, ink = one.first_paint(), one.first_ink()
        if options.profile:
            print(f"  {url}: paint {paint:.0f}, ink {ink:.0f} ms\n{one.profile()}", flush=True)
        return paint, ink


def spent(browser: Visitor, options: argparse.Namespace, url: str) -> float:
    """Return the browser's CPU for a page in ms, which nothing watches; that it was drawn is looked at afterwards."""
    with browser.visit() as one:
        arrive(one, url)
        before = one.cpu()
        one.page.goto(url)
        time.sleep(DRAWN)
        cost = one.cpu() - before
        one.page.evaluate(INK)
        one.first_ink()
        if options.profile:
            print(f"  {url}: CPU {cost:.2f} s\n{one.profile()}", flush=True)
        return cost * 1e3


def case_first(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """First paint and first curve: 3 runs of 20 tags."""
    for run in range(3):
        write_run(folder / f"run{run}", names(20), 1000, run)
    with ours(folder, 3) as a, theirs(folder, 3, ("run2", "test/value09", 999)) as b:
        found = paired(options, [lambda s=s: opened(browser, options, s.url) for s in (a, b)])
    for place, what in enumerate(("first paint", "first curve")):
        compare(f"{what}, 3 runs × 20 tags × 1,000 points", *([v[place] for v in s] for s in found), "ms", "≤ 0.33")


def case_million(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """One curve of a million points, against Plotly's line and TensorBoard."""
    large, small = folder / "large", folder / "small"
    write_run(large / "run", ["loss"], 1_000_000)
    write_run(small / "run", ["loss"], 1_000)

    def both(one: str, *other: str) -> tuple[float, ...]:
        return (opened(browser, options, one)[1], *(spent(browser, options, url) for url in (one, *other)))

    with (
        ours(large) as a,
        ours(small) as few,
        theirs(large, 1, ("run", "loss", 999_999)) as b,
        plotly_page(large, folder / "page") as url,
        plotly_page(small, folder / "small page") as few_url,
    ):
        sides = [lambda: both(a.url, few.url), lambda: both(b.url), lambda: both(url, few_url)]
        mine, board, plotly = paired(options, sides)
    for place, what, target in ((1, "browser CPU for", "≤ 0.33"), (0, "first ink of", "–")):
        cells = [[v[place] for v in side] for side in (mine, plotly, board)]
        compare(f"{what} a curve of 1,000,000 points, against Plotly's line", cells[0], cells[1], "ms", target)
        compare(f"{what} the same, against TensorBoard, which draws 1,000", cells[0], cells[2], "ms", "–")
    draw = [[v[1] - v[2] for v in side] for side in (mine, plotly)]
    compare("the same CPU without what a curve of 1,000 points takes, against Plotly's line", *draw, "ms", "–")


@contextlib.contextmanager
def plotly_page(logdir: Path, folder: Path) -> Iterator[str]:
    """Serve a page that draws the curve of a logdir with Plotly."""
    folder.mkdir()
    subprocess.run(
        ["npm", "pack", "--silent", f"plotly.js-dist-min@{PLOTLY}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    subprocess.run(["tar", "xzf", next(folder.glob("*.tgz")), "package/plotly.min.js"], cwd=folder, check=True)
    points = cs.Run(logdir / "run").scalars("loss")
    (folder / "step.bin").write_bytes(points.step.astype(np.float64).tobytes())
    (folder / "value.bin").write_bytes(points.value.astype(np.float64).tobytes())
    (folder / "index.html").write_text("""<!doctype html><meta charset="utf-8"><div id="plot"></div>
<script src="package/plotly.min.js"></script><script type="module">
const numbers = async (name) => new Float64Array(await (await fetch(name)).arrayBuffer());
const [x, y] = await Promise.all([numbers("step.bin"), numbers("value.bin")]);
Plotly.newPlot("plot", [{ x, y, type: "scatter", mode: "lines" }], { width: 900, height: 500 });
</script>""")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def usable(browser: Visitor, options: argparse.Namespace, url: str) -> float:
    """Return when a click in the list of runs had its effect, in ms since the navigation."""
    with browser.visit() as one:
        one.page.add_init_script(USABLE)
        one.page.goto(url)
        found = float(one.when("window.usable"))
        if options.profile:
            print(f"  {url}: usable after {found:.0f} ms\n{one.profile()}", flush=True)
        return found


def case_many(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Time the list of 500 runs of 20 tags against that of one."""
    for run in range(options.runs):
        write_run(folder / "many" / f"group{run % 10}" / f"run{run:03d}", names(20), options.points, run)
    shutil.copytree(folder / "many" / "group0" / "run000", folder / "one" / "run")
    with ours(folder / "one") as one, ours(folder / "many", options.runs) as many:
        found = paired(options, [lambda s=s: usable(browser, options, s.url) for s in (many, one)])
        held = rss(many.pid)
    what = f"list usable: {options.runs} runs × 20 tags × {options.points:,} points, against one run"
    compare(what, *found, "ms", "< 2")
    row("the server of many runs: first start, memory", f"{many.seconds:.1f} s, {held:.0f} MB", "–", "–", "–")


def case_memory(_: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """Memory of the server for a million scalars, 10 curves of 100,000."""
    tags = names(10)
    write_run(folder / "run", tags, 100_000)
    last = ("run", tags[-1], 99_999)
    held: dict[str, list[float]] = {"ours": [], "default": [], "all": []}
    for _ in range(options.pairs):
        every = theirs(folder, 1, last, "--samples_per_plugin=scalars=1000000")
        with ours(folder) as a, theirs(folder, 1, last) as b, every as c:
            for tag in map(quote, tags):
                a.get(f"api/series?run=run&kind=scalar&tag={tag}")
                for server in (b, c):
                    server.get(f"data/plugin/scalars/scalars?run=run&tag={tag}")
            for name, server in zip(held, (a, b, c), strict=True):
                held[name].append(rss(server.pid))
    compare("server memory, 1,000,000 scalars", held["ours"], held["default"], "MB", "≤ 0.33")
    compare("the same, TensorBoard with every point", held["ours"], held["all"], "MB", "≤ 0.33")


def case_images(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """1,000 pictures at each of 50 steps: every step is shown, memory stays."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 3, 64, 64)).astype(np.uint8)
    with cs.SummaryWriter(folder / "run") as writer:
        for step in range(options.steps):
            for tag in range(options.images):
                writer.add_image(f"images/{tag:04d}", noise[(step + tag) % 64], step)
    what = f"{options.images:,} images × {options.steps} steps"
    with ours(folder) as server, browser.visit() as one:
        asked: dict[int, set[str]] = {}
        one.page.on("response", lambda answer: note_image(asked, answer.url, answer.status))
        one.page.goto(f"{server.url}#/images")
        one.when(READY)
        before = (one.memory(), rss(server.pid))
        reached = sum(shows_step(one, asked, step) for step in range(options.steps))
        row(f"{what}: steps that can be reached", f"{reached}", "10 (sampled)", "–", f"{options.steps}")
        stepped = (one.memory(), rss(server.pid))
        scroll_through(one)
        after = (one.memory(), rss(server.pid))
    for place, where in enumerate(("page", "server")):
        told = f"{before[place]:.0f}, {stepped[place]:.0f}, {after[place]:.0f} MB"
        row(f"{what}: memory of the {where} at first, after all steps, after all cards", told, "–", "–", "bounded")


def note_image(asked: dict[int, set[str]], url: str, status: int) -> None:
    if "/api/image" in url and status == 200:
        number = int(parse_qs(urlsplit(url).query)["index"][0])
        asked.setdefault(number, set()).add(url)


def shows_step(one: Visit, asked: dict[int, set[str]], step: int) -> bool:
    """Go to a step and say whether pictures of it came."""
    one.page.evaluate("(step) => { location.hash = `#/images?step=${step}`; }", step)
    end = time.monotonic() + 20
    while time.monotonic() < end and not asked.get(step):
        one.page.wait_for_timeout(20)
    return bool(asked.get(step))


def scroll_through(one: Visit) -> None:
    """Show every card once."""
    one.page.evaluate("""async () => {
  const pane = document.querySelector("[data-scroller]");
  for (let top = 0; top < pane.scrollHeight; top += pane.clientHeight) {
    pane.scrollTop = top;
    await new Promise((done) => setTimeout(done, 60));
  }
}""")


def case_idle(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """CPU of server and page while nothing changes."""
    for run in range(20):
        write_run(folder / f"run{run:02d}", names(20), 1000, run)
    with ours(folder, 20) as a, theirs(folder, 20, ("run19", "test/value09", 999)) as b:
        for server in (a, b):  # the graphics of a page are compiled when they are first drawn
            idle(browser, server, 10)
        found = [idle(browser, server, options.seconds) for server in (a, b)]
    for place, where in enumerate(("server", "browser")):
        cells = [f"{side[place]:.2f} %" for side in found]
        ratio = found[0][place] / found[1][place] if found[1][place] else math.nan
        row(f"CPU of the {where} while nothing changes, 20 runs × 20 tags", *cells, f"{ratio:.2f}", "near 0")


def idle(browser: Visitor, server: Serving, seconds: float) -> tuple[float, float]:
    """Return the CPU of server and browser in percent of one core."""
    with browser.visit() as one:
        one.page.goto(server.url)
        time.sleep(5)
        before, began = (cpu(server.pid), one.cpu()), time.monotonic()
        time.sleep(seconds)
        share = 100 / (time.monotonic() - began)
        return (cpu(server.pid) - before[0]) * share, (one.cpu() - before[1]) * share


def case_live(browser: Visitor, _: argparse.Namespace, folder: Path) -> None:
    """From the end of a flush to the number on the page."""
    write_run(folder / "old", names(20), 1000)
    found = []
    with ours(folder) as server, browser.visit() as one, cs.SummaryWriter(folder / "run") as writer:
        writer.add_scalar("live/loss", 0.5, 0)
        writer.flush()
        one.page.goto(f"{server.url}#/scalars?q=live")
        one.when(READY)
        for step in range(1, 20 + 1):
            writer.add_scalar("live/loss", 1000 + step, step)
            writer.flush()
            began = time.perf_counter()
            one.when(f"document.body.textContent.replaceAll(/[^0-9]/g, '').includes('{1000 + step}')")
            found.append(time.perf_counter() - began)
            time.sleep(0.05 * (step % 7))
    told = f"{statistics.median(found):.2f} s, at most {max(found):.2f} s"
    row("a write is visible after (20 writes)", told, "30 s (reload, off by default)", "–", "< 2 s")


def case_tags(browser: Visitor, options: argparse.Namespace, folder: Path) -> None:
    """One run of 100,000 tags."""
    tags = [f"layer{n // 100:04d}/value{n % 100:02d}" for n in range(options.tags)]
    write_run(folder / "run", tags, 2)
    with ours(folder) as server:
        found = [usable(browser, options, server.url) for _ in range(options.pairs)]
        size, began = len(server.get("api/index?since=0")) / 1e6, time.monotonic()
        server.get("api/index?since=0")
        again = time.monotonic() - began
        with browser.visit() as one:
            one.watch_for_ink()
            one.page.goto(f"{server.url}#/scalars?q={tags[-1]}")
            ink = one.first_ink()
        held = rss(server.pid)
    row(f"list usable: one run of {options.tags:,} tags", f"{statistics.median(found):,.0f} ms", "–", "–", "–")
    row("first curve of its last tag, searched by name", f"{ink:,.0f} ms", "–", "–", "–")
    told = f"{server.seconds:.1f} s; {size:.1f} MB in {again:.2f} s; {held:.0f} MB"
    row("its server: first start; index; memory", told, "–", "–", "–")


CASES = {name.removeprefix("case_"): found for name, found in list(globals().items()) if name.startswith("case_")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tags", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long nothing is written")
    parser.add_argument("--profile", action="store_true", help="say what each visit did")
    options = parser.parse_args()
    print("| what | ours | TensorBoard or peer | ratio | target |\n|---|---|---|---|---|", flush=True)
    for name in options.cases.split(","):
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            browser = Visitor(playwright)
            CASES[name](browser, options, Path(folder))
            browser.close()


if __name__ == "__main__":
    main()
