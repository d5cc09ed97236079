"""Arrays put on disk one after the other, and read back by their number."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, StorageError


class Place(NamedTuple):
    """Where an array lies.

    Attributes
    ----------
    offset
        Its first byte.
    shape, dtype
        What it is.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: str


class Spool:
    """Arrays in a temporary file, which goes when the spool is forgotten.

    >>> spool = Spool()
    >>> spool.append(np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> spool[0].tolist(), len(spool)
    ([[0, 1, 2], [3, 4, 5]], 1)
    """

    def __init__(self) -> None:
        try:
            folder = tempfile.mkdtemp(prefix="convscope-")
        except OSError as error:
            raise StorageError(f"cannot make a temporary folder: {error.strerror}; set TMPDIR to one") from error
        self._forget = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.path = Path(folder) / "arrays"
        self.places: list[Place] = []
        self._end = 0
        self._digest = hashlib.sha256()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "places": self.places, "_end": self._end, "_hash": self.hash()}

    def append(self, array: npt.NDArray[Any]) -> None:
        """Add an array.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        data = np.ascontiguousarray(array).tobytes()
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise StorageError(
                f"cannot write images to {self.path.parent}: {error.strerror}; set TMPDIR to a folder with more room"
            ) from error
        place = Place(self._end, array.shape, array.dtype.str)
        self.places.append(place)
        self._end += len(data)
        self._digest.update(repr(place).encode() + data)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        place = self.places[number]
        count = int(np.prod(place.shape))
        try:
            values = np.fromfile(self.path, place.dtype, count, offset=place.offset)
        except OSError as error:
            raise StorageError(f"{self.path} is gone ({error.strerror}); read the data set again") from error
        if len(values) < count:
            raise FormatError(f"{self.path} has become shorter; read the data set again")
        return values.reshape(place.shape)

    def hash(self) -> bytes:
        """Return what all arrays hash to, in their order."""
        known: bytes | None = vars(self).get("_hash")
        return known or self._digest.digest()
