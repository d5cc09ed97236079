"""Passes on one machine: engines that map shards to states, and the driver that merges them in order.

A pass is a pure function shard → state and a merge in shard order, so the result is the same to the last bit whatever
the engine, the number of workers, and however often it was killed and resumed (DESIGN §6).
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from convscope.errors import ConvscopeError
from convscope.scale.plan import Arrays, Checkpoint, Plan, Shard

State = TypeVar("State")
State_co = TypeVar("State_co", covariant=True)
Part = TypeVar("Part")
Piece = TypeVar("Piece")

_RESTARTS: Final = 3
_QUICK: Final = 0.1
_SHARE: Final = 9
_AHEAD: Final = 2


class Engine(Protocol[State_co]):
    """Works through shards, in any order."""

    def map(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State_co]]:
        """Yield the number and the state of each shard that is still to do."""
        ...


@dataclass(frozen=True)
class InProcess(Generic[State]):
    """One shard after the other, in this process."""

    work: Callable[[Shard], State]

    def map(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        """Yield the states in order."""
        for index in todo:
            yield index, self.work(shards[index])


class Staged(Protocol[Part, State_co]):
    """Work on a shard in two stages: reading its pieces, which may be done ahead, and looking at them."""

    def pieces(self, shard: Shard) -> Sequence[Shard]:
        """Return what is read at a time."""
        ...

    def read(self, piece: Shard) -> Part:
        """Return what a piece holds; called in another thread than the rest."""
        ...

    def look(self, shard: Shard, parts: Iterable[Part]) -> State_co:
        """Return the state after the pieces of a shard."""
        ...


@dataclass(frozen=True)
class ReadAhead(Generic[Part, State]):
    """One shard after the other, in this process, while a thread reads what comes next."""

    work: Staged[Part, State]

    def map(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        """Yield the states in order."""
        pieces = (piece for index in todo for piece in self.work.pieces(shards[index]))
        with closing(ahead(self.work.read, pieces)) as parts:
            for index in todo:
                own = islice(parts, len(self.work.pieces(shards[index])))
                yield index, self.work.look(shards[index], own)


def ahead(read: Callable[[Piece], Part], pieces: Iterable[Piece], depth: int = _AHEAD) -> Generator[Part, None, None]:
    """Yield what each piece holds, in order, while one thread reads up to ``depth`` pieces ahead.

    What ``read`` raises is raised where its piece would come. Nothing more is read once the generator is closed.
    """
    left = iter(pieces)
    thread = ThreadPoolExecutor(1, "convscope-read")
    try:
        waiting = deque(thread.submit(read, piece) for piece in islice(left, depth))
        while waiting:
            part = waiting.popleft().result()
            waiting.extend(thread.submit(read, piece) for piece in islice(left, 1))
            yield part
    finally:
        thread.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class ProcessPool(Generic[State]):
    """Several processes; each makes its own ``work`` from the ``factory`` once, which must be picklable.

    A shard is given out when at most ``4 * workers`` shards from the first unfinished one on are out or done, so that
    the states which wait for their turn stay few.
    """

    factory: Callable[[], Callable[[Shard], State]]
    workers: int = 2

    def map(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        """Yield the states as they come; shards lost with a killed process are given to a new pool."""
        left = list(todo)
        deaths = 0
        while left:
            try:
                for index, state in self._round(left, shards):
                    left.remove(index)
                    deaths = 0
                    yield index, state
            except BrokenProcessPool as error:
                deaths += 1
                if deaths > _RESTARTS:
                    raise ConvscopeError(_DYING.format(deaths, len(left))) from error

    def _round(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _make_worker, (self.factory,))
        waiting = deque(todo)
        running: dict[Future[State], int] = {}

        def refill() -> None:
            last = min(running.values(), default=waiting[0] if waiting else 0) + 4 * self.workers
            while waiting and len(running) < 2 * self.workers and waiting[0] <= last:
                index = waiting.popleft()
                running[pool.submit(partial(_do, shards[index]))] = index

        try:
            refill()
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                finished = [(running.pop(future), future.result()) for future in done]
                refill()
                yield from finished
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_DYING: Final = (
    "worker processes died {} times in a row, {} shards are not done; they may lack memory: use fewer workers or "
    "smaller batches; a script that asks for workers must do so below 'if __name__ == \"__main__\":'"
)
_worker: list[Callable[[Shard], Any]] = []
_trouble: list[str] = []


def _make_worker(factory: Callable[[], Callable[[Shard], Any]]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _worker[:] = [factory()]
    except Exception as error:  # noqa: BLE001 - said where it is heard: a pool only tells that a process has died
        _trouble[:] = [f"{type(error).__name__}: {error}"]


def _end_with_parent() -> None:
    """End this process when the one that started it was killed: it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(shard: Shard) -> Any:
    if _trouble:
        raise ConvscopeError(
            f"a worker process cannot load what it was sent ({_trouble[0]}); define networks and data sets in a module "
            "that can be imported, not in a notebook or a session"
        )
    return _worker[0](shard)


