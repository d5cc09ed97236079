"""Curves for other programs: CSV, JSON and Parquet files, pandas' data frames.

Every form has the columns run, tag, step, wall_time (seconds since 1970) and value, in the order in which the values
were logged. CSV and Parquet hold NaN and infinities; JSON, which knows neither, has ``null`` in their place.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from convscope.errors import InputError, StorageError, missing_extra, not_found
from convscope.store.logdir import pattern
from convscope.store.results import Scalars
from convscope.store.run import Run
from convscope.store.series import POINTS

_ROWS_AT_ONCE: Final = 1 << 14
_ROW_GROUP: Final = 1 << 18
_SPECIAL: Final = re.compile('[",\r\n]')
_COLUMNS: Final = ("run", "tag", "step", "wall_time", "value")


@dataclass(frozen=True)
class Curve:
    """A curve and where it is from."""

    run: str
    tag: str
    points: Scalars


def curves(runs: Iterable[Run], tag: str = "", run: str = "", points: str = "current") -> Iterator[Curve]:
    """Give the curves of runs, one after the other.

    Parameters
    ----------
    runs
        The runs; they are asked for one at a time.
    tag, run
        Regular expressions that must occur in the names of the tag and of the run.
    points
        As for :meth:`convscope.store.Run.scalars`.

    Raises
    ------
    InputError
        If an expression is none, or ``points`` is not a choice.
    """
    tags, names = pattern(tag), pattern(run)
    if points not in POINTS:
        raise not_found("choice of points", points, POINTS)
    return (
        Curve(each.name, name, each.scalars(name, points))
        for each in runs
        if names.search(each.name)
        for name in each.tags("scalar")["scalar"]
        if tags.search(name)
    )


def export_scalars(found: Iterable[Curve], path: Path, *, force: bool = False) -> tuple[int, int]:
    """Write curves to a file; it is there completely or not at all.

    Parameters
    ----------
    found
        The curves. Only one is in memory at a time.
    path
        The file; what its name ends with says how it is written: ``.csv``, ``.json`` or ``.parquet``.
    force
        Whether a file of that name may be replaced.

    Returns
    -------
    How many curves and how many points were written.

    Raises
    ------
    InputError
        If the name ends otherwise, the file exists already, or there are no curves.
    StorageError
        If it cannot be written.
    MissingExtraError
        If pyarrow, which Parquet needs, is not installed.
    """
    if path.suffix.lower() not in _WRITERS:
        raise InputError(f"the name of {path} must end with one of: {', '.join(_WRITERS)}")
    if _is_taken(path, force):
        raise _exists(path)
    temporary = path.with_name(f".convscope-export.tmp-{os.getpid()}-{secrets.token_hex(4)}")
    counter = _Counter(found)
    try:
        _WRITERS[path.suffix.lower()](counter, temporary)
        if not counter.curves:
            raise InputError("there are no scalars of these runs and tags; convscope ls shows what there is")
        _publish(temporary, path, force)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot write {path} ({error.strerror or error}); choose another file") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return counter.curves, counter.points


def _is_taken(path: Path, force: bool) -> bool:
    try:
        return path.is_dir() or (path.exists() and not force)
    except OSError as error:
        raise StorageError(f"cannot look at {str(path)!r:.300} ({error.strerror}); choose another file") from error


def unicode_of(text: str) -> str:
    r"""Return text that every program can read: the bytes of a directory's name that are not UTF-8 are spelled out.

    >>> unicode_of("r\udcff")
    'r\\xff'
    """
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


class _Counter:
    """Passes curves on and counts them."""

    def __init__(self, found: Iterable[Curve]) -> None:
        self._found = found
        self.curves = self.points = 0

    def __iter__(self) -> Iterator[Curve]:
        for curve in self._found:
            yield Curve(unicode_of(curve.run), unicode_of(curve.tag), curve.points)
            self.curves += 1
            self.points += len(curve.points)


def _exists(path: Path) -> InputError:
    return InputError(f"{path} exists already; choose another file, or say --force to replace it")


def _publish(temporary: Path, path: Path, force: bool) -> None:
    """Give a finished file its name, not taking it from another that has come meanwhile."""
    if force or not hasattr(os, "link"):
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without links
        temporary.replace(path)


def _write_csv(found: Iterable[Curve], path: Path) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(",".join(_COLUMNS) + "\n")
        for curve in found:
            start = f"{_cell(curve.run)},{_cell(curve.tag)},"
            for part in _parts(curve.points):
                columns = (part.step.tolist(), part.wall_time.tolist(), part.value.tolist())
                file.writelines(
                    f"{start}{step},{time!r},{value!r}\n" for step, time, value in zip(*columns, strict=True)
                )


def _cell(text: str) -> str:
    """Return a text as a cell of CSV (RFC 4180, section 2)."""
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def _write_json(found: Iterable[Curve], path: Path) -> None:
    with path.open("x", encoding="utf-8") as file:
        separator = "["
        for curve in found:
            file.write(f'{separator}\n{{"run": {json.dumps(curve.run)}, "tag": {json.dumps(curve.tag)}')
            for name in _COLUMNS[2:]:
                file.write(f', "{name}": [')
                _write_numbers(file, [getattr(part, name) for part in _parts(curve.points)])
                file.write("]")
            file.write("}")
            separator = ","
        file.write("\n]\n")


def _write_numbers(file: TextIO, parts: Iterable[np.ndarray[Any, Any]]) -> None:
    separator = ""
    for part in parts:
        numbers = part.tolist()
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            numbers = [number if finite else None for number, finite in zip(numbers, np.isfinite(part), strict=True)]
        file.write(separator + json.dumps(numbers, allow_nan=False)[1:-1])
        separator = ", "


def _write_parquet(found: Iterable[Curve], path: Path) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_extra("pyarrow", "table", "a Parquet file") from error

    name = pa.dictionary(pa.int32(), pa.string())
    types = (name, name, pa.int64(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(_COLUMNS, types, strict=True)))

    def table(waiting: list[Curve]) -> Any:
        names = [pa.DictionaryArray.from_arrays(*_numbered(waiting, column)) for column in _COLUMNS[:2]]
        numbers = [pa.array(column) for column in _joined(waiting).values()]
        return pa.Table.from_arrays([*names, *numbers], schema=schema)

    with pq.ParquetWriter(path, schema) as writer:
        for waiting in _groups(found):
            writer.write_table(table(waiting), row_group_size=_ROW_GROUP)


def _groups(found: Iterable[Curve]) -> Iterator[list[Curve]]:
    """Give curves in groups that have about as many points as a row group."""
    waiting: list[Curve] = []
    count = 0
    for curve in found:
        waiting.append(curve)
        count += len(curve.points)
        if count >= _ROW_GROUP:
            yield waiting
            waiting, count = [], 0
    if waiting:
        yield waiting


def _numbered(found: list[Curve], column: str) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Return the names in a column as numbers, one a point, and the names that they stand for."""
    number: dict[str, int] = {}
    codes = [number.setdefault(getattr(curve, column), len(number)) for curve in found]
    return np.repeat(np.array(codes, np.int32), [len(curve.points) for curve in found]), list(number)


def _joined(found: list[Curve]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of numbers of several curves."""
    types = zip(_COLUMNS[2:], (np.int64, np.float64, np.float64), strict=True)
    return {
        name: np.concatenate([np.zeros(0, dtype), *(getattr(curve.points, name) for curve in found)])
        for name, dtype in types
    }


_WRITERS: Final[dict[str, Callable[[Iterable[Curve], Path], None]]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}


def _parts(points: Scalars) -> Iterator[Scalars]:
    for start in range(0, len(points), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        yield Scalars(points.step[part], points.wall_time[part], points.value[part])


def frame(found: Iterable[Curve]) -> Any:
    """Return curves as one ``pandas.DataFrame``: the columns run and tag (categories), step, wall_time and value.

    Raises
    ------
    MissingExtraError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise missing_extra("pandas", "table", "a data frame") from error

    each = list(found)
    columns: dict[str, Any] = {}
    for name in _COLUMNS[:2]:
        codes, known = _numbered(each, name)
        columns[name] = pd.Categorical.from_codes(codes, categories=known)
    return pd.DataFrame(columns | _joined(each))
