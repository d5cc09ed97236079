"""Run an example notebook in a real JupyterLab, and take a picture of it; needs ``pip install 'jupyterlab>=4.4,<5'``.

python scripts/jupyterlab_host.py        makes docs/pictures/notebook-light.webp and notebook-dark.webp
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from PIL import Image
from playwright.sync_api import Frame, Page, sync_playwright

from browser import FLAGS, find

ROOT: Final = Path(__file__).resolve().parent.parent
NOTEBOOK: Final = ROOT / "examples" / "notebooks" / "arrays.ipynb"
PATIENCE: Final = 90.0
FRAME: Final = "iframe[title=convscope]"


@contextmanager
def lab(folder: Path, theme: str = "light") -> Iterator[str]:
    """Start JupyterLab on a copy of the notebook, with settings of its own; give the address of the notebook."""
    shutil.copy(NOTEBOOK, folder)
    config = folder / ".jupyter"
    settings = config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": f"JupyterLab {theme.title()}"}))
    (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    environment = {**os.environ, "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_RUNTIME_DIR": str(folder / ".runtime")}
    options = ["--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token="]
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
    with (folder / "said.log").open("w") as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, cwd=folder)
    try:
        yield f"{_address(folder / '.runtime')}lab/tree/{NOTEBOOK.name}?reset"
    finally:
        server.terminate()
        server.wait(30)


def _address(runtime: Path) -> str:
    """Return the address of the server, once it answers."""
    ask = build_opener(ProxyHandler({})).open
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for file in runtime.glob("jpserver-*.json"):
            try:
                address = str(json.loads(file.read_text())["url"])
                ask(f"{address}api", timeout=2).close()
            except (OSError, URLError, ValueError):
                continue
            return address
        time.sleep(0.3)
    raise TimeoutError("JupyterLab does not answer")


def run_all(page: Page, address: str) -> None:
    """Open the notebook, run all of its cells, and wait until the kernel rests."""
    page.goto(address)
    idle = page.get_by_text("Python 3 (ipykernel) | Idle")
    idle.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.locator(FRAME).first.wait_for()
    idle.wait_for()


def frame_of(page: Page, number: int) -> Frame:
    """Bring a widget into view and return its frame, once it is drawn."""
    element = page.locator(FRAME).nth(number)
    element.scroll_into_view_if_needed()
    handle = element.element_handle()
    frame = handle.content_frame() if handle else None
    if frame is None:
        raise RuntimeError(f"widget {number} has no frame")
    frame.wait_for_selector("html[data-ready='true']", state="attached")
    return frame


def main() -> None:
    """Take the pictures of the docs."""
    for theme in ("light", "dark"):
        with (
            tempfile.TemporaryDirectory() as place,
            lab(Path(place), theme) as address,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=find(shell=True), args=list(FLAGS))
            page = browser.new_page(viewport={"width": 1180, "height": 900})
            page.set_default_timeout(1000 * PATIENCE)
            run_all(page, address)
            frame_of(page, page.locator(FRAME).count() - 1)
            page.wait_for_timeout(5000)
            with Image.open(BytesIO(page.screenshot())) as shown:
                shown.save(ROOT / "docs" / "pictures" / f"notebook-{theme}.webp", quality=88, method=6)
            browser.close()


if __name__ == "__main__":
    main()
