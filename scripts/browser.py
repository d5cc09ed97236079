"""Find a Chromium for the browser tests and the screenshots, or get one.

In this order: one that is installed; Debian's package, where we are root; Playwright's download. Run as a script it
makes sure there is one and prints its path; imported, :func:`find` only looks.

Chromium's headless shell has the same engine without the windows, the moving tab and the pages of its own that a
desktop browser draws beside every page: tests take two thirds of the time in it, and what a benchmark measures in it is
what the page costs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SHELL = "chromium-headless-shell"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-gpu-rasterization",  # which Debian asks for even where the GPU is emulated
    "--disable-gpu-compositing",  # an emulated one puts pages together more slowly than none
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


def find(*, shell: bool = False) -> str | None:
    """Return the path of a Chromium that starts, or ``None``; of its headless shell, if asked for and there is one."""
    for name in (SHELL, *NAMES) if shell else (*NAMES, SHELL):
        path = shutil.which(name)
        if path and works(path):
            return path
    return playwright_browser()


def from_debian(package: str) -> None:
    """Install a package, where that can be done."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        print(f"installing Debian's {package} for the browser tests", file=sys.stderr)
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", package], stdout=subprocess.DEVNULL, check=False)


def install() -> str | None:
    """Install a Chromium and return its path, or ``None``."""
    from_debian("chromium")  # not every release has its shell
    if path := find():
        return path
    print("asking Playwright for its Chromium", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return find()


if __name__ == "__main__":
    if not shutil.which(SHELL):
        from_debian(SHELL)
    browser = find(shell=True) or install()
    if browser is None:
        sys.exit(
            "convscope: no Chromium or Chrome found and none could be installed; install one (apt install chromium)"
        )
    print(browser)
