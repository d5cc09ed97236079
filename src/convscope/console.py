"""What the commands print: progress bars, and text of users as it is."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def bars(console: Console) -> Progress:
    """Make the progress bars of a command: what, how far, how long."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


class Bar:
    """One progress bar, there from its first call with (done, total) on; the total may be unknown."""

    def __init__(self, progress: Progress, label: str, unit: int = 1) -> None:
        self._progress = progress
        self._label = label
        self._unit = unit
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show that ``done`` of ``total`` are done."""
        if self._task is None:
            self._task = self._progress.add_task(self._label, total=None)
        whole = None if total is None else total // self._unit
        self._progress.update(self._task, completed=done // self._unit, total=whole)


def plain(text: str) -> str:
    r"""Return text of users for the terminal: control characters, which could do anything there, are spelled out.

    >>> plain("bell\a")
    'bell\\x07'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
