"""Whatever a user calls images, as a set of images: arrays of any framework, a folder, a list, a set."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.nets.data import ArrayImages, FolderImages, ImageSet, Preprocessing


class InputImages:
    """Images that are a network's input already: floating-point ``(N, C, H, W)``.

    They are shown through the inverse of ``preprocessing`` or, where there is none, with the smallest value of all as
    black and the largest as white.

    Parameters
    ----------
    values
        ``(N, C, H, W)`` with 1 or 3 channels.
    preprocessing
        How they were made from pictures; used to show them.
    """

    def __init__(self, values: npt.NDArray[np.floating[Any]], preprocessing: Preprocessing | None = None) -> None:
        if values.ndim != 4 or 0 in values.shape:
            raise InputError(f"images that are a network's input have the shape (N, C, H, W), got {values.shape}")
        self._values = values.astype(np.float32)
        self._inverse = preprocessing
        self.name = "images"
        self.labels: npt.NDArray[np.int32] | None = None
        self.label_names: tuple[str, ...] = ()
        self.preprocessing = preprocessing or Preprocessing(order="L" if values.shape[1] == 1 else "RGB")
        self._low, self._high = float(self._values.min()), float(self._values.max())

    def __len__(self) -> int:
        return len(self._values)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop, ``(n, C, H, W)``."""
        return self._values[start:stop]

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image to show, ``(H, W, 3)`` or ``(H, W, 1)``; of more channels, the mean of all."""
        values = self._values[index]
        if values.shape[0] not in (1, 3):
            values = values.mean(0, keepdims=True)
        elif self._inverse is not None:
            return self._inverse.to_display(values)
        span = (self._high - self._low) or 1.0
        return np.asarray(np.clip(np.rint((values - self._low) / span * 255), 0, 255), np.uint8).transpose(1, 2, 0)

    @property
    def fingerprint(self) -> str:
        """What the values hash to."""
        return hashlib.sha256(np.ascontiguousarray(self._values).data).hexdigest()


def image_set(images: Any, preprocessing: Preprocessing | None = None) -> ImageSet:
    """Return whatever a user calls images as a set of images.

    Parameters
    ----------
    images
        A set of images (:class:`ArrayImages`, :class:`FolderImages`, …), the path of a folder, an array of any
        framework (``uint8`` pictures ``(N, H, W)`` or ``(N, H, W, c)``, or the network's input ``(N, C, H, W)`` as
        floats), or a list of paths, Pillow images or ``uint8`` arrays.
    preprocessing
        How pictures become the network's input.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if all(hasattr(images, name) for name in ("images", "display", "fingerprint")):
        return images  # type: ignore[no-any-return]  # has what the protocol asks for
    if isinstance(images, str | Path):
        return FolderImages(images, preprocessing)
    if isinstance(images, list | tuple) and images and not np.isscalar(images[0]):
        return _listed(images, preprocessing)
    array = as_numpy(images)
    if array.ndim and not len(array):
        raise InputError("no images were given; give at least one")
    if array.dtype == np.uint8:
        return ArrayImages(array, preprocessing=preprocessing)
    if array.dtype.kind == "f":
        return InputImages(array, preprocessing)
    raise InputError(f"images are uint8 pictures (N, H, W, c) or float inputs (N, C, H, W), got {array.dtype}")


def _listed(images: list[Any] | tuple[Any, ...], preprocessing: Preprocessing | None) -> ImageSet:
    """Return a list of paths, Pillow images or arrays as a set; each is fitted now, so they may differ in size."""
    from PIL import Image, UnidentifiedImageError

    if all(hasattr(image, "ndim") and image.ndim == 3 and as_numpy(image).dtype.kind == "f" for image in images):
        return InputImages(np.stack([as_numpy(image) for image in images]), preprocessing)
    how = preprocessing or Preprocessing()
    fitted = []
    for number, image in enumerate(images):
        try:
            opened = Image.open(image) if isinstance(image, str | Path) else image
            fitted.append(how.fit(opened if isinstance(opened, Image.Image) else _pixels(as_numpy(opened))))
        except (OSError, UnidentifiedImageError) as error:
            raise InputError(f"image {number} of the list cannot be read ({error}); leave it out") from error
    if len({picture.shape for picture in fitted}) > 1:
        raise InputError("the images of the list differ in size; give the model a preprocessing with size and crop")
    as_they_are = Preprocessing(None, None, how.mean, how.std, how.scale, how.order)
    return ArrayImages(np.stack(fitted), preprocessing=as_they_are)


def _pixels(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise InputError(f"a picture in a list is a uint8 array (H, W) or (H, W, c), got {array.dtype} {array.shape}")
    return array if array.ndim == 3 else array[:, :, None]
