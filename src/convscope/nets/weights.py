"""Weights from files that may be hostile: numbers are read, code is never run (DESIGN §10).

A file is known by its first bytes and, where a format has no mark, by its suffix; how each is read stands in
:mod:`convscope.nets.weightfiles`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from convscope.errors import ConvscopeError, FormatError, NotFoundError, StorageError
from convscope.nets.weightfiles import (
    caffe,
    deep_compression,
    keras,
    mxnet,
    numpy_files,
    pickles,
    safetensors_files,
    tfjs,
    torch_files,
)
from convscope.nets.weightfiles.base import Weights

__all__ = ["FORMATS", "READERS", "WeightFormat", "Weights", "format_of", "read_weights"]

_HEAD: Final = 256
_TORCH_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6 starts with its magic number


@dataclass(frozen=True)
class WeightFormat:
    """A format of weights.

    Attributes
    ----------
    name
        What people call it.
    suffixes
        How its files' names end.
    recognises
        Whether a file, of which the first bytes are given, is of this format.
    read
        Returns the named arrays.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path], Weights]


def _begins(*marks: bytes) -> Callable[[Path, bytes], bool]:
    return lambda _, head: head.startswith(marks)


def _zip_with(*endings: str) -> Callable[[Path, bytes], bool]:
    def recognises(path: Path, head: bytes) -> bool:
        if not head.startswith(b"PK"):
            return False
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(endings) for name in archive.namelist())
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
            return False

    return recognises


def _is_torch(path: Path, head: bytes) -> bool:
    return head.startswith(_TORCH_LEGACY) or _zip_with("/data.pkl")(path, head)


def _is_keras(path: Path, head: bytes) -> bool:
    return head.startswith(b"\x89HDF\r\n\x1a\n") or _zip_with("model.weights.h5")(path, head)


def _is_safetensors(path: Path, head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


def _is_tfjs(_: Path, head: bytes) -> bool:
    return head.lstrip()[:1] == b"{"


def _is_pickle(_: Path, head: bytes) -> bool:
    return head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}


FORMATS: Final = (
    WeightFormat("numpy's .npy", (".npy",), _begins(b"\x93NUMPY"), numpy_files.read_npy),
    WeightFormat("torch", (".pth", ".pt", ".th", ".bin", ".tar"), _is_torch, torch_files.read_torch),
    WeightFormat("Keras", (".h5", ".hdf5", ".keras"), _is_keras, keras.read_keras),
    WeightFormat("numpy's .npz", (".npz",), _zip_with(".npy"), numpy_files.read_npz),
    WeightFormat("safetensors", (".safetensors",), _is_safetensors, safetensors_files.read_safetensors),
    WeightFormat("MXNet", (".params", ".param", ".ndarray", ".nd"), _begins(mxnet.MAGIC), mxnet.read_mxnet),
    WeightFormat("pickled arrays", (".ckpt", ".pkl", ".pickle"), _is_pickle, pickles.read_pickle),
    WeightFormat("TensorFlow.js", (".json",), _is_tfjs, tfjs.read_tfjs),
    WeightFormat(
        "Deep Compression", (".net",), deep_compression.is_deep_compression, deep_compression.read_deep_compression
    ),
    WeightFormat("Caffe", (".caffemodel",), lambda path, _: caffe.is_caffe(path), caffe.read_caffe),
)
"""Every format that is read, in the order in which they are recognised."""

READERS: Final[Mapping[str, Callable[[Path], Weights]]] = {
    suffix: known.read for known in FORMATS for suffix in known.suffixes
}


def read_weights(path: Path) -> Weights:
    """Return the named arrays of a file of weights: kernels as ``(O, I, kh, kw)``, linear weights as ``(out, in)``.

    Parameters
    ----------
    path
        A file of one of the :data:`FORMATS`. The names are those in the file (``docs/weights.md`` has them format by
        format). Numbers keep their types, except for those numpy lacks. The arrays can be written to.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StorageError
        If it may not be read.
    FormatError
        If it is of another kind, holds anything but arrays, or claims to be larger than it can be.
    MissingExtraError
        If its format needs a library that is not installed.

    Notes
    -----
    Memory: up to three times the size of the file, or of its arrays where they are packed tighter. A compressed file
    (``.npz``, ``.keras``, ``.h5``) that claims to hold more than a hundred times its own size, and 16 MB, is refused.
    """
    path = Path(path)
    known = format_of(path)
    try:
        weights = known.read(path)
    except ConvscopeError as error:
        if isinstance(error, FormatError):
            raise FormatError(f"{path} does not hold weights that can be read safely ({error})") from error
        raise
    except Exception as error:  # the libraries below raise whatever hostile bytes lead them to
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{path} does not hold weights that can be read safely ({reason})") from error
    if not weights:
        raise FormatError(f"{path} holds no arrays; give a file of weights")
    return {name: array if array.flags.writeable else np.array(array) for name, array in weights.items()}


def format_of(path: Path) -> WeightFormat:
    """Return the format of a file, by its first bytes or else by its suffix.

    Raises
    ------
    NotFoundError, StorageError, FormatError
        As for :func:`read_weights`.
    """
    suffixes = ", ".join(READERS)
    if not path.is_file():
        raise NotFoundError(f"no file of weights {str(path)!r}; give the path of one ({suffixes})")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise StorageError(f"cannot read {path} ({error}); change its permissions") from error
    found = next((known for known in FORMATS if known.recognises(path, head)), None)
    found = found or next((known for known in FORMATS if path.suffix.lower() in known.suffixes), None)
    if found is None:
        raise FormatError(f"weights are read from {suffixes}, not from {path.suffix!r}: {path}")
    return found
