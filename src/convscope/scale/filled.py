"""Arrays of one row an image, filled shard by shard: in memory, or in files that a killed pass is gone on with."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, StorageError
from convscope.scale.plan import Shard

IN_MEMORY: Final = 256 << 20
"""Arrays of more bytes lie in files, wherever they are wanted."""


class Rows(NamedTuple):
    """What an array is.

    Attributes
    ----------
    shape
        ``(N, …)``.
    dtype
        The type of its numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """How many bytes it has."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Filled:
    """Named arrays whose rows are written a shard at a time, in any order and as often as one likes.

    >>> filled = Filled({"vector": Rows((4, 2), np.dtype(np.float32))})
    >>> filled.write((2, 4), {"vector": np.ones((2, 2), np.float32)})
    >>> filled.arrays()["vector"][:, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]

    Parameters
    ----------
    wanted
        Name → what the array is.
    folder
        Where they lie as ``<name>.npy``, also afterwards. By default in memory, or in temporary files where they have
        more than ``most`` bytes; these go when the arrays are forgotten.
    keep
        Whether the files are there already and keep their rows.
    most
        Bytes.

    Raises
    ------
    InputError
        If files that are to be kept are not there.
    StorageError
        If the files cannot be made.
    """

    def __init__(
        self, wanted: Mapping[str, Rows], folder: Path | None = None, *, keep: bool = False, most: int | None = None
    ) -> None:
        self._memory: dict[str, npt.NDArray[Any]] = {}
        self._files: dict[str, tuple[Path, int]] = {}
        self._kept = folder is not None
        if folder is None and sum(rows.nbytes for rows in wanted.values()) <= (IN_MEMORY if most is None else most):
            self._memory = {name: np.zeros(rows.shape, rows.dtype) for name, rows in wanted.items()}
            return
        try:
            for name, rows in wanted.items():
                self._files[name] = _file(name, rows, folder, keep=keep)
        except OSError as error:
            self._forget()
            raise self._cannot(folder or Path(tempfile.gettempdir()), error) from error
        if not self._kept:  # also where nobody comes to ask for the arrays
            self._end = weakref.finalize(self, _remove_all, [path for path, _ in self._files.values()])

    def write(self, shard: Shard, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put rows in their place.

        Raises
        ------
        StorageError
            If the files cannot be written.
        """
        start, stop = shard
        for name, array in self._memory.items():
            array[start:stop] = rows[name]
        for name, (path, offset) in self._files.items():
            part = np.ascontiguousarray(rows[name])
            try:
                with path.open("r+b") as file:  # not through a map: a full disk would kill the process
                    file.seek(offset + start * (part.nbytes // max(1, stop - start)))
                    file.write(part.data)
            except OSError as error:
                raise self._cannot(path.parent, error) from error

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        try:
            for path, _ in self._files.values():
                with path.open("r+b") as file:
                    os.fsync(file.fileno())
        except OSError as error:
            raise self._cannot(path.parent, error) from error

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays; those in files as maps of them, to be read only."""
        found = dict(self._memory)
        for name, (path, _) in self._files.items():
            array = np.load(path, mmap_mode="r")
            if not self._kept and array.base is not None:
                weakref.finalize(array.base, _remove, path)
            found[name] = array
        if self._files and not self._kept:
            self._end.detach()
        return found

    def _forget(self) -> None:
        if not self._kept:
            _remove_all([path for path, _ in self._files.values()])

    @staticmethod
    def _cannot(folder: Path, error: Exception) -> StorageError:
        return StorageError(f"cannot write the vectors to {folder} ({error}); make room, or choose another folder")


def _file(name: str, rows: Rows, folder: Path | None, *, keep: bool) -> tuple[Path, int]:
    """Return the file of an array, and where in it the rows begin."""
    if folder is None:
        handle, text = tempfile.mkstemp(".npy", "convscope-")
        os.close(handle)
        path = Path(text)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.npy"
    if keep:
        return path, _begun(path, rows)
    return path, np.lib.format.open_memmap(path, mode="w+", dtype=rows.dtype, shape=rows.shape).offset


def _begun(path: Path, rows: Rows) -> int:
    """Return where the rows of a file begin that an earlier pass has made."""
    try:
        there = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} of the pass that was begun cannot be read ({error}); remove {path.parent}") from error
    if there.shape != rows.shape or there.dtype != rows.dtype:
        raise InputError(f"{path} is not of the pass that was begun there; remove {path.parent} to begin again")
    return int(there.offset)


def _remove_all(paths: list[Path]) -> None:
    for path in paths:
        _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
