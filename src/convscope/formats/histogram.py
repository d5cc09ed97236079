"""Histograms from the bits of floating-point numbers.

A bin is a sign, an exponent and three bits of mantissa: eight bins an octave, each 6 to 12 % wide, much like
TensorBoard's own edges (10 %), and finding a number's bin is one shift. NaN, infinities and zeros are counted apart: a
blown-up gradient is when a histogram is wanted most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Floats = npt.NDArray[np.float64]

MAX_BINS: Final = 256
_CHUNK: Final = 1 << 16
_MANTISSA_BITS: Final = 3


@dataclass(frozen=True)
class Distribution:
    """The histogram of an array.

    Attributes
    ----------
    min, max, num, sum, sum_squares
        Of the finite values.
    limits
        Right edge of each bucket, ascending, ``(b,)``. The first bucket is empty: its limit is the left edge of all.
    counts
        Values in each bucket, ``(b,)``.
    nan, positive_infinity, negative_infinity, zero
        How many there are; zeros are in a bucket too, the others are not.
    """

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    limits: Floats
    counts: Floats
    nan: int = 0
    positive_infinity: int = 0
    negative_infinity: int = 0
    zero: int = 0

    @property
    def apart(self) -> tuple[int, int, int, int]:
        """The counts of NaN, infinity, minus infinity and zero."""
        return self.nan, self.positive_infinity, self.negative_infinity, self.zero


class _Counter:
    """Counts and sums over chunks of one array."""

    def __init__(self, width: int) -> None:
        self.shift = (23 if width == 32 else 52) - _MANTISSA_BITS
        self.codes = 1 << (width - self.shift)
        self.word: Any = np.uint32 if width == 32 else np.uint64
        self.infinity = int(np.array(np.inf, f"f{width // 8}").view(self.word)) >> self.shift
        self.counts = np.zeros(self.codes, np.int64)
        self.min, self.max, self.sum, self.sum_squares = np.inf, -np.inf, 0.0, 0.0
        self.nan = self.positive_infinity = self.negative_infinity = self.zero = 0

    def add(self, chunk: npt.NDArray[np.floating[Any]]) -> None:
        code = (chunk.view(self.word) >> self.word(self.shift)).astype(np.intp)
        counts = np.bincount(code, minlength=self.codes)
        if counts[self.infinity : self.codes // 2].any() or counts[self.codes // 2 + self.infinity :].any():
            return self._add_finite_part(chunk)
        self.counts += counts
        if counts[0] or counts[self.codes // 2]:
            self.zero += len(chunk) - int(np.count_nonzero(chunk))
        self.min, self.max = min(self.min, float(chunk.min())), max(self.max, float(chunk.max()))
        self._add_sums(chunk)
        return None

    def _add_finite_part(self, chunk: npt.NDArray[np.floating[Any]]) -> None:
        self.nan += int(np.count_nonzero(np.isnan(chunk)))
        self.positive_infinity += int(np.count_nonzero(np.isposinf(chunk)))
        self.negative_infinity += int(np.count_nonzero(np.isneginf(chunk)))
        finite = chunk[np.isfinite(chunk)]
        if len(finite):
            self.add(finite)

    def _add_sums(self, chunk: npt.NDArray[np.floating[Any]]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            total, squares = float(chunk.sum()), float(np.dot(chunk, chunk))
            if not np.isfinite(total + squares):  # float32 has overflowed
                wide = chunk.astype(np.float64)
                total, squares = float(wide.sum()), float(np.dot(wide, wide))
        self.sum += total
        self.sum_squares += squares

    def by_value(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the counts from the most negative bin to the most positive, and the edges around them."""
        half = np.arange(self.infinity + 1, dtype=self.word) << self.word(self.shift)
        edges = half.view(f"f{np.dtype(self.word).itemsize}").astype(np.float64)
        edges[-1] = np.finfo(f"f{np.dtype(self.word).itemsize}").max
        middle = self.codes // 2
        counts = np.concatenate([self.counts[middle : middle + self.infinity][::-1], self.counts[: self.infinity]])
        return counts, np.concatenate([-edges[:0:-1], edges])


