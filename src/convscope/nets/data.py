"""Sets of images: what a pass over a data set needs to know, wherever the images come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.nets.datasets.arrays import ArrayImages, InputImages
from convscope.nets.datasets.folder import FolderImages
from convscope.nets.preprocessing import IMAGENET, Preprocessing

__all__ = [
    "IMAGENET",
    "ArrayImages",
    "FirstImages",
    "FolderImages",
    "ImageSet",
    "InputImages",
    "Preprocessing",
    "Split",
    "skipped_sentence",
]

_SHOWN = 3


class ImageSet(Protocol):
    """A numbered set of images.

    Attributes
    ----------
    name
        What it is called.
    names
        What each image is called, mostly its file; empty where they have no names.
    labels, label_names
        The class of each, -1 where it is unknown (``None`` where there are no classes), and the names of the classes.
    preprocessing
        How they became the network's input.
    skipped
        What is not among them → why.
    """

    name: str
    names: Sequence[str]
    labels: npt.NDArray[np.int32] | None
    label_names: tuple[str, ...]
    preprocessing: Preprocessing
    skipped: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """What the images, their labels and their preprocessing hash to."""
        ...

    def __len__(self) -> int: ...

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        ...

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image to show, ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the input pixel for pixel."""
        ...


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
        self.names: Sequence[str] = tuple(getattr(images, "names", ())[: self._count])
        self.labels = None if images.labels is None else images.labels[: self._count]
        self.label_names = images.label_names
        self.preprocessing = images.preprocessing
        self.skipped: Mapping[str, str] = getattr(images, "skipped", {})

    @property
    def files(self) -> Sequence[str]:
        """What each picture is called."""
        return self.names

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


def skipped_sentence(images: ImageSet) -> str:
    """Say in one sentence what is not among the images and what has no label; nothing where all is well.

    >>> digits = ArrayImages(np.zeros((10, 28, 28), np.uint8))
    >>> digits.skipped = {"a.jpg": "not an image"}
    >>> skipped_sentence(digits)
    '1 of 11 images skipped: a.jpg (not an image)'
    """
    parts = []
    if images.skipped:
        total = len(images) + len(images.skipped)
        each = [f"{name} ({why})" for name, why in images.skipped.items()]
        parts.append(f"{len(each):,} of {total:,} images skipped: {_some(each)}")
    if unlabelled := getattr(images, "unlabelled", 0):
        parts.append(f"{unlabelled:,} without a label")
    if missing := getattr(images, "missing", ()):
        parts.append(f"{len(missing):,} labelled but not there: {_some(missing)}")
    return "; ".join(parts)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


class Split(NamedTuple):
    """A data set in two parts."""

    train: ArrayImages
    test: ArrayImages
