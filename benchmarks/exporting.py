"""Exports: how large a file of a run is and how long it takes, and what compressing pictures anew does to them.

    python benchmarks/exporting.py file RUN [--pages network,layer]
    python benchmarks/exporting.py pictures RUN [--every 12]
    python benchmarks/exporting.py page FILE.html
    python benchmarks/exporting.py site RUN [--pages network,layer]

``file`` writes the run to one file as ``convscope export`` does, once by default and once as stored. ``pictures`` takes
some sheets of a run and compresses them with each quality: the size beside that of the sheets as stored, and how far
the pixels of tiles are from the stored ones (PSNR in dB, mean and worst sheet). ``page`` opens an exported file in
Chromium, five times each at its first page and at its layers, a new browser each time: seconds from the start of the
navigation until the page is ready, until a click acts, and until the whole file has been read. ``site`` writes the run
to a folder: three times from nothing, and once more when it is there; seconds on the clock, and those of all cores.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from convscope import Logdir
from convscope.view.html import MOST_MB, export, megabytes
from convscope.view.quality import AS_STORED, QUALITIES, smaller
from convscope.view.source import LogdirSource


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what work gives, its seconds, and those of all cores together."""
    start, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return answer, time.perf_counter() - start, time.process_time() - cpu


def measure_file(options: argparse.Namespace) -> None:
    """Print what a file of a run takes."""
    pages = options.pages.split(",") if options.pages else None
    with tempfile.TemporaryDirectory() as folder:
        for name, quality, most in (("by default", None, MOST_MB), ("as stored", AS_STORED, 1000)):
            file = Path(folder) / f"{name}.html"
            work = partial(export, options.run, file, pages=pages, quality=quality, max_mb=most)
            report, seconds, cpu = timed(work)
            print(f"{name}: {report.sentence()}; {report.records} records, {seconds:.1f} s ({cpu:.1f} s of CPU)")


def sheets_of(run: Path) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Yield the lossy sheets of a run's last top-k records: which picture it is, the file, how it is laid out."""
    source = LogdirSource(Logdir(run))
    for one in source.index()["runs"]:
        last = {(entry["kind"], entry["tag"]): entry["id"] for entry in one["records"] if entry["kind"] == "topk"}
        for record in last.values():
            for name, plan in source.record(one["name"], record)["pictures"].items():
                if plan["codec"] == "webp":
                    yield from ((name, source.picture(one["name"], record, file), plan) for file in plan["files"])


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), np.float32)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Return how near pictures of bytes are, in dB."""
    error = float(np.mean((one - other) ** 2))
    return 10 * np.log10(255**2 / error) if error else np.inf


def measure_pictures(options: argparse.Namespace) -> None:
    """Print what each quality does to the sheets of a run."""
    found: dict[str, list[bytes]] = {}
    for number, (name, data, _) in enumerate(sheets_of(options.run)):
        if number % options.every == 0:
            found.setdefault("patches" if name == "patch" else "projections", []).append(data)
    print("| quality | " + " | ".join(f"{name}: size | PSNR, worst" for name in found) + " |")
    print("|---|" + "---|---|" * len(found))
    exact = {name: [pixels(data) for data in sheets] for name, sheets in found.items()}
    for quality in QUALITIES:
        cells = []
        for name, sheets in found.items():
            new = [smaller(data, quality) for data in sheets]
            near = [psnr(one, pixels(data)) for one, data in zip(exact[name], new, strict=True)]
            share = sum(map(len, new)) / sum(map(len, sheets))
            cells.append(f"{share:.2f} | {np.mean(near):.1f} dB, {np.min(near):.1f} dB")
        print(f"| {quality} | {' | '.join(cells)} |", flush=True)
    counts = ", ".join(
        f"{len(sheets)} sheets of {name} ({megabytes(sum(map(len, sheets)))})" for name, sheets in found.items()
    )
    print(counts)


def opened(playwright: Any, address: str) -> list[float]:
    """Return the seconds until a page is ready, until a click on it has acted, and until all of it is read."""
    from browsing import browser_path, chromium

    browser = playwright.chromium.launch(executable_path=browser_path(), args=[*chromium.FLAGS])
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("html[data-ready='true']", timeout=60_000)
    seconds = [time.perf_counter() - start]
    page.get_by_test_id("theme").click()
    page.wait_for_selector("html[data-theme='dark']")
    seconds.append(time.perf_counter() - start)
    page.wait_for_load_state("load")
    seconds.append(time.perf_counter() - start)
    browser.close()
    return seconds


def measure_page(options: argparse.Namespace) -> None:
    """Print how soon an exported file can be used; RUN is the file."""
    from playwright.sync_api import sync_playwright

    file = options.run.resolve()
    print(f"{megabytes(file.stat().st_size)}; medians of 5, in seconds")
    with sync_playwright() as playwright:
        for place in ("", "#/layer"):
            times = np.median([opened(playwright, file.as_uri() + place) for _ in range(5)], axis=0)
            ready, acts, read = (f"{one:.2f}" for one in times)
            print(f"{place or 'its first page'}: ready {ready}, a click acts {acts}, all is read {read}")


def measure_site(options: argparse.Namespace) -> None:
    """Print what a site of a run takes, and how many channels a second get their pages."""
    from convscope.view.site import export_site

    pages = options.pages.split(",") if options.pages else None
    with tempfile.TemporaryDirectory() as folder:
        for place in ("1", "2", "3", "3"):
            before = os.times()
            report, seconds, _ = timed(partial(export_site, options.run, Path(folder) / place, pages=pages))
            after = os.times()
            cpu = sum(after[:4]) - sum(before[:4])
            speed = f"{report.channels / seconds:,.0f} channels/s"
            print(f"{report.sentence()}: {seconds:.2f} s, all cores {cpu:.2f} s, {speed}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, measure in COMMANDS.items():
        command = commands.add_parser(name, help=measure.__doc__)
        command.add_argument("run", type=Path)
        command.set_defaults(measure=measure)
        if name in ("file", "site"):
            command.add_argument("--pages", default="", help="of the pages, separated by commas; all by default")
        if name == "pictures":
            command.add_argument("--every", type=int, default=12, help="take one sheet in so many")
    return parser.parse_args()


COMMANDS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "file": measure_file,
    "pictures": measure_pictures,
    "page": measure_page,
    "site": measure_site,
}


if __name__ == "__main__":
    arguments = parse()
    arguments.measure(arguments)
