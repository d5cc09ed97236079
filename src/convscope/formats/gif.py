"""Animated GIF (GIF89a), for programs that play nothing better: at most 256 colours and 50 frames in a second.

Pillow compresses; the colours are chosen here. Up to 256 of them are kept exactly; of more, one palette is made for
the whole animation, so that still parts do not flicker.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from convscope.formats.png import Pixels

if TYPE_CHECKING:
    from PIL import Image

_COLOURS: Final = 256
_SAMPLES: Final = 8  # so many frames make the palette
_SHORTEST: Final = 2  # hundredths of a second; browsers take a shorter time for a tenth of a second


def encode(frames: Pixels, fps: float) -> bytes:
    """Return frames ``(T, H, W, C)`` as an animated GIF that repeats for ever.

    Parameters
    ----------
    frames
        ``uint8``, with 1 (grey) or 3 (RGB) channels.
    fps
        Frames in a second; the times are rounded to hundredths of a second without adding up, and are at least two of
        them.
    """
    first, *others = list(_grey(frames) if frames.shape[3] == 1 else _coloured(frames))
    ends = np.rint(np.arange(len(frames) + 1) * 100 / fps)
    times = [10 * int(time) for time in np.maximum(np.diff(ends), _SHORTEST)]
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=others, duration=times, loop=0, optimize=False)
    return out.getvalue()


def _grey(frames: Pixels) -> Iterator[Image.Image]:
    ramp = np.arange(_COLOURS, dtype=np.uint8).repeat(3)
    return (_indexed(frame[..., 0], ramp) for frame in frames)


def _coloured(frames: Pixels) -> Iterator[Image.Image]:
    from PIL import Image

    if (known := _exact_palette(frames)) is not None:
        palette = np.stack([known >> 16, known >> 8, known], axis=1).astype(np.uint8).ravel()
        return (_indexed(np.searchsorted(known, _key(frame)).astype(np.uint8), palette) for frame in frames)
    sample = frames[:: -(-len(frames) // _SAMPLES)]
    column = np.ascontiguousarray(sample).reshape(-1, frames.shape[2], 3)
    reference = Image.fromarray(column).quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    pictures = (Image.fromarray(np.ascontiguousarray(frame)) for frame in frames)
    return (picture.quantize(palette=reference, dither=Image.Dither.NONE) for picture in pictures)


def _exact_palette(frames: Pixels) -> npt.NDArray[np.uint32] | None:
    """Return all colours in ascending order if they fit into a palette."""
    known: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)
    for frame in frames:
        known = np.union1d(known, _key(frame)).astype(np.uint32, copy=False)
        if len(known) > _COLOURS:
            return None
    return known


def _key(frame: Pixels) -> npt.NDArray[np.uint32]:
    red, green, blue = (frame[..., channel].astype(np.uint32) for channel in range(3))
    return (red << np.uint32(16)) | (green << np.uint32(8)) | blue


def _indexed(indices: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8]) -> Any:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(indices)).convert("L")
    picture.putpalette(palette.tobytes())  # an L picture with a palette becomes a P picture
    return picture
