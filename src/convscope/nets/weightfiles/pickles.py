"""Pickles of numpy arrays, read without unpickling anything else.

Nothing a pickle names is looked up: the handful of names that numpy's arrays need stand for the small classes below,
which check sizes before they make an array. The opcodes are walked first, so that neither their number nor the
unpickler's memo, whose size a hostile pickle chooses, can fill the memory.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from convscope.nets.weightfiles.base import Array, Mapped, Weights, check_count, count, numbers, output_first, turned

_MAXIMUM_OPCODES: Final = 1_000_000
_PUTS: Final = {"PUT", "BINPUT", "LONG_BINPUT"}


def read_pickle(path: Path) -> Weights:
    """Return the arrays of a pickle of nested dictionaries, as Flax leaves them: ``AlexNet_0/Conv_0/kernel``."""
    with Mapped(path) as view:
        data = bytes(view)
    return turned(_checked(_flat(load(data)), len(data)))


def read_layers(data: bytes) -> Weights:
    """Return the arrays of ``{layer: [weights, biases]}`` or ``{layer: {"weights": …}}``, caffe-tensorflow's forms.

    ``bvlc_alexnet.npy`` and ``vgg16.npy`` are of that form. They come out as ``conv1.weight`` and ``conv1.bias``, other
    entries under their own names.
    """
    layers = load(data)
    if isinstance(layers, PickledArray):
        layers = layers.value
    if not isinstance(layers, dict):
        raise ValueError(f"expected a dictionary of layers, found a {_kind(layers)}")
    found = {
        f"{_text(layer)}.{part}": _as_array(f"{_text(layer)}.{part}", array)
        for layer, parts in layers.items()
        for part, array in _parts(_text(layer), parts)
    }
    checked = _checked(found, len(data))
    return {name: output_first(array) if name.endswith(".weight") else array for name, array in checked.items()}


def _parts(layer: str, parts: Any) -> list[tuple[str, Any]]:
    if isinstance(parts, PickledArray) and isinstance(parts.value, list):
        parts = parts.value
    if isinstance(parts, dict):
        known = {"weights": "weight", "biases": "bias"}
        return [(known.get(_text(key), _text(key)), array) for key, array in parts.items()]
    if isinstance(parts, (list, tuple)) and len(parts) <= 2:
        return list(zip(("weight", "bias"), parts, strict=False))
    raise ValueError(f"expected the weights and biases of {layer!r}, found a {_kind(parts)}")


def _flat(tree: Any) -> Weights:
    """Return the leaves of nested dictionaries; what is referred to twice counts twice."""
    found: Weights = {}
    todo, seen = [("", tree)], 0
    while todo:
        seen += 1
        check_count(seen)
        name, node = todo.pop()
        if isinstance(node, dict):
            inside = [(f"{name}/{_text(key)}" if name else _text(key), value) for key, value in node.items()]
            todo += reversed(inside)
        else:
            found[name] = _as_array(name or "its top", node)
    return found


def _as_array(name: str, node: Any) -> Array:
    if not isinstance(node, PickledArray) or not isinstance(node.value, np.ndarray):
        raise ValueError(f"expected an array of numbers at {name!r}, found a {_kind(node)}")
    return numbers(name, node.value)


def _checked(weights: Weights, size: int) -> Weights:
    """Refuse a pickle that refers to the same array over and over, before copies are made of it."""
    check_count(len(weights))
    if sum(array.nbytes for array in weights.values()) > 4 * size:
        raise ValueError("it refers to the same arrays over and over")
    return weights


def _kind(found: Any) -> str:
    return "array" if isinstance(found, PickledArray) else type(found).__name__


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)


def load(data: bytes) -> Any:
    """Return what a pickle holds: dictionaries, lists, numbers, text (``bytes`` if Python 2 wrote it), pickled arrays.

    Raises
    ------
    UnpicklingError
        If it asks for anything else, or holds more than arrays need.
    """
    _check_opcodes(data)
    return _ArraysOnly(io.BytesIO(data), encoding="bytes").load()


def _check_opcodes(data: bytes) -> None:
    for steps, (opcode, argument, _) in enumerate(pickletools.genops(data), start=1):
        if steps > _MAXIMUM_OPCODES:
            raise pickle.UnpicklingError(f"it has more than {_MAXIMUM_OPCODES:,} steps")
        if opcode.name in _PUTS and int(argument or 0) > steps:
            raise pickle.UnpicklingError(f"it numbers its parts up to {argument}, and has not that many")


class PickledArray:
    """Stands for an array until its numbers are there.

    Attributes
    ----------
    value
        The array; for one of objects their list, and for one without axes its only object.
    """

    value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.numpy.hasobject:
            self.value = data[0] if shape == () else data
        else:
            self.value = _array(data, dtype.numpy, shape, fortran=bool(fortran))


class _Dtype:
    """Stands for ``numpy.dtype``: a type of numbers, text or objects, nothing nested."""

    def __init__(self, code: Any, *_: Any) -> None:
        code = _text(code)
        if len(code) > 8:
            raise pickle.UnpicklingError("it has arrays of a nested type")
        self.numpy: np.dtype[Any] = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if order in {"<", ">"}:
            self.numpy = np.dtype(f"{order}{self.numpy.kind}{self.numpy.itemsize}")


def _array(data: Any, dtype: np.dtype[Any], shape: tuple[int, ...], *, fortran: bool) -> Array:
    numbers("an array", np.empty(0, dtype))
    raw = data.encode("latin1") if isinstance(data, str) else data
    if min(shape, default=0) < 0 or count(shape) * dtype.itemsize != len(raw):
        raise pickle.UnpicklingError(f"it has {len(raw)} bytes for an array of shape {shape} and type {dtype}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _reconstruct(*_: Any) -> PickledArray:
    return PickledArray()


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> PickledArray:
    made = PickledArray()
    made.value = _array(data, dtype.numpy, tuple(shape), fortran=order == "F")
    return made


def _scalar(dtype: _Dtype, data: Any) -> PickledArray:
    return _from_buffer(data, dtype, (), "C")


def _encode(text: str, _encoding: str) -> bytes:
    return text.encode("latin1")  # Python 3 writes bytes so where Python 2 is to read them


def _never(*_: Any) -> None:
    raise pickle.UnpicklingError("it calls numpy.ndarray")  # named in every pickle of arrays, as an argument


_KNOWN: Final[dict[str, Callable[..., Any]]] = {
    "numpy.ndarray": _never,
    "numpy.dtype": _Dtype,
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
}


class _Named:
    """What a pickle gets for a name: it can be called and nothing else, so the pickle cannot change what is behind."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("it changes what it asked for")


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows numpy's arrays and refuses everything else."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        short = module_name.removeprefix("numpy.core.").removeprefix("numpy._core.")
        known = _KNOWN.get(f"{short}.{global_name}")
        if known is None:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
        return _Named(known)
