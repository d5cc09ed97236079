"""The scalars that one writer has put into its files, as MXBoard's JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from convscope.errors import StorageError
from convscope.store.index import Index
from convscope.store.reader import EventFile
from convscope.summary import finite


def read_scalars(logdir: str, files: Iterable[tuple[Path, int]]) -> dict[str, list[list[float | None]]]:
    """Return ``{"<logdir>/<tag>": [[wall_time, step, value], …]}``; what is not finite becomes ``None``."""
    return {f"{logdir}/{tag}": points for tag, points in _curves(files).items()}


def write_scalars(path: Path, logdir: str, files: Iterable[tuple[Path, int]]) -> None:
    """Write ``{"<logdir>/<tag>": [[wall_time, step, value], …]}``; what is not finite becomes ``null``.

    Parameters
    ----------
    path
        The file to write; it is there in full or as it was before.
    logdir
        What the names of the curves start with.
    files
        Event files, each with the byte from which on it is read.

    Raises
    ------
    StorageError
        If the file cannot be written, or an event file not be read.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        text = json.dumps(read_scalars(logdir, files), allow_nan=False)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"cannot export scalars to {path} ({error.strerror or error}); choose another path"
        ) from error


def _curves(files: Iterable[tuple[Path, int]]) -> dict[str, list[list[float | None]]]:
    curves: dict[str, list[list[float | None]]] = {}
    for name, start in files:
        file, index = EventFile(name), Index()
        file.cursor = start
        for block in file.read():
            index.add(block, file.note)
        for tag, series in index.scalars.items():
            step, wall_time, value = (column.tolist() for column in series.columns())
            points = [[finite(t), s, finite(v)] for t, s, v in zip(wall_time, step, value, strict=True)]
            curves.setdefault(tag, []).extend(points)
    return curves
