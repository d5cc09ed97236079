"""Records: immutable results, each a directory of named arrays and picture sheets, committed by one rename.

``meta.json`` says what the record is, ``arrays.safetensors`` holds its numbers, and a directory for each picture its
sheets (:mod:`convscope.store.sheets`). A record is written under a temporary name, made durable, renamed, and only then
named by the event log: a reader sees all of it or nothing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError, NotFoundError, StorageError, not_found
from convscope.store import sheets
from convscope.store.blocks import dtype_of, wired
from convscope.store.durable import sync_directory, write_durably
from convscope.store.mapped import map_array
from convscope.store.results import Entry
from convscope.summary import Summary

FORMAT: Final = 1
DIRECTORY: Final = "records"
_ARRAYS: Final = "arrays.safetensors"
_META: Final = "meta.json"
_ID: Final = re.compile(r"(\d{8,12})-([a-z][a-z0-9_]{0,31})-[0-9a-f]{6}")
_TEMPORARY: Final = re.compile(r"\.tmp-(\d+)-(.*)-[0-9a-f]+")
_ABANDONED_SECONDS: Final = 24 * 3600
_STARTED: Final = time.time()


class Record:
    """A committed record; what is asked for is read from its files.

    Parameters
    ----------
    run
        The run directory.
    entry
        What the log says about the record.

    Raises
    ------
    NotFoundError
        If its files are gone.
    FormatError
        If they are not those of a record.
    """

    def __init__(self, run: Path, entry: Entry) -> None:
        self.id, self.kind, self.tag = entry.id, entry.kind, entry.tag
        self.step, self.wall_time = entry.step, entry.wall_time
        self._folder = run / DIRECTORY / entry.id
        if not is_id(entry.id) or self._folder.resolve() != run.resolve() / DIRECTORY / entry.id:
            raise NotFoundError(f"record {entry.id!r} is not inside its run directory")
        self.description = self._read_description()
        self.meta: dict[str, Any] = self.description["meta"]
        self.array_info: dict[str, dict[str, Any]] = self.description["arrays"]
        plans = self.description["pictures"]
        self.pictures = {name: sheets.check_layout(name, plan) for name, plan in plans.items()}

    @property
    def is_there(self) -> bool:
        """Whether its files have not been removed, nor made a link to elsewhere."""
        return not self._folder.is_symlink() and (self._folder / _META).exists()

    def __repr__(self) -> str:
        return f"Record({self.id!r}, tag={self.tag!r}, step={self.step})"

    def arrays(self, names: Iterable[str] | None = None, rows: slice | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return the named arrays, all of them by default; of each only some rows where that is asked for.

        Rows are read without the others: one feature map of a thousand costs a thousandth.
        """
        wanted = list(self.array_info) if names is None else list(names)
        check_named(wanted, self.array_info, self.id)
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._folder / _ARRAYS, framework="numpy") as file:
                if rows is None:
                    return {name: file.get_tensor(name) for name in wanted}
                return {name: file.get_slice(name)[rows] for name in wanted}
        except (SafetensorError, OSError) as error:
            raise FormatError(f"record {self.id} has no readable arrays ({error})") from error

    def mapped(self, name: str) -> npt.NDArray[Any]:
        """Return one array as the memory its file is mapped to: what is touched is read, and nothing else."""
        check_named([name], self.array_info, self.id)
        return map_array(self._folder / _ARRAYS, name)

    def arrays_bytes(self, names: Iterable[str], rows: slice | None = None) -> bytes:
        """Return the named arrays, or some of their rows, as the bytes of a safetensors file."""
        return wire(self.arrays(names, rows))

    def picture_bytes(self, file: str) -> bytes:
        """Return one of the sheets that :attr:`pictures` lists, for instance ``patch/000.webp``."""
        picture_of(file, self.pictures, self.id)
        path = self._folder / file
        if path.is_symlink() or path.parent.is_symlink():  # its name has two parts, neither of which leads upwards
            raise NotFoundError(f"picture {file!r} of record {self.id} is not inside it: it is a link")
        try:
            return path.read_bytes()
        except OSError as error:
            raise NotFoundError(f"picture {file!r} of record {self.id} cannot be read ({error})") from error

    def tile(self, picture: str, row: int, column: int) -> npt.NDArray[np.uint8]:
        """Return one tile of a picture as ``(h, w, c)``."""
        if picture not in self.pictures:
            raise not_found("picture", picture, self.pictures, f"record {self.id}")
        plan = self.pictures[picture]
        rows, columns = plan["total_rows"], plan["columns"]
        if not (0 <= row < rows and 0 <= column < columns):
            raise NotFoundError(f"picture {picture!r} has {rows} rows and {columns} columns, no tile ({row}, {column})")
        sheet = self.picture_bytes(plan["files"][row // plan["rows"]])
        return sheets.cut_tile(sheet, plan, row % plan["rows"], column)

    def tiles(self, picture: str, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Return all tiles of some rows of a picture, ``(n, columns, h, w, c)``; each of its files is decoded once."""
        if picture not in self.pictures:
            raise not_found("picture", picture, self.pictures, f"record {self.id}")
        plan = self.pictures[picture]
        wanted = np.asarray(rows, np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= plan["total_rows"]):
            raise NotFoundError(f"picture {picture!r} has {plan['total_rows']} rows, no row {int(wanted.max())}")
        tiles = np.empty((len(wanted), plan["columns"], *plan["tile"], plan["channels"]), np.uint8)
        for number, file in enumerate(plan["files"]):
            here = np.flatnonzero(wanted // plan["rows"] == number)
            if here.size:
                tiles[here] = sheets.cut_rows(self.picture_bytes(file), plan, (wanted[here] % plan["rows"]).tolist())
        return tiles

    def _read_description(self) -> dict[str, Any]:
        try:
            description = json.loads((self._folder / _META).read_bytes())
        except OSError as error:
            raise NotFoundError(f"record {self.id} is gone ({error}); the log still names it") from error
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{_META} of record {self.id} is not JSON ({error})") from error
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise FormatError(f"record {self.id} is not of format {FORMAT}; a newer convscope may have written it")
        if not all(isinstance(description.get(key), dict) for key in ("meta", "arrays", "pictures")):
            raise FormatError(f"{_META} of record {self.id} lacks meta, arrays or pictures")
        return description


def check_named(names: Iterable[str], known: Iterable[str], record: str) -> None:
    """Raise :class:`NotFoundError` for an array that a record does not have."""
    for name in names:
        if name not in known:
            raise not_found("array", name, known, f"record {record}")


def picture_of(file: str, pictures: Mapping[str, Mapping[str, Any]], record: str) -> str:
    """Return which of a record's pictures has this file; raise :class:`NotFoundError` for one that none has."""
    for picture, plan in pictures.items():
        if file in plan["files"]:
            return picture
    raise not_found("picture", file, [name for plan in pictures.values() for name in plan["files"]], f"record {record}")


def is_id(name: object) -> bool:
    """Tell whether ``name`` has the form of a record's id."""
    return isinstance(name, str) and _ID.fullmatch(name) is not None


def wire(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return named arrays as the bytes of a safetensors file, little-endian.

    >>> wire({"step": np.zeros(2)})[8:16]
    b'{"step":'

    Raises
    ------
    InputError
        If an array's type has no place in safetensors.
    """
    return b"".join(wired(arrays))


def write_record(run: Path, name: str, summary: Summary, wall_time: float) -> int:
    """Write and commit the files of a record; return their bytes.

    Raises
    ------
    InputError
        If the summary holds what cannot be stored; nothing is left behind.
    StorageError
        If the files cannot be written; nothing is left behind.
    """
    description = describe(name, summary, wall_time)
    about = to_json(description)
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    temporary = run / DIRECTORY / f".tmp-{os.getpid()}-{host}-{secrets.token_hex(8)}"
    size, folders = 0, set()
    try:
        for file, data in _contents(about, summary, description["pictures"]):
            size += write_durably(temporary / file, data)
            folders.add((temporary / file).parent)
        for folder in folders:
            sync_directory(folder)
        temporary.rename(run / DIRECTORY / name)
        sync_directory(run / DIRECTORY)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError(
            f"cannot write record {name} to {run} ({error}); make room or choose another logdir"
        ) from error
    except BaseException:  # what makes the blocks may fail in its own way
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return size


def _contents(
    about: bytes, summary: Summary, pictures: Mapping[str, Any]
) -> Iterator[tuple[str, bytes | Iterator[memoryview]]]:
    """Yield the files of a record by their paths inside it, each made when the one before is written."""
    yield _META, about
    yield _ARRAYS, wired(summary.arrays)
    for picture, plan in pictures.items():
        yield from zip(plan["files"], sheets.encode_sheets(_uint8(summary, picture), plan), strict=True)


def describe(name: str, summary: Summary, wall_time: float) -> dict[str, Any]:
    """Return what ``meta.json`` says about a record.

    Raises
    ------
    InputError
        If the summary holds what a record cannot.
    """
    plans = {name: sheets.layout(name, _uint8(summary, name).shape) for name in summary.pictures}
    described = {
        key: {"dtype": dtype_of(key, array), "shape": list(array.shape)} for key, array in summary.arrays.items()
    }
    return {
        "format": FORMAT,
        "id": name,
        "kind": summary.kind,
        "tag": summary.tag,
        "step": summary.step,
        "wall_time": wall_time,
        "meta": dict(summary.meta),
        "arrays": described,
        "pictures": plans,
    }


def picture_files(summary: Summary, picture: str) -> dict[str, bytes]:
    """Return the sheets of one picture of a summary by their paths inside its record."""
    plan = sheets.layout(picture, summary.pictures[picture].shape)
    return dict(zip(plan["files"], sheets.encode_sheets(_uint8(summary, picture), plan), strict=True))


def _uint8(summary: Summary, picture: str) -> npt.NDArray[np.uint8]:
    tiles = summary.pictures[picture]
    if tiles.dtype != np.uint8:
        raise InputError(f"picture {picture!r} must be uint8, got {tiles.dtype}")
    return tiles


def to_json(description: dict[str, Any]) -> bytes:
    """Return a :func:`describe` as ``meta.json`` has it.

    Raises
    ------
    InputError
        If its meta is not JSON.
    """
    try:
        return json.dumps(description, allow_nan=False, ensure_ascii=False, default=_plain).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"the meta of a {description['kind']} summary is not JSON ({error})") from error


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays as JSON has them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def next_sequence(names: Iterable[str]) -> int:
    """Return a number above that of every record named."""
    numbers = (int(match[1]) for name in names if (match := _ID.fullmatch(name)))
    return max(numbers, default=-1) + 1


def sweep(run: Path) -> None:
    """Remove what writers that are gone have left half-written."""
    for folder in left_overs(run):
        shutil.rmtree(folder, ignore_errors=True)


def left_overs(run: Path) -> list[Path]:
    """Return the folders that writers that are gone have left half-written."""
    found = [(run / DIRECTORY / name, match) for name in _names(run) if (match := _TEMPORARY.fullmatch(name))]
    return sorted(folder for folder, match in found if _is_abandoned(folder, int(match[1]), match[2]))


def committed(run: Path) -> list[str]:
    """Return the ids of the records whose folders have their final name."""
    return sorted(filter(is_id, _names(run)))


def _names(run: Path) -> list[str]:
    try:
        return [path.name for path in (run / DIRECTORY).iterdir()]
    except OSError:
        return []


def _is_abandoned(path: Path, process: int, host: str) -> bool:
    try:
        changed = path.lstat().st_mtime
    except OSError:
        return False
    if time.time() - changed > _ABANDONED_SECONDS:
        return True
    if host != re.sub(r"[^\w.-]", "_", socket.gethostname()):
        return False
    return changed < _STARTED if process == os.getpid() else not _is_alive(process)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill(…, 0) would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
