"""What several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin on shared cores crawl

settings.register_profile("convscope", deadline=None)  # a shared machine may be slow for a moment
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
    """The demo's results on scikit-learn's digits, at a size that takes seconds; all stages but AlexNet."""
    from rich.console import Console

    from convscope.demo import DemoOptions, main, run_demo
    from convscope.demo.training import Recipe

    out = tmp_path_factory.mktemp("demo") / "run"
    small = main.Scale(Recipe(epochs=2, pictures=600, batch=50), 120, 120, 120, 3)
    options = DemoOptions(out, alexnet=False, offline=True, port=0, open_browser=False, stay=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "FULL", small)
        run_demo(options, Console(quiet=True))
    return out
