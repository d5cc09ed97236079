"""Sets of images: what a pass over a data set needs to know, whether the images are an array or a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.nets.folder import FolderImages
from convscope.nets.preprocessing import IMAGENET, Preprocessing

__all__ = ["IMAGENET", "ArrayImages", "FirstImages", "FolderImages", "ImageSet", "Preprocessing", "Split"]


class ImageSet(Protocol):
    """A numbered set of images."""

    name: str
    labels: npt.NDArray[np.int32] | None
    label_names: tuple[str, ...]
    preprocessing: Preprocessing

    @property
    def fingerprint(self) -> str:
        """What the images and their preprocessing hash to."""
        ...

    def __len__(self) -> int: ...

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        ...

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image to show, ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the input pixel for pixel."""
        ...


class ArrayImages:
    """Images that lie in an array.

    >>> digits = ArrayImages(np.zeros((10, 28, 28), np.uint8), preprocessing=Preprocessing(order="L"))
    >>> digits.images(0, 4).shape, digits.display(0).shape
    ((4, 1, 28, 28), (28, 28, 1))

    Parameters
    ----------
    pixels
        uint8, ``(N, H, W)`` or ``(N, H, W, 1 or 3)``.
    labels
        The class of each, ``(N,)``; -1 is unknown.
    label_names
        The names of the classes.
    preprocessing
        How they become the network's input; by default 0..1, grey where there is one channel.
    name
        What the set is called.
    """

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        labels: npt.NDArray[Any] | None = None,
        *,
        label_names: Sequence[str] = (),
        preprocessing: Preprocessing | None = None,
        name: str = "images",
    ) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise InputError(f"expected uint8 pictures (N, H, W) or (N, H, W, C), got {pixels.dtype} {pixels.shape}")
        self.pixels = pixels if pixels.ndim == 4 else pixels[:, :, :, None]
        if self.pixels.shape[3] not in (1, 3) or 0 in self.pixels.shape:
            raise InputError(f"expected at least one picture with 1 or 3 channels, got shape {pixels.shape}")
        if labels is not None and len(labels) != len(pixels):
            raise InputError(f"{len(labels)} labels do not fit {len(pixels)} pictures; give one label for each")
        self.name = name
        self.labels = None if labels is None else np.asarray(labels, np.int32)
        self.label_names = tuple(label_names)
        self.preprocessing = preprocessing or Preprocessing(order="L" if self.pixels.shape[3] == 1 else "RGB")

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        if self.preprocessing.size is None and self.preprocessing.crop is None:
            wanted = self.preprocessing.channels
            pixels = self.pixels[start:stop]
            grey = pixels.shape[3] == 1 < wanted
            return self.preprocessing.normalise(np.repeat(pixels, wanted, axis=3) if grey else pixels)
        return np.stack([self.preprocessing.to_input(picture) for picture in self.pixels[start:stop]])

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown, aligned with the network's input."""
        return self.preprocessing.fit(self.pixels[index])

    @cached_property
    def fingerprint(self) -> str:
        """What the pixels and the preprocessing hash to."""
        digest = hashlib.sha256(np.ascontiguousarray(self.pixels).data)
        digest.update(json.dumps([self.pixels.shape, self.preprocessing.to_json()]).encode())
        return digest.hexdigest()

    def part(self, start: int, stop: int, name: str | None = None) -> ArrayImages:
        """Return images start..stop as a set of their own."""
        labels = None if self.labels is None else self.labels[start:stop]
        return ArrayImages(
            self.pixels[start:stop],
            labels,
            label_names=self.label_names,
            preprocessing=self.preprocessing,
            name=name or self.name,
        )


class FirstImages:
    """The first so many images of a set, read from it when they are asked for.

    Parameters
    ----------
    images
        The whole set.
    count
        How many of them; all where there are fewer.
    """

    def __init__(self, images: ImageSet, count: int) -> None:
        if count < 1:
            raise InputError(f"expected at least one image, got {count}")
        self._images = images
        self._count = min(count, len(images))
        self.name = images.name
        self.labels = None if images.labels is None else images.labels[: self._count]
        self.label_names = images.label_names
        self.preprocessing = images.preprocessing
        self.files: Sequence[str] = getattr(images, "files", ())[: self._count]

    def __len__(self) -> int:
        return self._count

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        return self._images.images(start, min(stop, self._count))

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown."""
        return self._images.display(index)

    @property
    def fingerprint(self) -> str:
        """That of the whole set, with how many of it."""
        return f"{self._images.fingerprint} first {self._count}"


class Split(NamedTuple):
    """A data set in two parts."""

    train: ArrayImages
    test: ArrayImages
