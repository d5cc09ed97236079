"""What several test modules share."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin on shared cores crawl

# a shared machine may be slow for a moment; the same examples in each run: those who look for others use `make explore`
settings.register_profile("convscope", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("convscope")

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures and weights used in development; a user's clone has none."""
    if not REAL_DATA.is_dir():
        pytest.skip("the development data (../shared/data) is not on this machine")
    return REAL_DATA


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's results on scikit-learn's digits, at a size that takes seconds; all stages but AlexNet.

    The processes that share the tests share it: the first that needs it makes it.
    """
    from rich.console import Console

    from convscope.demo import DemoOptions, main, run_demo
    from convscope.demo.training import Recipe

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out, made = shared / "demo" / "run", shared / "demo" / "made"
    small = main.Scale(Recipe(2, pictures=600, batch=50, tested=500, judged=500), 120, 120, 120, 3, measured=120)
    options = DemoOptions(made, alexnet=False, offline=True, port=0, open_browser=False, stay=False)
    with (shared / "demo.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            patch.setattr(main, "FULL", small)
            run_demo(options, Console(quiet=True))
            made.rename(out)  # whole, or not there
    return out


@pytest.fixture(scope="session", autouse=True)
def _unhurried() -> Iterator[None]:
    """A server reads all runs at its first look, however long that takes on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convscope.view.source.READ_SECONDS", float("inf"))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The weights of a test are the same whatever ran before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def undrafted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search publishes nothing before its end, however long it takes: what it writes is always the same."""
    monkeypatch.setattr("convscope.jobs.channels.PUBLISH_SECONDS", float("inf"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what `make test` does with a browser that stumbles."""
    help_text = "try a test in a browser once more if it fails; the summary (-rR) names it"
    parser.addoption("--browser-again", action="store_true", help=help_text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A browser on a busy machine may stumble once, as no other part may: everything else fails at the first time."""
    if config.getoption("--browser-again"):
        for item in items:
            if "chromium" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Leave the page before the servers of the fixtures stop: what it still asks for then would be a complaint."""
    page = getattr(item, "funcargs", {}).get("page")
    if str(getattr(page, "url", "")).startswith("http://127.0.0.1"):
        page.goto("about:blank")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    from playwright.sync_api import sync_playwright

    import browser as finder

    path = finder.find(shell=True)
    assert path, "no Chromium was found; scripts/browser.py installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(finder.FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own; any console error or failed request fails the test, but for those a test expects."""
    from browser_pages import WAIT

    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        news = urlsplit(message.location["url"]).path.endswith("/api/events")  # whose server may end before the page
        if message.type in ("error", "warning") and not (news and "net::ERR_" in message.text):
            complaints.append(message.text)

    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    fresh = context.new_page()
    fresh.set_default_timeout(WAIT)
    fresh.on("console", listen)
    fresh.on("pageerror", lambda error: complaints.append(str(error)))
    fresh.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
    yield fresh
    context.close()
    expected = ("GPU stall", "GL Driver Message", *getattr(request, "param", ()))  # the first two: software rendering
    assert [text for text in complaints if not any(part in text for part in expected)] == []
