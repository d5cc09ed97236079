"""Run directories at URLs: parts are appended, nothing is sent twice, what could not be sent is sent later."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from convscope.errors import NotFoundError, StorageError
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run
from convscope.store.log import PREFIX, EventLog
from convscope.store.remote import Bucket, Mirror, spool
from convscope.summary import Summary
from tensorboard_oracle import accumulate

URL = "memory://bucket/runs/mnist"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CONVSCOPE_SPOOL", str(tmp_path / "spool"))
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def names(store: Any) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in store.find("/bucket"))


def fetched(store: Any, folder: Path) -> Path:
    """Copy what is in the store, as another machine would."""
    for path in store.find("/bucket/runs/mnist"):
        target = folder / path.removeprefix("/bucket/runs/mnist/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.cat(path))
    return folder


def test_parts_are_appended_and_none_is_sent_again(store: Any, tmp_path: Path) -> None:
    sent: list[tuple[str, int]] = []
    put = store.pipe_file
    store.pipe_file = lambda path, data: (sent.append((path, len(data))), put(path, data))
    try:
        with SummaryWriter(URL) as writer:
            assert writer.get_logdir() == URL
            for part in range(3):
                for step in range(1000):
                    writer.add_scalar("loss", step / 7, part * 1000 + step)
                writer.flush()
            writer.flush()
            writer.add_text("t", "last")
    finally:
        del store.pipe_file
    assert len(sent) == len({path for path, _ in sent}) == 4
    assert [name.rpartition(".")[2] for name in names(store)] == [f"00000{number}" for number in range(4)]
    assert sum(size for _, size in sent) < 3000 * 49 + 1000
    run = Run(fetched(store, tmp_path / "copy"))
    assert run.scalars("loss").step.tolist() == list(range(3000))
    assert run.texts("t")[0].text == "last"
    assert [event.step for event in accumulate(tmp_path / "copy").Scalars("loss")] == list(range(3000))
    assert not list(spool(URL).glob(f"{PREFIX}*"))


def test_steps_that_repeat_across_parts_are_no_restart(store: Any, tmp_path: Path) -> None:
    with SummaryWriter(URL) as writer:
        for value in range(6):
            writer.add_scalar("no step", value)
            writer.flush()
    assert Run(fetched(store, tmp_path / "copy")).scalars("no step").value.tolist() == list(range(6))


def test_records_are_there_before_the_event_that_names_them(store: Any, tmp_path: Path) -> None:
    weight = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    with SummaryWriter(URL) as writer:
        record = writer.add(Summary("filters", "conv1", arrays={"weight": weight}))
        assert any(record in path for path in store.find("/bucket"))
        assert not any(PREFIX in path for path in store.find("/bucket"))
    run = Run(fetched(store, tmp_path / "copy"))
    assert np.array_equal(run.record(record).arrays()["weight"], weight)
    with SummaryWriter(URL) as writer:
        later = writer.add(Summary("filters", "conv1", arrays={"weight": weight}))
    assert later > record


def test_parts_are_sent_while_it_runs(store: Any) -> None:
    import time

    with SummaryWriter(URL, flush_secs=1) as writer:
        writer.add_scalar("loss", 1.0, 1)
        until = time.monotonic() + 60
        while not names(store) and time.monotonic() < until:
            time.sleep(0.05)
        assert names(store)


def test_what_a_killed_process_could_not_send_the_next_one_sends(store: Any, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'bucket'}"
    code = (
        "import os, sys; from convscope.recording import SummaryWriter\n"
        "w = SummaryWriter(sys.argv[1])\n"
        "[w.add_scalar('x', i, i) for i in range(100)]; w.flush()\n"
        "[w.add_scalar('x', i, i) for i in range(100, 150)]; w.add_text('t', 'words')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, url], check=False, env={**os.environ})
    assert len(Run(tmp_path / "bucket").scalars("x")) == 100
    SummaryWriter(url).close()
    run = Run(tmp_path / "bucket")
    assert run.scalars("x").step.tolist() == list(range(150))
    assert run.texts("t")[0].text == "words"
    assert run.problems == []


def test_a_store_that_fails_is_told_once_and_loses_nothing(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SummaryWriter(URL)
    writer.add_scalar("loss", 1.0, 1)

    def fail(self: Any, name: str, data: bytes) -> None:
        raise StorageError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", fail)
        with pytest.raises(StorageError, match="the store is away"):
            writer.flush()
        writer.add_scalar("loss", 2.0, 2)
        with pytest.raises(StorageError, match="sent by the next writer"):
            writer.close()
    assert names(store) == []
    SummaryWriter(URL).close()
    assert Run(fetched(store, tmp_path / "copy")).scalars("loss").value.tolist() == [1.0, 2.0]


def test_a_url_nobody_knows_is_one_sentence() -> None:
    with pytest.raises(StorageError, match="cannot reach nowhere://bucket"):
        SummaryWriter("nowhere://bucket/run")


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"convscope\[cloud\]"):
        SummaryWriter(URL)


def test_a_mirror_follows_what_grows_and_forgets_what_is_gone(store: Any) -> None:
    with pytest.raises(NotFoundError, match="nothing at"):
        Mirror(URL)
    writer = SummaryWriter(URL)
    writer.add_scalar("loss", 1.0, 1)
    writer.flush()
    mirror = Mirror(URL)
    run = Run(mirror.path)
    assert run.scalars("loss").value.tolist() == [1.0]
    writer.add_scalar("loss", 2.0, 2)
    writer.close()
    mirror.refresh()
    run.refresh()
    assert run.scalars("loss").value.tolist() == [1.0, 2.0]
    store.pipe_file("/bucket/runs/mnist/../../../outside", b"x")
    store.rm(next(path for path in store.find("/bucket/runs/mnist") if path.endswith("000000")))
    mirror.refresh()
    assert len([path for path in mirror.path.iterdir() if PREFIX in path.name]) == 1
    assert not (mirror.path.parent.parent.parent / "outside").exists()


def test_runs_and_logdirs_are_read_at_their_urls(store: Any) -> None:
    with SummaryWriter(URL) as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.flush()
        run = Run(URL)
        assert (run.name, run.scalars("loss").value.tolist()) == ("mnist", [1.0])
        writer.add_scalar("loss", 2.0, 2)
        writer.flush()
        assert run.refresh()
        assert run.scalars("loss").value.tolist() == [1.0, 2.0]
        logdir = Logdir("memory://bucket/runs")
        assert [run.name for run in logdir.runs()] == ["mnist"]
        writer.add_embedding(np.eye(3), ["a", "b", "c"], tag="codes")
        writer.add_scalar("loss", 3.0, 3)
    assert logdir.refresh()
    assert len(logdir.run("mnist").scalars("loss")) == 3
    assert [embedding.tag for embedding in logdir.run("mnist").embeddings()] == ["codes"]
    with pytest.raises(NotFoundError, match="nothing at memory://bucket/none"):
        Run("memory://bucket/none")


def test_two_processes_at_one_url_send_their_own_files_only(store: Any, tmp_path: Path) -> None:
    with SummaryWriter(URL) as one:
        one.add_scalar("one", 1.0, 1)
        with SummaryWriter(URL) as two:  # must leave the file of the other alone, which lives
            two.add_scalar("two", 2.0, 1)
        one.add_scalar("one", 2.0, 2)
    run = Run(fetched(store, tmp_path / "copy"))
    assert run.scalars("one").step.tolist() == [1, 2]
    assert run.scalars("two").step.tolist() == [1]
    assert len(names(store)) == 2


def test_an_outage_is_told_once_by_whatever_call_comes_next_and_the_sender_goes_on(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr("convscope.store.remote._SHORTEST_INTERVAL", 0.02)
    told = []
    with SummaryWriter(URL, flush_secs=0.02) as writer:
        with monkeypatch.context() as patched:
            patched.setattr(Bucket, "put", lambda self, name, data: (_ for _ in ()).throw(OSError(28, "No space left")))
            step, until = 0, time.monotonic() + 60
            after = 20
            while after and time.monotonic() < until:
                try:
                    writer.add_scalar("loss", step, step)
                except StorageError as error:
                    told.append(str(error))
                step += 1
                after -= bool(told)
                time.sleep(0.01)
        until = time.monotonic() + 60
        while not names(store) and time.monotonic() < until:
            time.sleep(0.02)
        assert names(store), "the sender has died"
    assert len(told) == 1
    assert "No space left" in told[0]
    assert len(Run(fetched(store, tmp_path / "copy")).scalars("loss")) == step


def test_an_interval_without_end_is_no_reason_to_fail(store: Any) -> None:
    with SummaryWriter(URL, flush_secs=float("inf")) as writer:
        writer.add_scalar("loss", 1.0, 1)
    assert len(names(store)) == 1


def test_another_writer_may_have_sent_what_a_closing_one_was_about_to(store: Any, tmp_path: Path) -> None:
    writer = SummaryWriter(URL)
    writer.add_scalar("loss", 1.0, 1)
    finish = EventLog._finish

    def slowly(self: Any) -> None:
        finish(self)
        if self is writer._log:
            SummaryWriter(URL).close()  # finds a file without a journal: what a dead process has left, it thinks

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(EventLog, "_finish", slowly)
        writer.close()
    assert Run(fetched(store, tmp_path / "copy")).scalars("loss").value.tolist() == [1.0]
    assert not list(spool(URL).glob(f"{PREFIX}*"))
