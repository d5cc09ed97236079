"""Make the pictures of README and docs: run the demo (what is done already is kept), open each page, take its picture.

The demo's results stay in ``runs/screenshots``; ``--quick`` makes them from the quick demo. Every page is also taken at
the width of a phone, into ``runs/screenshots-narrow``, to be looked at.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from browser import FLAGS, find
from convscope.demo import DemoOptions, run_demo
from convscope.view import serve

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
PAGES: Final = {
    "scalars": "#/scalars",
    "histograms": "#/histograms",
    "images": "#/images",
    "confusion": "#/confusion",
    "curves": "#/curves?range=corner",
    "filters": "#/filters?run=alexnet",
    "layer": "#/layer?run=alexnet&tag=features.6",
    "channel": "#/layer?run=alexnet&tag=features.6&ch=0",
    "embedding": "#/embedding",
    "volume": "#/volume?run=alexnet",
}
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}


def picture(page: Page, address: str, file: Path) -> None:
    """Open a page, wait until it has painted its data, and take its picture."""
    page.goto(address)
    page.wait_for_selector("html[data-ready='true']", timeout=60_000)
    page.wait_for_timeout(1200)
    with Image.open(BytesIO(page.screenshot())) as shown:
        shown.save(file, quality=90, method=6)
    print(file.relative_to(ROOT))


def all_pictures(browser: Browser, url: str, size: str, folder: Path) -> None:
    """Take every page in both themes at one size."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[size]
    for theme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        page = context.new_page()
        for name, address in PAGES.items():
            picture(page, url + address, folder / f"{name}-{theme}.webp")
        context.close()


def main() -> None:
    """Run the demo and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="from the quick demo")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "screenshots", help="the demo's results")
    arguments = parser.parse_args()
    options = DemoOptions(arguments.out, quick=arguments.quick, port=0, open_browser=False, stay=False, alexnet=True)
    run_demo(options, Console())
    with serve(arguments.out, port=0) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
        all_pictures(browser, server.url, "wide", PICTURES)
        all_pictures(browser, server.url, "narrow", ROOT / "runs" / "screenshots-narrow")
        browser.close()


if __name__ == "__main__":
    main()
