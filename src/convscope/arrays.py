"""Arrays of any framework as numpy arrays, and pictures in any layout as ``uint8``.

No framework is imported here: an array is recognised by what it can do, and a framework is asked only when it is
already in ``sys.modules`` (whoever holds one of its arrays has imported it).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

_CHANNELS: Final = (1, 3, 4)


def as_numpy(value: Any) -> npt.NDArray[Any]:
    """Return ``value`` as a numpy array, whatever framework it comes from.

    >>> as_numpy([[1, 2], [3, 4]]).shape
    (2, 2)

    Parameters
    ----------
    value
        A numpy array or scalar, a Python number or list, or an array of torch (any device, with or without
        gradients, bfloat16 included), JAX, TensorFlow, MXNet, CuPy, Paddle or anything with ``__array__`` or DLPack.

    Raises
    ------
    InputError
        If the value is not an array of numbers.
    """
    if isinstance(value, np.ndarray):
        array: npt.NDArray[Any] = value
    elif (torch := sys.modules.get("torch")) is not None and isinstance(value, torch.Tensor):
        array = _from_torch(value, torch)
    elif hasattr(value, "asnumpy"):  # MXNet
        array = np.asarray(value.asnumpy())
    elif type(value).__module__.startswith("cupy") and hasattr(value, "get"):
        array = np.asarray(value.get())
    elif type(value).__module__.startswith("paddle") and "bfloat16" in str(getattr(value, "dtype", "")):
        array = np.asarray(value.astype("float32").numpy())  # its numpy() gives the bits
    else:
        array = _from_protocols(value)
    if array.dtype.kind not in "biufcV":
        raise InputError(f"expected an array of numbers, got {_describe(value, array)}; convert it to numbers first")
    return _widen(array)


def _from_torch(tensor: Any, torch: Any) -> npt.NDArray[Any]:
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()  # numpy has no bfloat16 or float8; float32 holds every one of their values
    result: npt.NDArray[Any] = tensor.cpu().resolve_conj().resolve_neg().numpy()
    return result


def _from_protocols(value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(value, list | tuple) and len({np.shape(item) for item in value}) == 1:
            return np.stack([as_numpy(item) for item in value])  # tensors that numpy does not take as they are
        with suppress(TypeError, ValueError, RuntimeError, BufferError):
            if hasattr(value, "numpy"):  # TensorFlow's bfloat16
                return np.asarray(value.numpy())
            if hasattr(value, "__dlpack__"):
                return np.from_dlpack(value)
        raise InputError(f"expected an array of numbers, got {type(value).__name__} ({error})") from error


def _widen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn extension dtypes (``ml_dtypes.bfloat16`` of JAX has kind ``V``) into float32."""
    if array.dtype.kind != "V":
        return array
    if array.dtype.names or not array.dtype.name.startswith(("bfloat16", "float8")):
        raise InputError(f"expected an array of numbers, got dtype {array.dtype}; convert it to a numeric dtype first")
    return array.astype(np.float32)


def _describe(value: Any, array: npt.NDArray[Any]) -> str:
    return repr(value)[:60] if isinstance(value, str) else f"{type(value).__name__} of dtype {array.dtype}"


def arrange(array: npt.NDArray[Any], layout: str, order: str = "NHWC") -> npt.NDArray[Any]:
    """Return a view of pictures with their axes in another order; those that ``layout`` lacks have length 1.

    >>> arrange(np.zeros((3, 20, 30)), "CHW").shape
    (1, 20, 30, 3)

    Parameters
    ----------
    array
        Pictures of 1, 3 or 4 channels.
    layout
        What each axis is: ``H`` and ``W``, and any other letters of ``order``, each once, in either case.
    order
        The axes of the result.

    Raises
    ------
    InputError
        If the layout makes no sense or does not fit the array, or the array is empty.
    """
    axes = _axes_of(layout, order)
    if len(axes) != array.ndim:
        usual = order.replace("HWC", "CHW")
        fits = 2 <= array.ndim <= len(order)
        way_out = f"{usual[-array.ndim :]!r} would" if fits else f"2 to {len(order)} axes are possible"
        raise InputError(f"the layout {layout!r} does not fit an array of shape {array.shape}; {way_out}")
    if 0 in array.shape:
        raise InputError(f"a picture has at least one pixel, got the shape {array.shape} as {axes}")
    if "C" in axes and array.shape[axes.index("C")] not in _CHANNELS:
        raise _wrong_channels(array.shape, axes, order)
    present = array.transpose([axes.index(axis) for axis in order if axis in axes])
    return present[tuple(slice(None) if axis in axes else None for axis in order)]


def _wrong_channels(shape: tuple[int, ...], axes: str, order: str) -> InputError:
    """Make the error for channels that are no colours, with the layout that was probably meant."""
    others = axes.replace("C", "")
    moved = (others[:place] + "C" + others[place:] for place in (len(others), axes.index("H")))
    if fitting := next((other for other in moved if shape[other.index("C")] in _CHANNELS), ""):
        way_out = f"the layout {fitting!r} would fit"
    elif "N" in order:
        one = " of one of them" if "N" in axes else ""
        way_out = f"the layout {others.replace('N', '').replace('HW', 'NHW')!r} shows each channel{one} as a picture"
    else:
        way_out = "show three of them, or their mean"
    channels = shape[axes.index("C")]
    return InputError(f"a picture has 1, 3 or 4 channels, got {channels} in the shape {shape} as {axes}; {way_out}")


