"""The class of each picture: from folders, files, dictionaries, lists and WordNet ids, as numbers and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.arrays import as_numpy
from convscope.errors import InputError, not_found
from convscope.nets.datasets.synsets import Names, Synset, class_names, unique_names
from convscope.nets.datasets.tables import read_labels

_INT32: Final = np.iinfo(np.int32)
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.0*)?")

Given = Any
"""What a user gives as labels: a file, ``{file: label}``, or one label for each picture."""


@dataclass(frozen=True)
class Labels:
    """The classes of the pictures of a set.

    Attributes
    ----------
    numbers
        ``(N,)``, -1 where the class is unknown; ``None`` where there are no classes.
    names
        What class number i is called.
    source
        Where they come from, in words.
    unlabelled
        How many pictures have none though others have.
    missing
        Files that have a label and are not there.
    """

    numbers: npt.NDArray[np.int32] | None = None
    names: tuple[str, ...] = ()
    source: str = ""
    unlabelled: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Own:
    """What a source itself says of classes.

    Attributes
    ----------
    values
        For each picture of the source, before any is skipped, its class as a number or a text; ``None`` is unknown.
    names
        The names of numbered classes.
    source
        Where they come from, in words.
    text
        Whether the classes are names though they may look like numbers: those of folders.
    """

    values: Sequence[Any] | None = None
    names: Sequence[str] = ()
    source: str = ""
    text: bool = False


def labelled(
    given: Given, label_names: Names, names: Sequence[str], kept: Sequence[int] | None = None, own: Own | None = None
) -> Labels:
    """Return the labels of the pictures that were kept.

    Parameters
    ----------
    given
        A file of labels, ``{file: label}``, or one label for each picture, in order. ``None`` leaves it to the source.
    label_names
        The names of the classes, a file of them, or a file of synsets. With them, a text label is the number of the
        class of that name or WordNet id.
    names
        What all pictures are called, those that were skipped included.
    kept
        The numbers of those that were not; all by default.
    own
        What the source says, used where nothing is given.

    Raises
    ------
    InputError
        If the labels do not fit the pictures or the names.
    """
    own = own or Own()
    which = range(len(names)) if kept is None else kept
    classes = class_names(label_names) or tuple(Synset("", str(name)) for name in own.names)
    values, source, missing = (own.values, own.source, ()) if given is None else _given(given, names)
    if values is None:
        return Labels(names=unique_names(classes))
    chosen = [values[number] for number in which]
    numbers, found = _numbered(chosen, classes, text=own.text and given is None)
    known = int(np.count_nonzero(numbers >= 0))
    if not known and given is None:
        return Labels(names=unique_names(classes))
    return Labels(numbers, found, source, len(numbers) - known, missing)


def _given(given: Given, names: Sequence[str]) -> tuple[Sequence[Any], str, tuple[str, ...]]:
    """Return the label of every picture, where they come from, and what is listed but not there."""
    source = "labels"
    if isinstance(given, str | Path):
        source, given = Path(given).name, read_labels(Path(given))
    if isinstance(given, Mapping):
        return by_file(given, names, source)
    values = given if isinstance(given, list | tuple) else as_numpy(given).tolist()
    if not isinstance(values, list | tuple) or len(values) != len(names):
        count = len(values) if isinstance(values, list | tuple) else 1
        raise InputError(f"{count:,} labels of {source} do not fit {len(names):,} pictures; give one label for each")
    return values, source, ()


def by_file(table: Mapping[Any, Any], names: Sequence[str], source: str) -> tuple[list[Any], str, tuple[str, ...]]:
    """Find the picture each entry means: by its path, or by its last part or the stem of that where only one has it."""
    exact = {name: number for number, name in enumerate(names)}
    parts = [PurePosixPath(name) for name in names]
    base = _unambiguous([part.name for part in parts])
    stem = _unambiguous([part.stem for part in parts])
    values: list[Any] = [None] * len(names)
    missing = []
    for file, label in table.items():
        key = _normal(str(file))
        last = PurePosixPath(key).name
        number = exact.get(key, base.get(last, stem.get(last)))
        if number is None:
            missing.append(key)
        elif values[number] not in (None, label):
            raise InputError(f"{source} gives {names[number]!r} two labels, {values[number]!r} and {label!r}; keep one")
        else:
            values[number] = label
    if len(missing) == len(table):
        first = f" (the first is {missing[0]!r})" if missing else ""
        raise InputError(f"none of the {len(table):,} files of {source}{first} is among the {len(names):,} pictures")
    return values, source, tuple(missing)


def _normal(name: str) -> str:
    """Return a listed name as the names of pictures are written."""
    printed = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return PurePosixPath(printed if "/" in printed or "\\x" in printed else printed.replace("\\", "/")).as_posix()


def _unambiguous(names: Sequence[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for number, name in enumerate(names):
        found[name] = None if name in found else number
    return found


def _numbered(
    values: Sequence[Any], classes: Sequence[Synset], *, text: bool
) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return class numbers and names: numbers stay, texts are looked up among the classes or numbered in order."""
    plain = list(values) if text and not classes else [_plain(value) for value in values]
    if all(isinstance(value, int | None) for value in plain):
        numbers = [-1 if value is None else value for value in plain if not isinstance(value, str)]
        _check_range(numbers, len(classes))
        return np.array(numbers, np.int32), unique_names(classes)
    texts = ["" if value is None else str(value) for value in plain]
    distinct = sorted(set(texts) - {""})
    table = _lookup(classes, distinct, rename=text)
    short = unique_names(classes) or tuple(distinct)
    return np.array([table[text] if text else -1 for text in texts], np.int32), short


def _plain(value: Any) -> int | str | None:
    """Return a label as a number where it is one, else as text; nothing for what says that it is unknown."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition(".")[0]) if _NUMBER.fullmatch(text) else text or None
    if value is None or (isinstance(value, float) and isnan(value)):  # NaN is how tables write unknown
        return None
    if isinstance(value, int | float) and value == int(value):
        return int(value)
    raise InputError(f"a label is a class number or a text, got {value!r}")


def _check_range(numbers: Sequence[int], classes: int) -> None:
    if not numbers:
        return
    low, high = min(numbers), max(numbers)
    if low < -1 or high > _INT32.max:
        raise InputError(f"labels are class numbers from 0, -1 for unknown; got {low if low < -1 else high}")
    if classes and high >= classes:
        counted = " (they seem to count from 1; subtract 1)" if high == classes and 0 not in numbers else ""
        raise InputError(f"there is a label {high}, but only {classes:,} names of classes{counted}")


def _lookup(classes: Sequence[Synset], distinct: Sequence[str], *, rename: bool) -> dict[str, int]:
    """Return the class number of each text; to rename, as many names as texts stand for them in order."""
    if not classes:
        return {text: number for number, text in enumerate(distinct)}
    known: dict[str, int] = {}
    for texts in (unique_names(classes), [c.name for c in classes], [c.id for c in classes]):
        known.update({text: number for number, text in enumerate(texts) if text})
    unknown = [text for text in distinct if text not in known]
    if rename and len(unknown) == len(distinct) == len(classes):
        return {text: number for number, text in enumerate(distinct)}
    if unknown:
        raise not_found("class", unknown[0], known, "label_names")
    return {text: known[text] for text in distinct}
