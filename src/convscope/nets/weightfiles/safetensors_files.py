"""Weights in ``.safetensors`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from convscope.nets.weightfiles.base import Weights, check_count, from_bytes, turned

_DTYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_safetensors(path: Path) -> Weights:
    """Return the arrays of a ``.safetensors`` file; those called ``kernel`` are turned, as Flax writes them."""
    import safetensors

    try:
        found: list[tuple[str, Any]] = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"not a .safetensors file: {error}") from error
    check_count(len(found))
    weights: Weights = {}
    for name, tensor in found:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ValueError(f"{name!r} holds {tensor['dtype']}, which is not read")
        weights[name] = from_bytes(name, tensor["data"], dtype, tuple(tensor["shape"]))
    return turned(weights)
