import json
import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.errors import NotFoundError
from convscope.formats import events, values
from convscope.formats.record import frame
from convscope.formats.scalars import encode_scalars
from convscope.recording import SummaryWriter
from convscope.store import Logdir, Run, journal, reader
from convscope.store import run as runs
from convscope.summary import Summary
from tensorboard_oracle import accumulate, event_class, torch_writer

NAME = "events.out.tfevents.0000000001.host.1.0"


def text(words: str) -> bytes:
    return events.encode_values(1.0, 1, [("t", values.encode_text(words))])


def curve(first: int, last: int, tag: str = "x") -> bytes:
    step = np.arange(first, last)
    return encode_scalars([tag], step * 0, step, step + 1e9, step / 2)


def steps(run: Run, tag: str = "x") -> list[int]:
    return run.scalars(tag).step.tolist()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(frame(events.encode_file_version(1.0)) + curve(0, 10))
    return path


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_growing_file_is_followed(log: Path) -> None:
    run = Run(log.parent)
    assert not run.refresh()
    data = curve(10, 13)
    append(log, data[:50])
    assert run.refresh()
    assert steps(run) == list(range(11))
    assert not run.refresh()
    append(log, data[50:])
    assert run.refresh()
    assert steps(run) == list(range(13))
    assert (run.problems, run.last_wall_time) == ([], 1e9 + 12)