class Sparing:
    """Sees to it that something done now and then takes at most a tenth of the time, unless it is quick anyway.

    The state of a large network is hundreds of megabytes, and a fast machine is through with some shards before those
    are written.
    """

    def __init__(self) -> None:
        self._began = self._next = 0.0

    def now(self, *, due: bool, last: bool) -> bool:
        """Tell whether it is to be done: when it is due and the pause is over, and the last time."""
        return last or (due and time.monotonic() >= self._next)

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        end = time.monotonic()
        took = end - self._began
        self._next = end + (_SHARE * took if took > _QUICK else 0)


def run_pass(
    plan: Plan,
    engine: Engine[State],
    merge: Callable[[State, State], State],
    *,
    to_arrays: Callable[[State], Arrays] | None = None,
    from_arrays: Callable[[Arrays], State] | None = None,
    checkpoint: Path | None = None,
    every: int = 8,
    progress: Callable[[int, int], None] | None = None,
    publish: Callable[[State, int], None] | None = None,
) -> State:
    """Work through a plan and return the merged state.

    Parameters
    ----------
    plan, engine, merge
        What to do, who does it, and how two states become one: always the state so far with the next shard's.
    to_arrays, from_arrays
        How a state is taken apart for the checkpoint and put together again.
    checkpoint
        Where the pass is resumed from, if it has begun, and where it leaves its state; ``None`` for a pass that
        cannot be resumed.
    every
        How many shards there are between two checkpoints, and between two calls of ``publish``; more where these
        would take more than a tenth of the time.
    progress
        Called with the images done and the images in all.
    publish
        Called with the state so far and the number of shards in it.

    Raises
    ------
    InputError
        If the checkpoint belongs to another pass.
    """
    store = Checkpoint(checkpoint) if checkpoint and to_arrays and from_arrays else None
    cursor, arrays = store.load(plan) if store else (0, {})
    state = from_arrays(arrays) if cursor and from_arrays else None
    total, end = plan.images_before(len(plan.shards)), len(plan.shards)
    early: dict[int, State] = {}
    saving, publishing = Sparing(), Sparing()
    for index, result in engine.map(range(cursor, end), plan.shards):
        early[index] = result
        while cursor in early:
            state = early.pop(cursor) if state is None else merge(state, early.pop(cursor))
            cursor += 1
            due = cursor % every == 0
            if store and to_arrays and saving.now(due=due, last=cursor == end):
                with saving:
                    store.save(plan, cursor, to_arrays(state))
            if publish and publishing.now(due=due, last=cursor == end):
                with publishing:
                    publish(state, cursor)
            if progress:
                progress(plan.images_before(cursor), total)
    if state is None or cursor < end:
        raise ConvscopeError(f"the pass ended after {cursor} of {end} shards; run it again to resume")
    return state
