"""Make the pictures of README and docs: run the demo (what is done already is kept), open each page, take its picture.

The demo's results stay in ``runs/screenshots``; ``--quick`` makes them from the quick demo. Every page is also taken at
the width of a phone, into ``runs/screenshots-narrow``, to be looked at; some of them go on two sheets of the docs. Of
the command line, what it prints is shown.
"""

from __future__ import annotations

import argparse
import html
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from sklearn.datasets import load_sample_image

import embedding_runs
import host_pictures
from browser import FLAGS, find
from convscope.demo import DemoOptions, run_demo
from convscope.jobs.live import LiveModel
from convscope.nets.torch import Model
from convscope.view import serve
from training_logs import write_all

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
NARROW: Final = ROOT / "runs" / "screenshots-narrow"
PAGES: Final = {
    "scalars": "#/scalars",
    "histograms": "#/histograms",
    "images": "#/images",
    "confusion": "#/confusion",
    "curves": "#/curves?range=corner",
    "network": "#/network?run=alexnet&layer=features.3",
    "network-table": "#/network?run=alexnet&show=table",
    "filters": "#/filters?run=alexnet",
    "filters-similarity": "#/filters?run=alexnet&sort=similarity&ch=37",
    "filters-health": "#/filters?run=mnist/training&health=1&ch=0",
    "filters-compare": "#/filters?run=mnist/training&with=mnist/training&layer=conv1&at=0",
    "maps": "#/maps?run=alexnet",
    "map": "#/maps?run=alexnet&tag=features.3+@+cat+(5)&ch=12&after=1&overlay=0.8",
    "network-layers": "#/network?run=alexnet&show=layers",
    "layer": "#/layer?run=alexnet&tag=features.6",
    "channel": "#/layer?run=alexnet&tag=features.6&ch=0",
    "audit": "#/audit?run=alexnet",
    "embedding": "#/embedding",
    "volume": "#/volume?run=alexnet",
    "volume-slices": "#/volume?run=alexnet&show=slices&order=hierarchical",
    "gradient-volume": "#/volume?run=mnist/filters&tag=conv1/mean+for+3&cam=0.62,0.36,1.9",
    "gradients": "#/gradients?run=mnist/filters&tag=conv1/means&of=3&with=8",
    "importance": "#/importance?run=mnist/filters&tag=conv2&measure=taylor&of=4&with=9",
    "ablation": "#/ablation?run=mnist/filters&tag=conv2",
}
TRAINING: Final = {
    "hparams": "#/hparams",
    "text": "#/text?run=alexnet&step=2",
    "audio": "#/audio?run=alexnet",
    "mesh": "#/mesh?run=alexnet",
    "graph": "#/graph?run=alexnet",
    "scalars-groups": "#/scalars?group=/",
    "histograms-bands": "#/histograms?mode=bands&runs=log_loss-l2",
}
"""Pages of what ``training_logs`` writes."""
EMBEDDINGS: Final = {
    "embedding-search": "#/embedding?run=photographs&tag=features.12&proj=tsne&q=dog",
    "embedding-3d": "#/embedding?run=photographs&tag=features.12&proj=tsne-3d&draw=thumbnails",
    "embedding-pair": "#/embedding?run=photographs&tag=features.12&point=8&pair=photographs%7Cfeatures.5%7Ctsne",
    "embedding-timeline": "#/embedding?run=epochs&tag=fc1&proj=tsne&draw=dots&sel=8",
}
"""Pages of what ``embedding_runs`` writes."""
FORMING: Final = (0, 15, 40, 260, 300, 750)
"""Iterations of a t-SNE that stand side by side."""
ON_A_PHONE: Final = ("scalars", "histograms", "images", "hparams", "graph", "network")
"""Pages whose narrow pictures stand side by side in the docs."""
SIZES: Final = {"wide": (1440, 900), "narrow": (390, 844)}
PAPER: Final = 12
"""Pixels between pictures that stand side by side."""


def picture(page: Page, address: str, file: Path) -> None:
    """Open a page, wait until it has painted its data, and take its picture."""
    page.goto(address)
    page.wait_for_selector("html[data-ready='true']", timeout=60_000)
    page.wait_for_timeout(1200)
    with Image.open(BytesIO(page.screenshot())) as shown:
        shown.save(file, quality=90, method=6)
    print(file.relative_to(ROOT))


