"""A signal handler may close a writer wherever it interrupts it: nothing waits for itself, nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from convscope.errors import InputError
from convscope.recording import SummaryWriter
from convscope.store import Run, journal
from convscope.store.journal import Journal

URL = "memory://closing/runs/a"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CONVSCOPE_SPOOL", str(tmp_path / "spool"))
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/closing", recursive=True)


def interrupt(patched: pytest.MonkeyPatch, place: Any, name: str, handler: Callable[[], None], *, at: int = 1) -> None:
    """Call a handler before the ``at``-th call of a function, in the thread that calls it, as a signal does."""
    whole, calls = getattr(place, name), iter(range(1, 1_000_000))

    def interrupted(*given: Any, **named: Any) -> Any:
        if threading.current_thread().name == "works" and next(calls) == at:
            handler()
        return whole(*given, **named)

    patched.setattr(place, name, interrupted)


def finishes(work: Callable[[], None]) -> None:
    """Do some work in a thread, and fail where it waits for itself."""
    thread = threading.Thread(target=work, name="works", daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive(), "it waits for itself"


@pytest.mark.parametrize(
    ("place", "name"), [(journal, "write_all"), (Journal, "make_room"), (journal, "_mark"), (Journal, "end")]
)
def test_a_handler_closes_what_it_interrupts(
    place: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "CAPACITY", 64)
    monkeypatch.setattr(Journal.__init__, "__defaults__", (64,))
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("x", 0.0, 0)
    taken = 1

    def log_on() -> None:
        nonlocal taken
        for step in range(1, 1000):
            writer.add_scalar("x", 0.0, step)
            taken += 1
            writer.add_scalar(f"y{step}", 0.0, step)

    def log() -> None:
        with pytest.raises(InputError, match="is closed"):
            log_on()

    interrupt(monkeypatch, place, name, writer.close)
    if name == "end":
        finishes(writer.close)
    else:
        finishes(log)
    run = Run(tmp_path)
    assert len(run.scalars("x")) >= taken
    assert run.problems == []
    assert not list(tmp_path.glob("*.journal")), "it is finished"


def test_a_remote_writer_is_closed_while_it_is_closed(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SummaryWriter(URL)
    writer.add_scalar("x", 0.0, 0)
    locks: list[Any] = []
    allocate = threading._allocate_lock  # type: ignore[attr-defined]

    class Lock:
        """A lock in which a signal arrives as soon as it is taken."""

        def __init__(self) -> None:
            self._lock = allocate()
            locks.append(self)

        def __enter__(self) -> Any:
            taken = self._lock.__enter__()
            if threading.current_thread().name == "works":
                writer.close()
            return taken

        def __exit__(self, *how: object) -> Any:
            return self._lock.__exit__(*how)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._lock, name)

    for value in vars(writer._log).values():
        if isinstance(value, threading.Event):
            value._cond = threading.Condition(Lock())  # type: ignore[arg-type, attr-defined]
    finishes(writer.close)
    assert len(Run(URL).scalars("x")) == 1


@pytest.mark.parametrize("leaves", [True, False])
def test_a_part_on_its_way_is_not_overtaken(store: Any, monkeypatch: pytest.MonkeyPatch, *, leaves: bool) -> None:
    """The handler closes while a part is sent: what came meanwhile is in a part of its own."""
    writer = SummaryWriter(URL)
    writer.add_scalar("x", 0.0, 0)

    def stop() -> None:
        writer.add_scalar("x", 0.0, 1)
        writer.close()
        if leaves:
            raise SystemExit(3)

    def work() -> None:
        if leaves:
            with pytest.raises(SystemExit):
                writer.flush()
        else:
            writer.flush()

    interrupt(monkeypatch, store, "pipe_file", stop)
    finishes(work)
    assert Run(URL).scalars("x").step.tolist() == [0, 1]


def test_an_interval_that_is_no_number_is_the_shortest(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path, flush_secs=float("nan")) as writer:
        writer.add_scalar("x", 0.0, 0)
        assert writer._log._thread.is_alive()  # type: ignore[union-attr]
