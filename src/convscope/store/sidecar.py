"""The column sidecar: what reading a run's event files has given, as columns, so that a large run opens at once.

It is a cache in one hidden file of the run directory, :data:`NAME`; ``docs/format.md`` has its layout. Deleting it
costs nothing but time. It is used only where every event file it was made from still starts and goes on as it did;
whatever was appended since then is read from the files. It never stands in for the checks of ``convscope doctor``.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import struct
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.store.index import PLUGIN_KINDS, Index
from convscope.store.reader import EventFile, ends_of
from convscope.store.records import is_id
from convscope.store.results import Entry, Location, Picture
from convscope.store.series import Cuts, Places, Series

NAME: Final = ".convscope-columns"
_MAGIC: Final = b"CVSCOLS1"
_HEAD: Final = struct.Struct("<8sQQIQQ")  # magic, bytes of the description and of the columns, their checksums
_VERSION: Final = 2  # to be raised whenever the same event files are read differently
_ALIGNMENT: Final = 64
_MOST: Final = 64  # times the bytes of the event files; a larger one is none of ours
_ABANDONED_SECONDS: Final = 3600
_FAULTS: Final = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)
_SCALAR: Final = ("<i8", "<f8", "<f8")  # step, time, value
_PLACE: Final = ("<i8", "<i8", "<i8", "<i8", "<f8")  # offset, length, index, step, time
_SIZE: Final = ("<i8", "<i8", "<i8")  # height, width, clipped
_ENTRY: Final = ("<i8", "<f8", "<i8")  # step, time, bytes

Indices = dict[str, Index]
Files = dict[str, EventFile]
Columns = list[npt.NDArray[Any]]


def write_sidecar(run: Path, indices: Indices, files: Files, plugins: dict[str, str]) -> bool:
    """Write what is known of each event file; return whether it could be written. It never raises.

    Two that write at once do not hurt each other: each writes a file of its own and renames it.
    """
    columns: Columns = []
    try:
        description = _describe(indices, files, plugins, columns)
        text = json.dumps(description, separators=(",", ":")).encode()
    except _FAULTS:
        return False
    temporary = run / f"{NAME}.tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with temporary.open("xb") as file:
            _write(file, text, columns)
        temporary.replace(run / NAME)
        _sweep(run)
    except OSError:  # a full disk, a directory that may only be read: the next one pays for reading again
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True


def _sweep(run: Path) -> None:
    """Remove what readers that were killed have left."""
    for path in run.glob(f"{NAME}.tmp-*"):
        with suppress(OSError):
            if _is_old(path):
                path.unlink()


def left_overs(run: Path) -> list[Path]:
    """Return what readers that were killed have left half-written."""
    return [path for path in sorted(run.glob(f"{NAME}.tmp-*")) if not _is_being_written(path)]


def _is_being_written(path: Path) -> bool:
    process = path.name.removeprefix(f"{NAME}.tmp-").partition("-")[0]
    try:
        if _is_old(path):
            return False
        if os.name != "nt":  # there os.kill(…, 0) would end the process
            os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except OSError:  # the process is somebody else's, or the file is gone
        return True
    return True


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS


def _write(file: BinaryIO, text: bytes, columns: Columns) -> None:
    size = 0
    file.seek(_aligned(_HEAD.size + len(text)))
    for column in columns:
        file.write(column.data)
        file.write(bytes(_aligned(column.nbytes) - column.nbytes))
        size += _aligned(column.nbytes)
    sums = [_checksum(column) for column in columns]
    total = sum(first for first, _ in sums) % (1 << 64), reduce(xor, (second for _, second in sums), 0)
    file.seek(0)
    file.write(_HEAD.pack(_MAGIC, len(text), size, zlib.crc32(text), *total) + text)


def _checksum(column: npt.NDArray[Any]) -> tuple[int, int]:
    """Return the sum and the exclusive or of the words of 8 bytes: a CRC would take longer than all the rest."""
    words = column.view("<u8")
    return int(np.add.reduce(words)), int(np.bitwise_xor.reduce(words))


def read_sidecar(run: Path, names: Iterable[str]) -> tuple[Indices, Files, dict[str, str]] | None:
    """Return what a sidecar knows: of each file, the files as far as they had been read, and what tensors are for.

    It is ``None`` where it does not fit.

    Parameters
    ----------
    run
        The run directory.
    names
        The event files in it.
    """
    names = sorted(names)
    try:
        with (run / NAME).open("rb", buffering=0) as file:
            most = _MOST * sum((run / name).stat().st_size for name in names) + _ALIGNMENT
            description, columns = _read(file, most)
        if not _fits(description, run, names):
            return None
        return _restore(description, columns, run)
    except _FAULTS:
        return None  # there is none, or it is not what it claims to be: the event files say it all


def _read(file: io.FileIO, most: int) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
    magic, length, size, crc, *sums = _HEAD.unpack(file.read(_HEAD.size))
    start = _aligned(_HEAD.size + length)
    if magic != _MAGIC or length + size > most or os.fstat(file.fileno()).st_size != start + size:
        raise FormatError("not a sidecar")
    text = file.read(length)
    if zlib.crc32(text) != crc:
        raise FormatError("the description is damaged")
    columns = np.empty(size, np.uint8)
    file.seek(start)
    if file.readinto(columns.data) != size or list(_checksum(columns)) != sums:
        raise FormatError("the columns are damaged")
    return json.loads(text), columns


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _fits(description: dict[str, Any], run: Path, names: list[str]) -> bool:
    """Tell whether the files it was made from are there and begin as they did; all may have grown."""
    if (description["version"], description["forms"]) != (_VERSION, _forms()):
        return False
    known = description["files"]
    return bool(known) and {file["name"] for file in known} <= set(names) and all(_is_same(run, file) for file in known)


def _is_same(run: Path, file: dict[str, Any]) -> bool:
    path, cursor = run / file["name"], file["cursor"]
    if path.stat(follow_symlinks=False).st_size < cursor:
        return False
    with path.open("rb", buffering=0) as opened:
        return bool(ends_of(opened, cursor) == file["ends"])


def _forms() -> int:
    """Return a number that changes with the tables that say what is what."""
    return zlib.crc32(repr([PLUGIN_KINDS, [field.name for field in fields(Index)]]).encode())


def _describe(indices: Indices, files: Files, plugins: dict[str, str], columns: Columns) -> dict[str, Any]:
    """Return all that is known but the numbers, which are appended to ``columns``."""
    names = sorted(files)
    return {
        "version": _VERSION,
        "forms": _forms(),
        "plugins": plugins,
        "files": [{"name": name, **files[name].memory(), **_index(indices[name], columns)} for name in names],
    }


def _index(index: Index, columns: Columns) -> dict[str, Any]:
    return {
        "begin": _hex(index.begin),
        "last_wall_time": _hex(index.last_wall_time),
        "session": index.session,
        "lowest_start": index.lowest_start,
        "scalars": [[tag, *_series(series, columns)] for tag, series in index.scalars.items()],
        "places": {
            kind: [[tag, *_places(places, columns)] for tag, places in known.items()]
            for kind, known in index.places.items()
        },
        "entries": _entries(index.entries, columns),
    }


def _hex(number: float | None) -> str | None:
    return None if number is None else number.hex()


def _number(text: str | None) -> float | None:
    return None if text is None else float.fromhex(text)


def _series(series: Series, columns: Columns) -> list[Any]:
    columns += [column.astype(dtype, copy=False) for column, dtype in zip(series.columns(), _SCALAR, strict=True)]
    return [len(series), series.cuts, series.born, series.session]


def _places(places: Places[Any], columns: Columns) -> list[Any]:
    types = {type(item) for item in places.items}
    if not types <= {Picture} and not types <= {Location}:
        raise FormatError(f"a sidecar has no columns for {types}")
    pictures = types == {Picture}
    found: list[Location] = [item.location for item in places.items] if pictures else places.items
    rows = [(at.offset, at.length, at.index, at.step, at.wall_time) for at in found]
    _append(rows, _PLACE, columns)
    if pictures:
        _append([(item.height, item.width, item.clipped) for item in places.items], _SIZE, columns)
    return [len(rows), places.cuts, places.born, places.session, pictures]


def _entries(entries: Places[Entry], columns: Columns) -> list[Any]:
    _append([(entry.step, entry.wall_time, entry.bytes) for entry in entries.items], _ENTRY, columns)
    return [[(entry.id, entry.kind, entry.tag) for entry in entries.items], entries.cuts]


def _append(rows: Sequence[tuple[float, ...]], dtypes: tuple[str, ...], columns: Columns) -> None:
    told = zip(*rows, strict=True) if rows else [()] * len(dtypes)
    columns += [np.array(column, dtype) for column, dtype in zip(told, dtypes, strict=True)]


def _restore(
    description: dict[str, Any], columns: npt.NDArray[np.uint8], run: Path
) -> tuple[Indices, Files, dict[str, str]]:
    indices, files = Indices(), Files()
    plugins: dict[str, str] = {**description["plugins"]}
    take = _Taker(columns)
    for known in description["files"]:
        file = files[known["name"]] = EventFile(run / known["name"])
        file.remember(known)
        indices[known["name"]] = _take_index(take, known, file, plugins)
    return indices, files, plugins


def _take_index(take: _Taker, known: dict[str, Any], file: EventFile, plugins: dict[str, str]) -> Index:
    index = Index(
        begin=_number(known["begin"]),
        last_wall_time=_number(known["last_wall_time"]),
        session=int(known["session"]),
        lowest_start=None if known["lowest_start"] is None else int(known["lowest_start"]),
        plugins=plugins,
    )
    for tag, count, cuts, born, session in known["scalars"]:
        index.scalars[tag] = Series.of(take(count, _SCALAR), _cuts(cuts), born, session)
    for kind, several in known["places"].items():
        places = index.places.setdefault(kind, {})
        for tag, count, cuts, born, session, pictures in several:
            places[tag] = Places(_take_places(take, count, file, pictures), _cuts(cuts), born, session)
    names, cuts = known["entries"]
    rows = zip(names, *(column.tolist() for column in take(len(names), _ENTRY)), strict=True)
    entries = [Entry(name, kind, tag, step, time, size) for (name, kind, tag), step, time, size in rows]
    if not all(is_id(entry.id) for entry in entries):
        raise FormatError("an entry that names no record")
    index.entries = Places(entries, _cuts(cuts))
    return index


class _Taker:
    """Gives out columns one after the other."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._data = data
        self._position = 0

    def __call__(self, count: int, dtypes: tuple[str, ...]) -> Columns:
        taken = []
        for dtype in dtypes:
            size = count * np.dtype(dtype).itemsize
            part = self._data[self._position : self._position + size]
            if count < 0 or len(part) != size:
                raise FormatError("a column is too short")
            taken.append(part.view(dtype))
            self._position += _aligned(size)
        return taken


def _take_places(take: _Taker, count: int, file: EventFile, pictures: bool) -> list[Any]:
    offset, length, *rest = take(count, _PLACE)
    if count and (min(offset.min(), length.min()) < 0 or (offset + length > file.cursor).any()):
        raise FormatError("a place outside its file")
    columns = [column.tolist() for column in (offset, length, *rest)]
    places = [Location(file.path, *told) for told in zip(*columns, strict=True)]
    if not pictures:
        return places
    sizes = zip(*(column.tolist() for column in take(count, _SIZE)), strict=True)
    return [
        Picture(at.step, at.wall_time, height, width, at, clipped)
        for at, (height, width, clipped) in zip(places, sizes, strict=True)
    ]


def _cuts(told: list[list[int]]) -> Cuts:
    return [(int(count), int(step)) for count, step in told]
