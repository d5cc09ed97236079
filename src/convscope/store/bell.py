"""A bell that wakes a thread, and that a signal handler may ring while it interrupts a ringing."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """Wakes the one thread that waits for it.

    Setting a :class:`threading.Event` takes a lock that is not re-entrant: a signal handler that interrupts it and sets
    it too waits for itself, forever. Putting into a :class:`queue.SimpleQueue` is re-entrant by its documentation.
    """

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake the thread, or let it not fall asleep."""
        if self._rung.empty():
            self._rung.put(None)

    def wait(self, seconds: float) -> None:
        """Return when the bell is rung, or after so many seconds."""
        with suppress(Empty):
            self._rung.get(timeout=seconds)
            while True:  # rung twice at the same moment
                self._rung.get_nowait()
