"""What the log promises: nothing acknowledged is lost, whoever dies, forks, shares the directory or fills the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from convscope.recording import SummaryWriter
from convscope.store import Run
from tensorboard_oracle import accumulate

DRIVER = Path(__file__).with_name("crash_driver.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_two_hundred_writers_killed_at_random_lose_nothing_they_have_acknowledged(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, DRIVER, tmp_path, "200"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills, acknowledged, kept = map(int, done.stdout.split())
    assert kills == 200
    assert kept >= acknowledged > 10_000
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
import resource, sys
from convscope.recording import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    def log(count):
        for step in range(count):
            writer.add_scalar("loss", 0.5, step)
        writer.flush()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = log(200_000)
    print(before, log(1_500_000))
"""


@pytest.mark.skipif(os.name == "nt", reason="no resource module there")
def test_the_memory_of_a_writer_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    unit = 1 if sys.platform == "darwin" else 1024
    assert (after - before) * unit < 4 << 20
