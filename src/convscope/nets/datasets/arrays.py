"""Images in an array: ``uint8`` pictures, or floats that are a network's input already; ``.npy`` and ``.npz``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, NotFoundError
from convscope.nets.datasets.labels import Given, labelled
from convscope.nets.datasets.pictures import fingerprint
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import Preprocessing

MAX_BYTES: Final = 16 << 30
"""Arrays that unpack to more are refused before they are unpacked."""
IMAGE_KEYS: Final = ("images", "image", "x", "data", "pixels", "arr_0")
LABEL_KEYS: Final = ("labels", "label", "y", "targets", "target", "arr_1")
_CHUNK: Final = 64 << 20


class ArrayImages:
    """Images that lie in an array.

    >>> digits = ArrayImages(np.zeros((10, 28, 28), np.uint8), preprocessing=Preprocessing(order="L"))
    >>> digits.images(0, 4).shape, digits.display(0).shape
    ((4, 1, 28, 28), (28, 28, 1))

    Parameters
    ----------
    pixels
        uint8, ``(N, H, W)`` or ``(N, H, W, 1 or 3)``; a memory map is read as far as it is asked for.
    labels
        The class of each, ``(N,)``; -1 is unknown.
    label_names
        The names of the classes.
    preprocessing
        How they become the network's input; by default 0..1, grey where there is one channel.
    name
        What the set is called.

    Raises
    ------
    InputError
        If the array has another type or shape, or the labels do not fit.
    """

    concurrent = True
    fresh = True

    def __init__(
        self,
        pixels: npt.NDArray[np.uint8],
        labels: Given = None,
        *,
        label_names: Names = (),
        preprocessing: Preprocessing | None = None,
        name: str = "images",
    ) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
            raise InputError(f"expected uint8 pictures (N, H, W) or (N, H, W, C), got {pixels.dtype} {pixels.shape}")
        self.pixels = pixels if pixels.ndim == 4 else pixels[:, :, :, None]
        if self.pixels.shape[3] not in (1, 3) or 0 in self.pixels.shape:
            raise InputError(f"expected at least one picture with 1 or 3 channels, got shape {pixels.shape}")
        known = labelled(labels, label_names, _numbers(len(pixels)))
        self.name = name
        self.names: Sequence[str] = ()
        self.labels, self.label_names = known.numbers, known.names
        self.skipped: Mapping[str, str] = {}
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
        """What the pixels, the labels and the preprocessing hash to."""
        return fingerprint(_bytes_of(self.pixels), self.preprocessing, self.labels, self.label_names)

    def part(self, start: int, stop: int, name: str | None = None) -> ArrayImages:
        """Return images start..stop as a set of their own."""
        return ArrayImages(
            self.pixels[start:stop],
            None if self.labels is None else self.labels[start:stop],
            label_names=self.label_names,
            preprocessing=self.preprocessing,
            name=name or self.name,
        )


class InputImages:
    """Images that are a network's input already: floating-point ``(N, C, H, W)``.

    They are shown through the inverse of ``preprocessing`` or, where there is none, with the smallest value of all as
    black and the largest as white.

    Parameters
    ----------
    values
        ``(N, C, H, W)``; a memory map is read as far as it is asked for.
    preprocessing
        How they were made from pictures; used to show them.
    labels, label_names, name
        As for :class:`ArrayImages`.

    Raises
    ------
    InputError
        If the shape is another, or the labels do not fit.
    """

    concurrent = True

    def __init__(
        self,
        values: npt.NDArray[np.floating[Any]],
        preprocessing: Preprocessing | None = None,
        labels: Given = None,
        *,
        label_names: Names = (),
        name: str = "images",
    ) -> None:
        if values.ndim != 4 or 0 in values.shape:
            raise InputError(f"images that are a network's input have the shape (N, C, H, W), got {values.shape}")
        known = labelled(labels, label_names, _numbers(len(values)))
        self._values = values
        self._inverse = preprocessing
        self.name = name
        self.names: Sequence[str] = ()
        self.labels, self.label_names = known.numbers, known.names
        self.skipped: Mapping[str, str] = {}
        self.preprocessing = preprocessing or Preprocessing(order="L" if values.shape[1] == 1 else "RGB")

    def __len__(self) -> int:
        return len(self._values)

    def images(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return images start..stop, ``(n, C, H, W)``."""
        return np.asarray(self._values[start:stop], np.float32)

    def display(self, index: int) -> npt.NDArray[np.uint8]:
        """Return an image to show, ``(H, W, 3)`` or ``(H, W, 1)``; of other numbers of channels, the mean of all."""
        return shown(np.asarray(self._values[index], np.float32), self._inverse, lambda: self._range)

    @cached_property
    def _range(self) -> tuple[float, float]:
        step = max(1, _CHUNK // self._values[0].nbytes)
        ends = [finite_range(self._values[i : i + step]) for i in range(0, len(self), step)]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @cached_property
    def fingerprint(self) -> str:
        """What the values and the labels hash to."""
        return fingerprint(_bytes_of(self._values), self.preprocessing, self.labels, self.label_names)


def shown(values: npt.NDArray[np.float32], inverse: Preprocessing | None, span: Any) -> npt.NDArray[np.uint8]:
    """Return an input ``(C, H, W)`` as a picture: through the inverse of its preprocessing, else stretched.

    Parameters
    ----------
    values
        The input; NaN is black.
    inverse
        How it was made.
    span
        Gives the values that become black and white, when asked.
    """
    values = np.nan_to_num(values, nan=-np.inf)
    if values.shape[0] not in (1, 3):
        values = values.mean(0, keepdims=True)
    elif inverse is not None and inverse.channels == values.shape[0]:
        return inverse.to_display(values)
    low, high = span()
    stretched = (values - low) / ((high - low) or 1.0) * 255
    return np.asarray(np.clip(np.rint(stretched), 0, 255), np.uint8).transpose(1, 2, 0)


def finite_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the smallest and the largest finite value; 0 and 1 where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _bytes_of(array: npt.NDArray[Any]) -> Iterator[bytes]:
    """Yield an array's type, shape and content, some of it at a time."""
    yield repr((array.dtype.str, array.shape)).encode()
    step = max(1, _CHUNK // max(1, array[0].nbytes))
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step]).tobytes()


