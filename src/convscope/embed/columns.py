"""Metadata columns of points: what people have as values, typed and coded so that a page can colour and search by them.

A column is of numbers (``float64``, NaN where there is none), of categories (codes into a short list of texts, -1 where
there is none) or of texts (the UTF-8 bytes of all rows, joined, and where each begins).
"""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import FormatError, InputError

Column: TypeAlias = "Sequence[Any] | npt.NDArray[Any]"
Coded: TypeAlias = tuple[list[dict[str, Any]], dict[str, npt.NDArray[Any]]]

MOST_CATEGORIES: Final = 50_000
FEW_POINTS: Final = 200
"""Of so few points every text is a category."""
_LONGEST_VALUES: Final = 4 << 20  # characters of all categories: they travel with the description of a record
_EXACT: Final = 1 << 53  # whole numbers that float64 holds
_MISSING_TYPES: Final = ("NAType", "NaTType")  # of pandas
_KEPT_KINDS: Final = "biufMm"


def as_columns(columns: Any, count: int) -> dict[str, Column]:
    """Return columns by their names, each as an array of numbers, booleans or dates or as a list of ``count`` values.

    >>> as_columns({"size": (3, None)}, 2)
    {'size': [3, None]}

    Parameters
    ----------
    columns
        A mapping or a data frame: name → ``count`` values, of any framework.
    count
        How many points there are.

    Raises
    ------
    InputError
        If a name is none or there twice, or a column has another length or more than one axis.
    """
    names = list(columns.columns) if hasattr(columns, "columns") else list(columns)
    found: dict[str, Column] = {}
    for name in names:
        key = clean(str(name))
        if not key.strip() or key in found:
            raise InputError(
                f"columns need different names that are not empty, got {[str(name) for name in names]!r:.120}"
            )
        found[key] = _values(columns[name], key)
        if len(found[key]) != count:
            raise InputError(f"{count} vectors but {len(found[key])} {key}; give one for each vector")
    return found


