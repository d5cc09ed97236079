"""Arrays of any framework as numpy arrays, and pictures in any layout as ``uint8``.

No framework is imported here: an array is recognised by what it can do, and a framework is asked only when it is
already in ``sys.modules`` (whoever holds one of its arrays has imported it).
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError

LAYOUTS: Final = ("HW", "CHW", "HWC", "NCHW", "NHWC")


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
    else:
        array = _from_protocols(value)
    if array.dtype.kind not in "biufcV":
        raise InputError(f"expected an array of numbers, got {_describe(value, array)}; convert it to numbers first")
    return _widen(array)


def _from_torch(tensor: Any, torch: Any) -> npt.NDArray[Any]:
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:  # numpy has no bfloat16; float32 holds every one of its values
        tensor = tensor.float()
    result: npt.NDArray[Any] = tensor.cpu().resolve_conj().resolve_neg().numpy()
    return result


def _from_protocols(value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
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


def to_hwc(image: Any, layout: str | None = None) -> npt.NDArray[Any]:
    """Return one picture as ``(H, W, C)`` with 1, 3 or 4 channels; the numbers are not touched.

    >>> to_hwc(np.zeros((3, 20, 30))).shape
    (20, 30, 3)

    Parameters
    ----------
    image
        A picture as ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``, of any framework.
    layout
        One of ``HW``, ``CHW``, ``HWC``; by default found from the shape (``CHW`` where both would fit).

    Raises
    ------
    InputError
        If the shape is not that of one picture.
    """
    array = as_numpy(image)
    if layout is not None and layout.upper() not in ("HW", "CHW", "HWC"):
        raise InputError(f"unknown layout {layout!r} for one picture; use HW, CHW or HWC")
    if layout is not None and len(layout) != array.ndim:
        raise InputError(f"layout {layout!r} does not fit an array of shape {array.shape}")
    if array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 3:
        channels_first = layout.upper() == "CHW" if layout else array.shape[0] in (1, 3, 4)
        array = array.transpose(1, 2, 0) if channels_first else array
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(
            f"expected a picture (H, W), (C, H, W) or (H, W, C) with 1, 3 or 4 channels, got {array.shape}"
        )
    return array


def to_uint8(image: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], int]:
    """Return pixels as ``uint8`` and how many of them had to be clipped.

    Floats are taken as 0..1, booleans as 0 and 255, integers as 0..255. Values outside are clipped, never wrapped; a
    NaN counts as clipped and becomes 0.

    >>> to_uint8(np.array([[-0.1, 0.5, 1.5]]))
    (array([[  0, 128, 255]], dtype=uint8), 2)
    """
    if image.dtype == np.uint8:
        return image, 0
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255), 0
    if image.dtype.kind not in "iuf":
        raise InputError(f"expected a picture of integers, floats or booleans, got dtype {image.dtype}")
    top = 1.0 if image.dtype.kind == "f" else 255
    outside = int(np.count_nonzero(~((image >= 0) & (image <= top))))
    if image.dtype.kind in "iu":
        return np.clip(image, 0, 255).astype(np.uint8), outside
    scaled = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8), outside
