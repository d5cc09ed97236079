"""What the tests in a browser share: opening a view, waiting until it rests, looking at what is drawn."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from convscope.view import RunningServer

WAIT: Final = 30_000
"""Milliseconds."""


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
    settled(canvas)
    canvas.scroll_into_view_if_needed()
    box = settled(canvas)
    shown = page.screenshot(clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]})
    pixels = np.asarray(Image.open(BytesIO(shown)).convert("RGB")).reshape(-1, 3)
    return len(np.unique(pixels, axis=0))
