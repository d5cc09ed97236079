"""The column sidecar: what it gives back is what the event files say, or it is not used."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.formats import events
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run, sidecar
from convscope.store import run as runs
from convscope.store.index import Index
from convscope.summary import Summary
from effort import lines_of

FIRST = "events.out.tfevents.0000000001.host.1.0"
SECOND = "events.out.tfevents.0000000002.host.1.0"


@pytest.fixture(autouse=True)
def small_runs_have_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1)


def curve(first: int, last: int, tag: str = "x", start: float = 1e9) -> bytes:
    step = np.arange(first, last)
    return encode_scalars([tag], step * 0, step, step + start, step / 2)


def version(time: float) -> bytes:
    return frame(events.encode_file_version(time))


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def state(run: Run) -> object:
    """Return all that a run knows."""
    told = {}
    for name, index in run._indices.items():
        curves = {
            tag: ([column.tolist() for column in item.columns()], item.cuts, item.born, item.session)
            for tag, item in index.scalars.items()
        }
        places = {
            kind: {tag: (known.items, known.cuts, known.born, known.session) for tag, known in several.items()}
            for kind, several in index.places.items()
        }
        entries = (index.entries.items, index.entries.cuts)
        rest = (index.begin, index.last_wall_time, index.session, index.lowest_start, index.plugins)
        told[name] = curves, places, entries, rest
    files = {name: (file.cursor, file._damage, file._notes) for name, file in run._files.items()}
    return sorted(told.items()), sorted(files.items()), run.tags(), run.problems


def is_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    found = sidecar.read_sidecar(path, [name for name, _ in runs._event_files(path) if not name.endswith(".journal")])
    return found is not None


def everything(path: Path) -> None:
    """Write a run with several sessions, all kinds, damage and nonsense."""
    with SummaryWriter(path) as writer:
        for step in range(40):
            writer.add_scalar("loss", float("nan") if step == 7 else step / 3, step)
            writer.log({"a": step, "b": -step}, step)
        writer.add_histogram("h", np.arange(9.0), 3)
        writer.add_image("i", np.linspace(-1, 2, 12).reshape(1, 3, 4), 4)
        writer.add_text("t", "hello", 5)
        writer.add_audio("s", np.zeros(10, np.float32), 6)
        writer.add_pr_curve("p", [0, 1], [0.2, 0.8], 7, num_thresholds=5)
        writer.add(Summary("projection", "r", 8, arrays={"points": np.zeros((2, 2))}))
    (file,) = path.glob("events*")
    append(file, b"damage" * 9 + frame(b"\xff\xff") + curve(40, 50, "loss"))
    time.sleep(0.002)
    with SummaryWriter(path, purge_step=30) as writer:
        writer.add_scalar("loss", 1.0, 30)
        writer.add_histogram("h", np.arange(4.0), 31)
        writer.add_scalar("loss", 2.0, 31)


def test_everything_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(tmp_path)
    truth = Run(tmp_path, sidecar=False)
    assert not (tmp_path / sidecar.NAME).exists()
    assert len(truth.problems) == 2
    written = Run(tmp_path)
    assert (tmp_path / sidecar.NAME).exists()
    assert "tfevents" not in sidecar.NAME
    assert is_used(tmp_path, monkeypatch)
    monkeypatch.setattr(Index, "add", lambda *_: pytest.fail("nothing has to be read again"))
    again = Run(tmp_path)
    assert str(state(again)) == str(state(written)) == str(state(truth))
    assert again.images("i")[0].png == truth.images("i")[0].png
    assert again.texts("t") == truth.texts("t")
    assert again.record(again.entries()[0]).arrays()["points"].shape == (2, 2)
    assert not again.refresh()


def test_the_index_has_no_field_that_a_sidecar_forgets() -> None:
    names = {"scalars", "places", "entries", "begin", "last_wall_time", "session", "lowest_start", "plugins"}
    assert {field.name for field in fields(Index)} == names, "teach store/sidecar.py the new field, raise its version"


@given(st.lists(st.integers(0, 90), min_size=1, max_size=4), st.integers(0, 30))
@settings(max_examples=25, deadline=None)
def test_growth_is_followed_wherever_reading_stopped(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], more: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    data = version(1.0) + curve(0, 30) + frame(b"\xff\xff") + b"damage" * 5 + curve(30, 60)
    position = 0
    for cut in [*sorted({len(data) * cut // 90 for cut in cuts}), len(data)]:
        append(folder / FIRST, data[position:cut])
        position = max(position, cut)
        assert str(state(Run(folder))) == str(state(Run(folder, sidecar=False)))
    (folder / SECOND).write_bytes(version(2e9) + curve(20, 20 + more, start=2e9))
    run = Run(folder)
    assert str(state(run)) == str(state(Run(folder, sidecar=False)))
    append(folder / SECOND, curve(70, 75, start=2e9))
    assert run.refresh()
    assert run.scalars("x", "all").step.tolist() == [*range(60), *range(20, 20 + more), *range(70, 75)]


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def other_start(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[14] ^= 1
    path.write_bytes(data)


def other_end(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def older_file(path: Path) -> None:
    (path.parent / "events.out.tfevents.0000000000.host").write_bytes(curve(0, 3, "old"))


def later_file(path: Path) -> None:
    (path.parent / "events.out.tfevents.0000000003.host").write_bytes(version(3e9) + curve(30, 33, start=3e9))


def gone(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.more"))


def earlier_one_grown(path: Path) -> None:
    append(path.with_name(FIRST), curve(200, 203))


@pytest.mark.parametrize("change", [older_file, later_file, earlier_one_grown])
def test_files_may_grow_and_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))
    (tmp_path / SECOND).write_bytes(version(2e9) + curve(40, 90, start=2e9))
    Run(tmp_path)
    change(tmp_path / SECOND)
    assert is_used(tmp_path, monkeypatch)
    assert str(state(Run(tmp_path))) == str(state(Run(tmp_path, sidecar=False)))


@pytest.mark.parametrize("change", [shorter, other_start, other_end, gone])
def test_one_that_does_not_fit_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))
    (tmp_path / SECOND).write_bytes(version(2e9) + curve(40, 90, start=2e9))
    Run(tmp_path)
    assert is_used(tmp_path, monkeypatch)
    change(tmp_path / SECOND)
    assert not is_used(tmp_path, monkeypatch)
    assert str(state(Run(tmp_path))) == str(state(Run(tmp_path, sidecar=False)))


def test_the_inode_does_not_matter_and_a_copy_of_a_run_opens_as_quickly(tmp_path: Path, monkeypatch) -> None:
    import shutil

    everything(tmp_path / "run")
    Run(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert is_used(tmp_path / "copy", monkeypatch)
    assert Run(tmp_path / "copy").images("i")[0].location.path.parent == tmp_path / "copy"


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / FIRST).write_bytes(version(1.0) + curve(0, 50))
    truth = Run(folder)
    path = folder / sidecar.NAME
    data = bytearray(path.read_bytes())
    if draw.draw(st.booleans()):
        place = draw.draw(st.integers(0, len(data) - 1))
        data[place] ^= 1 << draw.draw(st.integers(0, 7))
    else:
        del data[draw.draw(st.integers(0, len(data) - 1)) :]
    path.write_bytes(data)
    assert str(state(Run(folder))) == str(state(truth))


HOSTILE = [
    b"[]",
    b"{}",
    b'{"version":1}',
    b"null",
    b"[" * 200_000,
    b'{"version":1,"forms":%d,"files":[{"name":"../../etc/passwd","cursor":0,"size":0,"ends":[0,0]}]}',
    b'{"version":1,"forms":%d,"files":[],"scalars":[["x",-1,[],0]]}',
]


@pytest.mark.parametrize("description", HOSTILE, ids=lambda text: text[:30].decode())
def test_a_hostile_one_with_right_checksums_does_no_harm(tmp_path: Path, description: bytes) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))
    text = description.replace(b"%d", str(sidecar._forms()).encode())
    size = sidecar._aligned(sidecar._HEAD.size + len(text))
    head = sidecar._HEAD.pack(b"CVSCOLS1", len(text), 0, zlib.crc32(text), 0, 0)
    (tmp_path / sidecar.NAME).write_bytes((head + text).ljust(size, b"\0"))
    run = Run(tmp_path)
    assert run.scalars("x").step.tolist() == list(range(50))


def test_a_size_that_promises_too_much_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 5))
    (tmp_path / sidecar.NAME).write_bytes(struct.pack("<8sQQIQQ", b"CVSCOLS1", 2, 1 << 60, 0, 0, 0) + bytes(40))
    assert len(Run(tmp_path).scalars("x")) == 5


def test_a_hole_of_a_terabyte_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1 << 20)
    monkeypatch.setattr(sidecar, "np", SimpleNamespace(uint8=0, empty=lambda *_: pytest.fail("room was made for it")))
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 5))
    with (tmp_path / sidecar.NAME).open("wb") as file:
        file.write(struct.pack("<8sQQIQQ", b"CVSCOLS1", 2, 1 << 40, zlib.crc32(b"{}"), 0, 0) + b"{}")
        file.truncate((1 << 40) + 64)
    assert len(Run(tmp_path).scalars("x")) == 5


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 5))
    Run(tmp_path, sidecar=False)
    Logdir(tmp_path, sidecar=False)
    monkeypatch.setenv("CONVSCOPE_SIDECAR", "0")
    Run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FIRST]
    monkeypatch.delenv("CONVSCOPE_SIDECAR")
    Logdir(tmp_path)
    assert (tmp_path / sidecar.NAME).exists()


def test_small_runs_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_WORTH_A_SIDECAR", 1 << 20)
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 500))
    run = Run(tmp_path)
    assert not (tmp_path / sidecar.NAME).exists()
    append(tmp_path / FIRST, curve(500, 40_000))
    assert run.refresh()
    assert (tmp_path / sidecar.NAME).exists()


@pytest.mark.parametrize("fault", [PermissionError(13, "no"), OSError(28, "No space left on device")])
def test_where_it_cannot_be_written_reading_goes_on(tmp_path: Path, monkeypatch, fault: OSError) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))
    real = Path.open

    def refuse(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        if "x" in mode:
            raise fault
        return real(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert len(Run(tmp_path).scalars("x")) == 50
    assert [path.name for path in tmp_path.iterdir()] == [FIRST]


def test_a_disk_that_fills_while_it_is_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))

    def fill(file: object, *_: object) -> None:
        file.write(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sidecar, "_write", fill)
    assert len(Run(tmp_path).scalars("x")) == 50
    assert [path.name for path in tmp_path.iterdir()] == [FIRST]


def test_what_a_killed_reader_has_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 50))
    old, new = (tmp_path / f"{sidecar.NAME}.tmp-{name}" for name in ("1-aa", "2-bb"))
    old.touch()
    new.touch()
    os.utime(old, (1, 1))
    Run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {FIRST, sidecar.NAME, new.name}


def test_many_readers_at_once(tmp_path: Path) -> None:
    path = tmp_path / FIRST
    path.write_bytes(version(1.0) + curve(0, 100))
    stop = threading.Event()
    seen: list[list[int]] = []
    faults: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                seen.append(Run(tmp_path).scalars("x").step.tolist())
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for start in range(100, 4100, 200):
        append(path, curve(start, start + 200))
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert all(steps == list(range(len(steps))) for steps in seen)
    assert {path.name for path in tmp_path.iterdir()} == {FIRST, sidecar.NAME}


def test_a_reader_that_has_seen_an_earlier_file_grow_knows_what_a_new_one_knows(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(version(1.0) + curve(0, 3, start=100.0))
    run = Run(tmp_path)
    (tmp_path / SECOND).write_bytes(version(200.0) + curve(1, 2, start=200.0))
    assert run.refresh()
    assert run.scalars("x").step.tolist() == [0, 1]
    append(tmp_path / FIRST, curve(3, 500, start=300.0))
    assert run.refresh()
    fresh = Run(tmp_path, sidecar=False)
    assert run.scalars("x").step.tolist() == fresh.scalars("x").step.tolist() == [*range(500), 1]
    assert str(state(run)) == str(state(fresh)) == str(state(Run(tmp_path)))


def test_reopening_costs_the_same_however_much_was_logged(tmp_path: Path) -> None:
    """Beside TensorBoard's reading it costs next to nothing: benchmarks/recording.py has the seconds."""

    def lines(steps: int) -> int:
        first = np.arange(0, steps, 50).tolist()
        data = b"".join(curve(start, start + 50, f"train/l{tag}") for start in first for tag in range(10))
        logdir = tmp_path / str(steps)
        logdir.mkdir()
        (logdir / FIRST).write_bytes(version(1.0) + data)

        def read() -> None:
            run = Run(logdir)
            assert sum(len(run.scalars(tag)) for tag in run.tags("scalar")["scalar"]) == 10 * steps

        anew = lines_of(read)
        again = lines_of(read)
        assert again < anew / 5
        return again

    assert lines(10_000) < 1.2 * lines(1_000)
