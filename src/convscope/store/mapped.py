"""One array of a safetensors file as the memory it is mapped to: read where it is touched, and no earlier."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError

_LARGEST_HEADER: Final = 100 << 20
_DTYPES: Final = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?"} | {
    f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)
}


def map_array(path: Path, name: str) -> npt.NDArray[Any]:
    """Return one array of a safetensors file, read-only, without reading it.

    Raises
    ------
    FormatError
        If the file is none, has no such array, or ends before the array does.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            told = json.loads(file.read(min(size, _LARGEST_HEADER)))[name]
        dtype, shape, start = np.dtype(_DTYPES[told["dtype"]]), tuple(told["shape"]), told["data_offsets"][0]
        return np.memmap(path, dtype, "r", 8 + size + start, shape) if math.prod(shape) else np.zeros(shape, dtype)
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise FormatError(f"the array {name!r} of {path} cannot be read ({error}); the file may be damaged") from error
