"""MP4 with H.264, through PyAV: the smallest moving pictures, with loss; TensorBoard does not show them."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np

from convscope.errors import missing_extra
from convscope.formats.png import Pixels


def encode(frames: Pixels, fps: float) -> bytes:
    """Return frames ``(T, H, W, C)`` as MP4.

    Parameters
    ----------
    frames
        ``uint8``, with 1 (grey) or 3 (RGB) channels. An odd height or width is made even by repeating the edge, as
        4:2:0 chroma needs it.
    fps
        Frames in a second.

    Raises
    ------
    MissingExtraError
        If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise missing_extra("av", "video", "encoding MP4") from error
    height, width = frames.shape[1:3]
    even = np.pad(frames, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    even = np.broadcast_to(even, (*even.shape[:3], 3))
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = even.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return out.getvalue()
