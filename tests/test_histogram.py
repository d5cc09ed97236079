import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convscope.errors import InputError
from convscope.formats import events
from convscope.formats.histogram import MAX_BINS, count
from convscope.formats.values import encode_histogram

any_float32 = arrays(np.float32, st.integers(1, 400), elements=st.floats(width=32))
any_float64 = arrays(np.float64, st.integers(1, 400), elements=st.floats(width=64))


@given(any_float32 | any_float64)
def test_laws(values: np.ndarray) -> None:
    found = count(values)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found.num == found.counts.sum() == len(finite)
    assert len(found.limits) == len(found.counts) <= MAX_BINS
    assert (np.diff(found.limits) > 0).all()
    assert found.nan == np.isnan(values).sum()
    assert found.positive_infinity == np.isposinf(values).sum()
    assert found.negative_infinity == np.isneginf(values).sum()
    assert found.zero == (values == 0).sum()
    if len(finite):
        assert (found.min, found.max) == (finite.min(), finite.max())
        assert found.limits[0] <= found.min
        assert found.max <= found.limits[-1]


@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(-1e4, 1e4, width=32)))
def test_counts_are_those_of_comparing_each_value_with_the_edges(values: np.ndarray) -> None:
    found = count(values)
    # a value on an edge belongs to the bin that is farther from zero, so compare magnitudes on each side
    expected = [0.0]
    for low, high in zip(found.limits[:-1], found.limits[1:], strict=True):
        inside = (values >= low) & (values < high) if high > 0 else (values > low) & (values <= high)
        if high <= 0:
            inside &= ~((values == 0) & ~np.signbit(values))
        if low >= 0:
            inside &= ~((values == 0) & np.signbit(values))
        expected.append(float(inside.sum()))
    assert found.counts.tolist() == expected


def test_sums_against_float64() -> None:
    values = np.random.default_rng(0).normal(3, 2, 200_001).astype(np.float32)
    found = count(values)
    wide = values.astype(np.float64)
    assert found.sum == pytest.approx(wide.sum(), rel=1e-6)
    assert found.sum_squares == pytest.approx((wide**2).sum(), rel=1e-6)


def test_sums_that_overflow_float32() -> None:
    values = np.full(100, 3e38, np.float32)
    found = count(values)
    assert found.sum == pytest.approx(3e40, rel=1e-6)
    assert found.sum_squares == pytest.approx(9e78, rel=1e-6)


def test_bins_are_narrow() -> None:
    found = count(np.random.default_rng(0).normal(0, 0.02, 10**6).astype(np.float32))
    outer = found.limits[found.limits > 1e-3]
    assert (outer[1:] / outer[:-1]).max() <= 1.125 + 1e-6
    assert len(events.encode_values(1.0, 1000, [("layer/weight", encode_histogram(found))])) <= 8192


@pytest.mark.parametrize("dtype", ["f2", "i1", "u8", "i4", "?", ">f4", ">i2"])
def test_other_types(dtype: str) -> None:
    values = np.array([0, 1, 1, 0, 1, 1]).astype(dtype)
    found = count(values)
    assert (found.min, found.max, found.sum, found.zero) == (0, 1, 4, 2)
    assert found.counts[-1] == 4


@pytest.mark.parametrize("values", [np.full(5, np.nan), np.array([np.inf, -np.inf], np.float32)])
def test_nothing_finite(values: np.ndarray) -> None:
    found = count(values)
    assert (found.num, found.min, found.max, found.counts.tolist()) == (0, 0, 0, [0])


def test_explicit_bins() -> None:
    values = np.array([0.0, 0.5, 1.0, 2.0, np.nan])
    assert count(values, 2).counts.tolist() == [0, 2, 2]
    found = count(values, [0.0, 1.0, 4.0])
    assert (found.limits.tolist(), found.counts.tolist(), found.nan) == ([0, 1, 4], [0, 2, 2], 1)


@pytest.mark.parametrize(
    ("values", "bins", "message"),
    [
        (np.zeros(0), "auto", "at least one value"),
        (np.zeros(3, complex), "auto", "real numbers"),
        (np.zeros(3), "many", "unknown bins 'many'"),
        (np.zeros(3), 0, "makes no histogram"),
        (np.zeros(3), [2.0, 1.0], "makes no histogram"),
    ],
)
def test_bad_input(values: np.ndarray, bins: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        count(values, bins)


def test_no_warnings_on_the_worst_values() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        count(np.array([np.nan, np.inf, -np.inf, 1e-45, 3.4e38, -3.4e38], np.float32))


@pytest.mark.parametrize("size", [1e-24, 1e-45])
def test_squares_that_underflow_float32(size: float) -> None:
    values = (np.random.default_rng(0).normal(size=1000) * size * 3).astype(np.float32)
    assert count(values).sum_squares == pytest.approx((values.astype(np.float64) ** 2).sum(), rel=1e-9, abs=0)