def _numbers(count: int) -> tuple[str, ...]:
    """Return what stands for the names of pictures that have none."""
    return tuple(map(str, range(count)))


def load_arrays(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Return the images of a ``.npy`` file, as a memory map, or images and labels of a ``.npz`` file.

    Raises
    ------
    NotFoundError, FormatError
        If there is no such file, it is damaged, holds Python objects, or unpacks to more than :data:`MAX_BYTES`.
    InputError
        If it does not say which of its arrays are the images.
    """
    if not path.is_file():
        raise NotFoundError(f"no file {str(path)!r}; give the path of a file of images")
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_BYTES:
            raise FormatError(f"{path} unpacks to {unpacked:,} bytes; at most {MAX_BYTES:,} are read, so use .npy")
        with np.load(path, allow_pickle=False) as arrays:
            key = _key(arrays.files, IMAGE_KEYS, path)
            label = next((name for name in LABEL_KEYS if name in arrays.files and name != key), None)
            return arrays[key], arrays[label] if label else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, MemoryError) as error:
        if isinstance(error, FormatError | InputError):
            raise
        raise FormatError(f"{path} cannot be read as an array ({error}); save it with numpy.save") from error


def _key(found: Sequence[str], wanted: Sequence[str], path: Path) -> str:
    if len(found) == 1:
        return found[0]
    for name in wanted:
        if name in found:
            return name
    raise InputError(f"which array of {path} has the images: {', '.join(found)}? Call it 'images', or give the array")
