"""Projections that are computed while one looks: each in a thread of its own, ended when nobody follows it.

A reader asks for what is newer than what it has (:meth:`Forming.news`) and gets the newest frame; nothing is queued,
whoever reads slowly sees fewer frames. One thread computes one projection, with one core.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, Protocol

from convscope.embed.frames import Frame
from convscope.embed.projection import Projection
from convscope.errors import ConvscopeError, InputError, NotFoundError
from convscope.view.sender import RefusedError
from convscope.view.wired import Thinned, packed

MOST_RUNNING: Final = 2
MOST_HELD: Final = 4
PATIENCE: Final = 60.0
"""Seconds after which a projection ends that nobody follows."""
RECENT: Final = 2.0
"""So long a projection that was just started or left keeps its place, though nobody follows it yet."""
TOLD: Final = 10.0
"""So long after its end one can ask why it has ended."""
_LOOK: Final = 0.2
_LOG: Final = logging.getLogger(__name__)


class Engine(Protocol):
    """What computes a projection step by step; :class:`convscope.embed.running.Running` does."""

    @property
    def iterations(self) -> int:
        """How many there are to be; 0 for a method without."""
        ...

    def step(self) -> Frame | None:
        """Go on for a moment and return where the points are then; ``None`` when all is done."""
        ...

    def change(self, **parameters: Any) -> None:
        """Go on from the layout as it is with other parameters."""
        ...

    def projection(self) -> Projection:
        """Return the layout as it is now."""
        ...


Keep = Callable[[Projection, list[Frame], str], str]
"""Writes a projection with its frames under a name, and returns its tag."""


class Forming:
    """One projection on its way, and the thread that computes it.

    Parameters
    ----------
    make
        Gives what computes it; called in the thread.
    keep
        Writes it.
    closing
        Says whether the server is about to stop.
    patience
        Seconds after which it ends where nobody follows it.

    Attributes
    ----------
    key
        What it is asked for by; nobody guesses it.
    number
        Grows with each frame and each change of the state.
    """

    def __init__(self, make: Callable[[], Engine], keep: Keep, closing: Callable[[], bool], patience: float) -> None:
        self.key = secrets.token_urlsafe(24)
        self.number = 1
        self._make, self._keep, self._closing, self._patience = make, keep, closing, patience
        self._lock = threading.Condition()
        self._state = "starting"
        self._error = self._kept = ""
        self._change: dict[str, Any] = {}
        self._wish: tuple[str, Future[str]] | None = None
        self._frames = Thinned()
        self._placed = 0
        self._iterations = 0
        self._seconds = 0.0
        self._followers = 0
        self._left = time.monotonic()
        self._packed: tuple[int, bytes] = 0, b""
        self._thread = threading.Thread(target=self._work, name="convscope-projection", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it computes, or would if it was told to go on."""
        return self._state in ("starting", "running", "paused")

    @property
    def over(self) -> bool:
        """Whether nothing comes any more."""
        return self._state in ("stopped", "failed")

    def idle(self) -> float:
        """Return for how many seconds nobody has followed it."""
        with self._lock:
            return 0.0 if self._followers else time.monotonic() - self._left

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Count a reader."""
        with self._lock:
            self._followers += 1
        try:
            yield
        finally:
            with self._lock:
                self._followers -= 1
                self._left = time.monotonic()

    def status(self) -> dict[str, Any]:
        """Return where it stands, as JSON."""
        with self._lock:
            return self._status()

    def _status(self) -> dict[str, Any]:
        last = self._frames.newest
        return {
            "number": self.number,
            "state": self._state,
            "iteration": 0 if last is None else last.iteration,
            "iterations": self._iterations,
            "kl": None if last is None or not math.isfinite(last.kl) else last.kl,
            "seconds": round(self._seconds, 3),
            "dimensions": 2 if last is None else last.points.shape[1],
            "error": self._error,
            "kept": self._kept,
        }

    def news(self, seen: int) -> bytes:
        """Return the status and, where the reader has not seen it, the newest frame, as they go over the wire."""
        with self._lock:
            if seen >= self._placed or self._frames.newest is None:
                return packed(self._status())
            if self._packed[0] != self.number:
                self._packed = self.number, packed(self._status(), self._frames.newest.points)
            return self._packed[1]

    def pause(self) -> None:
        """Stop computing until told to go on; a step that is under way is finished."""
        self._turn(("starting", "running"), "paused")

    def go_on(self) -> None:
        """Compute again."""
        self._turn(("paused",), "running")

    def _turn(self, before: Sequence[str], after: str) -> None:
        with self._lock:
            if self._state in before:
                self._tell(after)

    def change(self, **parameters: Any) -> None:
        """Go on from the layout as it is with other parameters; also one that is done goes on."""
        with self._lock:
            self._refuse_over()
            self._change |= parameters
            self._tell("running" if self._state == "done" else self._state)

    def stop(self) -> None:
        """End it; its frames are gone."""
        with self._lock:
            if not self.over:
                self._tell("stopped")

    def keep(self, name: str) -> str:
        """Write what there is so far, and return its tag.

        Raises
        ------
        InputError, StorageError
            If it cannot be written.
        """
        with self._lock:
            self._refuse_over()
            if self._wish is not None or self._frames.newest is None:
                raise RefusedError(409, "the projection has nothing to keep yet; try again in a moment")
            wish: Future[str] = Future()
            self._wish = name, wish
            self._lock.notify_all()
        return wish.result()

    def _refuse_over(self) -> None:
        if self.over:
            raise RefusedError(409, "the projection has ended; start another one")

    def _tell(self, state: str) -> None:
        self._state = state
        if self.over:
            self._left = time.monotonic()
        self.number += 1
        self._lock.notify_all()

    def _work(self) -> None:
        try:
            engine = self._make()
            with self._lock:
                self._iterations = engine.iterations
                if self._state == "starting":
                    self._tell("running")
            while self._wait():
                self._advance(engine)
        except ConvscopeError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - said on the page, where one waits for it
            _LOG.exception("a projection failed")
            self._fail(f"the projection failed ({type(error).__name__}); the server's terminal says more")
        finally:
            self.stop()
            self._grant(None)
            with self._lock:
                self._frames.forget()

    def _fail(self, sentence: str) -> None:
        with self._lock:
            self._error = sentence
            if not self.over:
                self._tell("failed")

    def _wait(self) -> bool:
        """Wait until there is something to do; return ``False`` when it is to end."""
        with self._lock:
            while not self.over:
                lonely = not self._followers and time.monotonic() - self._left > self._patience
                if lonely or self._closing():
                    return False
                if self._state == "running" or self._wish:
                    return True
                self._lock.wait(_LOOK)
        return False

    def _advance(self, engine: Engine) -> None:
        self._grant(engine)
        with self._lock:
            change, self._change = self._change, {}
            if self._state != "running":
                self._change = change
                return
        started = time.perf_counter()
        if change:
            self._changed(engine, change)
        frame = engine.step()
        with self._lock:
            self._seconds += time.perf_counter() - started
            self._iterations = engine.iterations
            if frame is not None:
                self._frames.add(frame)
                self._placed = self.number + 1
                self._tell(self._state)
            elif self._state == "running" and not self._change:
                self._tell("done")

    def _changed(self, engine: Engine, change: dict[str, Any]) -> None:
        """Change what computes it; what it cannot is said, and the layout stays."""
        try:
            engine.change(**change)
            sentence = ""
        except InputError as error:
            sentence = str(error)
        with self._lock:
            self._error = sentence

    def _grant(self, engine: Engine | None) -> None:
        """Write it where that was asked for; without an engine, say that it has ended."""
        with self._lock:
            wish, frames = self._wish, self._frames.all()
        if wish is None:
            return
        name, promise = wish
        try:
            if engine is None:
                raise RefusedError(409, "the projection has ended; start another one")
            tag = self._keep(engine.projection(), frames, name)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, the projection goes on
            with self._lock:
                self._wish = None
            promise.set_exception(error)
            return
        with self._lock:  # before whoever waits is told, and may wish for something else at once
            self._wish, self._kept = None, tag
            self._tell(self._state)
        promise.set_result(tag)


class Projections:
    """The projections that are computed for a viewer; at most two at a time.

    Parameters
    ----------
    closing
        Says whether the server is about to stop.
    patience
        Seconds after which a projection ends that nobody follows.
    """

    def __init__(self, closing: Callable[[], bool] = bool, patience: float = PATIENCE) -> None:
        self._closing, self._patience = closing, patience
        self._lock = threading.Lock()
        self._forming: dict[str, Forming] = {}

    def start(self, make: Callable[[], Engine], keep: Keep) -> Forming:
        """Start one.

        Raises
        ------
        RefusedError
            If two are on their way, and both are followed.
        """
        with self._lock:
            self._make_room()
            forming = Forming(make, keep, self._closing, self._patience)
            self._forming[forming.key] = forming
            return forming

    def get(self, key: str) -> Forming:
        """Return the one with this key."""
        with self._lock:
            self._tidy()
            if key not in self._forming:
                raise NotFoundError("there is no such projection any more; start another one")
            return self._forming[key]

    def _tidy(self) -> None:
        self._forming = {key: one for key, one in self._forming.items() if not (one.over and one.idle() > TOLD)}

    def _make_room(self) -> None:
        """End those that nobody follows, where more than may be are there; the one left first goes first."""
        self._tidy()
        for most, group in ((MOST_RUNNING, self._of(busy=True)), (MOST_HELD, self._of(busy=False))):
            lonely = sorted((one for one in group if one.idle() > RECENT), key=Forming.idle, reverse=True)
            for one in lonely[: max(len(group) + 1 - most, 0)]:
                one.stop()
        if len(self._of(busy=True)) >= MOST_RUNNING:
            raise RefusedError(429, f"{MOST_RUNNING} projections are being computed already; stop one of them")
        if len(self._of(busy=False)) >= MOST_HELD:
            raise RefusedError(429, f"{MOST_HELD} finished projections are looked at already; close one of their pages")

    def _of(self, *, busy: bool) -> list[Forming]:
        return [one for one in self._forming.values() if not one.over and one.busy == busy]
