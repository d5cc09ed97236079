"""From a photograph to a network's input, and back to what can be shown: explicit, and stored with every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

ORDERS: Final = {"RGB": 3, "BGR": 3, "L": 1}
RESIZES: Final = ("short", "long", "warp")
INTERPOLATIONS: Final = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop, and turn pixels 0..255 into ``(pixel · scale − mean) / std``.

    >>> grey = Preprocessing(order="L")
    >>> grey.to_input(np.full((2, 2, 1), 255, np.uint8)).ravel()
    array([1., 1., 1., 1.], dtype=float32)

    Attributes
    ----------
    size
        The side after resizing, in pixels; ``None`` leaves the size alone.
    crop
        Height and width of the centre crop; ``None`` leaves it out.
    mean, std
        Per channel in the network's order, in scaled units; one number serves all channels.
    scale
        What a pixel is multiplied with first.
    order
        The channels the network takes: ``RGB``, ``BGR`` or ``L`` (grey).
    resize
        Which side gets that size: the ``short`` one; the ``long`` one, so that the whole picture is kept and what the
        crop lacks is filled; or both (``warp``), which makes a square of every picture, as Caffe's data sets were made.
    interpolation
        Of the resizing: ``nearest``, ``box``, ``bilinear``, ``hamming``, ``bicubic`` or ``lanczos``.
    fill
        Red, green and blue, 0..255, of what a ``long`` picture leaves free; one number is a grey.
    """

    size: int | None = None
    crop: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1 / 255
    order: str = "RGB"
    resize: str = "short"
    interpolation: str = "bilinear"
    fill: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for noun, value, known in (
            ("channel order", self.order, tuple(ORDERS)),
            ("way to resize", self.resize, RESIZES),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                raise InputError(f"unknown {noun} {value!r}; use {', '.join(known[:-1])} or {known[-1]}")
        if self.size is not None and self.crop is not None and self.size < max(self.crop) and self.resize != "long":
            raise InputError(f"cannot crop {self.crop} out of a short side of {self.size}; use a larger size")
        if len(self.fill) not in (1, 3):
            raise InputError(f"fill has {len(self.fill)} numbers; give one grey, or red, green and blue")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise InputError(f"{name} has {len(values)} numbers, but {self.order} has {self.channels} channels")
        if 0 in self.std:
            raise InputError("std is divided by and must not be 0")

    @property
    def channels(self) -> int:
        """How many channels the network takes."""
        return ORDERS[self.order]

    def fit(self, picture: Image | npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return a picture as the network sees it, resized and cropped: ``(H, W, 3)`` RGB or ``(H, W, 1)``, uint8."""
        from PIL import Image as Pillow

        if isinstance(picture, np.ndarray):
            if self.size is None and self.crop is None:
                return self._channels_of(picture)
            picture = Pillow.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
        picture = picture.convert("L" if self.order == "L" else "RGB")
        target, box = self._frame(*picture.size)
        if target != picture.size or box != (0, 0, *picture.size):
            picture = picture.resize(target, Pillow.Resampling[self.interpolation.upper()], box=box)
        if self.crop is not None and target != self.crop[::-1]:
            picture = self._filled_up(picture)
        pixels = np.asarray(picture)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    def _filled_up(self, picture: Image) -> Image:
        """Return a picture in the middle of a canvas of the crop's size."""
        from PIL import Image as Pillow

        height, width = self.crop or picture.size[::-1]
        red, green, blue = self.fill if len(self.fill) == 3 else self.fill * 3
        grey = round(0.299 * red + 0.587 * green + 0.114 * blue)
        canvas = Pillow.new(picture.mode, (width, height), grey if picture.mode == "L" else (red, green, blue))
        canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        return canvas

    def _channels_of(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        wanted = 1 if self.order == "L" else 3
        if pixels.shape[2] == wanted:
            return pixels
        if pixels.shape[2] == 1:
            return np.repeat(pixels, 3, axis=2)
        raise InputError(f"expected pictures with {wanted} channels, got {pixels.shape[2]}; convert them first")

    def _frame(self, width: int, height: int) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
        """Return the size of the result and the part of the source it shows, both as (width, height).

        Only the part that is kept is ever resized: the long side of an extreme panorama would not fit into memory.
        """
        scaled = self._scaled(width, height)
        if self.crop is None:
            return scaled, (0.0, 0.0, width, height)
        crop_height, crop_width = self.crop
        if self.resize == "long" and self.size is not None:
            crop_height, crop_width = min(crop_height, scaled[1]), min(crop_width, scaled[0])
        elif crop_width > scaled[0] or crop_height > scaled[1]:
            raise InputError(f"cannot crop {self.crop} out of a picture of {height}×{width}; set size to resize first")
        left, top = round((scaled[0] - crop_width) / 2), round((scaled[1] - crop_height) / 2)
        x, y = width / scaled[0], height / scaled[1]
        return (crop_width, crop_height), (left * x, top * y, (left + crop_width) * x, (top + crop_height) * y)

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self.size is None:
            return width, height
        if self.resize == "warp":
            return self.size, self.size
        chosen = (min if self.resize == "short" else max)(width, height)
        other = max(1, int(self.size * (width + height - chosen) / chosen))
        return (self.size, other) if width == chosen else (other, self.size)

    def normalise(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return fitted pictures ``(..., H, W, c)`` as the network's input ``(..., C, H, W)``, float32."""
        ordered = pixels[..., ::-1] if self.order == "BGR" else pixels
        planes = np.moveaxis(ordered, -1, -3)
        values = np.empty(planes.shape, np.float32)
        np.multiply(planes, np.float32(self.scale), out=values)
        if any(self.mean):
            values -= np.asarray(self.mean, np.float32).reshape(-1, 1, 1)
        if any(part != 1 for part in self.std):
            values /= np.asarray(self.std, np.float32).reshape(-1, 1, 1)
        return values

    def to_input(self, picture: Image | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return one picture as the network's input ``(C, H, W)``."""
        return self.normalise(self.fit(picture))

    def to_display(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
        """Return an input ``(..., C, H, W)`` as pictures ``(..., H, W, c)``: the inverse of :meth:`normalise`."""
        pixels = np.moveaxis(values, -3, -1) * np.asarray(self.std) + np.asarray(self.mean)
        ordered = pixels[..., ::-1] if self.order == "BGR" else pixels
        shown: npt.NDArray[np.uint8] = np.clip(np.rint(ordered / self.scale), 0, 255).astype(np.uint8)
        return shown

    def to_json(self) -> dict[str, Any]:
        """Return the preprocessing for the meta of a record and for fingerprints."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the preprocessing that was stored with a result."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        return cls(**fields)


IMAGENET: Final = Preprocessing(256, (224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's ImageNet networks are trained with."""
