"""Parquet files with a column of pictures, as the hub stores data sets; read a row group or less at a time."""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from convscope.errors import FormatError, missing_extra, not_found
from convscope.nets.datasets.items import IMAGE_NAMES, LABEL_NAMES, NAME_NAMES, column
from convscope.nets.datasets.labels import Given, Own, labelled
from convscope.nets.datasets.pictures import Pictures, content_of, readable, reasons
from convscope.nets.datasets.shards import shard_paths
from convscope.nets.datasets.synsets import Names
from convscope.nets.preprocessing import Preprocessing

ROWS: Final = 32
"""So many rows are held at a time."""
_HELD: Final = 4


class Group(NamedTuple):
    """A row group.

    Attributes
    ----------
    path
        The file.
    number
        Which of its row groups.
    first
        The number of its first row among those of all files.
    """

    path: Path
    number: int
    first: int


class Rows:
    """The pictures of Parquet files by the number of the row; batches of rows are held, the last few of them.

    Going on where the last call ended reads on; going back begins the row group anew.

    Parameters
    ----------
    paths
        The files.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        files = [_opened(path) for path in paths]
        self.image, self.label = _columns(files[0], paths[0])
        self.groups: list[Group] = []
        counts: list[int] = []
        for path, file in zip(paths, files, strict=True):
            if self.image not in file.schema_arrow.names:
                raise FormatError(
                    f"{path} has no column {self.image!r}, which {paths[0]} has; give files of one data set"
                )
            for number in range(file.metadata.num_row_groups):
                self.groups.append(Group(path, number, sum(counts[-1:])))
                counts.append(sum(counts[-1:]) + file.metadata.row_group(number).num_rows)
        self.count = sum(counts[-1:])
        self._begin_again()

    def _begin_again(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, list[Any]] = {}
        self._batches: Iterator[Any] = iter(())
        self._group = -1
        self._next = 0

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if not key.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_again()

    def read(self, row: int) -> bytes:
        """Return the file that a row holds as a picture."""
        with self._lock:
            value = self._value(row)
        if isinstance(value, dict):
            value = value.get("bytes")
        if not isinstance(value, bytes):
            raise FormatError("the row holds no bytes of a picture")
        return value

    def _value(self, row: int) -> Any:
        for first, values in self._held.items():
            if first <= row < first + len(values):
                return values[row - first]
        group = bisect_right([group.first for group in self.groups], row) - 1
        if group != self._group or row < self._next:
            self._open(group)
        for batch in self._batches:
            first, values = self._next, batch.column(0)
            self._next += len(values)
            if row < self._next:
                self._held[first] = values.to_pylist()
                while len(self._held) > _HELD:
                    self._held.pop(next(iter(self._held)))
                return self._held[first][row - first]
        raise FormatError("the file has fewer rows than it says")

    def _open(self, number: int) -> None:
        group = self.groups[number]
        file = _opened(group.path)
        self._batches = file.iter_batches(ROWS, row_groups=[group.number], columns=[self.image], use_threads=False)
        self._group, self._next = number, group.first

    def column(self, name: str) -> list[Any]:
        """Return all values of a column of numbers or texts."""
        return [value for path in self.paths for value in _opened(path).read(columns=[name]).column(0).to_pylist()]


class ParquetImages(Pictures):
    """The images of Parquet files, in the order of the files and of their rows.

    The column of pictures is called ``image`` or likewise, and holds files as binary or as ``{bytes, path}``.
    The label is the column ``label`` or likewise; the names of the classes are what the hub has put into the schema
    (``ClassLabel``).

    Parameters
    ----------
    files
        A path, a pattern (``train-*.parquet``), or several.
    preprocessing, name, labels, label_names, check
        As for :class:`convscope.nets.data.FolderImages`.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    NotFoundError, FormatError
        If a file is not there, is no Parquet, or has no column of pictures.
    InputError
        If there is no readable picture.
    """

    def __init__(
        self,
        files: str | Path | Iterable[str | Path],
        preprocessing: Preprocessing | None = None,
        *,
        name: str | None = None,
        labels: Given = None,
        label_names: Names = None,
        check: str = "full",
    ) -> None:
        paths = shard_paths(files)
        self._rows = Rows(paths)
        names = _row_names(self._rows)
        why = reasons(self._rows.read, self._rows.count, check)
        kept, skipped = readable(names, why, repr(str(files)))
        self._kept = np.array(kept)
        own = Own()
        if (label := self._rows.label) is not None and labels is None:
            own = Own(self._rows.column(label), _hub_names(paths[0], label), f"the column {label!r}")
        super().__init__(
            name or paths[0].stem,
            [names[number] for number in kept],
            preprocessing,
            labelled(labels, label_names, names, kept, own),
            skipped,
            check,
        )

    def _source(self, index: int) -> bytes:
        return self._rows.read(int(self._kept[index]))

    def _content(self) -> Iterator[bytes]:
        for path in self._rows.paths:
            yield content_of(path)
        yield self._kept.astype("<i8").tobytes()


def _opened(path: Path) -> Any:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "table", "reading Parquet files") from error
    try:
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"{path} is no Parquet file ({error}); copy it again") from error


def _columns(file: Any, path: Path) -> tuple[str, str | None]:
    """Return the columns of the pictures and of the labels."""
    from pyarrow import types

    def holds_files(kind: Any) -> bool:
        if types.is_struct(kind):
            return any(field.name == "bytes" and holds_files(field.type) for field in kind)
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    schema = file.schema_arrow
    fitting = [field.name for field in schema if holds_files(field.type)]
    if not fitting:
        raise not_found("column of pictures", "image", schema.names, str(path))
    image = column(fitting, IMAGE_NAMES) or fitting[0]
    plain = (types.is_integer, types.is_string, types.is_large_string, types.is_dictionary)
    simple = [field.name for field in schema if any(fits(field.type) for fits in plain)]
    return image, column(simple, LABEL_NAMES)


def _hub_names(path: Path, label: str) -> tuple[str, ...]:
    """Return the names of the classes that the hub's library has stored with the schema."""
    raw = (_opened(path).schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(raw)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _row_names(rows: Rows) -> list[str]:
    """Return what each row is called: the path that its picture had, a column of names, or its number in its file."""
    from pyarrow import types

    schema = _opened(rows.paths[0]).schema_arrow
    kind = schema.field(rows.image).type
    names: list[Any] = [None] * rows.count
    if types.is_struct(kind) and any(field.name == "path" for field in kind):
        names = rows.column(f"{rows.image}.path")
        names = [name.get("path") if isinstance(name, dict) else name for name in names]
    elif (texts := [f.name for f in schema if types.is_string(f.type)]) and (known := column(texts, NAME_NAMES)):
        names = rows.column(known)
    paths = [path for path in rows.paths for _ in range(_opened(path).metadata.num_rows)]
    first = {path: paths.index(path) for path in dict.fromkeys(paths)}
    return [
        str(name) if name else f"{path.name}:{number - first[path]}"
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
