"""Passes over data sets: the same bits whatever the engine, and after any interruption."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from convscope.errors import ConvscopeError, FormatError, InputError, StorageError
from convscope.scale.local import InProcess, ProcessPool, run_pass
from convscope.scale.plan import Checkpoint, Plan, Shard

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


def test_shards_that_come_out_of_order_are_merged_in_order() -> None:
    class Backwards:
        def map(self, todo, shards):  # type: ignore[no-untyped-def]
            for index in reversed(list(todo)):
                yield index, work(shards[index])

    assert _identical(run_pass(PLAN, Backwards(), merge), TRUTH)


@pytest.mark.parametrize("dies_at", [0, 1, 5, 12])
@pytest.mark.parametrize("every", [1, 3])
def test_a_killed_pass_resumes_to_the_same_bits(tmp_path: Path, dies_at: int, every: int) -> None:
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
