"""Weights in Caffe's files: ``.caffemodel``, a ``NetParameter`` of ``caffe.proto``.

Read from it are the layers (``layer`` = 100; ``layers`` = 2 of the older form, in which a layer of the oldest stands as
field 1), their names, types and blobs, and of a blob its shape and its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.nets.weightfiles.base import Array, Mapped, Weights, check_count, count, from_bytes

_LAYER, _OLD_LAYER = 100, 2
_NUMBERED: Final = {"BatchNorm", "Scale", "BN", "Bias", "Normalize", "PReLU"}
_OLD_TYPES: Final = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
_OLDEST_TYPES: Final = {"conv": "Convolution", "innerproduct": "InnerProduct"}
_OLD_SIZES: Final = (1, 2, 3, 4)  # num, channels, height, width
_DTYPES: Final = {5: "<f4", 8: "<f8"}


@dataclass
class _Layer:
    name: str
    kind: str
    blobs: list[memoryview]


def read_caffe(path: Path) -> Weights:
    """Return the blobs of a ``.caffemodel`` file.

    A layer's first is ``conv1.weight`` and its second ``conv1.bias``; those of layers that do not have weights and
    biases (BatchNorm, Scale, PReLU, …) are ``bn1.0``, ``bn1.1``, ``bn1.2``. Kernels are ``(O, I, kh, kw)`` and linear
    weights ``(out, in)`` in Caffe itself.
    """
    weights: Weights = {}
    with Mapped(path) as view:
        for layer in _layers(view):
            for number, blob in enumerate(layer.blobs):
                name = f"{layer.name}.{_part(layer.kind, number)}"
                if name in weights:
                    raise ValueError(f"two of its layers are called {layer.name!r}")
                weights[name] = _blob(name, layer.kind, number, blob)
                check_count(len(weights))
    if not weights:
        raise ValueError("it has no layer with weights; a .prototxt has none, give the .caffemodel")
    return weights


def is_caffe(path: Path) -> bool:
    """Whether the fields of a file, to its end, are those of a network of Caffe with layers."""
    found = False
    try:
        with Mapped(path) as view:
            for number, wire_type, _ in _fields(view):
                if number > _LAYER or (number in {1, _OLD_LAYER, _LAYER} and wire_type != wire.BYTES):
                    return False
                found |= number in {_LAYER, _OLD_LAYER}
    except (FormatError, ValueError):
        return False
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Walk the fields of a message; the parts of a view are views, so nothing is copied."""
    walked = wire.fields(cast("bytes", data))
    return cast("Iterator[tuple[int, int, int | memoryview]]", walked)


def _layers(data: memoryview) -> Iterator[_Layer]:
    for number, _, payload in _fields(data):
        if number == _LAYER:
            yield _new_layer(_message(payload))
        elif number == _OLD_LAYER:
            yield _old_layer(_message(payload))


def _new_layer(data: memoryview) -> _Layer:
    layer = _Layer("", "", [])
    for number, _, payload in _fields(data):
        if number == 1:
            layer.name = _text(payload)
        elif number == 2:
            layer.kind = _text(payload)
        elif number == 7:
            layer.blobs.append(_message(payload))
    return layer


def _old_layer(data: memoryview) -> _Layer:
    layer = _Layer("", "", [])
    for number, _, payload in _fields(data):
        if number == 1:
            layer = _oldest_layer(_message(payload))
        elif number == 4:
            layer.name = _text(payload)
        elif number == 5:
            layer.kind = _OLD_TYPES.get(wire.as_integer(cast("int", payload)), "")
        elif number == 6:
            layer.blobs.append(_message(payload))
    return layer


def _oldest_layer(data: memoryview) -> _Layer:
    layer = _Layer("", "", [])
    for number, _, payload in _fields(data):
        if number == 1:
            layer.name = _text(payload)
        elif number == 2:
            layer.kind = _OLDEST_TYPES.get(_text(payload), "")
        elif number == 50:
            layer.blobs.append(_message(payload))
    return layer


def _part(kind: str, number: int) -> str:
    return str(number) if kind in _NUMBERED or number > 1 else ("weight", "bias")[number]


def _blob(name: str, kind: str, place: int, data: memoryview) -> Array:
    shape: tuple[int, ...] | None = None
    old: dict[int, int] = {}
    found: dict[int, memoryview | bytearray] = {}
    for number, _, payload in _fields(data):
        if number == 7:
            shape = _shape(_message(payload))
        elif number in _OLD_SIZES:
            old[number] = wire.as_integer(cast("int", payload))
        elif number in _DTYPES:
            piece = _message(payload)
            found[number] = _joined(found[number], piece) if number in found else piece
    if len(found) != 1:
        raise ValueError(f"{name!r} has {'its numbers twice' if found else 'no numbers'}")
    number, numbers = found.popitem()
    if shape is None:
        shape = _without_padding(kind, place, tuple(old.get(field, 1) for field in _OLD_SIZES))
    return from_bytes(name, memoryview(numbers), _DTYPES[number], shape)


def _joined(before: memoryview | bytearray, piece: memoryview) -> bytearray:
    """Append a piece of a list that is not packed, one number each, as very old files have it."""
    joined = before if isinstance(before, bytearray) else bytearray(before)
    joined += piece
    return joined


def _shape(data: memoryview) -> tuple[int, ...]:
    lengths: list[int] = []
    for number, _, payload in _fields(data):
        if number == 1:
            lengths += [wire.signed(payload)] if isinstance(payload, int) else wire.as_integers(bytes(payload[:400]))
    if len(lengths) > 32:
        raise ValueError(f"an array of {len(lengths)} axes is none")
    return tuple(lengths)


def _without_padding(kind: str, place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an old blob, which always has four axes, without those that were put before its own."""
    if place == 0 and kind in {"Convolution", "Deconvolution"}:
        return shape
    if place == 0 and kind == "InnerProduct":
        return shape[2:]
    return (count(shape),) if max(shape) == count(shape) else shape


def _message(payload: int | memoryview) -> memoryview:
    return cast("memoryview", wire.as_bytes(cast("bytes", payload)))


def _text(payload: int | memoryview) -> str:
    return bytes(_message(payload)).decode()
