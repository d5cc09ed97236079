"""Pictures, moving pictures and sound."""

from __future__ import annotations

from typing import Any

from convscope.arrays import to_hwc, to_uint8
from convscope.formats import png
from convscope.formats.values import EncodedImage, encode_image
from convscope.recording.base import Recorder


class MediaMethods(Recorder):
    """The methods that log what people look at or listen to."""

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log a picture.

        Parameters
        ----------
        tag
            The picture's name.
        img_tensor
            ``uint8``, or floats from 0 to 1; what lies outside is clipped and counted.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        dataformats
            ``CHW``, ``HWC`` or ``HW``.
        """
        pixels, clipped = to_uint8(to_hwc(img_tensor, dataformats))
        height, width, channels = pixels.shape
        image = EncodedImage(height, width, png.encode(pixels), clipped)
        self._emit(tag, encode_image(image, channels), global_step, walltime)
