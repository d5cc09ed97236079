"""Pictures, moving pictures and sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import arrange, as_numpy, grid, stack, to_hwc, to_uint8
from convscope.errors import InputError, not_found
from convscope.formats import apng, gif, mp4, png, wav
from convscope.formats.audio import EncodedAudio, encode_audio
from convscope.formats.values import EncodedImage, encode_image
from convscope.recording.base import Recorder, number_of
from convscope.recording.drawing import boxes_of, close_figures, draw_boxes, figures_of, labels_of, render

Pixels = npt.NDArray[np.uint8]

CODECS: Final[Mapping[str, Callable[[Pixels, float], bytes]]] = {
    "apng": apng.encode,
    "gif": gif.encode,
    "mp4": mp4.encode,
}
_FASTEST: Final = 1000.0  # frames in a second
_SLOWEST: Final = 0.01
_HIGHEST_RATE: Final = 1 << 24  # the largest whole numbers that the event's float32 holds exactly


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
        """Log a picture, or several as a grid.

        Parameters
        ----------
        tag
            The picture's name.
        img_tensor
            An array of any framework with 1 (grey), 3 (RGB) or 4 (RGBA) channels: ``uint8``; floats from 0 to 1;
            booleans; or other integers from 0 to 255 (0 and 255 for a mask that has only 0 and 1). What lies outside
            is clipped and counted (``Picture.clipped``), never wrapped.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.
        dataformats
            What each axis is: ``CHW``, ``HWC``, ``HW``, ``NCHW``, ``NHWC`` or any other order of ``H``, ``W`` and, as
            needed, ``N`` and ``C``. Pictures along ``N`` are laid out as :meth:`add_images` does; ``NHW`` shows a stack
            of feature maps.

        Raises
        ------
        InputError
            If the array is no such picture.
        """
        self._log_pictures(tag, arrange(as_numpy(img_tensor), dataformats), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
        *,
        columns: int = 8,
        padding: int = 2,
    ) -> None:
        """Log several pictures as a grid, row by row.

        Parameters
        ----------
        tag, img_tensor, global_step, walltime
            As for :meth:`add_image`. A list holds one array for each picture; they may differ in size, and the
            smaller ones are filled up with black.
        dataformats
            The axes of all pictures (``NCHW``, ``NHWC``, ``NHW``, …); of a list, those of one of them (``CHW``, …; an
            ``N`` is passed over).
        columns
            Pictures in a row, at most.
        padding
            Pixels between two pictures, black or transparent; 0 gives the grid of torch and tensorboardX.

        Raises
        ------
        InputError
            If the array is no such batch, or there is none.
        """
        for name, value, least in (("columns", columns, 1), ("padding", padding, 0)):
            if not isinstance(value, int | np.integer) or value < least:
                raise InputError(f"{name} is a whole number, {least} or more, got {value!r}")
        if not isinstance(img_tensor, list | tuple):
            pictures = arrange(as_numpy(img_tensor), dataformats)
            self._log_pictures(tag, pictures, global_step, walltime, columns, padding)
            return
        if not img_tensor:
            raise InputError("a list of pictures has at least one, got an empty list")
        layout = dataformats.upper().replace("N", "") if isinstance(dataformats, str) else dataformats
        found = [to_uint8(arrange(as_numpy(picture), layout, "HWC")) for picture in img_tensor]
        sheet = grid(stack([pixels for pixels, _ in found]), columns, padding)
        self._log_pixels(tag, sheet, sum(clipped for _, clipped in found), global_step, walltime)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: Sequence[Any] | str | None = None,
    ) -> None:
        """Log a picture with boxes drawn on it.

        Parameters
        ----------
        tag, img_tensor, global_step, walltime
            As for :meth:`add_image`; one picture.
        box_tensor
            ``(N, 4)``: left, top, right and bottom of each box in pixels of the picture. Boxes may reach out of it.
        rescale
            How many times as large the picture becomes before the boxes are drawn.
        dataformats
            ``CHW``, ``HWC``, ``HW`` or another order of these axes.
        labels
            One text for each box (``None`` for no text). Equal labels have equal colours.

        Raises
        ------
        InputError
            If the picture, the boxes or the labels make no sense.
        """
        boxes = boxes_of(box_tensor)
        texts = labels_of(labels, len(boxes))
        scale = number_of(rescale)
        if not (math.isfinite(scale) and scale > 0):
            raise InputError(f"rescale is a number above 0, got {rescale!r}")
        pixels, clipped = to_uint8(to_hwc(img_tensor, dataformats))
        self._log_pixels(tag, draw_boxes(pixels, boxes, texts, scale), clipped, global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a figure of matplotlib as a picture.

        It is drawn by Agg, whatever the program's own backend is.

        Parameters
        ----------
        tag, global_step, walltime
            As for :meth:`add_image`.
        figure
            A figure, or a list of them, which becomes a grid.
        close
            Whether to close the figures afterwards.

        Raises
        ------
        InputError
            If it is no figure.
        """
        figures = figures_of(figure)
        self._log_pixels(tag, grid(stack([render(one) for one in figures])), 0, global_step, walltime)
        if close:
            close_figures(figures)

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: int | None = None,
        fps: float = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
        *,
        codec: str = "apng",
    ) -> None:
        """Log moving pictures, which repeat for ever wherever pictures are shown.

        Parameters
        ----------
        tag, global_step, walltime
            As for :meth:`add_image`.
        vid_tensor
            Numbers as for :meth:`add_image`, by default ``(N, T, C, H, W)``: N films of T frames. Several films stand
            side by side, in as many rows as columns or half as many.
        fps
            Frames in a second, from 0.01 to 1000.
        dataformats
            What each axis is: ``NTCHW``, ``TCHW``, ``THWC``, ``THW`` or any other order with ``T``.
        codec
            ``apng`` (lossless; browsers and TensorBoard play it), ``gif`` (at most 256 colours and 50 frames in a
            second; transparent pixels become white) or ``mp4`` (H.264, the smallest; needs PyAV, and TensorBoard does
            not show it).

        Raises
        ------
        InputError
            If the array is no film.
        MissingExtraError
            If PyAV is needed and not installed.
        """
        if codec not in CODECS:
            raise not_found("codec", str(codec), CODECS)
        rate = number_of(fps)
        if not _SLOWEST <= rate <= _FASTEST:
            raise InputError(f"fps is a number of frames in a second, from 0.01 to 1000, got {fps!r}")
        if isinstance(dataformats, str) and "T" not in dataformats.upper():
            raise InputError(f"a film has an axis T, got the layout {dataformats!r}; name it, as in 'NTCHW' or 'TCHW'")
        frames, clipped = to_uint8(arrange(as_numpy(vid_tensor), dataformats, "NTHWC"))
        film = grid(frames, _columns(len(frames)))
        data = CODECS[codec](film if codec == "apng" else _on_white(film), rate)
        self._log_encoded(tag, film.shape[1:], data, clipped, global_step, walltime)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: int | None = None,
        sample_rate: float = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log a sound, as WAV of 16 bits.

        Parameters
        ----------
        tag, global_step, walltime
            As for :meth:`add_image`.
        snd_tensor
            ``(frames,)``, ``(frames, channels)`` or ``(channels, frames)``: of two axes the shorter is that of the
            channels, at most 8. Floats from -1 to 1 (what lies outside is clipped and counted: ``Audio.clipped``), or
            PCM in ``int16``, ``uint8`` or ``int32``.
        sample_rate
            Frames in a second.

        Raises
        ------
        InputError
            If the array is no sound.
        """
        rate = number_of(sample_rate)
        if not (rate.is_integer() and 1 <= rate <= _HIGHEST_RATE):
            raise InputError(f"sample_rate is a whole number of frames in a second, above 0, got {sample_rate!r}")
        samples, clipped = wav.to_int16(wav.to_frames(as_numpy(snd_tensor)))
        frames, channels = samples.shape
        audio = EncodedAudio(rate, channels, frames, wav.encode(samples, int(rate)), clipped)
        self._emit(tag, encode_audio(audio), global_step, walltime)

    def _log_pictures(
        self,
        tag: str,
        pictures: npt.NDArray[Any],
        global_step: int | None,
        walltime: float | None,
        columns: int = 8,
        padding: int = 2,
    ) -> None:
        """Log pictures ``(N, H, W, C)`` of any type of numbers as one."""
        pixels, clipped = to_uint8(pictures)
        sheet = pixels[0] if len(pixels) == 1 else grid(pixels, columns, padding)
        self._log_pixels(tag, sheet, clipped, global_step, walltime)

    def _log_pixels(
        self, tag: str, pixels: Pixels, clipped: int, global_step: int | None, walltime: float | None
    ) -> None:
        self._log_encoded(tag, pixels.shape, png.encode(pixels), clipped, global_step, walltime)

    def _log_encoded(
        self,
        tag: str,
        shape: tuple[int, ...],
        data: bytes,
        clipped: int,
        global_step: int | None,
        walltime: float | None,
    ) -> None:
        height, width, channels = shape
        image = EncodedImage(height, width, data, clipped)
        self._emit(tag, encode_image(image, channels), global_step, walltime)


def _columns(films: int) -> int:
    """Return how many films stand in a row: as many as there are rows, or twice as many, as in torch."""
    rows = 1 << (films.bit_length() - 1) // 2
    return -(-films // rows)


def _on_white(frames: Pixels) -> Pixels:
    """Return frames without transparency."""
    if frames.shape[-1] < 4:
        return frames
    colours, alpha = frames[..., :3].astype(np.uint16), frames[..., 3:].astype(np.uint16)
    return ((colours * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
