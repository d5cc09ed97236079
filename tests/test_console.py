"""What the commands print while they work: bars with a rate, in wide and narrow terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from convscope.console import Bar, bars, rate


def _shown(width: int, noun: str = "images") -> str:
    """The last line of a bar after 300 of 900 things in 2 seconds."""
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    now = [0.0]
    progress = bars(console)
    progress.get_time = lambda: now[0]
    bar = Bar(progress, "searching 5 layers", noun=noun)
    for step in range(5):
        now[0] = step / 2
        bar(100 + 50 * step, 900)
    with console.capture() as capture:
        console.print(progress.get_renderable())
    return capture.get().rstrip()


@pytest.mark.parametrize("width", [44, 60, 80, 120])
def test_a_bar_says_how_far_how_fast_and_how_long(width: int) -> None:
    shown = _shown(width)
    assert "\n" not in shown
    assert len(shown) <= width
    assert shown.startswith("search")
    for part in ("300/900", "100 images/s", "00:06"):
        assert part in shown


def test_a_bar_without_a_noun_has_no_rate() -> None:
    assert "/s" not in _shown(100, noun="")


@pytest.mark.parametrize(("number", "text"), [(0.0312, "0.03"), (9.94, "9.9"), (10.4, "10"), (12_345.6, "12,346")])
def test_rates_have_few_digits(number: float, text: str) -> None:
    assert rate(number) == text
