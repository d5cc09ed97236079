"""What one item of a data set holds: a picture or a network's input, and its label, in the forms people give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError, not_found
from convscope.nets.datasets.decode import Source, as_pixels

IMAGE_NAMES: Final = (
    "image", "images", "img", "pixel_values", "picture", "photo", "bytes", "image_bytes", "jpg", "jpeg", "png", "webp",
    "input", "x", "data", "item", "content",
)  # fmt: skip
LABEL_NAMES: Final = ("label", "labels", "class", "target", "category", "fine_label", "cls", "class_id", "y")
NAME_NAMES: Final = ("path", "file_name", "filename", "file", "image_path", "id", "__key__", "key", "name")


def column(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the first of the known names that is among the columns, whatever its case."""
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[name] for name in known if name in lower), None)


def image_column(names: Sequence[str], where: str) -> str:
    """Return the column that holds the images.

    Raises
    ------
    NotFoundError
        If there is none of a usual name.
    """
    found = column(names, IMAGE_NAMES)
    if found is None and len(names) == 1:
        return names[0]
    if found is None:
        raise not_found("column 'image'", ", ".join(names), (), where)
    return found


def split(item: Any, where: str) -> tuple[Any, Any]:
    """Return an item's image and its label, ``None`` where it has none: of a pair, a dictionary or a lone image."""
    if isinstance(item, Mapping):
        label = column(list(item), LABEL_NAMES)
        return item[image_column([name for name in item if name != label], where)], item[label] if label else None
    if isinstance(item, tuple | list) and item:
        return item[0], item[1] if len(item) > 1 and _is_label(item[1]) else None
    return item, None


def _is_label(value: Any) -> bool:
    if isinstance(value, str | int | np.generic):
        return True
    return hasattr(value, "ndim") and value.ndim == 0


def plain_label(value: Any) -> Any:
    """Return a label as a Python number or text; scalars of any framework count as numbers."""
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    array = as_numpy(value)
    if array.size != 1:
        raise InputError(f"a label is one number or text for each image, got an array of shape {array.shape}")
    return array.reshape(()).item()


def image_of(value: Any, where: str) -> Source | npt.NDArray[np.float32]:
    """Return an image as something to decode, or, if it holds floats, as the network's input ``(C, H, W)``.

    Parameters
    ----------
    value
        A path, bytes, a dictionary with ``bytes`` or ``path``, a Pillow image, ``uint8`` pixels ``(H, W)``,
        ``(H, W, c)`` or ``(c, H, W)``, or floats ``(C, H, W)``.
    where
        What it is called in an error.
    """
    from PIL.Image import Image

    if isinstance(value, Mapping):
        inner = value.get("bytes")
        value = inner if inner is not None else value.get("path")
    if isinstance(value, str):
        return Path(value)
    if isinstance(value, Path | bytes | Image):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if value is None or not hasattr(value, "__len__"):
        raise InputError(f"{where} is a {type(value).__name__}; expected a picture, an array or the bytes of a file")
    array = as_numpy(value)
    if array.dtype == np.uint8:
        return as_pixels(_channels_last(array))
    if array.dtype.kind == "f" and array.ndim == 3:
        if array.shape[2] in (1, 3) and array.shape[0] not in (1, 3):
            raise InputError(
                f"{where} has floats of shape {array.shape}; the network's input is (C, H, W): move the axes"
            )
        return np.asarray(array, np.float32)
    raise InputError(f"{where} is {array.dtype} {array.shape}; expected uint8 pictures or floats (C, H, W)")


def _channels_last(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pixels with their channels last: ``(c, H, W)`` is taken for what it is where nothing else fits."""
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        return np.ascontiguousarray(array.transpose(1, 2, 0))
    return array
