"""Weights in TensorFlow.js's layers format: ``model.json`` with a manifest, and shards of bytes next to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from convscope.nets.weightfiles.base import (
    Array,
    Weights,
    check_count,
    count,
    depthwise_output_first,
    from_bytes,
    output_first,
)

_DTYPES: Final = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "bool": "?"}


def read_tfjs(path: Path) -> Weights:
    """Return the arrays of a ``model.json`` and its shards, under their names (``conv_1_1/kernel``).

    Kernels are turned as those of Keras are. Arrays that are stored as uint8 or uint16 with a scale, or as float16,
    come out as the float32 (or int32) they stand for.
    """
    model = json.loads(path.read_bytes())
    manifest = model.get("weightsManifest") if isinstance(model, dict) else None
    if not isinstance(manifest, list):
        raise ValueError("it has no weightsManifest; give the model.json of TensorFlow.js's layers format")
    check_count(sum(len(group["weights"]) for group in manifest))
    weights: Weights = {}
    for group in manifest:
        shards = b"".join(_shard(path.parent, shard).read_bytes() for shard in group["paths"])
        for name, array in _arrays(group["weights"], memoryview(shards)):
            if name in weights:
                raise ValueError(f"two of its arrays are called {name!r}")
            weights[name] = _turned(name, array)
    return weights


def _shard(folder: Path, name: Any) -> Path:
    if not isinstance(name, str) or not name or Path(name).name != name or "\\" in name:
        raise ValueError(f"the shard {name!r} is not a file next to it")
    shard = folder / name
    if not shard.is_file():
        raise ValueError(f"the shard {name!r} is not next to it; fetch it too")
    return shard


def _arrays(entries: list[Mapping[str, Any]], data: memoryview) -> Iterator[tuple[str, Array]]:
    at = 0
    for entry in entries:
        name, packed = str(entry["name"]), entry.get("quantization", {})
        dtype = _dtype(name, packed.get("dtype", entry["dtype"]))
        shape = tuple(int(length) for length in entry["shape"])
        size = count(shape) * np.dtype(dtype).itemsize
        if min(shape, default=0) < 0 or at + size > len(data):
            raise ValueError(f"{name!r} of shape {shape} does not fit into the {len(data) - at:,} bytes that are left")
        stored = from_bytes(name, data[at : at + size], dtype, shape)
        at += size
        yield name, _unpacked(stored, entry["dtype"], packed) if packed else stored
    if at != len(data):
        raise ValueError(f"{len(data) - at:,} bytes of its shards belong to no array")


def _dtype(name: str, stated: Any) -> str:
    if stated not in _DTYPES:
        raise ValueError(f"{name!r} holds {stated}, which is not read")
    return _DTYPES[stated]


def _unpacked(stored: Array, dtype: str, packed: Mapping[str, Any]) -> Array:
    """Return the numbers that quantised ones stand for: ``stored · scale + min``."""
    if packed["dtype"] == "float16":
        return stored.astype(np.float32)
    values = stored.astype(np.float64) * float(packed["scale"]) + float(packed["min"])
    return np.rint(values).astype(np.int32) if dtype == "int32" else values.astype(np.float32)


def _turned(name: str, array: Array) -> Array:
    leaf = name.rpartition("/")[2]
    if leaf == "depthwise_kernel":
        return depthwise_output_first(array)
    return output_first(array) if leaf in {"kernel", "pointwise_kernel"} else array
