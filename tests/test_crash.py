"""What the log promises: nothing acknowledged is lost, whoever dies, forks, shares the directory or fills the disk."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convscope.errors import InputError
from convscope.recording import SummaryWriter
from convscope.store import Run, journal
from convscope.store.bell import Bell
from convscope.store.journal import Journal
from effort import PEAK
from tensorboard_oracle import accumulate

DRIVER = Path(__file__).with_name("crash_driver.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_two_hundred_writers_killed_at_random_lose_nothing_they_have_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, DRIVER, tmp_path, "200"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills, acknowledged, kept = map(int, done.stdout.split())
    assert kills == 200
    assert kept >= acknowledged > 1_000
    for run in tmp_path.iterdir():
        theirs = accumulate(run)
        if "x" in theirs.Tags()["scalars"]:
            assert [event.step for event in theirs.Scalars("x")] == Run(run).scalars("x").step.tolist()


def test_eight_threads_log_a_hundred_thousand_scalars_each(tmp_path: Path) -> None:
    count, threads = 100_000, 8

    def work(number: int) -> None:
        tag = f"thread/{number}"
        for step in range(count):
            writer.add_scalar(tag, step, step)
            if not step % 1000:
                writer.log({"shared": number, f"group/{number}": step}, step)

    with SummaryWriter(tmp_path) as writer:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    run = Run(tmp_path)
    for number in range(threads):
        assert np.array_equal(run.scalars(f"thread/{number}").step, np.arange(count))
        assert np.array_equal(run.scalars(f"group/{number}").value, np.arange(0, count, 1000))
    assert len(run.scalars("shared")) == threads * count // 1000
    assert run.problems == []


PEER = """
import sys
from convscope.recording import SummaryWriter
name, count = sys.argv[2], int(sys.argv[3])
with SummaryWriter(sys.argv[1]) as writer:
    sys.stdout.write("ready"); sys.stdout.flush(); sys.stdin.read(1)
    for step in range(count):
        writer.add_scalar(name, step, step)
        writer.add_scalar("both", step, step)
        if step % 500 == 0:
            writer.add_text("words", name, step)
"""


def test_two_processes_in_one_directory_do_not_touch_each_other(tmp_path: Path) -> None:
    count = 20_000
    peers = [
        subprocess.Popen(
            [sys.executable, "-c", PEER, str(tmp_path), name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("one", "two")
    ]
    for peer in peers:
        assert peer.stdout is not None
        assert peer.stdout.read(5) == b"ready"
    for peer in peers:
        peer.communicate(b"g")
        assert peer.returncode == 0
    run = Run(tmp_path)
    for name in ("one", "two"):
        assert np.array_equal(run.scalars(name).step, np.arange(count))
    assert np.array_equal(np.sort(run.scalars("both", points="all").step), np.repeat(np.arange(count), 2))
    assert len(run.scalars("both")) == 2 * count
    assert len(run.texts("words")) == 2 * count // 500


FULL = """
import resource, signal, sys, time
from convscope.errors import StorageError
from convscope.recording import SummaryWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = SummaryWriter(sys.argv[1], flush_secs=0.01)
writer.add_scalar("x", 0, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))  # a real EFBIG from the kernel
told = []
for step in range(1, 60_000):
    try:
        if step % 1000 == 0:
            time.sleep(0.01)
        writer.add_scalar("x", step, step)
    except StorageError as error:
        told.append((step, str(error)))
assert len(told) == 1 and "make room" in told[0][1], told
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="no limit on a file's size there")
def test_a_full_disk_is_told_once_and_what_was_taken_is_written_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Run(tmp_path).scalars("x").step.tolist() == list(range(60_000))


MEMORY = """
import sys
from convscope.recording import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    def log(count):
        for step in range(count):
            writer.add_scalar("loss", 0.5, step)
        writer.flush()
        return peak()
    before = log(200_000)
    print(before, log(1_500_000))
"""


@pytest.mark.skipif(os.name == "nt", reason="no resource module there")
def test_the_memory_of_a_writer_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PEAK + MEMORY, tmp_path], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after - before < 8_000, "7.5 times as many values; kept in memory they would be 24 MB and more"


