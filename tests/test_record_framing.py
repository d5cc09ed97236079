import struct

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.formats import record
from convscope.formats.crc32c import mask
from convscope.formats.record import Bytes, Frames, frame, read_frames, same_length


def slow_frame(data: bytes) -> bytes:
    """TFRecord's framing from its description, with google's checksum."""
    size = struct.pack("<Q", len(data))
    return (
        size
        + struct.pack("<I", mask(google_crc32c.value(size)))
        + data
        + struct.pack("<I", mask(google_crc32c.value(data)))
    )


def as_array(data: bytes) -> Bytes:
    return np.frombuffer(data, np.uint8)


def contents(data: bytes, frames: Frames) -> list[bytes]:
    return [data[o + 12 : o + 12 + n] for o, n in zip(frames.offset, frames.length, strict=True)]


records = st.lists(st.binary(max_size=300), max_size=40)


@given(st.binary(max_size=500))
def test_frame_is_tfrecord(data: bytes) -> None:
    assert frame(data) == slow_frame(data)


@given(records, st.integers(1, 5))
def test_records_round_trip(items: list[bytes], times: int) -> None:
    items = items * times  # repetition takes the vectorised way
    data = b"".join(map(frame, items))
    frames = read_frames(as_array(data))
    assert contents(data, frames) == items
    assert frames.end == len(data)
    assert not frames.damage


@pytest.mark.parametrize("period", [1, 3, 40, 200])
def test_many_records(period: int) -> None:
    lengths = np.random.default_rng(period).integers(0, 60, period)
    items = [bytes([i % 256]) * int(lengths[i % period]) for i in range(3000)]
    data = b"".join(map(frame, items))
    assert contents(data, read_frames(as_array(data))) == items


@given(records.filter(len), st.data())
def test_a_torn_tail_is_waited_for(items: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(map(frame, items))
    whole = len(data) - len(frame(items[-1]))
    cut = draw.draw(st.integers(whole, len(data) - 1))
    frames = read_frames(as_array(data[:cut]))
    assert contents(data, frames) == items[:-1]
    assert (frames.end, frames.damage) == (whole, [])


@given(st.lists(st.binary(min_size=1, max_size=80), min_size=2, max_size=30), st.data())
def test_one_wrong_byte_costs_one_record(items: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(b"".join(map(frame, items)))
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))
    frames = read_frames(as_array(bytes(data)))
    ends = np.cumsum([len(frame(item)) for item in items])
    hit = int(np.searchsorted(ends, place, side="right"))
    assert contents(bytes(data), frames) == items[:hit] + items[hit + 1 :]
    start, stop = frames.damage[0]
    assert (start, len(frames.damage)) == (ends[hit] - len(frame(items[hit])), 1)
    assert stop == (ends[hit] if hit + 1 < len(items) else None)


@given(records, st.binary(min_size=30, max_size=6000), records.filter(len))
def test_garbage_between_records_is_skipped(before: list[bytes], garbage: bytes, after: list[bytes]) -> None:
    data = b"".join([*map(frame, before), garbage, *map(frame, after)])
    frames = read_frames(as_array(data))
    assert contents(data, frames) == before + after
    start = sum(len(frame(item)) for item in before)
    assert frames.damage == [(start, start + len(garbage))]


@given(st.binary(max_size=2000))
def test_garbage_alone_never_raises(data: bytes) -> None:
    assert len(read_frames(as_array(data)).offset) <= len(data) // 16


def test_a_record_overwritten_half_way_hides_nothing_behind_it() -> None:
    data = frame(bytes(500))[:200] + frame(b"next") + frame(b"last") * 100
    frames = read_frames(as_array(data))
    assert contents(data, frames) == [b"next"] + [b"last"] * 100
    assert frames.damage == [(0, 200)]


def test_same_length_groups_keep_their_order() -> None:
    groups = same_length(np.array([3, 5, 3, 5, 7]))
    assert [group.tolist() for group in groups] == [[0, 2], [1, 3], [4]]


def test_headers_are_followed_one_by_one_only_until_they_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = []
    real = record._walk
    monkeypatch.setattr(record, "_walk", lambda *place: walked.append(real(*place)) or walked[-1])
    items = [b"the first is longer", *([b"a", b"bb", b"ccc"] * 10_000), b"a", *([b"longer"] * 10_000)]
    data = b"".join(map(frame, items))
    assert contents(data, read_frames(as_array(data))) == items
    assert sum(map(len, walked)) < 2000
