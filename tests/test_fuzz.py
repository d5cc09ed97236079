"""Damaged and hostile files: no crash, no hang, no memory bomb, and every record that was not touched is found."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.errors import ConvscopeError
from convscope.formats import events, values, wire
from convscope.formats.record import frame, header
from convscope.formats.tensor import decode_tensor
from convscope.recording import SummaryWriter
from convscope.store import Run
from convscope.store.doctor import examine
from convscope.store.journal import PAGE, ROW, events_name
from convscope.store.recovery import read_journal
from convscope.store.repair import repair

NAME = "events.out.tfevents.0000000001.host.1.0"
MOST_MEMORY = 64 << 20


def log(seed: int) -> list[bytes]:
    """Return the records of a log with one of everything; each names itself by its step."""
    rng = random.Random(seed)
    makers = [
        lambda step: events.encode_values(1.0, step, [("x", values.encode_scalar(step / 2))]),
        lambda step: events.encode_values(1.0, step, [(tag, values.encode_scalar(step)) for tag in ("x", "y")]),
        lambda step: events.encode_values(1.0, step, [("t", values.encode_text("word " * (step % 90)))]),
        lambda step: events.encode_values(1.0, step, [("i", values.encode_image(picture(step), 3))]),
        lambda step: events.encode_values(1.0, step, [("e", values.encode_entry("topk", entry(step)))]),
    ]
    bodies = [events.encode_file_version(1.0)]
    bodies += [rng.choice(makers[: rng.choice([1, 5])])(step) for step in range(1, 300)]
    return [frame(body) for body in bodies]


def picture(step: int) -> values.EncodedImage:
    return values.EncodedImage(2, 3, b"\x89PNG" * (step % 50))


def entry(step: int) -> dict[str, object]:
    return {"kind": "topk", "id": f"{step:08d}-topk-abcdef", "bytes": 1}


def damage(records: list[bytes], rng: random.Random) -> tuple[bytes, set[int]]:
    """Return the log with one stretch of damage, and which of its records that touches."""
    data = b"".join(records)
    ends = np.cumsum([len(record) for record in records])
    start = rng.randrange(len(data))
    stop = min(start + rng.choice([1, 1, 1, 5, 40, 400]), len(data))
    touched = set(range(int(np.searchsorted(ends, start, "right")), int(np.searchsorted(ends, stop - 1, "right")) + 1))
    way = rng.choice(["flip", "zero", "noise", "insert", "double", "cut"])
    piece = bytearray(data[start:stop])
    if way == "flip":
        for place in range(len(piece)):
            piece[place] ^= 1 << rng.randrange(8)
    elif way == "zero":
        piece = bytearray(len(piece))
        touched = touched if data[start:stop].strip(b"\0") else set()
    elif way == "noise":
        piece = bytearray(rng.randbytes(len(piece)))
    elif way == "insert":
        piece = bytearray(rng.randbytes(rng.choice([1, 12, 700]))) + piece
    elif way == "double":
        piece = piece + piece
    else:
        piece = bytearray()
    return data[:start] + bytes(piece) + data[stop:], touched


def steps_in(records: list[bytes], touched: set[int]) -> dict[tuple[str, str], list[int]]:
    """Return what must still be found: the steps of each kind and tag in records that were not touched."""
    found: dict[tuple[str, str], list[int]] = {}
    kinds = {"scalar": "scalar", "image": "image", "tensor": "text"}
    for number, record in enumerate(records):
        if number in touched:
            continue
        event = events.decode_event(record[12:-4])
        for value in event.values:
            kind = "topk" if value.plugin == "convscope" else kinds[value.form]
            found.setdefault((kind, value.tag), []).append(event.step)
    return found


@pytest.mark.parametrize("seed", range(80))
def test_whatever_was_not_touched_is_found(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    records = log(seed)
    data, touched = damage(records, rng)
    (tmp_path / NAME).write_bytes(data)
    start = time.process_time()
    run = Run(tmp_path, sidecar=False)
    for (kind, tag), steps in steps_in(records, touched).items():
        found = set(run.steps(kind, tag, "all").tolist()) if kind != "topk" else {e.step for e in run.entries(kind)}
        assert found >= set(steps)
        assert len(found - set(steps)) <= 2 * len(touched)
    for tag in run.tags("text")["text"]:
        run.texts(tag)
    for tag in run.tags("image")["image"]:
        assert all(item.png[:4] in (b"\x89PNG", b"") for item in run.images(tag))
    assert time.process_time() - start < 100, "it ends"


@pytest.mark.parametrize("seed", range(12))
def test_doctor_and_repair_survive_it_too(tmp_path: Path, seed: int) -> None:
    rng = random.Random(1000 + seed)
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(100):
            writer.add_scalar("x", step, step)
            if step % 9 == 0:
                writer.add_image("i", np.zeros((1, 3, 3)), step)
    (path,) = (tmp_path / "run").glob("events*")
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    assert not examine(tmp_path / "run").healthy
    repair(tmp_path / "run", tmp_path / "out")
    assert examine(tmp_path / "out").findings == []
    assert np.array_equal(Run(tmp_path / "out").scalars("x").step, Run(tmp_path / "run").scalars("x").step)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = wire.chunk(5, data)
    return data


def with_tensor(tensor: bytes, plugin: str = "scalars") -> bytes:
    return events.encode_values(1.0, 1, [("bomb", wire.chunk(8, tensor) + events.encode_metadata(plugin))])


def shape(*sizes: int) -> bytes:
    return wire.chunk(2, b"".join(wire.chunk(2, wire.integer(1, size)) for size in sizes))


BOMBS = {
    "nested messages": nested(5000),
    "a value in a value": wire.chunk(5, wire.chunk(1, nested(3000))),
    "a shape of terabytes": with_tensor(wire.integer(1, 1) + shape(1 << 40) + wire.chunk(5, bytes(4))),
    "a shape that overflows": with_tensor(wire.integer(1, 1) + shape(1 << 62, 1 << 62) + wire.chunk(5, bytes(4))),
    "a shape of many sides": with_tensor(wire.integer(1, 1) + shape(*[2] * 500) + wire.chunk(5, bytes(4))),
    "a side below zero": with_tensor(wire.integer(1, 1) + shape(-1, -4) + wire.chunk(5, bytes(16))),
    "one value for many": with_tensor(wire.integer(1, 1) + shape(1 << 24) + wire.chunk(5, bytes(4)), "histograms"),
    "bytes of another size": with_tensor(wire.integer(1, 2) + shape(3) + wire.chunk(4, bytes(17))),
    "a type nobody knows": with_tensor(wire.integer(1, 99) + wire.chunk(4, bytes(8))),
    "an endless varint": b"\x10" + b"\xff" * 500,
    "a length beyond the end": b"\x2a\xff\xff\xff\xff\x0f" + bytes(100),
    "field zero": b"\x00\x00" * 50,
    "groups": b"\x0b\x0c" * 50,
    "a tag that is not text": wire.chunk(5, wire.chunk(1, wire.chunk(1, b"\xff\xfe") + values.encode_scalar(1.0))),
    "an entry that leads out": events.encode_values(1.0, 1, [("e", values.encode_entry("topk", {"id": "../../x"}))]),
    "deep JSON": events.encode_values(
        1.0,
        1,
        [
            (
                "e",
                wire.chunk(8, wire.integer(1, 7) + shape(1) + wire.chunk(8, b"[" * 100_000))
                + events.encode_metadata("convscope"),
            )
        ],
    ),
    "many empty values": wire.chunk(5, wire.chunk(1, b"") * 2_000),
    "a picture of no size": events.encode_values(1.0, 1, [("bomb", wire.chunk(4, wire.integer(1, -5)))]),
    "a histogram of odd lists": events.encode_values(1.0, 1, [("bomb", wire.chunk(5, wire.chunk(6, bytes(12))))]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    good = events.encode_values(1.0, 7, [("good", values.encode_scalar(0.5))])
    (tmp_path / NAME).write_bytes(frame(good) + frame(BOMBS[name]) * 20 + frame(good))
    start = time.process_time()
    Run(tmp_path, sidecar=False)
    assert time.process_time() - start < 100, "it ends"
    tracemalloc.start()
    run = Run(tmp_path, sidecar=False)
    for kind, tags in run.tags().items():
        for tag in tags:
            with suppress(ConvscopeError):
                ask(run, kind, tag)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.scalars("good").step.tolist() == [7, 7]
    assert run.entries() == []
    assert peak < MOST_MEMORY


def ask(run: Run, kind: str, tag: str) -> None:
    questions = {"histogram": run.histograms, "image": run.images, "text": run.texts, "tensor": run.tensors}
    if kind in questions:
        questions[kind](tag)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_tensors_of_any_bytes(data: bytes) -> None:
    with suppress(ConvscopeError):
        decode_tensor(data)


field = st.one_of(
    st.builds(wire.integer, st.integers(1, 12), st.integers(-(2**63), 2**63 - 1)),
    st.builds(wire.double, st.integers(1, 12), st.floats()),
)
message = st.recursive(
    st.lists(field, max_size=4).map(b"".join),
    lambda inner: st.lists(st.builds(wire.chunk, st.integers(1, 12), inner), max_size=4).map(b"".join),
    max_leaves=12,
)


@given(st.lists(message, min_size=1, max_size=6), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_messages_of_any_shape(tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], times: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    good = events.encode_values(1.0, 7, [("good tag of its own", values.encode_scalar(0.5))])
    (folder / NAME).write_bytes(b"".join(map(frame, bodies * times)) + frame(good))
    run = Run(folder, sidecar=False)
    assert run.scalars("good tag of its own", "all").step.tolist() == [7]
    for kind, tags in run.tags().items():
        for tag in tags:
            with suppress(ConvscopeError):
                ask(run, kind, tag)


def test_what_is_said_about_nonsense_is_bounded(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(frame(b"\xff\xff") * 5000)
    problems = Run(tmp_path, sidecar=False).problems
    assert len(problems) == 1001
    assert problems[-1] == f"{NAME}: 4000 more records skipped"


LENGTHS = [0, 1, 1 << 20, 1 << 31, 1 << 32, 1 << 40, (1 << 62) - 1, 1 << 63, (1 << 64) - 1]


@pytest.mark.parametrize("length", LENGTHS)
def test_lengths_that_lie(tmp_path: Path, length: int) -> None:
    good = frame(events.encode_values(1.0, 7, [("good", values.encode_scalar(0.5))]))
    lie = header(length) if length < 1 << 63 else struct.pack("<Q", length) + header(0)[8:]
    (tmp_path / NAME).write_bytes(good + lie + good * 3)
    tracemalloc.start()
    run = Run(tmp_path, sidecar=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.scalars("good").step.tolist()[:1] == [7]
    assert peak < MOST_MEMORY


def test_a_record_that_promises_more_than_the_file_has_is_not_read_in(tmp_path: Path) -> None:
    good = frame(events.encode_values(1.0, 7, [("good", values.encode_scalar(0.5))]))
    with (tmp_path / NAME).open("wb") as file:
        file.write(good + header(1 << 40))
        file.truncate(300 << 20)
    tracemalloc.start()
    run = Run(tmp_path, sidecar=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.scalars("good").step.tolist() == [7]
    assert peak < MOST_MEMORY


def test_a_long_file_of_noise_is_passed_in_pieces(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    good = frame(events.encode_values(1.0, 7, [("good", values.encode_scalar(0.5))]))
    with (tmp_path / NAME).open("wb") as file:
        file.write(good)
        for _ in range(24):
            file.write(rng.bytes(1 << 20))
        file.write(good)
    start = time.process_time()
    tracemalloc.start()
    run = Run(tmp_path, sidecar=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.scalars("good").step.tolist() == [7, 7]
    assert len(run.problems) == 1
    assert peak < MOST_MEMORY
    assert time.process_time() - start < 200, "it ends"


def test_a_journal_cut_short_behind_a_gap_gives_what_it_has(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(40):
            writer.add_scalar("x", step, step)
        (journal,) = (tmp_path / "run").glob("*.journal")
        data = bytearray(journal.read_bytes())
    row, rows = ROW.size, len(data) // 2
    data[PAGE + 10 * row : PAGE + 11 * row] = bytes(row)  # taken by a thread that never filled it
    (tmp_path / journal.name).write_bytes(data[:rows])
    view = read_journal(tmp_path / journal.name, abandoned=True)
    assert view is not None
    assert view.rows["step"][1:].tolist() == [*range(9), *range(10, 40)]  # the first row opens the file


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_journals(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("run")
    with SummaryWriter(folder / "run") as writer:
        for step in range(30):
            writer.add_scalar("x", step, step)
        writer.flush()
        for step in range(30, 40):
            writer.add_scalar("x", step, step)
        (journal,) = (folder / "run").glob("*.journal")
        log = journal.with_name(events_name(journal.name))
        copied = folder / "copy"
        copied.mkdir()
        (copied / log.name).write_bytes(log.read_bytes())
        data = bytearray(journal.read_bytes())
    limit = draw.draw(st.sampled_from([128, 5000, len(data)]))
    for place in draw.draw(st.lists(st.integers(0, limit - 1), min_size=1, max_size=6)):
        data[place] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    (copied / journal.name).write_bytes(data[:cut])
    run = Run(copied, sidecar=False)
    if "x" in run.tags("scalar")["scalar"]:
        assert len(run.scalars("x", "all")) <= 40
    examine(copied)
    repair(copied, folder / "out")
    assert examine(folder / "out").findings == []
