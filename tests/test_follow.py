"""Whoever follows a run knows what one knows who opens it afterwards: several files, journals, files written anew."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.errors import InputError, NotFoundError, StorageError
from convscope.formats import events, values, wire
from convscope.formats.histogram import Distribution
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars
from convscope.formats.tensor import encode_strings, encode_tensor
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run, decoded, logdir
from convscope.store import run as runs
from convscope.store.folders import Folders

COUNTED = Distribution(0.0, 1.0, 1.0, 1.0, 1.0, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
TORN = values.Distribution(0.0, 1.0, 1.0, 1.0, 1.0, np.array([0.0, 1.0]), np.array([1.0]))


def head(time: float) -> bytes:
    return frame(events.encode_file_version(time))


def curve(steps: Any, start: float = 1.0, tag: str = "x", sign: float = 1.0) -> bytes:
    step = np.array(steps, np.int64)
    return encode_scalars([tag], step * 0, step, start + np.arange(len(step)), sign * step)


def value(tag: str, fields: bytes, step: int = 0, time: float = 1.0) -> bytes:
    return frame(events.encode_values(time, step, [(tag, fields)]))


def entry(number: int, step: int = 0, kind: str = "topk", size: int = 1) -> bytes:
    told = {"kind": kind, "id": f"{number:08d}-{kind}-5f0c9a", "bytes": size}
    return value("e", values.encode_entry(kind, told), step, 1.0 + number)


def log(folder: Path, time: int, data: bytes = b"") -> Path:
    path = folder / f"events.out.tfevents.{time:010d}.host"
    path.write_bytes(head(time) + data)
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def steps(run: Run, tag: str = "x", points: str = "current") -> list[int]:
    return run.scalars(tag, points).step.tolist()


def facts(run: Run) -> dict[Any, Any]:
    told: dict[Any, Any] = {"problems": sorted(run.problems), "last": run.last_wall_time}
    for points in ("current", "latest", "all"):
        for kind, tags in run.tags().items():
            told |= {(points, kind, tag): run.steps(kind, tag, points).tolist() for tag in tags}
        told |= {(points, tag): run.scalars(tag, points).value.tolist() for tag in run.tags("scalar")["scalar"]}
    return told


PIECES = st.tuples(
    st.integers(0, 2),  # the file
    st.sampled_from(["x", "y", "h", "start", "noise", "begin"]),
    st.integers(0, 20),  # the first step
    st.integers(1, 9),
    st.booleans(),  # whether a new reader leaves a sidecar now
)


@given(st.lists(PIECES, max_size=14))
@settings(max_examples=60, deadline=None)
def test_a_follower_knows_what_a_fresh_reader_knows(tmp_path_factory: pytest.TempPathFactory, pieces: Any) -> None:
    folder = tmp_path_factory.mktemp("run")
    clock, run = 100.0, None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_WORTH_A_SIDECAR", 1)
        for number, what, first, count, leave in pieces:
            clock += 10
            path = folder / f"events.out.tfevents.{number}.host"
            data = b"" if path.exists() else head(clock)
            data += {
                "start": frame(events.encode_session_start(clock, first)),
                "noise": bytes(range(first, first + count)),
                "begin": head(clock),
                "h": b"".join(value("h", values.encode_histogram(COUNTED), first + n, clock + n) for n in range(count)),
            }.get(what) or curve(range(first, first + count), clock, what)
            append(path, data)
            run = run or Run(folder)
            run.refresh()
            if leave:
                Run(folder)
            assert facts(run) == facts(Run(folder, sidecar=False)) == facts(Run(folder))


def killed(folder: Path, copy: Path, steps: range, sign: float = 1.0) -> None:
    """Write what a writer leaves behind that is killed at once: all of it is in its journal."""
    folder.mkdir()
    with SummaryWriter(folder) as writer:
        for step in steps:
            writer.add_scalar("x", sign * step, step)
        with writer._log._lock:  # nothing is moved from one file to the other meanwhile
            for path in folder.iterdir():
                shutil.copyfile(path, copy / path.name)


@pytest.mark.parametrize("purge", [False, True])
def test_what_waits_in_a_journal_comes_before_a_later_file(tmp_path: Path, purge: bool) -> None:
    run = tmp_path / "run"
    run.mkdir()
    killed(tmp_path / "first", run, range(20))
    assert steps(Run(run)) == list(range(20))
    time = int((Run(run).last_wall_time or 0) + 5)
    start = frame(events.encode_session_start(time, 5)) if purge else b""
    log(run, time, start + curve(range(5, 10), time, sign=-1.0))
    before = Run(run)
    assert steps(before) == list(range(10))
    assert before.scalars("x").value.tolist() == [0, 1, 2, 3, 4, -5, -6, -7, -8, -9]
    assert steps(before, points="all") == [*range(20), *range(5, 10)]
    SummaryWriter(run).close()  # takes the journal over
    assert not list(run.glob("*.journal"))
    assert steps(Run(run)) == list(range(10))
    assert before.refresh()
    assert steps(before) == list(range(10))


def test_a_writer_that_starts_lower_takes_back_at_once(tmp_path: Path) -> None:
    log(tmp_path, 1000, curve(range(20), 1000))
    with SummaryWriter(tmp_path) as writer:
        for step in range(5, 8):
            writer.add_scalar("x", -step, step)
        run = Run(tmp_path)
        assert steps(run) == list(range(8))
        writer.flush()
        run.refresh()
        assert steps(run) == list(range(8))


def test_asking_for_many_tags_that_wait_groups_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SummaryWriter(tmp_path) as writer:
        for number in range(50):
            writer.add_scalar(f"t{number}", 1, 1)
        run = Run(tmp_path)
        calls = []
        real = runs.Index.of_batch
        monkeypatch.setattr(runs.Index, "of_batch", lambda batch: calls.append(1) or real(batch))
        run._chain = None
        assert all(len(run.steps("scalar", tag)) == 1 for tag in run.tags()["scalar"])
        assert len(calls) <= 1


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log(tmp_path, 1, curve(range(9)))
    real = Path.open

    def refuse(path: Path, *rest: Any, **options: Any) -> Any:
        if "tfevents" in path.name:
            raise OSError(24, "Too many open files")
        return real(path, *rest, **options)

    monkeypatch.setattr(Path, "open", refuse)
    run = Run(tmp_path, sidecar=False)
    for _ in range(2):
        run.refresh()
        assert "Too many open files" in run.problems[0]
    monkeypatch.undo()
    assert run.refresh()
    assert (steps(run), run.problems) == (list(range(9)), [])


def test_a_directory_that_cannot_be_listed_keeps_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log(tmp_path, 1, curve(range(9)))
    run = Run(tmp_path, sidecar=False)

    def refuse(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(runs.os, "scandir", refuse)
        append(path, curve(range(9, 11)))
        run.refresh()
        assert steps(run) == list(range(11))
        assert "cannot be listed (Too many open files)" in run.problems[0]
    run.refresh()
    assert (steps(run), run.problems) == (list(range(11)), [])
    shutil.rmtree(tmp_path)
    assert run.refresh()
    assert run.tags() == {}


@pytest.mark.parametrize("new", [range(1000, 1300), range(1000, 1100), range(1000, 1020)])
@pytest.mark.parametrize("unlink", [False, True])
def test_a_file_written_anew_under_its_name_is_read_anew(tmp_path: Path, new: range, unlink: bool) -> None:
    path = log(tmp_path, 1, curve(range(1000, 1100)))
    run = Run(tmp_path, sidecar=False)
    if unlink:
        path.unlink()
    path.write_bytes(head(2.0) + curve(new, sign=-1.0))
    later = path.stat().st_mtime_ns + 10**9  # the clock of a file system may stand still for 10 ms
    os.utime(path, ns=(later, later))
    assert run.refresh()
    assert run.scalars("x").value.tolist() == [-step for step in new]


def test_points_that_are_in_no_file_get_into_no_sidecar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1)
    first, second = log(tmp_path, 1, curve(range(100))), log(tmp_path, 2)
    run = Run(tmp_path)
    first.write_bytes(first.read_bytes()[:2000])
    run.refresh()
    append(second, curve(range(500), tag="y"))
    run.refresh()
    assert steps(run) == steps(Run(tmp_path)) == steps(Run(tmp_path, sidecar=False))


def test_a_value_that_cannot_be_decoded_takes_no_other_along(tmp_path: Path) -> None:
    good = value("h", values.encode_histogram(COUNTED))
    fields = wire.chunk(5, wire.doubles(6, TORN.limits) + wire.doubles(7, TORN.counts))
    log(tmp_path, 1, good + value("h", fields, 1) + good)
    run = Run(tmp_path)
    assert [item.num for item in run.histograms("h")] == [1.0, 1.0]
    assert ["2 limits and 1 counts" in problem for problem in run.problems] == [True]
    assert len(run.histograms("h")) == 2
    assert len(run.problems) == 1


def test_decoded_values_cannot_be_changed_and_are_not_all_kept(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for tag in "abc":
            writer.add_histogram(tag, np.arange(100.0), 0)
    run = Run(tmp_path)
    run._decoded_values = known = decoded.Decoded(most=1)
    for tag in "abc":
        (item,) = run.histograms(tag)
        with pytest.raises(ValueError, match="read-only"):
            item.counts[:] = 0
    assert not known._known
    run._decoded_values = known = decoded.Decoded()
    assert run.histograms("a")[0] is run.histograms("a")[0]


def test_numbers_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1)
    sides = [value(f"i{n}", wire.chunk(8, encode_strings([b"9" * n, b"1", b"x"])) + events.encode_metadata("images"))
             for n in (30, 5000)]  # fmt: skip
    log(tmp_path, 1, b"".join(sides) + entry(1, size=10**30) + entry(2, size=-1) + curve(range(9)))
    run = Run(tmp_path)
    assert (run.tags(), len(run.problems)) == ({"scalar": ["x"]}, 4)
    assert facts(Run(tmp_path)) == facts(run)


def test_a_complex_number_is_no_scalar(tmp_path: Path) -> None:
    fields = wire.chunk(8, encode_tensor(np.array(1j))) + events.encode_metadata("scalars")
    log(tmp_path, 1, value("c", fields) + curve(range(9)))
    run = Run(tmp_path)
    assert run.tags() == {"scalar": ["x"]}
    assert "'c' is not a single number" in run.problems[0]


def test_a_record_does_not_hide_what_events_hold(tmp_path: Path) -> None:
    log(tmp_path, 1, curve(range(9), tag="loss") + entry(1, kind="scalar"))
    run = Run(tmp_path)
    assert run.tags() == {"scalar": ["loss"]}
    assert "names no record" in run.problems[0]


def test_the_steps_of_records(tmp_path: Path) -> None:
    start = frame(events.encode_session_start(50.0, 5))
    log(tmp_path, 1, entry(1) + entry(2, 10) + start + entry(3, 5))
    run = Run(tmp_path)
    assert run.steps("topk", "e").tolist() == [0, 5]
    assert run.steps("topk", "e", "all").tolist() == [0, 10, 5]
    with pytest.raises(NotFoundError, match="no choice of points 'every'"):
        run.steps("topk", "e", "every")


def test_a_run_that_goes_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    log(tmp_path / "a", 1, curve(range(3)))
    known = Logdir(tmp_path)
    found = {"a": tmp_path / "a", "gone": tmp_path / "gone"}
    monkeypatch.setattr(Folders, "runs", lambda _: found)
    assert not known.refresh()
    assert [run.name for run in known.runs()] == ["a"]
    assert [run.name for run in logdir.each_run(tmp_path)] == ["a"]


def test_runs_that_are_not_asked_for_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        log(tmp_path / name, 1, curve(range(3)))
    opened = []
    monkeypatch.setattr(logdir, "Run", lambda path, name, **_: opened.append(name))
    list(logdir.each_run(tmp_path, "^b"))
    assert opened == ["b"]
    with pytest.raises(InputError, match="no regular expression"):
        logdir.each_run(tmp_path, "(")


def test_paths_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="there is no directory"):
        Run(tmp_path / ("a" * 300))

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(StorageError, match=r"cannot look at .* \(Permission denied\); make it readable"):
        Run(tmp_path)


def test_readers_in_threads_while_files_come(tmp_path: Path) -> None:
    path = log(tmp_path, 1, curve(range(3)))
    run = Run(tmp_path, sidecar=False)
    faults: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                run.refresh()
                found = steps(run)
                assert found == list(range(len(found)))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(3, 60, 3):
        append(path, curve(range(first, first + 3), first))
        os.sched_yield()
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
