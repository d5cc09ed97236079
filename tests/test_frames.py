"""Frames of projections: what they keep, what they cost, and their layout as other languages read it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.embed import Frame, Frames, Projection
from convscope.embed.frames import decode, encode
from convscope.errors import FormatError


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 20), st.sampled_from([2, 3]), st.floats(-6, 6))
@settings(max_examples=40, deadline=None)
def test_frames_come_back_within_half_a_level(seed: int, frames: int, count: int, d: int, scale: float) -> None:
    x = np.random.default_rng(seed).normal(size=(frames, count, d)).astype(np.float32) * np.float32(10**scale)
    data, ranges = encode(list(x))
    assert ranges.shape == (frames, d, 2)
    found = decode(data, ranges)
    span = x.max(1, keepdims=True) - x.min(1, keepdims=True)
    assert (np.abs(found - x) <= span / 8190 * 1.001 + np.abs(x).max() * 1e-6).all()


def test_the_layout_is_the_documented_one() -> None:
    first, second = np.array([[0, 0], [1, 2], [0.5, 1.0]]), np.array([[0, 2], [1, 0], [0.25, 1.0]])
    data, ranges = encode([first, second])
    plain = zlib.decompress(data.tobytes())
    assert len(plain) == 2 * 2 * 3 * 2
    values = [low + 256 * high for low, high in zip(plain[:12], plain[12:], strict=True)]
    assert values[:6] == [0, 0, 4095, 4095, 2048, 2048]
    assert values[6:] == [0, 4095, 0, 65536 - 4095, 1024 - 2048 + 65536, 0]
    np.testing.assert_array_equal(ranges[1], [[0, 1], [0, 2]])


def test_a_film_of_2304_points_is_half_a_megabyte() -> None:
    rng = np.random.default_rng(0)
    goal, at, film = rng.normal(size=(2304, 2)) * 30, rng.normal(size=(2304, 2)) * 1e-4, []
    for i in range(150):
        at = at + (goal - at) * 0.06 + rng.normal(scale=0.1 / (1 + i / 10), size=at.shape)
        film.append(at.astype(np.float32))
    assert len(encode(film)[0]) < 700_000


def test_a_record_holds_frames_and_gives_them_back() -> None:
    rng = np.random.default_rng(1)
    film = [Frame(5 * i, float("nan") if i == 0 else 3.0 / i, rng.normal(size=(40, 3))) for i in range(4)]
    frames = Frames.of(film)
    projection = Projection(film[-1].points.astype(np.float32), "tsne", 15, 20, 1.0, frames=frames, part=2)
    summary = projection.to_summary("fc/tsne", 7)
    assert summary.step == 7
    assert summary.meta["part"] == 2
    assert (summary.meta["final"], summary.meta["dimensions"], summary.meta["iteration"]) == (False, 3, 15)
    again = Frames.from_arrays(summary.arrays)
    assert again.iterations.tolist() == [0, 5, 10, 15]
    assert np.isnan(again.kl[0])
    for i, frame in enumerate(film):
        np.testing.assert_array_equal(again.points(i), frames.points(i))
        np.testing.assert_allclose(again.points(i), frame.points, atol=2e-3)


@pytest.mark.parametrize("spoil", [lambda data: data[:-3], lambda data: data[::-1]])
def test_damaged_frames_are_refused(spoil: object) -> None:
    data, ranges = encode([np.eye(3, 2)])
    with pytest.raises(FormatError, match="damaged"):
        decode(spoil(data), ranges)  # type: ignore[operator]
    with pytest.raises(FormatError, match="do not fit"):
        decode(data, np.zeros((5, 2, 2)))


def test_all_points_at_one_place_stay_there() -> None:
    data, ranges = encode([np.full((4, 2), 7.5)])
    assert (decode(data, ranges) == 7.5).all()
