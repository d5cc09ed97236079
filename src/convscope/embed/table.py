"""Embeddings as tables of pyarrow, for Parquet: a list of numbers a point, its label, columns and thumbnail."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed import columns as coded
from convscope.embed.embedding import Embedding
from convscope.embed.foreign import label_of
from convscope.embed.thumbnails import Pixels
from convscope.errors import InputError, StorageError, missing_extra, not_found

VECTORS: Final = "embedding"
LABEL: Final = "label"
INDEX: Final = "index"
THUMBNAIL: Final = "thumbnail"
PICTURES: Final = (THUMBNAIL, "image", "img", "picture")
"""Columns of these names hold pictures, where their values are bytes."""
_KEY: Final = b"convscope"
_ABOUT: Final = ("layer", "network", "dataset")


def to_table(embedding: Embedding) -> Any:
    """Return an embedding as a ``pyarrow.Table``: ``embedding``, ``label``, ``index``, the columns and ``thumbnail``.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """
    pa = _pyarrow()
    width = embedding.vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(embedding.vectors).reshape(-1))
    found = {VECTORS: pa.FixedSizeListArray.from_arrays(flat, width), LABEL: _label_array(pa, embedding)}
    found[INDEX] = pa.array(embedding.index)
    for name, values in embedding.columns.items():
        key = name if name not in found and name != THUMBNAIL else f"{name}_"
        found[key] = _column_array(pa, values)
    if (pictures := embedding.pictures()) is not None:
        data = [None if picture is None else _png(picture) for picture in pictures]
        found[THUMBNAIL] = pa.array(data, pa.binary())
    about = {name: getattr(embedding, name) for name in _ABOUT} | {"meta": dict(embedding.meta)}
    about["label_names"] = list(embedding.label_names)
    return pa.table(found).replace_schema_metadata({_KEY: json.dumps(about, default=str).encode()})


def write_parquet(embedding: Embedding, path: str | PathLike[str]) -> None:
    """Write an embedding as a Parquet file, under another name first: what is there is whole.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    StorageError
        If the file cannot be written.
    """
    table = to_table(embedding)
    from pyarrow import parquet

    target = Path(path)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        parquet.write_table(table, draft, compression="zstd")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(f"cannot write {str(target)!r} ({error}); choose another place") from error


def _label_array(pa: Any, embedding: Embedding) -> Any:
    names = embedding.label_names
    if not names:
        return pa.array(embedding.labels, mask=embedding.labels < 0)
    is_named = (embedding.labels >= 0) & (embedding.labels < len(names))
    codes = pa.array(np.where(is_named, embedding.labels, 0), pa.int32(), mask=~is_named)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(names), pa.string()))


def _column_array(pa: Any, values: Any) -> Any:
    numbers = coded.numeric(values)
    if numbers is not None:
        return pa.array(numbers, mask=np.isnan(numbers))
    names, codes = coded.categories(written := coded.texts(values))
    if not coded.is_categorical(names, len(written)):
        return pa.array(written, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(names, pa.string()))


def _png(picture: Pixels) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(out, "PNG", compress_level=1)
    return out.getvalue()


@dataclass
class Reading:
    """What of a table becomes what of an embedding; parts of the table are added one after the other.

    Parameters
    ----------
    schema
        That of the table (``pyarrow.Schema``).
    vectors
        The column of lists that are the vectors; or several columns of numbers; found by default.
    label, thumbnail
        The columns of labels and of pictures; found by their names by default, "" for none.

    Raises
    ------
    NotFoundError
        If a column is not there.
    InputError
        If no column holds vectors, or several might.
    """

    schema: Any
    vectors: str | Sequence[str] | None = None
    label: str | None = None
    thumbnail: str | None = None
    _parts: list[npt.NDArray[Any]] = field(default_factory=list, init=False)
    _columns: dict[str, list[Any]] = field(default_factory=dict, init=False)
    _pictures: list[Any] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        names = list(self.schema.names)
        asked = [self.vectors] if isinstance(self.vectors, str) else list(self.vectors or [])
        for name in (*asked, *filter(None, (self.label, self.thumbnail))):
            if name not in names:
                raise not_found("column", name, names, "the table")
        self.vectors = asked or [self._vectors_found()]
        pictures = (name for name in names if name.casefold() in PICTURES and _is_picture(self.schema.field(name).type))
        self.thumbnail = next(pictures, "") if self.thumbnail is None else self.thumbnail
        rest = [name for name in names if name not in (*self.vectors, self.thumbnail, INDEX)]
        named = label_of(rest) if len(rest) > 1 or label_of([*rest, ""]) else ""
        self.label = named if self.label is None else self.label
        self._columns = {name: [] for name in rest}
        if INDEX in names and INDEX not in self.vectors:
            self._columns[INDEX] = []

    def _vectors_found(self) -> str:
        lists = [name for name in self.schema.names if _width(self.schema.field(name).type) is not None]
        if VECTORS in lists or len(lists) == 1:
            return VECTORS if VECTORS in lists else lists[0]
        known = ", ".join(lists or self.schema.names)
        raise InputError(
            f"the table has {len(lists) or 'no'} columns of vectors ({known:.200}); "
            "name one with vectors=, or give the names of several columns of numbers"
        )

    def add(self, batch: Any) -> None:
        """Add the next rows, a ``pyarrow.RecordBatch``."""
        assert isinstance(self.vectors, list)
        before = sum(map(len, self._parts))
        self._parts.append(_matrix([(name, batch.column(name)) for name in self.vectors], before))
        for name, values in self._columns.items():
            values.extend(batch.column(name).to_pylist())
        if self.thumbnail:
            self._pictures += map(_decoded, batch.column(self.thumbnail).to_pylist())

    def embedding(self, **about: Any) -> Embedding:
        """Return all that was added as an embedding.

        Raises
        ------
        InputError
            If there are no rows.
        """
        if not self._parts:
            raise InputError("the table has no rows; an embedding has at least one point")
        told = json.loads((self.schema.metadata or {}).get(_KEY, b"{}"))
        labels = self._columns.pop(self.label) if self.label else None
        index = self._columns.pop(INDEX, None)
        if index is not None and not all(type(number) is int for number in index):
            self._columns[INDEX], index = index, None
        names = told.get("label_names", []) if self.label == LABEL else []
        known = {name: str(told.get(name, "")) for name in _ABOUT} | {"meta": told.get("meta", {})} | about
        return Embedding(
            self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts),
            labels,
            label_names=names if labels and not set(filter(None, labels)) - set(names) else (),
            columns=self._columns,
            index=index,
            thumbnails=self._pictures if any(picture is not None for picture in self._pictures) else None,
            **known,
        )


def _width(kind: Any) -> int | None:
    """Return how many numbers a value of a list type has, 0 where they may differ; ``None`` for other types."""
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
        return None
    return int(kind.list_size) if types.is_fixed_size_list(kind) else 0


def _is_picture(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):  # as Hugging Face writes them
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _matrix(columns: list[tuple[str, Any]], before: int) -> npt.NDArray[Any]:
    """Return the rows of one column of lists, or of several columns of numbers, as a matrix."""
    if len(columns) > 1 or _width(columns[0][1].type) is None:
        return np.stack([_numbers(name, column, before) for name, column in columns], axis=1)
    name, column = columns[0]
    if column.null_count:
        row = before + column.is_null().to_pylist().index(True)
        raise InputError(f"row {row} of column {name!r} has no vector; leave such rows out")
    flat = column.flatten()
    if flat.null_count:
        raise InputError(f"column {name!r} holds vectors in which numbers are missing; leave those rows out")
    numbers = flat.to_numpy(zero_copy_only=False)
    width = len(numbers) // max(1, len(column))
    lengths = np.asarray(column.value_lengths()) if _width(column.type) == 0 else np.full(len(column), width)
    if len(odd := np.flatnonzero(lengths != lengths[:1])):
        first, other = int(lengths[0]), int(odd[0])
        raise InputError(
            f"row {before + other} of column {name!r} has {int(lengths[other])} numbers, the first row {first}"
        )
    matrix: npt.NDArray[Any] = numbers.reshape(len(column), width)
    return matrix


def _numbers(name: str, column: Any, before: int) -> npt.NDArray[np.float32]:
    from pyarrow import types

    if not (types.is_floating(column.type) or types.is_integer(column.type)):
        raise InputError(
            f"column {name!r} is {column.type}; vectors are columns of numbers, or one of lists of numbers"
        )
    if column.null_count:
        row = before + column.is_null().to_pylist().index(True)
        raise InputError(f"row {row} of column {name!r} has no number; leave such rows out")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float32)


def _decoded(value: Any) -> Any:
    """Return a picture of a table; ``None`` where there is none or it cannot be read: the point is there anyway."""
    from PIL import Image, UnidentifiedImageError

    data = value.get("bytes") if isinstance(value, dict) else value
    if not data:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft("RGB", (128, 128))
            picture.thumbnail((128, 128))
            return picture.copy()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise missing_extra("pyarrow", "table", "Parquet") from error
    return pa
