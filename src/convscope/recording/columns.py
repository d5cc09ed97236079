"""What people have as labels of points - lists, arrays, rows, tables - as named columns of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from convscope.arrays import as_numpy
from convscope.errors import InputError

_SEQUENCES: Final = (list, tuple)
_MISSING: Final = ("NAType", "NaTType")  # of pandas


def columns_of(metadata: Any, header: Sequence[Any] | None, count: int) -> dict[str, list[str]]:
    """Return the columns of metadata as text.

    >>> columns_of([("a", 1), ("b", 2)], ["name", "size"], 2)
    {'name': ['a', 'b'], 'size': ['1', '2']}

    Parameters
    ----------
    metadata
        A label for each point; a row for each; a dictionary of columns; or a data frame.
    header
        The names of the columns, for rows.
    count
        How many points there are.

    Raises
    ------
    InputError
        If the lengths do not fit, or the names are not names.
    """
    if isinstance(metadata, Mapping) or hasattr(metadata, "columns"):
        if header is not None:
            raise InputError(f"a {type(metadata).__name__} names its columns itself; leave metadata_header out")
        names = list(metadata) if isinstance(metadata, Mapping) else list(metadata.columns)
        columns = [_items(metadata[name]) for name in _distinct(names)]
    else:
        names, columns = _from_rows(_items(metadata), header, count)
    for name, column in zip(names, columns, strict=True):
        if len(column) != count:
            raise InputError(
                f"metadata must have a label for each of the {count} points, column {name!r} has {len(column)}"
            )
    return {str(name): [_text(item) for item in column] for name, column in zip(names, columns, strict=True)}


def _from_rows(rows: list[Any], header: Sequence[Any] | None, count: int) -> tuple[list[Any], list[list[Any]]]:
    """Return the names and the columns of labels or rows; MXBoard's users have the names as a row of their own."""
    width = _width(rows)
    if header is None and width is not None and len(rows) == count + 1:
        header, rows = rows[0], rows[1:]
    if len(rows) != count:
        raise InputError(f"metadata must have a label for each of the {count} points, got {len(rows)}")
    if width is None:
        if header is not None and len(header) != 1:
            raise InputError(f"metadata_header has {len(header)} names for labels of one column; give rows as metadata")
        return ["label" if header is None else header[0]], [rows]
    names = [f"column {number + 1}" for number in range(width)] if header is None else list(header)
    if len(names) != width:
        raise InputError(f"metadata_header has {len(names)} names for rows of {width}")
    return _distinct(names), [list(column) for column in zip(*rows, strict=True)]


def _width(rows: list[Any]) -> int | None:
    """Return the length of the rows; ``None`` if they are labels."""
    if not rows or not isinstance(rows[0], _SEQUENCES):
        return None
    lengths = [len(row) if isinstance(row, _SEQUENCES) else None for row in rows]
    width = lengths[0]
    if odd := next((number for number, length in enumerate(lengths) if length != width), None):
        raise InputError(
            f"all rows of the metadata must have {width} items like the first, row {odd} is {rows[odd]!r:.60}"
        )
    if not width:
        raise InputError("the rows of the metadata are empty; give at least one column, or metadata=None")
    return width


def _distinct(names: list[Any]) -> list[Any]:
    texts = [str(name) for name in names]
    if not texts or "" in texts or len(set(texts)) < len(texts):
        raise InputError(f"columns of metadata need different names that are not empty, got {texts!r:.120}")
    return names


def _items(values: Any) -> list[Any]:
    """Return a column, or rows, as a list; arrays of two dimensions as a list of rows."""
    if isinstance(values, str | bytes):
        raise InputError(f"metadata is a list with a label for each point, got the text {values!r:.60}")
    if isinstance(values, set | frozenset):
        raise InputError(f"a {type(values).__name__} has no order that metadata could have; give a list")
    if isinstance(getattr(values, "dtype", None), np.dtype) and hasattr(values, "to_numpy"):  # pandas
        values = values.to_numpy()
    if hasattr(values, "to_list"):
        items = values.to_list()
    elif isinstance(values, _SEQUENCES) or not hasattr(values, "dtype"):
        if not hasattr(values, "__iter__"):
            raise InputError(f"metadata is a list with a label for each point, got {values!r:.60}")
        items = [_row(row) for row in values]
    else:
        array = values if isinstance(values, np.ndarray) else as_numpy(values)
        if array.ndim not in (1, 2):
            raise InputError(f"metadata is an array (N,) or (N, columns), got the shape {array.shape}")
        if array.dtype.kind in "fmM":  # each as short as its own type needs
            array = np.where(np.isnan(array), "", array.astype(str))
        items = array.tolist()
    return list(items)


def _row(row: Any) -> Any:
    """Return a row that is an array of any framework as a list, and an array without axes as a number."""
    if isinstance(row, np.generic) or not (hasattr(row, "__array__") or hasattr(row, "asnumpy")):
        return row
    array = row if isinstance(row, np.ndarray) else as_numpy(row)
    return array.tolist() if array.ndim else array[()]


def _text(item: Any) -> str:
    """Return a label as text: nothing for what is missing, numbers as Python writes them."""
    if isinstance(item, str):
        return item
    if isinstance(item, bytes):
        return item.decode("utf-8", "replace")
    is_nan = isinstance(item, float | np.floating | np.datetime64) and bool(np.isnan(item))
    return "" if item is None or is_nan or type(item).__name__ in _MISSING else str(item)