def _axes_of(layout: object, order: str) -> str:
    axes = layout.upper() if isinstance(layout, str) else ""
    if len(set(axes)) != len(axes) or not {"H", "W"} <= set(axes) <= set(order):
        others = " and ".join(axis for axis in order if axis not in "HW")
        raise InputError(f"unknown layout {layout!r}; name the axes with H, W and as needed {others}, each once")
    return axes


def to_hwc(image: Any, layout: str | None = None) -> npt.NDArray[Any]:
    """Return one picture as ``(H, W, C)`` with 1, 3 or 4 channels; the numbers are not touched.

    >>> to_hwc(np.zeros((3, 20, 30))).shape
    (20, 30, 3)

    Parameters
    ----------
    image
        A picture as ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``, of any framework.
    layout
        ``HW``, ``CHW``, ``HWC`` or another order of these axes; by default found from the shape (``CHW`` where
        several would fit).

    Raises
    ------
    InputError
        If the shape is not that of one picture.
    """
    array = as_numpy(image)
    if layout is None:
        layout = "HW" if array.ndim == 2 else "CHW" if array.shape[:1] and array.shape[0] in _CHANNELS else "HWC"
    return arrange(array, layout, "HWC")


def to_uint8(image: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], int]:
    """Return pixels as ``uint8`` and how many of them had to be clipped.

    Floats are taken as 0..1, booleans as 0 and 255, integers as 0..255; integers (other than ``uint8``) that are all
    0 or 1 are a mask, and become 0 and 255. Values outside are clipped, never wrapped; a NaN counts as clipped and
    becomes 0.

    >>> to_uint8(np.array([[-0.1, 0.5, 1.5]]))
    (array([[  0, 128, 255]], dtype=uint8), 2)
    """
    if image.dtype == np.uint8:
        return image, 0
    if image.dtype.kind not in "biuf":
        raise InputError(f"expected a picture of integers, floats or booleans, got dtype {image.dtype}")
    if not image.size:
        return image.astype(np.uint8), 0
    low, high = image.min(), image.max()  # NaN where there is one
    if image.dtype.kind != "f":
        scale = 255 if low >= 0 and high <= 1 else 1
        outside = 0 if low >= 0 and high <= 255 else int(np.count_nonzero((image < 0) | (image > 255)))
        if outside:
            image = np.clip(image, 0, min(255, np.iinfo(image.dtype).max))
        return image.astype(np.uint8) * np.uint8(scale), outside
    outside = 0 if low >= 0 and high <= 1 else int(np.count_nonzero(~((image >= 0) & (image <= 1))))
    if outside:
        image = np.nan_to_num(np.clip(image, 0, 1), nan=0.0)
    scaled = np.multiply(image, np.float32(255), dtype=np.float32)
    return np.rint(scaled, out=scaled).astype(np.uint8), outside


def packed(pictures: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return pictures ``(..., C)`` without gaps in memory; a channel at a time, which numpy does four times quicker."""
    if pictures.flags.c_contiguous:
        return pictures
    out = np.empty(pictures.shape, pictures.dtype)
    for channel in range(pictures.shape[-1]):
        out[..., channel] = pictures[..., channel]
    return out


def grid(pictures: npt.NDArray[Any], columns: int = 8, padding: int = 2) -> npt.NDArray[Any]:
    """Return pictures side by side, row by row, with black (or transparent) gaps.

    >>> grid(np.zeros((10, 5, 6, 3))).shape
    (12, 62, 3)

    Parameters
    ----------
    pictures
        ``(N, H, W, C)``, or with more axes before ``H`` than the ``N`` at the very front: ``(N, T, H, W, C)``.
    columns
        Pictures in a row, at most.
    padding
        Pixels between two of them; there are none around the whole.
    """
    count, *between, height, width, channels = pictures.shape
    columns = min(count, columns)
    rows = -(-count // columns)
    full = (*between, rows * (height + padding) - padding, columns * (width + padding) - padding, channels)
    sheet = np.zeros(full, pictures.dtype)
    for index, picture in enumerate(pictures):
        top, left = index // columns * (height + padding), index % columns * (width + padding)
        for channel in range(channels):  # as in packed()
            sheet[..., top : top + height, left : left + width, channel] = picture[..., channel]
    return sheet


def stack(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Return pictures ``(H, W, C)`` of different sizes as one array ``(N, H, W, C)``.

    Smaller ones stand in the upper left corner; where some have colour or transparency, all get it.
    """
    height, width, channels = (max(sizes) for sizes in zip(*(picture.shape for picture in pictures), strict=True))
    out = np.zeros((len(pictures), height, width, channels), np.uint8)
    for place, picture in zip(out, pictures, strict=True):
        corner = place[: picture.shape[0], : picture.shape[1]]
        if channels == 4 and picture.shape[2] < 4:
            corner[..., 3] = 255
        colours = min(picture.shape[2], channels) if picture.shape[2] > 1 else min(channels, 3)
        corner[..., :colours] = picture
    return out
