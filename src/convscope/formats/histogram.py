"""Histograms from the bits of floating-point numbers.

A bin is a sign, an exponent and three bits of mantissa: eight bins an octave, each 6 to 12 % wide, much like
TensorBoard's own edges (10 %), and finding a number's bin is one shift. NaN, infinities and zeros are counted apart: a
blown-up gradient is when a histogram is wanted most.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

MAX_BINS: Final = 256
AUTOMATIC: Final = ("tensorflow", "auto", "default")
RULES: Final = ("fd", "doane", "scott", "rice", "sturges", "sqrt", "stone")
_CHUNK: Final = 1 << 16
_MANTISSA_BITS: Final = 3
_TINY: Final = 1e-24
_MOST_OF_A_RULE: Final = 4096
_FLOAT32_HOLDS: Final = frozenset(np.dtype(name) for name in ("f2", "f4", ">f4", "i1", "u1", "i2", "u2", "?"))


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


@dataclass(frozen=True)
class BitLayout:
    """Where the bin of a float stands among its bits.

    Attributes
    ----------
    floating, word
        The type of the floats, and the unsigned integer of the same size.
    shift
        A number's code is its bits shifted right by this: sign, exponent and three bits of mantissa.
    half
        The codes from here on are negative numbers.
    infinity
        The code of infinity, in its half; NaN is there too, or above.
    edges
        Of the bins of all finite numbers in ascending order, ``(2 * infinity + 1,)``.
    """

    floating: type[np.floating[Any]]
    word: type[np.unsignedinteger[Any]]
    shift: int
    half: int
    infinity: int
    edges: Floats


@functools.cache
def bit_layout(width: int) -> BitLayout:
    """Return the layout of ``float32`` or ``float64``.

    >>> bit_layout(32).shift, 2 * bit_layout(32).half
    (20, 4096)
    """
    word: Any = np.uint32 if width == 32 else np.uint64
    floating, mantissa = (np.float32, 23) if width == 32 else (np.float64, 52)
    shift = mantissa - _MANTISSA_BITS
    infinity = int(np.array(np.inf, floating).view(word)) >> shift
    positive = (np.arange(infinity + 1, dtype=word) << word(shift)).view(floating).astype(np.float64)
    positive[-1] = np.finfo(floating).max
    edges = np.concatenate([-positive[:0:-1], positive])
    edges.flags.writeable = False
    return BitLayout(floating, word, shift, 1 << (width - shift - 1), infinity, edges)


def from_bit_counts(
    counts: npt.NDArray[np.integer[Any]],
    *,
    width: int,
    minimum: float,
    maximum: float,
    total: float,
    squares: float,
    nan: int = 0,
    positive_infinity: int = 0,
    negative_infinity: int = 0,
    zero: int = 0,
) -> Distribution:
    """Return the histogram of numbers whose bins have been counted elsewhere, on a GPU for instance.

    >>> codes = np.array([1.0, 1.0, 0.0], np.float32).view(np.uint32) >> 20
    >>> counts = np.bincount(codes, minlength=4096)
    >>> from_bit_counts(counts, width=32, minimum=0, maximum=1, total=2, squares=2, zero=1).counts.max()
    np.float64(2.0)

    Parameters
    ----------
    counts
        How many numbers have each code (their bits, unsigned, shifted right by ``bit_layout(width).shift``):
        ``(4096,)`` of float32, ``(32768,)`` of float64. Half precision is widened to float32 first. What stands at the
        codes of infinities and NaN is not looked at.
    width
        32 or 64, the bits of such a number.
    minimum, maximum, total, squares
        Of the finite numbers; ``minimum`` and ``maximum`` do not count if there are none.
    nan, positive_infinity, negative_infinity, zero
        How many there are.

    Raises
    ------
    InputError
        If there are not as many counts as codes.
    """
    layout = bit_layout(width)
    if counts.shape != (2 * layout.half,):
        raise InputError(f"float{width} has {2 * layout.half} codes, got counts of shape {counts.shape}")
    buckets, limits = _buckets(counts, layout, MAX_BINS - 1)
    num = float(buckets.sum())
    low, high = (float(minimum), float(maximum)) if num else (0.0, 0.0)
    apart = int(nan), int(positive_infinity), int(negative_infinity), int(zero)
    return Distribution(low, high, num, float(total), float(squares), limits, buckets, *apart)


def count(
    values: npt.NDArray[Any],
    bins: str | int | Sequence[float] | npt.NDArray[Any] = "auto",
    max_bins: int | None = None,
) -> Distribution:
    """Return the histogram of an array.

    >>> count(np.array([1.0, 1.0, np.nan, 0.0])).apart
    (1, 0, 0, 1)

    Parameters
    ----------
    values
        Real numbers of any shape.
    bins
        ``auto`` (or ``tensorflow``, ``default``): bins that grow with the magnitude, at most 255 and finest where the
        largest values are. A number: equally wide bins. A sequence: their edges. The name of a rule of
        :func:`numpy.histogram_bin_edges`: its equally wide bins, with a warning at most 4096.
    max_bins
        The most bins there may be; neighbours are merged.

    Raises
    ------
    InputError
        If there are no values, they are not real numbers, or ``bins`` or ``max_bins`` makes no sense.
    """
    flat = _flat(values)
    if max_bins is not None and (not isinstance(max_bins, int | np.integer) or max_bins < 1):
        raise InputError(f"a histogram has a whole number of bins, at least one bin, got max_bins={max_bins!r:.80}")
    if isinstance(bins, str) and bins not in AUTOMATIC + RULES:
        raise InputError(
            f"unknown bins {bins!r}; use 'auto', one of {', '.join(RULES)}, a number of bins or their edges"
        )
    layout = bit_layout(32 if flat.dtype in _FLOAT32_HOLDS else 64)
    counter = BitCounter(layout)
    counter.add(flat)
    if isinstance(bins, str) and bins in AUTOMATIC:
        return counter.distribution(*_buckets(counter.counts, layout, min(max_bins or MAX_BINS, MAX_BINS - 1)))
    return counter.distribution(*_explicit(flat, bins, max_bins))


def _flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind not in "biuf":
        raise InputError(f"a histogram needs real numbers, got dtype {values.dtype}")
    if not values.size:
        raise InputError(f"a histogram needs at least one value, got an array of shape {values.shape}")
    return np.ascontiguousarray(values).reshape(-1)


class BitCounter:
    """Counts and sums of the numbers of one array, or of several."""

    def __init__(self, layout: BitLayout) -> None:
        self.layout = layout
        self.shift = layout.word(layout.shift)
        self.counts: Counts = np.zeros(2 * layout.half, np.int64)
        self.min, self.max, self.num, self.sum, self.sum_squares = np.inf, -np.inf, 0, 0.0, 0.0
        self.nan = self.positive_infinity = self.negative_infinity = self.zero = 0

    def add(self, flat: npt.NDArray[Any]) -> None:
        """Count the numbers of an array ``(n,)``."""
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(flat), _CHUNK):
                self._add(flat[start : start + _CHUNK].astype(self.layout.floating, copy=False))

    def _add(self, chunk: npt.NDArray[np.floating[Any]]) -> None:
        squares = float(np.dot(chunk, chunk))
        if squares < _TINY:  # squares of float32 below 1e-38 are lost
            wide = chunk.astype(np.float64)
            squares = float(np.dot(wide, wide))
        if math.isfinite(squares):
            self._add_finite(chunk, float(chunk.sum()), squares)
        else:  # NaN or an infinity is there, or the sum has overflowed
            self._add_any(chunk)

    def _add_any(self, chunk: npt.NDArray[np.floating[Any]]) -> None:
        self.nan += int(np.count_nonzero(np.isnan(chunk)))
        self.positive_infinity += int(np.count_nonzero(np.isposinf(chunk)))
        self.negative_infinity += int(np.count_nonzero(np.isneginf(chunk)))
        finite = chunk[np.isfinite(chunk)]
        if len(finite):
            wide = finite.astype(np.float64)
            self._add_finite(finite, float(wide.sum()), float(np.dot(wide, wide)))

    def _add_finite(self, chunk: npt.NDArray[np.floating[Any]], total: float, squares: float) -> None:
        code = (chunk.view(self.layout.word) >> self.shift).astype(np.intp)
        counts = np.bincount(code, minlength=2 * self.layout.half)
        self.counts = self.counts + counts if self.num else counts
        if counts[0] or counts[self.layout.half]:
            self.zero += len(chunk) - int(np.count_nonzero(chunk))
        self.num += len(chunk)
        self.min, self.max = min(self.min, float(chunk.min())), max(self.max, float(chunk.max()))
        self.sum += total
        self.sum_squares += squares

    def distribution(self, buckets: Floats, limits: Floats) -> Distribution:
        """Return the histogram with these buckets."""
        low, high = (self.min, self.max) if self.num else (0.0, 0.0)
        apart = self.nan, self.positive_infinity, self.negative_infinity, self.zero
        return Distribution(low, high, float(self.num), self.sum, self.sum_squares, limits, buckets, *apart)


def _buckets(counts: npt.NDArray[np.integer[Any]], layout: BitLayout, most: int) -> tuple[Floats, Floats]:
    """Return the buckets of counted codes and their right edges; bins near zero are merged where there are too many."""
    negative, positive = counts[layout.half : layout.half + layout.infinity], counts[: layout.infinity]
    (near, below), (start, above) = _reach(negative), _reach(positive)
    if not below + above:
        return np.zeros(1), np.zeros(1)
    if below and above:
        near = start = 0  # what lies between the innermost bins and zero belongs to the span
    ascending = np.concatenate([negative[near:below][::-1], positive[start:above]])
    first, last = (-below if below else start), above or -near
    edges = layout.edges[layout.infinity + first : layout.infinity + last + 1]
    if len(ascending) > most:
        ascending, edges = _merge_centre(ascending, edges, below - near, most)
    if len(ascending) > most:  # one bin for both sides of zero
        ascending, edges = _merge_neighbours(ascending, edges, most)
    return _padded(ascending), edges


def _reach(half: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """Return where the occupied bins on one side of zero start and end."""
    occupied = half.astype(np.bool_)
    start = int(occupied.argmax())
    return (start, len(half) - int(occupied[::-1].argmax())) if occupied[start] else (0, 0)


def _merge_centre(counts: Counts, edges: Floats, below: int, most: int) -> tuple[Counts, Floats]:
    """Merge the bins nearest to zero into one on each side, equally many of both, until there are no more than most."""
    above = len(counts) - below
    excess = len(counts) + bool(below) + bool(above) - most
    merged = -(-excess // 2)
    if merged > min(below, above):  # one side is merged into one bin and still not enough
        merged = excess - min(below, above)
    kept = np.ones(len(edges), np.bool_)
    kept[max(0, below - merged) + 1 : below] = False
    kept[below + 1 : below + min(merged, above)] = False
    return _keep(counts, edges, np.flatnonzero(kept))


def _merge_neighbours(counts: Counts, edges: Floats, most: int) -> tuple[Counts, Floats]:
    """Merge bins that follow each other, equally many each time, until there are no more than ``most``."""
    together = -(-len(counts) // most)
    return _keep(counts, edges, np.append(np.arange(0, len(counts), together), len(counts)))


def _keep(counts: Counts, edges: Floats, kept: npt.NDArray[np.intp]) -> tuple[Counts, Floats]:
    """Return what is counted between the edges that are kept."""
    return np.add.reduceat(counts, kept[:-1]), edges[kept]


def _padded(counts: Counts) -> Floats:
    """Return the counts with an empty bucket before them, whose right edge is the left edge of all."""
    buckets = np.zeros(len(counts) + 1)
    buckets[1:] = counts
    return buckets


def _explicit(flat: npt.NDArray[Any], bins: Any, most: int | None) -> tuple[Floats, Floats]:
    """Count with equally wide bins or given edges, as numpy does; empty bins at both ends are left out."""
    finite = flat[np.isfinite(flat)].astype(np.float64)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            counts, edges = np.histogram(finite, bins)
    except (TypeError, ValueError, MemoryError) as error:
        raise InputError(
            f"bins={bins!r:.80} makes no histogram ({error}); use 'auto', a number or ascending edges"
        ) from error
    if most is None and isinstance(bins, str) and len(counts) > _MOST_OF_A_RULE:
        most = _MOST_OF_A_RULE
        warnings.warn(
            f"the rule {bins!r} makes {len(counts)} bins of these values, which are merged to {most} at most; "
            "bins='auto' copes with outliers",
            stacklevel=5,
        )
    if most is not None and len(counts) > most:
        counts, edges = _merge_neighbours(counts, edges, most)
    first, last = _reach(counts)
    return _padded(counts[first:last]), edges[first : last + 1].astype(np.float64)
