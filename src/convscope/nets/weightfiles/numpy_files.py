"""Weights in numpy's files: ``.npz``, and ``.npy`` with one array or with a pickled dictionary of layers."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy

from convscope.nets.weightfiles.base import Array, Weights, check_archive, count, numbers, output_first, turned
from convscope.nets.weightfiles.pickles import read_layers

_FROSSARD: Final = re.compile(r"(conv\d+_\d+|fc\d+)_[Wb]")
_STEP: Final = 1 << 20


def read_npz(path: Path) -> Weights:
    """Return the arrays of an ``.npz`` file.

    Frossard's ``vgg16_weights.npz`` is known by its names (``conv1_1_W``, ``fc6_b``), Keras's and Flax's kernels by
    theirs (``…/kernel``); these are turned, all else is as the file has it.
    """
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, size)
        weights: Weights = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise ValueError(f"{name!r} in it is not an array")
            with archive.open(member) as file:
                weights[name] = _read_array(name, file, member.file_size)
    if weights and all(_FROSSARD.fullmatch(name) for name in weights):
        return {name: output_first(array) if name.endswith("_W") else array for name, array in weights.items()}
    return turned(weights)


def read_npy(path: Path) -> Weights:
    """Return what a ``.npy`` file holds: the layers of ``bvlc_alexnet.npy``, or one array under the name ``"0"``."""
    with path.open("rb") as file:
        dtype = _read_header(file)[0]
        if dtype.hasobject:
            return read_layers(file.read())
        file.seek(0)
        return {"0": _read_array("0", file, path.stat().st_size)}


def _read_header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"an array in version {version} of numpy's format does not hold numbers")
    shape, fortran, dtype = read(file)
    return dtype, shape, fortran


def _read_array(name: str, file: IO[bytes], size: int) -> Array:
    """Return the array of a ``.npy`` file of that many bytes; memory is taken only if the sizes agree."""
    dtype, shape, fortran = _read_header(file)
    if dtype.hasobject:
        raise ValueError(f"{name!r} holds pickled objects, not numbers")
    numbers(name, np.empty(0, dtype))
    expected = count(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size - file.tell() != expected:
        raise ValueError(f"{name!r} of shape {shape} and type {dtype} does not fit into {size - file.tell()} bytes")
    raw = np.empty(expected, np.uint8)
    for start in range(0, expected, _STEP):
        block = file.read(min(_STEP, expected - start))
        raw[start : start + len(block)] = np.frombuffer(block, np.uint8)
        if len(block) < min(_STEP, expected - start):
            raise ValueError(f"{name!r} ends early")
    return numbers(name, raw.view(dtype).reshape(shape, order="F" if fortran else "C"))