def _values(values: Any, name: str) -> Column:
    if isinstance(values, str | bytes | set | frozenset | Mapping) or not hasattr(values, "__len__"):
        raise InputError(
            f"column {name!r} is a {type(values).__name__}; give a list or an array with a value for each vector"
        )
    if hasattr(values, "to_numpy"):  # pandas
        values = values.to_numpy()
    if isinstance(values, list | tuple | range):
        return list(values)
    array = values if isinstance(values, np.ndarray) else as_numpy(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(
            f"column {name!r} has the shape {array.shape}; a column is (N,): give each of its parts a name"
        )
    return array if array.dtype.kind in _KEPT_KINDS else list(array.tolist())


def encode(columns: Mapping[str, Column]) -> Coded:
    """Return typed columns: what ``meta.columns`` says about each, and the arrays that hold them.

    >>> about, arrays = encode({"size": [3, None], "kind": ["a", "b"]})
    >>> about[0], about[1]["values"], arrays["column_1"].tolist()
    ({'name': 'size', 'type': 'number'}, ['a', 'b'], [0, 1])
    """
    about: list[dict[str, Any]] = []
    arrays: dict[str, npt.NDArray[Any]] = {}
    for number, (name, values) in enumerate(columns.items()):
        key = f"column_{number}"
        as_numbers = numeric(values)
        if as_numbers is not None:
            about.append({"name": name, "type": "number"})
            arrays[key] = as_numbers
            continue
        written = texts(values)
        names, codes = categories(written)
        if is_categorical(names, len(written)):
            about.append({"name": name, "type": "category", "values": names})
            arrays[key] = codes
        else:
            about.append({"name": name, "type": "text"})
            arrays[key], arrays[f"{key}_offset"] = _joined(written)
    return about, arrays


def decode(about: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Column]:
    """Return the columns of a record: numbers as an array, everything else as texts, ``None`` where there is none.

    Raises
    ------
    FormatError
        If the arrays are not those of the columns.
    """
    found: dict[str, Column] = {}
    for number, column in enumerate(about if isinstance(about, list) else []):
        key = f"column_{number}"
        try:
            coded = arrays[key]
            if column["type"] == "number":
                found[column["name"]] = coded
            elif column["type"] == "category":
                names = [*column["values"], None]  # the code -1 is the last
                found[column["name"]] = [names[code] for code in coded.tolist()]
            else:
                found[column["name"]] = _parts(coded, arrays[f"{key}_offset"])
        except (KeyError, TypeError, IndexError) as error:
            raise FormatError(
                f"column {number} of an embedding is damaged ({type(error).__name__}: {error})"
            ) from error
    return found


def numeric(values: Column) -> npt.NDArray[np.float64] | None:
    """Return a column as numbers, NaN where a value is missing; ``None`` where it is not one of numbers."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "iuf" or (values.dtype.kind != "f" and _is_beyond(values)):
            return None
        return values.astype(np.float64)
    is_some = False
    for value in values:
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
            if not is_missing(value):
                return None
        elif isinstance(value, numbers.Integral) and abs(int(value)) > _EXACT:
            return None  # an identity rather than an amount: every digit counts
        else:
            is_some = True
    return np.array([np.nan if is_missing(value) else float(value) for value in values]) if is_some else None


def _is_beyond(values: npt.NDArray[Any]) -> bool:
    return bool(values.size) and (int(values.max()) > _EXACT or int(values.min()) < -_EXACT)


def parsed(values: Sequence[str]) -> Column:
    """Return a column of a text file: as numbers where every text is one, ``None`` in place of empty texts.

    >>> parsed(["1", "", "2.5"]), parsed(["a", ""])
    (array([1. , nan, 2.5]), ['a', None])
    """
    given = [value if value.strip() else None for value in values]
    try:
        found = np.array([np.nan if value is None else float(value) for value in given])
    except ValueError:
        return given
    is_plain = all(value is None or _is_plain(value) for value in given)
    return found if is_plain and not np.isnan(found).all() else given


def _is_plain(text: str) -> bool:
    """Tell whether a number is written as numbers are: ``007`` and ``1_000`` are names."""
    digits = text.strip().lstrip("+-")
    return text.isascii() and "_" not in text and not (len(digits) > 1 and digits[0] == "0" and digits[1].isdigit())


def texts(values: Iterable[Any]) -> list[str | None]:
    """Return values as texts, ``None`` where one is missing: dates as ISO 8601, numbers as JavaScript writes them."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "Mm":
        return [None if text == "NaT" else text for text in values.astype(str).tolist()]
    items = values.tolist() if isinstance(values, np.ndarray) else values
    return [_text(value) for value in items]


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return clean(value)
    if is_missing(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return clean(str(value))


def clean(text: str) -> str:
    """Return text that can be written as UTF-8: halves of surrogate pairs become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none: ``None``, NaN, not-a-time, and what pandas has for these."""
    if value is None or type(value).__name__ in _MISSING_TYPES:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return isinstance(value, numbers.Real) and value != value  # noqa: PLR0124 - NaN


def categories(values: Sequence[str | None]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return the distinct texts in their order, and which of them each is: -1 where there is none.

    >>> names, codes = categories(["b", None, "a"])
    >>> names, codes.tolist()
    (['a', 'b'], [1, -1, 0])
    """
    names = sorted({value for value in values if value is not None})
    places: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    return names, np.fromiter((places.get(value, -1) for value in values), np.int32, len(values))


def is_categorical(names: Sequence[str], count: int) -> bool:
    """Tell whether texts with these distinct ones are better coded: few enough, and few of them only once."""
    few = len(names) <= MOST_CATEGORIES and (2 * len(names) < count or count <= FEW_POINTS)
    return few and sum(map(len, names)) <= _LONGEST_VALUES


def _joined(values: Sequence[str | None]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    parts = [(value or "").encode() for value in values]
    ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), ends


def _parts(joined: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[Any]:
    data, ends = joined.tobytes(), offsets.tolist()
    return [data[start:end].decode("utf-8", "replace") or None for start, end in pairwise(ends)]
