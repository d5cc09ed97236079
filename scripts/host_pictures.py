"""Pictures of the hosts other than the viewer's own server: a site, TensorBoard, figures for print."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page

import convscope as cs

QUALITY: Final = 88
SIZE: Final = {"width": 1280, "height": 800}
PATIENCE: Final = 60.0


def save(shown: bytes, file: Path) -> None:
    """Write a picture as WebP."""
    with Image.open(BytesIO(shown)) as picture:
        picture.convert("RGB").save(file, quality=QUALITY, method=6)
    print(file.name)


def site_pictures(browser: Browser, runs: Path, folder: Path) -> None:
    """Export the demo's runs as a site and take its front page, and the page of a channel as it is without scripts."""
    with tempfile.TemporaryDirectory() as place:
        site = Path(place) / "site"
        cs.export({"AlexNet": runs / "alexnet", "MNIST network": runs / "mnist" / "channels"}, site)
        channel = next((site / "AlexNet").glob("features.6*")) / "5.html"
        for theme in ("light", "dark"):
            page = browser.new_page(viewport=SIZE, color_scheme=theme, reduced_motion="reduce")
            page.goto((site / "index.html").as_uri())
            page.wait_for_selector("html[data-ready='true']", timeout=60_000)
            page.wait_for_timeout(800)
            save(page.screenshot(), folder / f"site-{theme}.webp")
            page.close()
            context = browser.new_context(viewport=SIZE, color_scheme=theme, java_script_enabled=False)
            page = context.new_page()
            page.goto(channel.as_uri())
            save(page.screenshot(), folder / f"site-channel-{theme}.webp")
            context.close()


def tensorboard_pictures(browser: Browser, runs: Path, folder: Path) -> None:
    """Start TensorBoard on the demo's runs and take our tab in it."""
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", f"--logdir={runs}", "--port=0"]
        process = subprocess.Popen(command, stderr=said, stdout=said)
        try:
            address = None
            end = time.monotonic() + PATIENCE
            while address is None and time.monotonic() < end:
                time.sleep(0.5)
                said.seek(0)
                address = re.search(r"http://\S+", said.read())
            assert address, "TensorBoard does not say where it is"
            for theme in ("light", "dark"):
                page = browser.new_page(viewport=SIZE, color_scheme=theme, reduced_motion="reduce")
                in_tensorboard(page, address[0], dark=theme == "dark")
                save(page.screenshot(), folder / f"tensorboard-{theme}.webp")
                page.close()
        finally:
            process.kill()
            process.wait()


def in_tensorboard(page: Page, address: str, *, dark: bool) -> None:
    """Open our tab at a layer, in TensorBoard's theme."""
    page.goto(f"{address}#convscope")
    frame = page.frame_locator("iframe").first
    frame.locator("html[data-ready='true']").wait_for(state="attached", timeout=60_000)
    inside = next(one for one in page.frames if one is not page.main_frame)
    inside.evaluate("() => { location.hash = '#/layer?run=alexnet&tag=features.6' }")
    if dark:
        page.evaluate("() => document.body.classList.add('dark-mode')")
    page.wait_for_timeout(4000)


def figure_pictures(runs: Path, folder: Path) -> None:
    """Draw two figures of the demo's AlexNet."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "figure.png"
        for name, kind, options in (
            ("top9", "top9", {"layer": "features.6", "count": 12}),
            ("volume", "volume", {"order": "pca"}),
        ):
            cs.figure(runs / "alexnet", kind, path=file, dpi=200, force=True, **options)
            save(file.read_bytes(), folder / f"figure-{name}-light.webp")


def all_hosts(browser: Browser, runs: Path, folder: Path) -> None:
    """Take all of them."""
    site_pictures(browser, runs, folder)
    tensorboard_pictures(browser, runs, folder)
    figure_pictures(runs, folder)
