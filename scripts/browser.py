"""Find a Chromium for the browser tests and the screenshots, or get one.

In this order: one that is installed; Debian's package, where we are root; Playwright's download. Run as a script it
makes sure there is one and prints its path; imported, :func:`find` only looks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-gpu-rasterization",  # which Debian asks for even where the GPU is emulated
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def works(path: str) -> bool:
    """Say whether a browser starts: Ubuntu's package is only a pointer to a snap."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def playwright_browser() -> str | None:
    """Return the path of the Chromium that Playwright downloaded, if it did."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def find() -> str | None:
    """Return the path of a Chromium that starts, or ``None``."""
    for name in NAMES:
        path = shutil.which(name)
        if path and works(path):
            return path
    return playwright_browser()


def install() -> str | None:
    """Install a Chromium and return its path, or ``None``."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("installing Debian's chromium for the browser tests", file=sys.stderr)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], stdout=subprocess.DEVNULL, check=False)
        if path := find():
            return path
    print("asking Playwright for its Chromium", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return find()


if __name__ == "__main__":
    browser = find() or install()
    if browser is None:
        sys.exit(
            "convscope: no Chromium or Chrome found and none could be installed; install one (apt install chromium)"
        )
    print(browser)
