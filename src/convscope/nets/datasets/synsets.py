"""Names of classes: lists of names, and files of WordNet synsets, whose order is ImageNet's order of classes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.errors import FormatError, InputError, NotFoundError, StorageError

MAX_BYTES: Final = 256 << 20
"""Larger files of labels or names are refused before they are read."""
WORDNET_ID: Final = re.compile(r"(?:^|(?<=/))(n\d{8})(?=[_./]|$)")
"""A WordNet id at the beginning of a part of a path: ``n01440764/…``, ``n01440764_10026.JPEG``."""

_LINE: Final = re.compile(r"(n\d{8})[\s,;]+(.*)")

Names = str | Path | Sequence[str] | Mapping[Any, Any] | None


class Synset(NamedTuple):
    """A class of ImageNet.

    Attributes
    ----------
    id
        Its WordNet id, such as ``n01440764``; nothing in a plain list of names.
    name
        All that it is called: ``tench, Tinca tinca``.
    """

    id: str
    name: str

    @property
    def first(self) -> str:
        """The first of its names: ``tench``."""
        return self.name.split(",")[0].strip()


def synsets(path: str | Path) -> tuple[Synset, ...]:
    """Return the classes a file lists, in its order: class number i is the i-th.

    Understood are ``synset_words.txt`` and ``LOC_synset_mapping.txt`` (a WordNet id and its names a line), lists of ids
    only, lists of names only, and JSON: a list of names, ``{"0": "tench", …}`` or ``{"0": ["n01440764", "tench"], …}``.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is too large, is no text, holds nothing or names a WordNet id twice.
    """
    text = read_text(Path(path))
    if Path(path).suffix.lower() == ".json":
        found = _from_json(text, path)
    else:
        found = [_of_line(line.strip()) for line in text.splitlines() if line.strip()]
    twice = [name for name, count in Counter(entry.id for entry in found if entry.id).items() if count > 1]
    if twice or not found:
        what = f"names {twice[0]} twice" if twice else "holds no names of classes"
        raise FormatError(f"{path} {what}; expected one line for each class, such as 'n01440764 tench, Tinca tinca'")
    return tuple(found)


def _of_line(line: str) -> Synset:
    if match := _LINE.fullmatch(line):
        return Synset(match[1], match[2].strip())
    return Synset(line, line) if re.fullmatch(r"n\d{8}", line) else Synset("", line)


def _from_json(text: str, path: str | Path) -> list[Synset]:
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            value = [value[key] for key in sorted(value, key=int)]
        return [Synset(*entry[:2]) if isinstance(entry, list) else _of_line(str(entry)) for entry in value]
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(
            f"{path} is no JSON of names ({error}); expected a list or numbers with their names"
        ) from error


def class_names(names: Names) -> tuple[Synset, ...]:
    """Return what a user gives as the names of classes: a file, a list, or a mapping from numbers or WordNet ids."""
    if names is None:
        return ()
    if isinstance(names, str | Path):
        return synsets(names)
    if isinstance(names, Mapping):
        if all(isinstance(key, str) and re.fullmatch(r"n\d{8}", key) for key in names):
            return tuple(Synset(key, str(names[key])) for key in sorted(names))
        try:
            numbered = {int(key): str(name) for key, name in names.items()}
        except (TypeError, ValueError):
            raise InputError(
                f"label_names maps numbers or WordNet ids to names, got the key {next(iter(names))!r}"
            ) from None
        if sorted(numbered) != list(range(len(numbered))):
            raise InputError(f"label_names names {len(numbered)} classes; number them from 0 without gaps")
        return tuple(_of_line(numbered[number]) for number in range(len(numbered)))
    return tuple(Synset("", str(name)) for name in names)


def unique_names(classes: Sequence[Synset]) -> tuple[str, ...]:
    """Return a short name for each class: its first, all of them where two share the first, with the id if they must.

    >>> unique_names([Synset("n1", "crane"), Synset("n2", "crane, machine"), Synset("n3", "crane, machine")])
    ('crane', 'crane, machine (n2)', 'crane, machine (n3)')
    """
    firsts = Counter(entry.first if entry.id else entry.name for entry in classes)
    wholes = Counter(entry.name for entry in classes)
    short = []
    for entry in classes:
        first = entry.first if entry.id else entry.name  # the commas of a plain list belong to its names
        if firsts[first] == 1:
            short.append(first)
        else:
            short.append(f"{entry.name} ({entry.id})" if wholes[entry.name] > 1 and entry.id else entry.name)
    return tuple(short)


def read_text(path: Path) -> str:
    """Return the text of a small file; bytes that are no UTF-8 come as Python stores them in file names.

    Raises
    ------
    NotFoundError, FormatError, StorageError
        If there is no such file, it is too large or no text, or it cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"no file {str(path)!r}; give the path of a text file")
    if path.stat().st_size > MAX_BYTES:
        raise FormatError(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read as text")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        raise FormatError(f"{path} is no text; give a file with one line for each picture or class")
    return data.decode("utf-8-sig", "surrogateescape")