INTERRUPTED = """
import os, signal, sys, threading
from convscope.recording import SummaryWriter
writer = SummaryWriter(sys.argv[1])
count = 0

def stop(*_):
    writer.close()
    sys.stdout.write(str(count))
    sys.exit(3)

signal.signal(signal.SIGTERM, stop)
while True:
    if sys.argv[2] == "text":
        writer.add_text("t", "x" * 1000, count)
    else:
        writer.add_scalar("x", 1.0, count)
    count += 1
    if count == 1:
        threading.Timer(float(sys.argv[3]), lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
"""


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("kind", ["text", "scalar"])
def test_a_signal_handler_may_close_the_writer_and_leave(kind: str, tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        command = [sys.executable, "-c", INTERRUPTED, folder, kind, f"{0.05 + attempt * 0.0137}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (3, "")
        run = Run(folder)
        count = len(run.texts("t")) if kind == "text" else len(run.scalars("x"))
        assert count >= int(done.stdout)
        assert run.problems == []
        assert not list(folder.glob("*.journal"))


def test_threads_that_log_while_another_closes_get_one_clear_sentence(tmp_path: Path) -> None:
    refused: list[str] = []

    def log(writer: SummaryWriter) -> None:
        try:
            while True:
                writer.add_text("t", "words")
                writer.flush()
        except InputError as error:
            refused.append(str(error))

    for attempt in range(30):
        writer = SummaryWriter(tmp_path / str(attempt))
        threads = [threading.Thread(target=log, args=(writer,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        writer.close()
        for thread in threads:
            thread.join()
        assert Run(tmp_path / str(attempt)).problems == []
    assert len(refused) == 90
    assert all("is closed" in sentence for sentence in refused)


def test_an_interrupt_between_writing_and_committing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Journal, drained: int, end: int) -> None:
        raise KeyboardInterrupt

    with SummaryWriter(tmp_path) as writer:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "commit", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.add_text("t", "long " * 1000)
        writer.add_text("t", "short")
    run = Run(tmp_path)
    assert [text.text for text in run.texts("t")] == ["short"]
    assert run.problems == []


def in_child(folder: Path) -> None:
    writer = SummaryWriter(folder)
    for step in range(100):
        writer.add_scalar("x", step, step)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_multiprocessing_that_just_ends_leaves_a_finished_file(tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(tmp_path,))
    child.start()
    child.join(120)
    assert child.exitcode == 0
    assert [event.step for event in accumulate(tmp_path).Scalars("x")] == list(range(100))
    assert not list(tmp_path.glob("*.journal"))


def test_a_journal_has_no_name_before_its_writer_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    real = journal.lock_file

    def watched(file: int, *, shared: bool = False) -> bool:
        if not shared:
            seen.append([path.name for path in tmp_path.glob("*.journal") if path.name[0] != "."])
        return real(file, shared=shared)

    monkeypatch.setattr(journal, "lock_file", watched)
    with SummaryWriter(tmp_path):
        assert seen == [[]]
        assert len(list(tmp_path.glob("*.journal"))) == 1


def test_a_draft_of_a_writer_that_died_is_swept_after_a_while(tmp_path: Path) -> None:
    draft = tmp_path / ".events.out.pending.1.host.1.0.journal.new"
    draft.write_bytes(b"")
    SummaryWriter(tmp_path).close()
    assert draft.exists()
    os.utime(draft, (1, 1))
    SummaryWriter(tmp_path).close()
    assert not draft.exists()


def test_the_journal_of_another_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SummaryWriter(tmp_path)
    real = Path.open

    def refused(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if self.name.endswith(".journal") and "+" in mode:
            raise PermissionError(13, "Permission denied")
        return real(self, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", refused)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1.0, 1)
    other.close()
    assert len(Run(tmp_path).scalars("x")) == 1


@pytest.mark.parametrize("suffix", [".tfevents.mine", "%", ".%65tf", ".pending"])
def test_the_names_of_journals_do_not_look_like_event_files_and_lead_back(suffix: str, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path, filename_suffix=suffix) as writer:
        writer.add_scalar("x", 1.0, 1)
        (name,) = (path.name for path in tmp_path.glob("*.journal"))
        assert "tfevents" not in name
        assert (tmp_path / journal.events_name(name)).exists()
        assert len(Run(tmp_path).scalars("x")) == 1


def test_very_many_tags_in_one_event_take_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    many = {f"layer/{number:05d}": 0.5 for number in range(3000)}
    with SummaryWriter(tmp_path) as writer:
        writer.log(many, 0)
        writer.flush()
        tracemalloc.start()
        writer.log(many, 1)
        for step in range(8000):
            writer.add_scalar("single", step, step)
        writer.flush()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 32 << 20
    run = Run(tmp_path)
    assert run.scalars("single").step.tolist() == list(range(8000))
    assert all(run.scalars(tag).step.tolist() == [0, 1] for tag in list(many)[::500])


def test_a_bell_rung_twice_wakes_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    begun = time.monotonic()
    bell.wait(60)
    assert time.monotonic() - begun < 30, "it was rung"
    threading.Timer(0.05, bell.ring).start()
    bell.wait(60)
    bell._rung.put(None)
    bell._rung.put(None)  # as two threads that ring at the same moment
    bell.wait(60)
    assert bell._rung.empty()
