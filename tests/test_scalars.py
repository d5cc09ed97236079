import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convscope.formats import scalars
from convscope.formats.record import frame, read_frames
from convscope.formats.scalars import ScalarBatch, by_tag, decode_scalars, encode_scalars, join_batches
from tensorboard_oracle import event_class

row = st.tuples(
    st.sampled_from(["loss", "a", "accuracy/train", "é" * 70]),
    st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300),
    st.floats(0, 2e9),
    st.floats(allow_nan=True, allow_infinity=True),
)


def columns(rows: list[tuple[str, int, float, float]]) -> ScalarBatch:
    tags = list(dict.fromkeys(row[0] for row in rows))
    tag, step, time, value = zip(*((tags.index(t), s, w, v) for t, s, w, v in rows), strict=True)
    floats = np.array(time, np.float64), np.array(value, np.float64)
    return ScalarBatch(tags, np.array(tag), np.array(step, np.int64), *floats, np.arange(len(rows)))


def encode(batch: ScalarBatch) -> bytes:
    return encode_scalars(batch.tags, batch.tag, batch.step, batch.wall_time, batch.value)


@given(st.lists(row, min_size=1, max_size=60))
def test_protobuf_reads_what_we_encode(rows: list[tuple[str, int, float, float]]) -> None:
    data = encode(columns(rows))
    frames = read_frames(np.frombuffer(data, np.uint8))
    assert (len(frames.offset), frames.damage) == (len(rows), [])
    for (tag, step, time, value), start, size in zip(rows, frames.offset, frames.length, strict=True):
        event = event_class().FromString(data[start + 12 : start + 12 + size])
        (stored,) = event.summary.value
        assert (stored.tag, event.step, event.wall_time) == (tag, step, time)
        with np.errstate(over="ignore"):
            assert np.array_equal(np.float32(stored.simple_value), np.float32(value), equal_nan=True)


@given(st.lists(row, min_size=1, max_size=60), st.integers(1, 4))
def test_columns_come_back(rows: list[tuple[str, int, float, float]], times: int) -> None:
    rows = rows * times
    data = np.frombuffer(encode(columns(rows)), np.uint8)
    frames = read_frames(data)
    batch, others = decode_scalars(data, frames.offset, frames.length)
    assert sorted([*batch.frame.tolist(), *others.tolist()]) == list(range(len(rows)))
    with np.errstate(over="ignore"):
        for index, frame_number in enumerate(batch.frame):
            tag, step, time, value = rows[frame_number]
            assert (batch.tags[batch.tag[index]], batch.step[index], batch.wall_time[index]) == (tag, step, time)
            assert np.array_equal(batch.value[index], np.float64(np.float32(value)), equal_nan=True)


def test_bulk_is_read_in_bulk_and_the_rest_is_left() -> None:
    rows = [("loss", step, 1e9 + step, step / 7) for step in range(20_000)]
    rows = [row for pair in zip(rows, [("acc", *row[1:]) for row in rows], strict=True) for row in pair]
    text = frame(b"\x09" + bytes(8) + b"\x10\x05\x1a\x0dbrain.Event:2")
    data = np.frombuffer(text + encode(columns(rows)) + text * 50, np.uint8)
    frames = read_frames(data)
    batch, others = decode_scalars(data, frames.offset, frames.length)
    assert others.tolist() == [0, *range(40_001, 40_051)]
    (first, where), (second, _) = by_tag(batch)
    assert (first, second) == ("loss", "acc")
    assert batch.step[where].tolist() == list(range(20_000))


def test_equal_hashes_do_not_mix_tags(monkeypatch) -> None:
    rows = [(tag, step, 1.0, 0.5) for step in range(50) for tag in ("aaaa", "bbbb")]
    data = np.frombuffer(encode(columns(rows)), np.uint8)
    frames = read_frames(data)
    monkeypatch.setattr(scalars, "_number", lambda mixed: (np.zeros(len(mixed), np.int64), np.zeros(1, np.int64)))
    batch, others = decode_scalars(data, frames.offset, frames.length)
    assert not len(others)
    assert [batch.tags[index] for index in batch.tag] == [row[0] for row in rows]


def test_nothing_is_nothing() -> None:
    batch = join_batches([])
    assert encode(batch) == b""
    assert by_tag(batch) == []
