"""Passes over data sets: the same bits whatever the engine, and after any interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convscope.errors import ConvscopeError, FormatError, InputError, StorageError
from convscope.scale import local
from convscope.scale.local import InProcess, ProcessPool, ReadAhead, ahead, run_pass
from convscope.scale.plan import Arrays, Checkpoint, Plan, Shard

State = dict[str, np.ndarray]


def work(shard: Shard) -> State:
    values = np.random.default_rng(shard[0]).normal(size=(shard[1] - shard[0], 3))
    return {"sum": values.sum(0), "last": values[-1], "count": np.array(len(values))}


def merge(a: State, b: State) -> State:
    """A merge whose result depends on the order: it would show if shards were merged as they come."""
    return {"sum": a["sum"] * 0.5 + b["sum"], "last": b["last"], "count": a["count"] + b["count"]}


def make_work() -> partial:
    return partial(work)


class _DiesOnce:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __call__(self, shard: Shard) -> State:
        if shard[0] == 12 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return work(shard)


class _Slow:
    """Work that tells which process did it, takes a while, and after six of thirteen shards does not end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, shard: Shard) -> State:
        (self.folder / str(os.getpid())).touch()
        time.sleep(0.05 if shard[0] < 24 else 3600)
        return work(shard)


def make_slow(folder: Path) -> _Slow:
    return _Slow(folder)


def go_slowly(folder: Path) -> State:
    """Work through the plan with two workers; what the driver does that is killed."""
    pool = ProcessPool(partial(make_slow, folder / "workers"), 2)
    path = folder / "state"
    return run_pass(PLAN, pool, merge, to_arrays=dict, from_arrays=dict, checkpoint=path, every=1)


def make_trouble() -> partial:
    raise ModuleNotFoundError("No module named 'mine'")


def make_dead() -> partial:
    os.kill(os.getpid(), signal.SIGKILL)
    return partial(work)


class _Reader:
    """Work in two stages that notes what is read; piece 30 cannot be."""

    def __init__(self) -> None:
        self.read_so_far: list[Shard] = []

    def pieces(self, shard: Shard) -> list[Shard]:
        return [(start, min(start + 2, shard[1])) for start in range(*shard, 2)]

    def read(self, piece: Shard) -> Shard:
        self.read_so_far.append(piece)
        if piece[0] == 30 and piece[1] == 32:
            raise FormatError("piece 30 is damaged")
        return piece

    def look(self, shard: Shard, parts) -> State:  # type: ignore[no-untyped-def]
        assert list(parts) == self.pieces(shard)
        return work(shard)


def _identical(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)


PLAN = Plan.of(50, 4, {"data": "x"})
TRUTH = run_pass(PLAN, InProcess(work), merge)


def test_every_image_is_in_exactly_one_shard() -> None:
    assert [i for start, stop in Plan.of(10, 3).shards for i in range(start, stop)] == list(range(10))
    assert PLAN.shards[-1] == (48, 50)
    assert int(TRUTH["count"]) == 50


def test_engines_agree_to_the_last_bit_even_when_a_worker_is_killed(tmp_path: Path) -> None:
    factory = partial(_DiesOnce, tmp_path / "died")
    assert _identical(run_pass(PLAN, ProcessPool(factory, 2), merge), TRUTH)
    assert (tmp_path / "died").exists()


def test_a_killed_driver_leaves_no_workers_and_a_pass_that_resumes(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    code = f"from pathlib import Path; import test_pass; test_pass.go_slowly(Path({str(tmp_path)!r}))"
    driver = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    )
    _wait_until((tmp_path / "state").exists)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    workers = [int(path.name) for path in (tmp_path / "workers").iterdir()]
    assert workers
    _wait_until(lambda: not any(_alive(worker) for worker in workers))
    assert 0 < Checkpoint(tmp_path / "state").load(PLAN)[0] <= 6
    resumed = run_pass(
        PLAN, InProcess(work), merge, to_arrays=dict, from_arrays=dict, checkpoint=tmp_path / "state", every=1
    )
    assert _identical(resumed, TRUTH)


def _wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(process: int) -> bool:
    """Whether a process runs: one that has ended and nobody waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_workers_that_cannot_begin_are_told_of() -> None:
    with pytest.raises(ConvscopeError, match=r"cannot load what it was sent .*No module named 'mine'.*in a module"):
        run_pass(PLAN, ProcessPool(make_trouble, 1), merge)


def test_workers_that_always_die_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_RESTARTS", 1)
    with pytest.raises(ConvscopeError, match=r"died 2 times in a row, 13 shards are not done.*__main__"):
        run_pass(PLAN, ProcessPool(make_dead, 1), merge)


def test_a_slow_shard_holds_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The states that wait for it stay few."""
    given: list[Shard] = []
    out_by_then: list[int] = []

    class Pool:
        def submit(self, do) -> Future:  # type: ignore[no-untyped-def]
            given.append(do.args[0])
            future: Future = Future()
            if len(given) > 1:
                future.set_result(work(given[-1]))
            return future

        def shutdown(self, **_: object) -> None:
            pass

    def wait(running, return_when: str):  # type: ignore[no-untyped-def]
        if not any(future.done() for future in running):
            out_by_then.append(len(given))
            next(iter(running)).set_result(work(given[0]))
        return {future for future in running if future.done()}, None

    monkeypatch.setattr(local, "ProcessPoolExecutor", lambda *_: Pool())
    monkeypatch.setattr(local, "wait", wait)
    assert _identical(run_pass(PLAN, ProcessPool(make_work, 2), merge), TRUTH)
    assert out_by_then == [9], "the slow one, and four for each worker"


