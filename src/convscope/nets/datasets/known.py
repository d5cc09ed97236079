"""What is known of each image besides its class: what its name tells, and tables that are joined by file name."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convscope.errors import FormatError, InputError, NotFoundError, missing_extra
from convscope.nets.datasets.labels import by_file
from convscope.nets.datasets.synsets import read_text
from convscope.nets.datasets.tables import FILE_COLUMNS, normal

if TYPE_CHECKING:
    from convscope.nets.data import ImageSet

Columns = dict[str, list[Any]]

_SPLITS: Final = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip


def known_columns(images: ImageSet) -> Columns:
    """Return what the names of images tell: ``file``; ``folder`` and ``split`` where they differ from one to another.

    A split is a folder called train, validation, test or likewise; the folder is the last one, where it is not the
    class already.
    """
    names = [str(name) for name in getattr(images, "names", ())]
    if not names:
        return {}
    parts = [PurePosixPath(name).parts[:-1] for name in names]
    found: Columns = {"file": names}
    folders = [part[-1] if part else "" for part in parts]
    if len(set(folders)) > 1 and folders != _classes(images):
        found["folder"] = folders
    splits = [next((_SPLITS[p.lower()] for p in part if p.lower() in _SPLITS), None) for part in parts]
    if len(set(splits)) > 1:
        found["split"] = splits
    return found


def _classes(images: ImageSet) -> list[str]:
    labels, names = images.labels, images.label_names
    return [] if labels is None else [names[i] if 0 <= i < len(names) else "" for i in labels.tolist()]


class Joined(NamedTuple):
    """Columns of a table, brought into the order of images.

    Attributes
    ----------
    columns
        Name → a value for each image, ``None`` where the table has none.
    missing
        Files that the table has and the images have not.
    without
        How many images the table does not know.
    """

    columns: Columns
    missing: tuple[str, ...]
    without: int

    def sentence(self, path: Path) -> str:
        """Say in one sentence what did not fit; nothing where all is well."""
        parts = [f"{self.without:,} images are not in it"] if self.without else []
        if self.missing:
            parts.append(f"{len(self.missing):,} of its files are not among the images, the first is {self.missing[0]}")
        return f"{path.name}: {'; '.join(parts)}" if parts else ""


def join(path: str | Path, images: ImageSet) -> Joined:
    """Return the columns of a table as columns of images, which are found by their files' names.

    Parameters
    ----------
    path
        CSV, TSV, JSON lines or Parquet, with a column ``file``, ``path``, ``image`` or likewise: the path of an image
        as the set calls it, or its last part where only one image has that.
    images
        The images.

    Raises
    ------
    NotFoundError, FormatError
        If there is no such file, or it is no table.
    InputError
        If it has no column of files, none of the files is there, or the images have no names.
    """
    path = Path(path)
    names = [str(name) for name in getattr(images, "names", ())]
    if not names:
        raise InputError(
            f"the images of {images.name!r} have no names, so {path} cannot be joined; give columns in order"
        )
    table = _table(path)
    file = next((name for wanted in FILE_COLUMNS for name in table if normal(name) == wanted), None)
    if file is None:
        listed = ", ".join(table) or "none"
        raise InputError(f"{path} has no column of files (its columns: {listed}); call one of them 'file'")
    files = [str(value) for value in table[file]]
    rows, _, missing = by_file({name: number for number, name in reversed([*enumerate(files)])}, names, str(path))
    columns = {
        name: [None if row is None else values[row] for row in rows] for name, values in table.items() if name != file
    }
    return Joined(columns, missing, sum(row is None for row in rows))


def _table(path: Path) -> Columns:
    """Return the columns of a table, numbers as numbers."""
    if not path.exists():
        raise NotFoundError(f"no file {str(path)!r}; give a table with a row for each picture")
    ending = path.suffix.lower()
    if ending in (".parquet", ".pq"):
        return _parquet(path)
    if ending in (".jsonl", ".ndjson"):
        return _lines(path)
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=first.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter, skipinitialspace=True) if any(row)]
    if len(rows) < 2:
        raise FormatError(f"{path} is no table; give a line of names, and one for each picture")
    head = [cell.strip() for cell in rows[0]]
    if len(set(head)) < len(head) or "" in head:
        raise FormatError(f"the columns of {path} need different names that are not empty, got {', '.join(head)}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise FormatError(f"row {number} of {path} has {len(row)} cells, its first has {len(head)}")
    return {name: _typed([row[place].strip() for row in rows[1:]]) for place, name in enumerate(head)}


def _typed(cells: list[str]) -> list[Any]:
    """Return cells as numbers where all that are not empty are numbers; empty ones are ``None``."""
    try:
        return [float(cell) if cell else None for cell in cells]
    except ValueError:
        return [cell or None for cell in cells]


def _lines(path: Path) -> Columns:
    try:
        rows = [json.loads(line) for line in read_text(path).splitlines() if line.strip()]
    except ValueError as error:
        raise FormatError(f"{path} is not JSON lines ({error})") from error
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise FormatError(f"{path} is no table; give an object a line, with a row for each picture")
    names = dict.fromkeys(str(name) for row in rows for name in row)
    return {name: [_plain(row.get(name)) for row in rows] for name in names}


def _parquet(path: Path) -> Columns:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "table", "reading Parquet files") from error
    try:
        file = parquet.ParquetFile(path)
        flat = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
        texts = [name for name in flat if not pa.types.is_binary(file.schema_arrow.field(name).type)]
        table = file.read(columns=texts)
    except (OSError, pa.ArrowException) as error:
        raise FormatError(f"{path} is no Parquet file ({error}); copy it again") from error
    return {name: [_plain(value) for value in table.column(name).to_pylist()] for name in table.column_names}


def _plain(value: Any) -> Any:
    """Return a value as a column takes it; what is neither number nor text is written out."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return str(value)
