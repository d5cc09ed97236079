"""Passes on one machine: engines that map shards to states, and the driver that merges them in order.

A pass is a pure function shard → state and a merge in shard order, so the result is the same to the last bit whatever
the engine, the number of workers, and however often it was killed and resumed (DESIGN §6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from convscope.errors import ConvscopeError
from convscope.scale.plan import Arrays, Checkpoint, Plan, Shard

State = TypeVar("State")
State_co = TypeVar("State_co", covariant=True)

_RESTARTS: Final = 3


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


@dataclass(frozen=True)
class ProcessPool(Generic[State]):
    """Several processes; each makes its own ``work`` from the ``factory`` once, which must be picklable."""

    factory: Callable[[], Callable[[Shard], State]]
    workers: int = 2

    def map(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        """Yield the states as they come; shards lost with a killed process are given to a new pool."""
        left = list(todo)
        for _ in range(_RESTARTS + 1):
            try:
                for index, state in self._round(left, shards):
                    left.remove(index)
                    yield index, state
            except BrokenProcessPool:
                continue
            return
        raise ConvscopeError(
            f"worker processes died {_RESTARTS + 1} times, {len(left)} shards are not done; "
            "they may lack memory: use fewer workers or smaller batches"
        )

    def _round(self, todo: Sequence[int], shards: Sequence[Shard]) -> Iterator[tuple[int, State]]:
        pool = ProcessPoolExecutor(self.workers, get_context("spawn"), _make_worker, (self.factory,))
        waiting = iter(list(todo))
        running: dict[Future[State], int] = {}

        def refill() -> None:
            while len(running) < 2 * self.workers and (index := next(waiting, None)) is not None:
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


_worker: list[Callable[[Shard], Any]] = []


def _make_worker(factory: Callable[[], Callable[[Shard], Any]]) -> None:
    _worker[:] = [factory()]


def _do(shard: Shard) -> Any:
    return _worker[0](shard)


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
        How many shards there are between two checkpoints, and between two calls of ``publish``.
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
    for index, result in engine.map(range(cursor, end), plan.shards):
        early[index] = result
        while cursor in early:
            state = early.pop(cursor) if state is None else merge(state, early.pop(cursor))
            cursor += 1
            if store and to_arrays and (cursor % every == 0 or cursor == end):
                store.save(plan, cursor, to_arrays(state))
            if publish and (cursor % every == 0 or cursor == end):
                publish(state, cursor)
            if progress:
                progress(plan.images_before(cursor), total)
    if state is None or cursor < end:
        raise ConvscopeError(f"the pass ended after {cursor} of {end} shards; run it again to resume")
    return state
