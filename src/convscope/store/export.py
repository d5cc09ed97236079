"""Curves for other programs: CSV, JSON and Parquet files, pandas' data frames.

Every form has the columns run, tag, step, wall_time (seconds since 1970) and value, in the order in which the values
were logged. CSV and Parquet hold NaN and infinities; JSON, which knows neither, has ``null`` in their place.
"""

from __future__ import annotations

import csv
import io
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
from convscope.store.index import POINTS
from convscope.store.results import Scalars
from convscope.store.run import Run

_ROWS_AT_ONCE: Final = 1 << 14
_ROW_GROUP: Final = 1 << 18
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
    tags, names = _pattern(tag), _pattern(run)
    if points not in POINTS:
        raise not_found("choice of points", points, POINTS)
    return (
        Curve(each.name, name, each.scalars(name, points))
        for each in runs
        if names.search(each.name)
        for name in each.tags("scalar")["scalar"]
        if tags.search(name)
    )


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(
            f"{text!r} is no regular expression ({error}); put a backslash before a special one"
        ) from error


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
    if path.is_dir() or (path.exists() and not force):
        raise _exists(path)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")
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


class _Counter:
    """Passes curves on and counts them."""

    def __init__(self, found: Iterable[Curve]) -> None:
        self._found = found
        self.curves = self.points = 0

    def __iter__(self) -> Iterator[Curve]:
        for curve in self._found:
            yield curve
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
            start = _csv_start(curve)
            for part in _parts(curve.points):
                columns = (part.step.tolist(), part.wall_time.tolist(), part.value.tolist())
                file.writelines(
                    f"{start}{step},{time!r},{value!r}\n" for step, time, value in zip(*columns, strict=True)
                )


def _csv_start(curve: Curve) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator=",").writerow([curve.run, curve.tag])
    return line.getvalue()


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

    types = (pa.string(), pa.string(), pa.int64(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(_COLUMNS, types, strict=True)))
    with pq.ParquetWriter(path, schema) as writer:
        waiting: list[Any] = []
        for curve in found:
            points = curve.points
            names = [pa.repeat(pa.scalar(name), len(points)) for name in (curve.run, curve.tag)]
            numbers = [pa.array(column) for column in (points.step, points.wall_time, points.value)]
            waiting.append(pa.Table.from_arrays([*names, *numbers], schema=schema))
            if sum(table.num_rows for table in waiting) >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=_ROW_GROUP)


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
    sizes = [len(curve.points) for curve in each]
    columns: dict[str, Any] = {}
    for name in ("run", "tag"):
        known = list(dict.fromkeys(getattr(curve, name) for curve in each))
        codes = [known.index(getattr(curve, name)) for curve in each]
        columns[name] = pd.Categorical.from_codes(np.repeat(np.array(codes, np.int64), sizes), categories=known)
    for name, dtype in (("step", np.int64), ("wall_time", np.float64), ("value", np.float64)):
        columns[name] = np.concatenate([np.zeros(0, dtype), *(getattr(curve.points, name) for curve in each)])
    return pd.DataFrame(columns)
