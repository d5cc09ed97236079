"""What the tests in a browser share: opening a view, waiting until it rests, looking at what is drawn."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import Error, FloatRect, Locator, Page, Request, expect

from convscope.view import RunningServer

WAIT: Final = 30_000
"""Milliseconds."""
expect.set_options(timeout=WAIT)  # the usual five seconds are short for a shared machine that is busy


def ready(page: Page) -> None:
    page.wait_for_selector("html[data-ready='true']", timeout=WAIT)


def open_view(page: Page, server: RunningServer, address: str = "") -> None:
    page.goto(server.url + address)
    ready(page)


def settled(element: Locator) -> FloatRect:
    """Where an element is once it stays there: a page that has just got its data may lay itself out anew.

    A grid that learns its width makes its cells anew, so an element may vanish between two looks.
    """
    end, before = time.monotonic() + WAIT / 1000, None
    while time.monotonic() < end:
        now = element.bounding_box()
        if now is not None and now == before:
            return now
        before = now
        element.page.wait_for_timeout(100)
    raise AssertionError(f"{element} did not come to rest")


def ink(page: Page, selector: str) -> int:
    """How many colours a canvas shows on the page: an empty one shows a single one."""
    canvas = page.locator(selector).first
    expect(canvas).to_be_visible()
    end = time.monotonic() + WAIT / 1000
    while True:
        settled(canvas)
        try:
            canvas.scroll_into_view_if_needed()
            break
        except Error:  # the grid has just made its cells anew
            if time.monotonic() > end:
                raise
    box = settled(canvas)
    shown = page.screenshot(clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]})
    pixels = np.asarray(Image.open(BytesIO(shown)).convert("RGB")).reshape(-1, 3)
    return len(np.unique(pixels, axis=0))


def inked(page: Page, selector: str, colours: int) -> None:
    """Wait until a canvas shows more than so many colours: what it shows may come later than the page is ready."""
    until(page, lambda: ink(page, selector) > colours, f"the picture {selector}")


def until(page: Page, condition: Callable[[], bool], what: str = "what was waited for") -> None:
    """Wait until a condition holds, however slow the machine is."""
    end = time.monotonic() + WAIT / 1000
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        page.wait_for_timeout(50)


@contextmanager
def outage(server: RunningServer) -> Iterator[None]:
    """Stop a server; until the context ends nobody answers on its port, and nobody else can have it by chance."""
    server.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that a server can come back beside it
        keeper.bind(("127.0.0.1", server.port))
        yield


class Traffic:
    """Counts what a page is sent."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        self._finished: list[Request] = []
        self._last = time.monotonic()
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def _begin(self, request: Request) -> None:
        if not request.url.endswith("/api/events"):  # it stays open
            self._open.add(request)
        self._last = time.monotonic()

    def _end(self, request: Request) -> None:
        self._open.discard(request)
        self._finished.append(request)
        self._last = time.monotonic()

    def bytes(self) -> int:
        """All bytes so far, once nothing has been on its way for half a second."""
        until(self._page, lambda: not self._open and time.monotonic() - self._last > 0.5, "the end of the traffic")
        sizes = [request.sizes() for request in list(self._finished) if request.failure is None]
        return sum(one["responseBodySize"] + one["responseHeadersSize"] for one in sizes)
