"""Animated PNG (PNG specification, third edition, §4.9): lossless moving pictures that every browser plays as a PNG.

A program that knows nothing of animation shows the first frame. Of each later frame only the rectangle that has
changed is stored.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

import numpy as np

from convscope.formats import png
from convscope.formats.png import Pixels

_LARGEST: Final = 65535
_KEEP: Final = 0  # leave the frame standing for the next
_REPLACE: Final = 0  # the rectangle takes the place of what is under it, alpha included
_FOREVER: Final = 0


def encode(frames: Pixels, fps: float) -> bytes:
    r"""Return frames ``(T, H, W, C)`` as an animated PNG that repeats for ever.

    >>> encode(np.zeros((2, 4, 5, 3), np.uint8), fps=4)[37:41]
    b'acTL'

    Parameters
    ----------
    frames
        ``uint8``, with 1, 2, 3 or 4 channels as for :func:`convscope.formats.png.encode`.
    fps
        Frames in a second, from 1/65535 to 65535.
    """
    count, *shape = frames.shape
    parts = [png.SIGNATURE, png.header(tuple(shape)), png.chunk(b"acTL", struct.pack(">II", count, _FOREVER))]
    numerator, denominator = _delay(fps)
    sequence = 0
    for index, frame in enumerate(frames):
        top, left, part = (0, 0, frame) if index == 0 else _changed(frames[index - 1], frame)
        place = (sequence, part.shape[1], part.shape[0], left, top, numerator, denominator, _KEEP, _REPLACE)
        parts.append(png.chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place)))
        data = png.deflated(part)
        if index == 0:
            parts.append(png.chunk(b"IDAT", data))
        else:
            parts.append(png.chunk(b"fdAT", struct.pack(">I", sequence + 1) + data))
        sequence += 1 if index == 0 else 2
    return b"".join([*parts, png.chunk(b"IEND", b"")])


def _changed(before: Pixels, after: Pixels) -> tuple[int, int, Pixels]:
    """Return the smallest rectangle with all that has changed: its top, its left and its pixels, at least one."""
    differs = (before != after).any(axis=2)
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 0, after[:1, :1]
    top, left = int(rows[0]), int(columns[0])
    return top, left, after[top : rows[-1] + 1, left : columns[-1] + 1]


def _delay(fps: float) -> tuple[int, int]:
    """Return the time of a frame in seconds as a fraction of two 16-bit numbers."""
    if fps >= 1:
        delay = Fraction(1 / fps).limit_denominator(_LARGEST)
        return delay.numerator, delay.denominator
    rate = Fraction(fps).limit_denominator(_LARGEST)
    return rate.denominator, rate.numerator
