"""What the commands print: progress bars, and text of users as it is."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

_WIDE: Final = 100
_NARROW: Final = 72


def bars(console: Console) -> Progress:
    """Make the progress bars of a command: what, how far, how fast, how long; in a narrow terminal less of it."""
    width = console.width
    bar = [] if width < _NARROW else [BarColumn(bar_width=28 if width >= _WIDE else 10)]
    label = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    elapsed = [TimeElapsedColumn()] if width >= _WIDE else []
    columns = [label, *bar, MofNCompleteColumn(), RateColumn(), *elapsed, TimeRemainingColumn(compact=True)]
    return Progress(*columns, console=console, expand=width < _WIDE)


class RateColumn(ProgressColumn):
    """How much is done in a second, for bars that say of what; what was done before the bar began does not count."""

    def render(self, task: Task) -> Text:
        """Return the rate as text; rich calls this."""
        noun, speed = task.fields.get("noun", ""), task.finished_speed or task.speed
        return Text(f"{rate(speed)} {noun}/s" if noun and speed else "", style="progress.data.speed")


def rate(number: float) -> str:
    """Return a rate in three digits or fewer.

    >>> rate(0.256), rate(7.26), rate(61.8), rate(1234.5)
    ('0.26', '7.3', '62', '1,234')
    """
    digits = 0 if number >= 10 else 1 if number >= 1 else 2
    return f"{number:,.{digits}f}"


class Bar:
    """One progress bar, there from its first call with (done, total) on; the total may be unknown.

    Parameters
    ----------
    progress
        The bars it is one of.
    label
        What is done.
    unit
        How many of what is counted make one on the screen: 1,000,000 bytes for megabytes.
    noun
        What is counted, such as ``images``: then the rate is shown.
    """

    def __init__(self, progress: Progress, label: str, unit: int = 1, noun: str = "") -> None:
        self._progress = progress
        self._label = label
        self._unit = unit
        self._noun = noun
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` are done."""
        if self._task is None:
            self._task = self._progress.add_task(self._label, total=None, noun=self._noun)
        whole = None if total is None else total // self._unit
        self._progress.update(self._task, completed=done // self._unit, total=whole)


def plain(text: str) -> str:
    r"""Return text of users for the terminal: control characters, which could do anything there, are spelled out.

    >>> plain("bell\a")
    'bell\\x07'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