def test_what_is_read_ahead_is_the_same_and_errors_come_in_order() -> None:
    plan = Plan.of(29, 4)
    reader = _Reader()
    found = run_pass(plan, ReadAhead(reader), merge)
    assert _identical(found, run_pass(plan, InProcess(work), merge))
    assert reader.read_so_far == [piece for shard in plan.shards for piece in reader.pieces(shard)]
    steps: list[int] = []
    with pytest.raises(FormatError, match="piece 30 is damaged"):
        run_pass(PLAN, ReadAhead(_Reader()), merge, progress=lambda done, _: steps.append(done))
    assert steps[-1] == 28


def test_reading_ahead_ends_with_who_reads() -> None:
    asked: list[int] = []
    parts = ahead(lambda n: asked.append(n) or n, range(100), 3)
    assert [next(parts), next(parts)] == [0, 1]
    parts.close()
    assert asked[-1] <= 4
    assert list(ahead(lambda n: n, [], 3)) == []
    assert not any("convscope-read" in thread.name for thread in threading.enumerate())


def test_shards_that_come_out_of_order_are_merged_in_order() -> None:
    class Backwards:
        def map(self, todo, shards):  # type: ignore[no-untyped-def]
            for index in reversed(list(todo)):
                yield index, work(shards[index])

    assert _identical(run_pass(PLAN, Backwards(), merge), TRUTH)


@pytest.mark.parametrize("dies_at", [0, 1, 5, 12])
@pytest.mark.parametrize("every", [1, 3])
def test_a_killed_pass_resumes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int, every: int
) -> None:
    monkeypatch.setattr(local, "_QUICK", float("inf"))  # on a slow disk it saves less often
    done: list[Shard] = []

    def dying(shard: Shard) -> State:
        if shard == PLAN.shards[dies_at]:
            raise KeyboardInterrupt
        return work(shard)

    def noting(shard: Shard) -> State:
        done.append(shard)
        return work(shard)

    def go(what) -> State:  # type: ignore[no-untyped-def]
        path = tmp_path / "state"
        return run_pass(PLAN, InProcess(what), merge, to_arrays=dict, from_arrays=dict, checkpoint=path, every=every)

    with pytest.raises(KeyboardInterrupt):
        go(dying)
    assert _identical(go(noting), TRUTH)
    assert len(done) == len(PLAN.shards) - dies_at // every * every, "finished shards are not done again"
    assert _identical(go(dying), TRUTH), "a finished pass is not run again"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_checkpoint_of_another_pass_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state")
    checkpoint.save(PLAN, 3, work((0, 4)))
    cursor, arrays = checkpoint.load(PLAN)
    assert cursor == 3
    assert _identical(arrays, work((0, 4)))
    with pytest.raises(InputError, match=r"another pass \(data differs\).*remove it"):
        checkpoint.load(Plan.of(50, 4, {"data": "y"}))
    with pytest.raises(InputError, match="its shards differs"):
        checkpoint.load(Plan.of(50, 5, {"data": "x"}))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"nonsense")
    with pytest.raises(FormatError, match="not a checkpoint"):
        Checkpoint(path).load(PLAN)
    with pytest.raises(StorageError, match="cannot write"):
        Checkpoint(path / "below-a-file").save(PLAN, 1, work((0, 4)))


def test_progress_and_publishing(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    seen: list[tuple[int, int]] = []
    run_pass(
        PLAN,
        InProcess(work),
        merge,
        every=5,
        progress=lambda done, total: steps.append((done, total)),
        publish=lambda state, cursor: seen.append((int(state["count"]), cursor)),
    )
    assert steps[0] == (4, 50)
    assert steps[-1] == (50, 50)
    assert len(steps) == 13
    assert seen == [(20, 5), (40, 10), (50, 13)]


def test_what_is_slow_to_save_or_to_publish_takes_a_tenth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, seen = [0.0], []
    monkeypatch.setattr("convscope.scale.local.time", SimpleNamespace(monotonic=lambda: now[0]))  # of the module only

    def slow(shard: Shard) -> Arrays:
        now[0] += 1.0
        return work(shard)

    def publish(_: Arrays, cursor: int) -> None:
        seen.append((cursor, now[0]))
        now[0] += 0.5

    run_pass(PLAN, InProcess(slow), merge, every=1, publish=publish)
    assert [cursor for cursor, _ in seen] == [1, 6, 11, 13], "every 4.5 s and at the end"


def test_nothing_to_do_and_lost_shards_are_errors() -> None:
    class Forgetful:
        def map(self, todo, shards):  # type: ignore[no-untyped-def]
            yield 0, work(shards[0])

    with pytest.raises(InputError, match="empty"):
        Plan.of(0, 4)
    with pytest.raises(InputError, match="shard_size=0"):
        Plan.of(4, 0)
    with pytest.raises(ConvscopeError, match="after 1 of 13 shards"):
        run_pass(PLAN, Forgetful(), merge)
