"""What people give as vectors and labels, checked in blocks and kept as it is where it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.embed.columns import categories, clean, texts
from convscope.errors import InputError, not_found

Vectors = npt.NDArray[np.floating[Any]]

_BLOCK: Final = 1 << 22  # numbers looked at together
_LEAST_HALF: Final = float(np.finfo(np.float16).tiny)  # what is smaller has fewer digits
_LARGEST_LABEL: Final = np.iinfo(np.int32).max


def as_vectors(value: Any) -> Vectors:
    """Return vectors ``(N, D)``: ``float16`` and ``float32`` as they are (memory maps, too), all else as ``float32``.

    Raises
    ------
    InputError
        If they are not a matrix of finite numbers.
    """
    array = as_numpy(value)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "biuf":
        fits = array.ndim > 2 and 0 not in array.shape
        way_out = f"reshape it to {(len(array), array.size // len(array))}" if fits else "give one row for each point"
        raise InputError(
            "an embedding is made from vectors (N, D) of real numbers, "
            f"got shape {array.shape}, dtype {array.dtype}; {way_out}"
        )
    if array.dtype not in (np.dtype(np.float16), np.dtype(np.float32)):
        with np.errstate(over="ignore"):
            single = array.astype(np.float32)
        if array.dtype.kind == "f" and (lost := _not_finite(single)[0] - _not_finite(array)[0]):
            raise InputError(
                f"{lost} numbers of the vectors are larger than float32 can be; divide the vectors by something"
            )
        array = single
    wrong, first = _not_finite(array)
    if wrong:
        raise InputError(
            f"the vectors hold {wrong} values that are NaN or infinite, the first in row {first}; "
            "leave those rows out, or mend them with np.nan_to_num"
        )
    return array


def blocks(array: npt.NDArray[Any]) -> Iterator[slice]:
    """Give the rows of an array in parts that are quick to look at and small beside it."""
    rows = max(1, _BLOCK // max(1, array[0].size))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def _not_finite(array: npt.NDArray[Any]) -> tuple[int, int]:
    """Return how many numbers are NaN or infinite, and the row of the first."""
    if array.dtype.kind != "f":
        return 0, -1
    wrong, first = 0, -1
    for rows in blocks(array):
        is_good = np.isfinite(array[rows])
        if not is_good.all():
            wrong += is_good.size - int(np.count_nonzero(is_good))
            first = first if first >= 0 else rows.start + int(np.argmin(is_good.all(1)))
    return wrong, first


def fits_half(array: npt.NDArray[Any]) -> bool:
    """Tell whether half precision holds vectors, without a copy of the array.

    It does not where numbers are too large for it, where a vector is so small that it loses digits, or where all lie
    so far from 0 that rounding is seen beside what tells them apart (more than 0.3 % of their spread).
    """
    mean = sum(array[rows].sum(0, dtype=np.float64) for rows in blocks(array)) / len(array)
    lost = spread = 0.0
    for rows in blocks(array):
        block = array[rows].astype(np.float64)
        sizes = np.abs(block).max(1)
        if sizes.max() > np.finfo(np.float16).max or ((sizes > 0) & (sizes < _LEAST_HALF)).any():
            return False
        gaps, centred = block - block.astype(np.float16), block - mean
        lost += float(np.vdot(gaps, gaps))
        spread += float(np.vdot(centred, centred))
    return lost <= 1e-5 * spread


def as_labels(labels: Any, names: Sequence[str], count: int) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return labels as numbers, -1 where one is unknown, and the names of the classes.

    >>> as_labels(["cat", "dog", None, "cat"], (), 4)
    (array([ 0,  1, -1,  0], dtype=int32), ('cat', 'dog'))

    Parameters
    ----------
    labels
        ``(N,)`` numbers, negative or NaN for unknown; or texts, ``None`` for unknown. Numbers that int32 does not hold
        are names.
    names
        The names of the classes; by default those that texts have.
    count
        How many points there are.

    Raises
    ------
    InputError
        If they are neither, or not as many as there are points, or a text is not among the names.
    """
    names = tuple(_name(name) for name in _as_list(names, "label_names"))
    if labels is None:
        return np.full(count, -1, np.int32), names
    if isinstance(labels, str | bytes | set | frozenset | dict) or not hasattr(labels, "__len__"):
        raise InputError(f"labels are a list or an array with one for each vector, got {labels!r:.60}")
    if len(labels) != count:
        raise InputError(f"{count} vectors but {len(labels)} labels; give one for each vector")
    numbers = _as_numbers(labels)
    if numbers is None:
        return _from_texts(texts(_as_list(labels, "labels")), names)
    if numbers.dtype.kind == "f":
        odd = numbers[
            np.isinf(numbers) | (np.isfinite(numbers) & (np.nan_to_num(numbers, posinf=0, neginf=0) % 1 != 0))
        ]
        if odd.size:
            raise InputError(f"labels are whole numbers or texts, got {odd[0]}; give such values as a column")
        numbers = np.nan_to_num(numbers, nan=-1)
    elif int(numbers.max()) > _LARGEST_LABEL:
        return _from_texts([str(number) if number >= 0 else None for number in numbers.tolist()], names)
    return np.where(numbers < 0, -1, numbers).astype(np.int32), names


def named(
    labels: npt.NDArray[np.int32], names: Sequence[str], other: Callable[[int], str]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return names and which of them each label has, -1 for none; ``other`` names the labels without one.

    >>> named(np.array([0, 7, -1]), ["cat"], "class {}".format)[0]
    ['cat', 'class 7']
    """
    more = np.unique(labels[labels >= len(names)])
    codes = np.where(labels < len(names), labels, len(names) + np.searchsorted(more, labels))
    return [*names, *map(other, more.tolist())], codes


def _name(value: Any) -> str:
    return clean(value if isinstance(value, str) else str(value))


def _as_list(values: Any, what: str) -> list[Any]:
    if isinstance(values, str | bytes):
        raise InputError(f"{what} is a list of texts, got the text {values!r:.60}")
    if hasattr(values, "to_numpy"):  # pandas
        values = values.to_numpy()
    return list(values.tolist() if hasattr(values, "tolist") else values)


def _as_numbers(labels: Any) -> npt.NDArray[Any] | None:
    """Return labels as an array of numbers, ``None`` where they are texts."""
    if hasattr(labels, "to_numpy"):  # pandas
        labels = labels.to_numpy()
    if not hasattr(labels, "dtype"):
        labels = list(labels)
        if any(label is None or isinstance(label, str | bytes) for label in labels):
            some = [label for label in labels if label is not None]
            if not all(isinstance(label, int | np.integer) for label in some) or not some:
                return None
            labels = [-1 if label is None else label for label in labels]
        if any(isinstance(label, int) and abs(label) >= 1 << 63 for label in labels):
            return None
    array = labels if isinstance(labels, np.ndarray) else as_numpy(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"labels are (N,), got the shape {array.shape}; of scores or one-hot rows take argmax(1)")
    return array if array.dtype.kind in "biuf" else None


def _from_texts(labels: list[str | None], names: tuple[str, ...]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    found, codes = categories(labels)
    if not names:
        return codes, tuple(found)
    places = {name: number for number, name in reversed(list(enumerate(names)))}
    if unknown := [name for name in found if name not in places]:
        raise not_found("class", unknown[0], names, "label_names")
    return np.array([*(places[name] for name in found), -1], np.int32)[codes], names
