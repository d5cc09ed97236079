"""What the weights of filters say by themselves: their sizes, how regular they are, and which of them are alike.

All of it is computed for some filters at a time, so that the memory needed does not grow with the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

BLOCK_WEIGHTS: Final = 1 << 22
"""How many weights are looked at together."""
BLOCK_FILTERS: Final = 512
"""How many filters are compared with all others together."""
MOST_ORDERED: Final = 4096
"""An order by similarity needs every filter's likeness to every other; above this many the index is kept."""
_SHORT: Final = 1e-15
_LONG: Final = 1e15
SMALLEST_KERNEL: Final = 3
"""Smoothness is a matter of kernels of at least this many rows and columns."""


@dataclass(frozen=True)
class Measures:
    """The numbers of each filter ``(O,)``; of weights that are not finite it is the others that are counted.

    Attributes
    ----------
    l1, norm
        L1 and L2 norm.
    largest
        Largest absolute weight.
    not_finite
        How many weights are NaN or infinite.
    strongest
        The input whose slice has the largest L2 norm.
    slice
        That slice, ``(O, kh, kw)``.
    smoothness
        See :func:`smoothness`.
    """

    l1: npt.NDArray[np.float64]
    norm: npt.NDArray[np.float64]
    largest: npt.NDArray[np.float64]
    not_finite: npt.NDArray[np.int64]
    strongest: npt.NDArray[np.int32]
    slice: npt.NDArray[np.float32]
    smoothness: npt.NDArray[np.float64]


def measure(weight: npt.NDArray[Any]) -> Measures:
    """Measure every filter of ``weight`` ``(O, I, kh, kw)``."""
    parts = [_measure(weight[rows]) for rows in _blocks(weight)]
    return Measures(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Measures)))


