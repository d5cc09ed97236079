"""Pictures of an export compressed anew: by a quality, or by the highest of a few with which all of it fits."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from convscope.store.sheets import LONGEST_SIDE
from convscope.view.blocks import in_base64

QUALITIES: Final = (80, 75, 70, 65, 60, 55, 50, 45, 40, 35, 30)
"""The qualities that are tried, the best first."""
AS_STORED: Final = 100
_METHOD: Final = 4
_SAMPLES: Final = 16
"""About so many are compressed to tell how large all become; that is right to a few hundredths."""

Read = Callable[[], bytes]
Sort = Sequence[tuple[Read, int]]
"""Pictures that compress alike, patches for instance: how each is read, and its length in base64."""


@dataclass(frozen=True)
class Squeezed:
    """How pictures were made smaller.

    Attributes
    ----------
    quality
        Of the WebP, from 1 to 100.
    stored
        How large the pictures are as they are stored, in base64.
    bytes
        How large they have become.
    """

    quality: int
    stored: int
    bytes: int


class Fit(NamedTuple):
    """Pictures in their order, and how they were made smaller; nothing where they are as they are stored."""

    pictures: Iterable[bytes]
    squeezed: Squeezed | None = None


def fit(sorts: Sequence[Sort], goals: Sequence[float], pool: Executor) -> Fit:
    """Return pictures in the highest quality with which they fit.

    Parameters
    ----------
    sorts
        The pictures.
    goals
        How long they may be in base64, all together. Where no quality reaches the first number the next one counts;
        where none is reached pictures are as they are stored.
    pool
        Where to compress.
    """
    reads = [read for sort in sorts for read, _ in sort]
    stored = sum(size for sort in sorts for _, size in sort)
    estimates = _Estimates(sorts, pool)
    for goal in goals:
        if stored <= goal:
            break
        for quality in _candidates(estimates, goal):
            pictures = list(pool.map(partial(_read_smaller, quality), reads))
            if (size := sum(in_base64(len(data)) for data in pictures)) <= goal:
                return Fit(pictures, Squeezed(quality, stored, size))
    return Fit(read() for read in reads)


def _read_smaller(quality: int, read: Read) -> bytes:
    return smaller(read(), quality)


class _Estimates:
    """How long pictures become with each quality, judged by some of each sort."""

    def __init__(self, sorts: Sequence[Sort], pool: Executor) -> None:
        self._pool = pool
        self._sizes = [sum(size for _, size in sort) for sort in sorts]
        shares = [size / max(1, sum(self._sizes)) for size in self._sizes]
        self._some = [_some(sort, round(_SAMPLES * share) or 1) for sort, share in zip(sorts, shares, strict=True)]
        self._known: dict[int, float] = {}

    def __call__(self, quality: int) -> float:
        """Return the length in base64 with a quality."""
        if quality not in self._known:
            pairs = zip(self._sizes, self._some, strict=True)
            self._known[quality] = sum(size * self._share(some, quality) for size, some in pairs)
        return self._known[quality]

    def _share(self, some: Sort, quality: int) -> float:
        new = self._pool.map(partial(_read_smaller, quality), [read for read, _ in some])
        return sum(in_base64(len(data)) for data in new) / max(1, sum(size for _, size in some))


def _some(sort: Sort, count: int) -> Sort:
    """Return so many pictures, in the order of their sizes those in the middle of equal parts."""
    few = min(count, len(sort))
    ordered = sorted(sort, key=lambda picture: picture[1])
    return [ordered[(2 * part + 1) * len(sort) // (2 * few)] for part in range(few)]


def _candidates(estimates: Callable[[int], float], goal: float) -> Sequence[int]:
    """Return the qualities that seem to reach a goal, the best first; that is found by halving."""
    low, high = 0, len(QUALITIES)  # those before low are too large, those from high on fit
    while low < high:
        middle = (low + high) // 2
        if estimates(QUALITIES[middle]) <= goal:
            high = middle
        else:
            low = middle + 1
    return QUALITIES[high:]


def smaller(data: bytes, quality: int) -> bytes:
    """Return a picture as WebP of a quality from 1 to 100, or as it is where that is not smaller or it is none."""
    from PIL import Image, UnidentifiedImageError

    if quality >= AS_STORED:
        return data
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as picture:
            if max(picture.size) > 2 * LONGEST_SIDE:
                return data
            picture.convert("RGB").save(out, "WEBP", quality=quality, method=_METHOD)
    except (UnidentifiedImageError, OSError, ValueError):
        return data
    return min(data, out.getvalue(), key=len)