def count(values: npt.NDArray[Any], bins: str | int | Sequence[float] | npt.NDArray[Any] = "auto") -> Distribution:
    """Return the histogram of an array.

    >>> count(np.array([1.0, 1.0, np.nan, 0.0])).apart
    (1, 0, 0, 1)

    Parameters
    ----------
    values
        Real numbers of any shape.
    bins
        ``auto`` (or ``tensorflow``): bins that grow with the magnitude, at most 256 and finest where the largest
        values are. A number: equally wide bins. A sequence: their edges.

    Raises
    ------
    InputError
        If there are no values, they are not real numbers, or ``bins`` makes no sense.
    """
    flat = _flat(values)
    counter = _Counter(32 if flat.dtype == np.float32 else 64)
    for start in range(0, len(flat), _CHUNK):
        counter.add(_as_float(flat[start : start + _CHUNK]))
    if isinstance(bins, str):
        if bins not in ("auto", "tensorflow"):
            raise InputError(f"unknown bins {bins!r}; use 'auto', a number of bins or their edges")
        counts, edges = _trim(*_merge_centre(*counter.by_value()))
    else:
        counts, edges = _explicit(flat, bins)
    return _distribution(counter, counts, edges)


def _flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind not in "biuf":
        raise InputError(f"a histogram needs real numbers, got dtype {values.dtype}")
    if not values.size:
        raise InputError(f"a histogram needs at least one value, got an array of shape {values.shape}")
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.astype(np.float32) if flat.dtype == np.float16 else flat


def _as_float(chunk: npt.NDArray[Any]) -> npt.NDArray[np.floating[Any]]:
    """Return native float32 as it is and any other number as float64."""
    return chunk.astype(np.float32 if chunk.dtype == np.float32 else np.float64, copy=False)


def _distribution(counter: _Counter, counts: npt.NDArray[np.int64], edges: Floats) -> Distribution:
    empty = not counter.counts.any()
    low, high = (0.0, 0.0) if empty else (counter.min, counter.max)
    padded = np.concatenate([[0], counts]).astype(np.float64)
    return Distribution(
        low,
        high,
        float(counter.counts.sum()),
        counter.sum,
        counter.sum_squares,
        edges,
        padded,
        counter.nan,
        counter.positive_infinity,
        counter.negative_infinity,
        counter.zero,
    )


def _merge_centre(counts: npt.NDArray[np.int64], edges: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Merge the bins nearest to zero, one from each side, until no more than ``MAX_BINS`` edges are left."""
    occupied = np.flatnonzero(counts)
    if not len(occupied) or occupied[-1] - occupied[0] + 2 <= MAX_BINS:
        return counts, edges
    middle = len(counts) // 2
    below, above = max(0, middle - int(occupied[0])), max(0, int(occupied[-1]) + 1 - middle)
    span = np.arange(middle)
    kept_edges = np.maximum(0, below - span) + np.maximum(0, above - span) + 3
    merged = int(np.argmax(kept_edges <= MAX_BINS))
    left, right = counts[middle - merged : middle].sum(), counts[middle : middle + merged].sum()
    kept = np.concatenate([counts[: middle - merged], [left, right], counts[middle + merged :]])
    return kept, np.concatenate([edges[: middle - merged + 1], edges[middle : middle + 1], edges[middle + merged :]])


def _trim(counts: npt.NDArray[np.int64], edges: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Drop the empty bins at both ends."""
    occupied = np.flatnonzero(counts)
    if not len(occupied):
        return counts[:0], np.zeros(1)
    first, last = int(occupied[0]), int(occupied[-1]) + 1
    return counts[first:last], edges[first : last + 1]


def _explicit(flat: npt.NDArray[Any], bins: Any) -> tuple[npt.NDArray[np.int64], Floats]:
    finite = flat[np.isfinite(flat)].astype(np.float64)
    try:
        counts, edges = np.histogram(finite, bins)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"bins={bins!r} makes no histogram ({error}); use 'auto', a number or ascending edges"
        ) from error
    return counts.astype(np.int64), edges.astype(np.float64)