@given(st.lists(st.integers(1, 400), max_size=12))
@settings(max_examples=30, deadline=None)
def test_it_does_not_matter_where_reading_stops(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("run")
    data = curve(0, 40) + frame(text("hello")) + curve(40, 60)
    (folder / NAME).touch()
    run = Run(folder)
    position = 0
    for cut in [*cuts, len(data)]:
        append(folder / NAME, data[position : position + cut])
        position += cut
        run.refresh()
    assert steps(run) == list(range(60))
    assert [text.text for text in run.texts("t")] == ["hello"]
    assert run.problems == []


def test_small_chunks_give_the_same(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(log, frame(text("long" * 500)) + curve(10, 200))
    append(log, b"damage" * 9)
    append(log, curve(200, 300))
    whole = Run(log.parent)
    monkeypatch.setattr(reader, "_CHUNK", 64)
    pieces = Run(log.parent)
    assert steps(pieces) == steps(whole) == list(range(300))
    assert pieces.texts("t") == whole.texts("t")
    assert pieces.problems == whole.problems
    assert len(whole.problems) == 1


def test_damage_is_reported_with_its_place_and_skipped(log: Path) -> None:
    size = log.stat().st_size
    data = bytearray(curve(10, 20))
    data[3 * len(data) // 10 + 20] ^= 1
    append(log, bytes(data))
    run = Run(log.parent)
    assert steps(run) == [*range(13), *range(14, 20)]
    start = size + 3 * len(data) // 10
    assert run.problems == [f"{NAME}: damaged at byte {start}, skipped to byte {start + len(data) // 10}"]


def test_damage_at_the_end_is_told_and_then_bounded(log: Path) -> None:
    size = log.stat().st_size
    append(log, b"x" * 40)
    run = Run(log.parent)
    assert run.problems == [f"{NAME}: damaged from byte {size} on; nothing readable follows"]
    append(log, b"y" * 40)
    run.refresh()
    assert run.problems == [f"{NAME}: damaged from byte {size} on; nothing readable follows"]
    append(log, curve(10, 12))
    assert run.refresh()
    assert run.problems == [f"{NAME}: damaged at byte {size}, skipped to byte {size + 80}"]
    assert steps(run) == list(range(12))


def test_a_record_that_was_seen_half_written_is_not_damage(log: Path) -> None:
    size = log.stat().st_size
    append(log, curve(10, 11)[:-8] + bytes(8))  # the size is there, the last bytes are not yet
    run = Run(log.parent)
    assert len(run.problems) == 1
    log.write_bytes(log.read_bytes()[:size] + curve(10, 12))
    assert run.refresh()
    assert (steps(run), run.problems) == (list(range(12)), [])


def test_a_file_that_became_shorter(log: Path) -> None:
    run = Run(log.parent)
    log.write_bytes(frame(events.encode_file_version(1.0)) + curve(0, 7))
    assert run.refresh()
    assert (steps(run), run.problems) == (list(range(7)), [])
    log.write_bytes(b"")
    assert run.refresh()
    assert (run.tags(), run.problems) == ({}, [])


def test_an_intact_record_of_nonsense(log: Path) -> None:
    entry = {"id": "../../etc", "kind": "topk", "bytes": 1}
    append(
        log,
        frame(b"\xff\xff")
        + frame(events.encode_values(1.0, 1, [("x", values.encode_entry("topk", entry))]))
        + curve(10, 12),
    )
    run = Run(log.parent)
    assert steps(run) == list(range(12))
    assert run.entries() == []
    assert len(run.problems) == 2
    assert "names no record" in run.problems[1]


@given(st.binary(max_size=3000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_garbage_never_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes, framed: bool) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / NAME).write_bytes(frame(data) if framed else data)
    (folder / f"{NAME}2").write_bytes(curve(0, 5))
    (folder / journal.journal_name(f"{NAME}2")).write_bytes(data)
    run = Run(folder)
    run.refresh()
    assert steps(run) == list(range(5))
    assert any("journal" in problem for problem in run.problems)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_flipped_bytes_never_raise(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("run")
    summary = Summary("projection", "p", 1, arrays={"points": np.zeros((2, 2))})
    with SummaryWriter(folder) as writer:
        for step in range(5):
            writer.add_scalar("x", step, step)
        writer.add_histogram("h", np.arange(4.0))
        writer.add_image("i", np.zeros((1, 2, 2)))
        writer.add(summary)
    (path,) = folder.glob("events*")
    data = bytearray(path.read_bytes())
    for place in draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=5)):
        data[place] = draw.draw(st.integers(0, 255))
    path.write_bytes(bytes(data))
    run = Run(folder)
    for tag in run.tags("histogram")["histogram"]:
        run.histograms(tag)
    for tag in run.tags("image")["image"]:
        assert run.images(tag)[0].png
    assert all(0 <= step < 5 for tag in run.tags("scalar")["scalar"] for step in steps(run, tag))


def test_tags_come_in_order_of_appearance_and_unknown_ones_have_neighbours(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for tag in ("zeta", "loss", "accuracy"):
            writer.add_scalar(tag, 1.0)
        writer.add_text("note", "x")
    run = Run(tmp_path)
    assert run.tags() == {"scalar": ["zeta", "loss", "accuracy"], "text": ["note"]}
    assert run.tags("image") == {"image": []}
    with pytest.raises(NotFoundError, match=r"no scalar 'los' in run .*; did you mean 'loss'"):
        run.scalars("los")
    for read in (run.histograms, run.images, run.texts):
        with pytest.raises(NotFoundError, match="there are"):
            read("none such")
    with pytest.raises(NotFoundError, match="no record"):
        run.record("00000000-topk-000000")
    with pytest.raises(NotFoundError, match="there is no directory"):
        Run(tmp_path / "absent")


def test_curves_given_out_cannot_be_changed_and_do_not_change(log: Path) -> None:
    run = Run(log.parent)
    before = run.scalars("x")
    append(log, curve(10, 1000))
    run.refresh()
    assert before.step.tolist() == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        before.value[0] = 1.0
    assert run.scalars("x").value.dtype == np.float64


def test_what_torch_writes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=500)
    writer = torch_writer(tmp_path)
    for step in range(300):
        writer.add_scalar("old", step / 3, step)
        writer.add_scalar("new", step / 3, step, new_style=True)
        writer.add_scalar("double", step / 3, step, new_style=True, double_precision=True)
    writer.add_histogram("h", values, 5)
    writer.add_image("i", np.zeros((3, 4, 6)), 6)
    writer.add_text("t", "hello", 7)
    writer.add_tensor("unknown", __import__("torch").ones(3), 8)
    writer.close()
    run = Run(tmp_path)
    assert run.tags()["scalar"] == ["old", "new", "double"]
    assert steps(run, "old") == steps(run, "new") == list(range(300))
    assert run.scalars("old").value.tolist() == [float(np.float32(step / 3)) for step in range(300)]
    assert run.scalars("double").value.tolist() == [step / 3 for step in range(300)]
    (histogram,) = run.histograms("h")
    (theirs,) = accumulate(tmp_path).Histograms("h")
    assert histogram.step == 5
    assert histogram.sum == theirs.histogram_value.sum
    assert histogram.counts.tolist() == list(theirs.histogram_value.bucket)
    (picture,) = run.images("i")
    assert (picture.height, picture.width, picture.media_type, picture.png[:4]) == (4, 6, "image/png", b"\x89PNG")
    assert run.texts("t/text_summary")[0].text == "hello"
    assert run.problems == []


def test_what_tensorflow_2_writes(tmp_path: Path) -> None:
    from tensorboard.util import tensor_util

    arrays = {
        "scalars": np.float32(0.5),
        "histograms": np.array([[0.0, 1.0, 3.0], [1.0, 2.0, 4.0]]),
        "images": np.array([b"3", b"2", b"\x89PNG..."]),
        "text": np.array([b"hello"]),
    }
    data = b""
    for step in range(3):
        for plugin, array in arrays.items():
            event = event_class()(step=step, wall_time=5.0)
            value = event.summary.value.add(tag=f"my/{plugin}")
            value.tensor.CopyFrom(tensor_util.make_tensor_proto(array))
            if step == 0:  # TensorFlow says what a tag is for only once
                value.metadata.plugin_data.plugin_name = plugin
            data += frame(event.SerializeToString())
    (tmp_path / NAME).write_bytes(data)
    run = Run(tmp_path)
    kinds = {"scalar": "scalars", "histogram": "histograms", "image": "images", "text": "text"}
    assert run.tags() == {kind: [f"my/{plugin}"] for kind, plugin in kinds.items()}
    assert run.scalars("my/scalars").value.tolist() == [0.5] * 3
    assert [h.num for h in run.histograms("my/histograms")] == [7, 7, 7]
    assert [(p.height, p.width, p.png) for p in run.images("my/images")] == [(2, 3, b"\x89PNG...")] * 3
    assert len(run.texts("my/text")) == 3


def test_several_values_in_one_event_keep_their_order(tmp_path: Path) -> None:
    data = b""
    for step in range(20):
        event = event_class()(step=step, wall_time=1.0 + step)
        for tag in ("a", "b"):
            event.summary.value.add(tag=tag, simple_value=step)
        data += frame(event.SerializeToString()) + curve(100 + step, 101 + step, "a")
    (tmp_path / NAME).write_bytes(data)
    run = Run(tmp_path)
    assert steps(run, "b") == list(range(20))
    assert steps(run, "a") == [step for pair in zip(range(20), range(100, 120), strict=True) for step in pair]


def test_a_session_start_takes_away_only_what_came_before(tmp_path: Path) -> None:
    data = curve(0, 10) + frame(events.encode_session_start(1.0, 5)) + curve(5, 8)
    data += frame(events.encode_session_start(1.0, 7)) + curve(20, 30)
    (tmp_path / NAME).write_bytes(frame(events.encode_file_version(1.0)) + data)
    expected = [*range(7), *range(20, 30)]
    assert steps(Run(tmp_path)) == expected == [event.step for event in accumulate(tmp_path).Scalars("x")]


def test_histograms_follow_a_purge(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(4):
            writer.add_histogram("h", np.arange(step + 1.0), step)
        run = Run(tmp_path)
        assert [h.num for h in run.histograms("h")] == [1, 2, 3, 4]
    (path,) = tmp_path.glob("events*")
    append(path, frame(events.encode_session_start(1.0, 2)))
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", np.arange(9.0), 2)
    run.refresh()
    assert [h.num for h in run.histograms("h")] == [1, 2, 9]


def test_scalars_still_in_the_journal_are_shown(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 0.0, 0)
        run = Run(tmp_path)
        writer.add_scalar("x", 1e300, 1)
        writer.add_scalar("y", 0.1, 2)
        assert run.refresh()
        assert run.scalars("x").value.tolist() == [0, np.inf]
        assert run.scalars("y").value.tolist() == [np.float32(0.1)]
        assert set(run.tags()["scalar"]) == {"x", "y"}
        assert run.last_wall_time == pytest.approx(time.time(), abs=60)
        writer.flush()
        run.refresh()
        assert steps(run) == [0, 1]
    run.refresh()
    assert (steps(run), steps(run, "y"), run.problems) == ([0, 1], [2], [])


def test_reading_while_writing_sees_a_prefix_that_only_grows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("convscope.store.log.Journal", lambda path: journal.Journal(path, capacity=512))
    stop = threading.Event()
    logdir = Logdir(tmp_path)

    def train() -> None:
        with SummaryWriter(tmp_path / "run", flush_secs=0.01) as writer:
            step = 0
            while not stop.is_set() or step < 2000:
                writer.add_scalar("x", step, step)
                if step % 500 == 0:
                    writer.add_image("i", np.zeros((1, 4, 4)), step)
                    writer.add(Summary("projection", "p", step, arrays={"points": np.zeros((2, 2))}))
                step += 1

    thread = threading.Thread(target=train)
    thread.start()
    seen = [0]
    try:
        begun = time.monotonic()
        while (took := time.monotonic() - begun) < 1.5 or (len(set(seen)) <= 5 and took < 60):
            logdir.refresh()
            for run in logdir.runs():
                if "x" in run.tags("scalar")["scalar"]:
                    found = steps(run)
                    assert found == list(range(len(found)))
                    seen.append(len(found))
                for entry in run.entries():
                    assert run.record(entry).arrays()["points"].shape == (2, 2)
                assert run.problems == []
    finally:
        stop.set()
        thread.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_nothing_is_opened_when_nothing_has_changed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(log.parent)
    opened = []
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *rest, **options: opened.append(path) or real(path, *rest, **options)
    )
    assert not run.refresh()
    assert opened == []
    append(log, curve(10, 11))
    opened.clear()
    assert run.refresh()
    assert opened == [log]


def test_an_unreadable_file_is_a_problem_not_an_end(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = log.with_name(f"{NAME}.other")
    other.write_bytes(curve(10, 20))
    real = runs.EventFile.read

    def refuse(file: reader.EventFile, limit: int | None = None):
        if file.path == other:
            raise PermissionError(13, "Permission denied")
        return real(file, limit)

    monkeypatch.setattr(runs.EventFile, "read", refuse)
    run = Run(log.parent)
    assert steps(run) == list(range(10))
    assert run.problems == [f"{other.name}: cannot be read (Permission denied)"]
    monkeypatch.undo()
    assert run.refresh()
    assert (steps(run), run.problems) == (list(range(20)), [])


def test_logdir(tmp_path: Path) -> None:
    for name in ("b", "a/deep", ".hidden", "a"):
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_scalar("x", 1.0)
            writer.add(Summary("projection", "p", arrays={"points": np.zeros((2, 2))}))
    (tmp_path / "no run").mkdir()
    trap = tmp_path / "b" / "records" / "events.out.tfevents.1"
    trap.write_bytes(curve(0, 3))
    logdir = Logdir(tmp_path)
    assert [run.name for run in logdir.runs()] == ["a", "a/deep", "b"]
    assert not logdir.refresh()
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", 1.0)
    assert logdir.refresh()
    assert [run.name for run in logdir.runs()] == [".", "a", "a/deep", "b"]
    assert logdir.run("a/deep").path == tmp_path / "a" / "deep"
    with pytest.raises(NotFoundError, match=r"no run 'a/depe'.*did you mean 'a/deep'"):
        logdir.run("a/depe")
    for path in (tmp_path / "b").glob("events*"):
        path.unlink()
    assert logdir.refresh()
    assert "b" not in [run.name for run in logdir.runs()]
    with pytest.raises(NotFoundError, match="there is no directory"):
        Logdir(tmp_path / "absent")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / NAME).write_bytes(curve(0, 3))
    inside = tmp_path / "logs" / "run"
    inside.mkdir(parents=True)
    (tmp_path / "logs" / "link").symlink_to(outside)
    (inside / NAME).symlink_to(outside / NAME)
    (inside / f"{NAME}1").write_bytes(curve(0, 5))
    logdir = Logdir(tmp_path / "logs")
    assert [run.name for run in logdir.runs()] == ["run"]
    assert steps(logdir.run("run")) == list(range(5))


def test_an_entry_is_seen_only_with_its_record(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        name = writer.add(Summary("projection", "p", arrays={"points": np.zeros((2, 2))}))
    (entry,) = Run(tmp_path).entries()
    meta = json.loads((tmp_path / "records" / name / "meta.json").read_text())
    assert (meta["id"], meta["kind"], meta["tag"], meta["step"]) == (entry.id, entry.kind, entry.tag, entry.step)
    assert meta["wall_time"] == entry.wall_time


def test_a_length_that_promises_too_much_is_waited_for(log: Path) -> None:
    from convscope.formats.record import header

    append(log, header(1 << 40) + struct.pack("<I", 0))
    run = Run(log.parent)
    assert (steps(run), run.problems) == (list(range(10)), [])


@pytest.mark.parametrize("same_name", [False, True])
def test_a_run_that_was_replaced_is_read_anew(tmp_path: Path, same_name: bool) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(60):
            writer.add_scalar("loss", step, step)
            writer.add_histogram("weight", [step, 1.0], step)
    run = Run(tmp_path / "run")
    assert len(run.histograms("weight")) == len(run.scalars("loss").step) == 60
    (file,) = (tmp_path / "run").iterdir()
    copy = file.read_bytes()
    other = tmp_path / "other"
    other.write_bytes(copy)
    file.unlink()
    other.rename(file if same_name else file.with_name(f"{file.name}.copy"))
    assert run.refresh()
    assert len(run.histograms("weight")) == len(run.scalars("loss").step) == 60
    file.with_name(file.name if same_name else f"{file.name}.copy").unlink()
    assert run.refresh()
    assert run.tags() == {}
