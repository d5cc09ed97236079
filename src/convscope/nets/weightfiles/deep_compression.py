"""SqueezeNet as Deep Compression left it (Han, Mao & Dally, ICLR 2016): ``compressed_SqueezeNet.net``.

The file has no mark: 26 counts of stored weights (uint32), then of each layer of SqueezeNet v1.0 a codebook of 256
float32, its biases (float32), a code of 8 bits for every stored weight, and the gap before it, 4 bits each, the low
half of a byte first. A weight that is not stored is 0; where a gap is longer than 15, a stored 0 stands in between. So
its size follows from the counts, and that is how it is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from convscope.nets.weightfiles.base import Array, Mapped, Weights, count, from_bytes

_CODES: Final = 256


def _fire(number: int, inputs: int, squeeze: int, expand: int) -> dict[str, tuple[int, int, int, int]]:
    return {
        f"fire{number}/squeeze1x1": (squeeze, inputs, 1, 1),
        f"fire{number}/expand1x1": (expand, squeeze, 1, 1),
        f"fire{number}/expand3x3": (expand, squeeze, 3, 3),
    }


_LAYERS: Final[dict[str, tuple[int, int, int, int]]] = {
    "conv1": (96, 3, 7, 7),
    **_fire(2, 96, 16, 64),
    **_fire(3, 128, 16, 64),
    **_fire(4, 128, 32, 128),
    **_fire(5, 256, 32, 128),
    **_fire(6, 256, 48, 192),
    **_fire(7, 384, 48, 192),
    **_fire(8, 384, 64, 256),
    **_fire(9, 512, 64, 256),
    "conv10": (1000, 512, 1, 1),
}
_COUNTS: Final = 4 * len(_LAYERS)


def is_deep_compression(path: Path, head: bytes) -> bool:
    """Whether a file has the very size that its first 26 numbers, as counts of stored weights, demand."""
    stored = [int(number) for number in np.frombuffer(head[:_COUNTS], "<u4")] if len(head) >= _COUNTS else []
    sizes = [_size(number, shape) for number, shape in zip(stored, _LAYERS.values(), strict=False)]
    return bool(sizes) and _COUNTS + sum(sizes) == path.stat().st_size


def _size(stored: int, shape: tuple[int, ...]) -> int:
    return 4 * _CODES + 4 * shape[0] + stored + (stored + 1) // 2


def read_deep_compression(path: Path) -> Weights:
    """Return SqueezeNet's weights, unpacked, by Caffe's names: ``conv1.weight``, ``fire2/squeeze1x1.weight``, …."""
    with path.open("rb") as file:
        head = file.read(_COUNTS)
    if not is_deep_compression(path, head):
        raise ValueError(f"its {path.stat().st_size:,} bytes are not what its first 26 numbers demand")
    weights: Weights = {}
    at = _COUNTS
    with Mapped(path) as view:
        for stored, (name, shape) in zip(np.frombuffer(head, "<u4"), _LAYERS.items(), strict=True):
            part = view[at : at + _size(int(stored), shape)]
            at += len(part)
            weights[f"{name}.weight"], weights[f"{name}.bias"] = _layer(name, part, int(stored), shape)
    return weights


def _layer(name: str, part: memoryview, stored: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the kernel and the biases of one layer."""
    codebook = from_bytes(name, part[: 4 * _CODES], "<f4", (_CODES,))
    bias_end = 4 * _CODES + 4 * shape[0]
    bias = from_bytes(name, part[4 * _CODES : bias_end], "<f4", (shape[0],))
    codes = np.frombuffer(part[bias_end : bias_end + stored], np.uint8)
    halves = np.frombuffer(part[bias_end + stored :], np.uint8)
    gaps = np.stack([halves & 15, halves >> 4], axis=1).reshape(-1)[:stored]
    places = np.cumsum(gaps.astype(np.int64) + 1) - 1
    if stored and places[-1] >= count(shape):
        raise ValueError(f"layer {name!r} has more weights than fit into its shape {shape}")
    kernel = np.zeros(count(shape), np.float32)
    kernel[places] = codebook[codes]
    return kernel.reshape(shape), bias
