"""Sets of images: what a pass over a data set needs to know, wherever the images come from."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.nets.datasets.arrays import ArrayImages, InputImages
from convscope.nets.datasets.folder import FolderImages
from convscope.nets.datasets.pictures import THREADS, Pictures, stacked
from convscope.nets.preprocessing import IMAGENET, Preprocessing

__all__ = [
    "IMAGENET",
    "ArrayImages",
    "FirstImages",
    "FolderImages",
    "ImageSet",
    "InputImages",
    "KeptImages",
    "Preprocessing",
    "Split",
    "skipped_sentence",
]

_SHOWN = 3
_AT_ONCE = 256


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

    A set whose images several threads may read at a time says so by ``concurrent = True``; then they are read ahead.
    One that makes a new array of its images each time says so by ``fresh = True``; then they are not copied again
    before a network is shown them, which may write into what it is shown.
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
        self.concurrent = bool(getattr(images, "concurrent", False))
        self.fresh = bool(getattr(images, "fresh", False))

    @property
    def files(self) -> Sequence[str]:
        """What each picture is called."""
        return self.names

    @property
    def whole(self) -> ImageSet:
        """The set they are of."""
        return self._images

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


class KeptImages(FirstImages):
    """A set whose pictures are decoded once, as long as they fit into so many bytes; the others each time.

    For what comes back to the same images layer after layer. Pictures are kept as bytes and normalised anew, so what is
    computed of them stays the same to the last bit.

    Parameters
    ----------
    images
        The set.
    most_bytes
        How much is kept at most; what comes first stays.
    """

    def __init__(self, images: ImageSet, most_bytes: int = 1 << 28) -> None:
        super().__init__(images, len(images))
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}
        self._most = self._left = most_bytes
        self._counting = threading.Lock()
        inner = images
        while isinstance(inner, FirstImages):
            inner = inner.whole
        self._decodes = isinstance(inner, Pictures)

    def __reduce__(self) -> tuple[type[KeptImages], tuple[ImageSet, int]]:
        return KeptImages, (self._images, self._most)  # another process decodes for itself

    def keep(self, numbers: Sequence[int]) -> None:
        """Decode some pictures, several at a time, until no more fit."""
        for start in range(0, len(numbers) if self._decodes else 0, _AT_ONCE):
            part = numbers[start : start + _AT_ONCE]
            self._shown(part)
            if any(number not in self._kept for number in part):
                return

    @property
    def fingerprint(self) -> str:
        """That of the set itself."""
        return self._images.fingerprint

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop as the network's input, ``(n, C, H, W)``."""
        numbers = range(len(self))[start:stop]
        if not self._decodes or not numbers:
            return super().images(start, stop)
        return self.preprocessing.normalise(stacked(self._shown(numbers)))

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image as it can be shown."""
        if (known := self._kept.get(index)) is not None:
            return known
        picture = super().display(index)
        with self._counting:
            if self._decodes and index not in self._kept and picture.nbytes <= self._left:
                self._left -= picture.nbytes
                self._kept[index] = picture
        return picture

    def _shown(self, numbers: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
        """Return some images to show; those that are not kept are decoded several at a time."""
        missing = sum(number not in self._kept for number in numbers)
        if missing < 2 or THREADS == 1:
            return [self.display(number) for number in numbers]
        with ThreadPoolExecutor(min(THREADS, missing)) as threads:
            return list(threads.map(self.display, numbers))


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
