"""What the benchmark of the viewer measures with: servers and browsers as trees of processes, and the first ink.

CPU and memory are those of whole trees of processes, from ``/proc``: a browser has a process for each page and one for
the graphics, TensorBoard has one that reads the files. Linux only.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from playwright.sync_api import CDPSession, Page, Playwright

import browser as chromium

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 120.0
WARMING = (
    "data:text/html,<h1>warm</h1><canvas></canvas>"
    "<script>document.querySelector('canvas').getContext('webgl2')</script>"
)
VIEWPORT = {"width": 1280, "height": 800}
INK = """
(() => {
  const scratch = Object.assign(document.createElement("canvas"), { width: 80, height: 45 });
  const pen = scratch.getContext("2d", { willReadFrequently: true });
  const coloured = (r, g, b) => Math.max(r, g, b) - Math.min(r, g, b) > 28;
  const drawn = (canvas) => {
    pen.clearRect(0, 0, 80, 45);
    pen.drawImage(canvas, 0, 0, 80, 45);
    const { data } = pen.getImageData(0, 0, 80, 45);
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 16 && coloured(data[i], data[i + 1], data[i + 2])) return true;
    return false;
  };
  const stroked = (path) => {
    const [r, g, b] = getComputedStyle(path).stroke.match(/[0-9.]+/g)?.map(Number) ?? [0, 0, 0];
    return coloured(r, g, b);
  };
  const look = () => {
    for (const one of document.querySelectorAll("canvas, svg path")) {
      const { width, height } = one.getBoundingClientRect();
      if (width < 100 || height < 10 || (one instanceof HTMLCanvasElement && !one.width)) continue;
      if (one instanceof HTMLCanvasElement ? drawn(one) : stroked(one)) return (window.firstInk = performance.now());
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
"""Looks in every frame for a coloured line in a canvas, or a coloured path of an SVG, at least 100 pixels wide."""
WHEN = """new Promise((done) => {
  const began = performance.now();
  const look = () => {
    const found = %(expression)s;
    if (found || performance.now() - began > %(patience)s) done(found || null);
    else requestAnimationFrame(look);
  };
  look();
})"""
NET = build_opener(ProxyHandler({}))


def stat(pid: int) -> tuple[int, float] | None:
    """Return the parent of a process and its CPU seconds with those of the children it has waited for."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), sum(map(int, fields[11:15])) / TICKS
    return None


def tree(root: int) -> dict[int, float]:
    """Return the processes of a tree and their CPU seconds."""
    found = {int(p.name): s for p in Path("/proc").iterdir() if p.name.isdigit() and (s := stat(int(p.name)))}
    mine, more = {root}, {root}
    while more:
        more = {pid for pid, (parent, _) in found.items() if parent in more} - mine
        mine |= more
    return {pid: found[pid][1] for pid in mine if pid in found}


def cpu(root: int) -> float:
    """Return the CPU seconds of a tree so far."""
    return sum(tree(root).values())


def rss(root: int, kind: str = "") -> float:
    """Return the resident memory of a tree in MB: of processes whose command line has ``kind`` in it."""
    total = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            if kind.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                held = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                total += int(held[1]) if held else 0
    return total / 1024


@dataclass(frozen=True)
class Serving:
    """A server that answers: its address and its first process."""

    name: str
    url: str
    pid: int
    seconds: float
    """From its start until it had answered with everything."""

    def get(self, path: str) -> bytes:
        """Return the answer to a path."""
        with NET.open(self.url + path, timeout=120) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def serving(name: str, command: list[str], ready: Callable[[Serving], bool]) -> Iterator[Serving]:
    """Run a server until the context ends, from when it is ready."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as said:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            stdout=Path(said.name).open("w"),  # noqa: SIM115 - the child has it
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            url = wait_for(lambda: re.search(r"http://[^:\s]+:\d+/", Path(said.name).read_text()), process)[0]
            server = Serving(name, url, process.pid, 0.0)
            wait_for(lambda: attempt(lambda: ready(server)), process)
            yield Serving(name, url, process.pid, time.monotonic() - began)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def attempt(ready: Callable[[], bool]) -> bool:
    """Say whether a server is ready; one that does not answer is not."""
    try:
        return ready()
    except (URLError, ConnectionError, ValueError, KeyError, IndexError):
        return False


def wait_for(found: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """Ask until there is an answer."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := found():
            return answer
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} has ended with {process.returncode}")
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} was not ready in {PATIENCE:g} s")


class Visit:
    """One page in a context of its own: nothing in its cache, and no other page in the browser."""

    def __init__(self, page: Page, root: int) -> None:
        self.page = page
        self.page.set_default_timeout(PATIENCE * 1000)
        self._root = root
        self._meters: CDPSession = page.context.new_cdp_session(page)
        self._meters.send("Performance.enable")

    def cpu(self) -> float:
        """Return the CPU seconds of the whole browser."""
        return cpu(self._root)

    def when(self, expression: str) -> Any:
        """Return what an expression says in the first frame in which it is true."""
        found = self.page.evaluate(WHEN % {"expression": expression, "patience": PATIENCE * 1000})
        if found is None:
            raise RuntimeError(f"{self.page.url}: {expression} was not true in {PATIENCE:g} s")
        return found

    def memory(self) -> float:
        """Return the resident memory of the page's process in MB."""
        return rss(self._root, "--type=renderer")

    def first_paint(self) -> float:
        """Return when the first content was painted, in ms since the navigation (First Contentful Paint)."""
        return float(self.when("performance.getEntriesByName('first-contentful-paint')[0]?.startTime"))

    def first_ink(self) -> float:
        """Return in which frame the first line was seen, in ms since the navigation."""
        return float(self.when("window.firstInk"))

    def watch_for_ink(self) -> None:
        """Look for ink on the pages that are opened from now on."""
        self.page.add_init_script(INK)

    def profile(self) -> str:
        """Say what the main thread did and what came over the wire."""
        told = {one["name"]: one["value"] for one in self._meters.send("Performance.getMetrics")["metrics"]}
        names = {"ScriptDuration": "script", "LayoutDuration": "layout", "RecalcStyleDuration": "style"}
        parts = [f"{text} {told[name] * 1e3:.0f} ms" for name, text in {**names, "TaskDuration": "all tasks"}.items()]
        sent = self.page.evaluate(
            "performance.getEntriesByType('resource').map((r) => [r.name.replace(/^.*?\\/\\/.*?\\//, '').slice(0, 60), "
            "r.startTime, r.responseEnd, r.encodedBodySize])"
        )
        slow = sorted(sent, key=lambda one: one[1] - one[2])[:6]
        lines = [f"    {name}: {start:.0f} to {end:.0f} ms, {size / 1e3:.0f} kB" for name, start, end, size in slow]
        many = f"{len(sent)} requests, {sum(one[3] for one in sent) / 1e3:.0f} kB"
        return "\n".join(["    " + ", ".join(parts), f"    {many}; the slowest:", *lines])


def first_with(mark: str) -> int:
    """Return the first process of the browser that was started with ``mark``."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if mark.encode() in line and b"--type=" not in line:
                return int(entry.name)
    raise RuntimeError("the browser was not found among the processes")


@functools.cache
def browser_path() -> str:
    """Return the Chromium that is measured: its headless shell, where there is one."""
    path = chromium.find(shell=True)
    if path is None:
        raise SystemExit("no Chromium was found; python scripts/browser.py installs one")
    return path


class Visitor:
    """A browser that has drawn something before: what starting its processes costs is nobody's."""

    def __init__(self, playwright: Playwright) -> None:
        mark = f"--measured={secrets.token_hex(8)}"
        self._browser = playwright.chromium.launch(executable_path=browser_path(), args=[*chromium.FLAGS, mark])
        self._root = first_with(mark)
        with self.visit() as one:
            one.page.goto(WARMING)
            one.first_paint()
            time.sleep(1)

    @contextlib.contextmanager
    def visit(self) -> Iterator[Visit]:
        """Open a page, and close it with the context."""
        context = self._browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
        try:
            yield Visit(context.new_page(), self._root)
        finally:
            context.close()

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