def _blocks(weight: npt.NDArray[Any]) -> Iterator[slice]:
    """Yield which filters to look at together."""
    step = max(1, BLOCK_WEIGHTS // weight[0].size)
    return (slice(start, start + step) for start in range(0, len(weight), step))


def _measure(weight: npt.NDArray[Any]) -> Measures:
    is_finite = np.isfinite(weight)
    exact = np.where(is_finite, weight, 0).astype(np.float64)
    energy = np.einsum("oiyx,oiyx->oi", exact, exact)
    strongest = energy.argmax(1)
    return Measures(
        l1=np.abs(exact).sum((1, 2, 3)),
        norm=np.sqrt(energy.sum(1)),
        largest=np.abs(exact).max((1, 2, 3)),
        not_finite=(~is_finite).sum((1, 2, 3)),
        strongest=strongest.astype(np.int32),
        slice=exact[np.arange(len(exact)), strongest].astype(np.float32),
        smoothness=smoothness(exact),
    )


def smoothness(weight: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return how regular each filter is in space, ``(O,)``: 1 is what white noise has on average, more is smoother.

    With r(d) the autocorrelation of a filter at the shift d, summed over its inputs and divided by that at d = 0, it is
    the sum of r(d)² over all shifts but 0, divided by what white noise of that shape is expected to have::

        sum of r(d)²  /  ((kh·kw − 1) / (I·kh·kw + 2))

    This is the statistic of Box & Pierce 1970 for two dimensions, relative to its expectation (for normal weights
    E[r(d)²] = n(d) / (n·(n + 2)), with n weights of which n(d) have a partner at the shift d: r does not depend on the
    length of the filter). Blobs and edges have it large, and so have fine gratings, which measures of low frequency
    (total variation, energy below half the Nyquist frequency) take for noise; a mean that is not zero is a shape as
    well. It changes neither with the scale nor with the sign nor with mirroring. Noise that is the same in all I inputs
    (grey noise in colours) has I, not 1. Kernels of fewer than 3 × 3 weights and filters of zeros have NaN.

    >>> grating = np.tile([1.0, -1.0, 1.0], (1, 1, 3, 1))
    >>> noise = np.random.default_rng(0).normal(size=(1, 1, 3, 3))
    >>> [float(smoothness(weight)[0].round(2)) for weight in (grating, noise)]
    [4.75, 0.49]

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``, finite.
    """
    filters, inputs, height, width = weight.shape
    if min(height, width) < SMALLEST_KERNEL:
        return np.full(filters, np.nan)
    size = np.sqrt(np.einsum("oiyx,oiyx->o", weight, weight, dtype=np.float64))
    unit = weight / np.where(size > 0, size, 1)[:, None, None, None]
    total = np.zeros(filters)
    for down in range(height):
        for right in range(-width + 1 if down else 1, width):
            total += 2 * _autocorrelation(unit, down, right) ** 2  # once for d, once for −d
    expected = (height * width - 1) / (inputs * height * width + 2)
    return np.where(size > 0, total / expected, np.nan)


def _autocorrelation(weight: npt.NDArray[Any], down: int, right: int) -> npt.NDArray[np.float64]:
    height, width = weight.shape[2:]
    left = max(0, -right)
    first = weight[:, :, : height - down, left : width - max(0, right)]
    second = weight[:, :, down:, left + right : width + min(0, right)]
    product: npt.NDArray[np.float64] = np.einsum("oiyx,oiyx->o", first, second)
    return product


@dataclass(frozen=True)
class Likeness:
    """Which filters are alike.

    Attributes
    ----------
    nearest
        The other filter of the same group with the largest absolute cosine, ``(O,)``; −1 where there is none.
    cosine
        That cosine, with its sign, ``(O,)``; 0 where there is none.
    order
        The filters so that neighbours are alike, ``(O,)``.
    """

    nearest: npt.NDArray[np.int32]
    cosine: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]


def likeness(weight: npt.NDArray[np.float32], norm: npt.NDArray[Any], compared: npt.NDArray[np.bool_],
             groups: int = 1) -> Likeness:  # fmt: skip
    """Compare filters with each other by the cosine of the angle between them.

    Two filters of different groups read different inputs, so neither can replace the other: the nearest one is of the
    same group. The order is for looking, and compares all.

    Parameters
    ----------
    weight
        Filters ``(O, I, kh, kw)``.
    norm
        Their L2 norms, ``(O,)``.
    compared
        Which of them are compared, ``(O,)``; the others have no nearest one and stand last in the order. Filters of a
        single weight have no direction and are not compared.
    groups
        How many groups the convolution has: filters of the same group are next to each other.
    """
    filters = len(weight)
    flat = weight.reshape(filters, -1)
    compared = compared & (flat.shape[1] > 1)
    length = np.where(compared, norm, np.inf)
    if not compared.all():
        flat = np.where(compared[:, None], flat, np.float32(0))
    if not ((length > _SHORT) & ((length < _LONG) | ~compared)).all():  # else single precision holds the products
        flat, length = (flat / length[:, None]).astype(np.float32), np.where(compared, 1.0, np.inf)
    length = length.astype(np.float32)
    group = np.arange(filters) * groups // filters
    nearest, cosine = np.full(filters, -1, np.int32), np.zeros(filters, np.float32)
    kept = np.zeros((filters, filters) if filters <= MOST_ORDERED else (0, 0), np.float32)
    for start in range(0, filters, BLOCK_FILTERS):
        rows = np.arange(start, min(start + BLOCK_FILTERS, filters))
        cosines = np.clip(flat[rows] @ flat.T / length[rows, None] / length, -1, 1)
        if len(kept):
            kept[rows] = np.abs(cosines)
        other = compared & compared[rows, None] & (group == group[rows, None]) & (np.arange(filters) != rows[:, None])
        best = np.where(other, np.abs(cosines), -1).argmax(1)
        found = other.any(1)
        nearest[rows[found]] = best[found]
        cosine[rows[found]] = cosines[np.arange(len(rows)), best][found]
    order = _chain(kept, norm, compared) if len(kept) else np.arange(filters)
    return Likeness(nearest, cosine, order.astype(np.int32))


def _chain(likeness: npt.NDArray[np.float32], norm: npt.NDArray[Any],
           compared: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:  # fmt: skip
    """Return an order in which each filter is followed by the one most like it among those left; the longest is first.

    Ties go to the smaller index; filters that are not compared stand last, by index.
    """
    left = compared.copy()
    order: list[int] = []
    at = int(np.where(left, norm, -1).argmax())
    while left.any():
        order.append(at)
        left[at] = False
        at = int(np.where(left, likeness[at], -1).argmax())
    return np.concatenate([np.array(order, np.intp), np.flatnonzero(~compared)])