def all_pictures(browser: Browser, url: str, size: str, folder: Path, pages: Mapping[str, str]) -> None:
    """Take pages in both themes at one size."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[size]
    for theme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        page = context.new_page()
        for name, address in pages.items():
            picture(page, url + address, folder / f"{name}-{theme}.webp")
        context.close()


def training_pictures(browser: Browser) -> None:
    """Take the pages of what the demo does not log."""
    with tempfile.TemporaryDirectory() as folder:
        write_all(Path(folder))
        with serve(folder, port=0) as server:
            all_pictures(browser, server.url, "wide", PICTURES, TRAINING)
            all_pictures(browser, server.url, "narrow", NARROW, TRAINING)


def embedding_pictures(browser: Browser) -> None:
    """Take the pages of embeddings that the demo does not have."""
    with tempfile.TemporaryDirectory() as folder:
        embedding_runs.write_all(Path(folder))
        with serve(folder, port=0) as server:
            all_pictures(browser, server.url, "wide", PICTURES, EMBEDDINGS)
            all_pictures(browser, server.url, "narrow", NARROW, EMBEDDINGS)


def forming_picture(browser: Browser, address: str, theme: str) -> None:
    """Put the map at some iterations side by side."""
    page = browser.new_page(viewport={"width": 1000, "height": 900}, color_scheme=theme, reduced_motion="reduce")
    shown = []
    for iteration in FORMING:
        page.goto(f"{address}&draw=dots&it={iteration}")
        page.wait_for_selector("html[data-ready='true']", timeout=60_000)
        page.wait_for_timeout(1200)
        shown.append(Image.open(BytesIO(page.locator(".scene").first.screenshot())))
    side = min(shown[0].size)
    sheet = Image.new("RGB", (len(shown) * (side + PAPER) - PAPER, side), "#8a8f98")
    for place, one in enumerate(shown):
        left, top = (one.width - side) // 2, (one.height - side) // 2
        sheet.paste(one.crop((left, top, left + side, top + side)), (place * (side + PAPER), 0))
    file = PICTURES / f"embedding-forming-{theme}.webp"
    sheet.resize((1440, round(1440 * sheet.height / sheet.width))).save(file, quality=85, method=6)
    print(file.relative_to(ROOT))
    page.close()


def phone_sheets(pages: Sequence[str]) -> None:
    """Put narrow pictures side by side, one sheet a theme."""
    width, height = SIZES["narrow"]
    for theme in ("light", "dark"):
        sheet = Image.new("RGB", (len(pages) * (width + PAPER) - PAPER, height), "#8a8f98")
        for place, name in enumerate(pages):
            with Image.open(NARROW / f"{name}-{theme}.webp") as shown:
                sheet.paste(shown, (place * (width + PAPER), 0))
        file = PICTURES / f"phone-{theme}.webp"
        sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3)).save(file, quality=85, method=6)
        print(file.relative_to(ROOT))


def live_pictures(browser: Browser, folder: Path) -> None:
    """Hand a photograph to an attached AlexNet, and take the page it is shown on in both themes."""
    photograph = BytesIO()
    Image.fromarray(load_sample_image("flower.jpg")).save(photograph, "JPEG", quality=95)
    handed = {"name": "flower.jpg", "mimeType": "image/jpeg", "buffer": photograph.getvalue()}
    with serve(port=0, live=LiveModel(Model("alexnet"))) as server:
        for theme in ("light", "dark"):
            page = browser.new_page(
                viewport={"width": 1440, "height": 900}, color_scheme=theme, reduced_motion="reduce"
            )
            page.goto(f"{server.url}#/filters?tag=features.3")
            page.set_input_files("[data-testid=live-file]", files=[handed])
            page.wait_for_selector("[data-testid=live-status] .live-card")
            picture(page, page.url, folder / f"live-{theme}.webp")
            page.get_by_role("button", name="Forget flower.jpg").click()
            page.close()


def damaged(run: Path, folder: Path) -> Path:
    """Copy a run and damage the copy: a few bytes in the middle of the log, a torn end, a picture that is gone."""
    copy = folder / run.name
    shutil.copytree(run, copy)
    log = max(copy.glob("*tfevents*"), key=lambda path: path.stat().st_size)
    data = bytearray(log.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4] = b"\xff\xff\xff\xff"
    log.write_bytes(data[:-20])
    next((copy / "records").glob("*/arrays.safetensors")).unlink()
    return copy


def terminal(browser: Browser, commands: list[list[str]], folder: Path, file: Path) -> None:
    """Run commands of the command line and take a picture of what they print."""
    shown = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "convscope.cli", *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "COLUMNS": "118"},
        )
        shown += [f"$ convscope {' '.join(command)}", done.stdout.rstrip(), done.stderr.rstrip(), ""]
    page = browser.new_page(viewport={"width": 1100, "height": 400}, device_scale_factor=1.5)
    page.set_content(
        "<style>body{margin:0;background:#14171c}pre{margin:0;padding:22px 26px;color:#d8dde5;"
        "font:13px/1.5 monospace;white-space:pre-wrap}</style><pre>" + html.escape("\n".join(shown).strip()) + "</pre>"
    )
    with Image.open(BytesIO(page.locator("pre").screenshot())) as picture_of_it:
        picture_of_it.save(file, quality=90, method=6)
    print(file.relative_to(ROOT))
    page.close()


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
        all_pictures(browser, server.url, "wide", PICTURES, PAGES)
        all_pictures(browser, server.url, "narrow", NARROW, PAGES)
        for theme in ("light", "dark"):
            forming_picture(browser, f"{server.url}#/embedding?run=mnist/embedding&proj=tsne", theme)
        training_pictures(browser)
        embedding_pictures(browser)
        phone_sheets(ON_A_PHONE)
        live_pictures(browser, PICTURES)
        host_pictures.all_hosts(browser, arguments.out, PICTURES)
        with tempfile.TemporaryDirectory() as folder:
            damaged(arguments.out / "mnist" / "training", Path(folder))
            terminal(browser, [["doctor", "training"]], Path(folder), PICTURES / "doctor.webp")
        browser.close()


if __name__ == "__main__":
    main()
