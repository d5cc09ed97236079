"""Names of folders that every file system and every address takes, made of names that can hold anything."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Final

LONGEST: Final = 60
_OTHER: Final = re.compile(r"[^A-Za-z0-9._]+")
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_OF_WINDOWS: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
RESERVED: Final = frozenset(
    {
        "data",
        "program",
        "index.html",
        "preview.jpg",
        "sitemap.txt",
        "convscope-site.json",
        "robots.txt",
        "404.html",
        "cname",
    }
)
"""Folders and files of the site itself, and files that hosts look for, in lower case."""


def is_safe(name: str) -> bool:
    """Tell whether a name is one that :func:`folder_name` gives; others are not trusted."""
    return bool(_SAFE.fullmatch(name)) and not name.endswith(".") and ".." not in name


def folder_name(name: str, taken: Collection[str] = (), fallback: str = "run") -> str:
    """Return a folder's name for a run or a layer: ASCII, not hidden, no device of Windows, in no letter case taken.

    >>> folder_name("stages/0 (conv)"), folder_name("слой", fallback="layer"), folder_name("CON")
    ('stages-0-conv', 'layer-fbe643', 'CON-a3dbc4')

    Parameters
    ----------
    name
        What it is called.
    taken
        Names that are given already, in lower case.
    fallback
        What it begins with where nothing of the name is left.
    """
    plain = _OTHER.sub("-", name).strip("-._")[:LONGEST].strip("-._")
    while ".." in plain:
        plain = plain.replace("..", ".")
    own = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    if not plain:
        plain = f"{fallback}-{own[:6]}"
    elif plain.lower().partition(".")[0] in _OF_WINDOWS or plain.lower() in RESERVED:
        plain = f"{plain}-{own[:6]}"
    length, found = 6, plain
    while found.lower() in taken:
        found, length = f"{plain}-{own[:length]}", length + 2
        if length > len(own):
            raise ValueError(f"there are two of the name {name!r}")
    return found


def folder_names(names: Iterable[str], taken: Iterable[str] = (), fallback: str = "run") -> dict[str, str]:
    """Return a folder's name for each of some names, no two alike.

    >>> folder_names(["a/b", "a-b", "A-B"])
    {'a/b': 'a-b', 'a-b': 'a-b-d44362', 'A-B': 'A-B-77101a'}
    """
    given = {name.lower() for name in taken}
    found: dict[str, str] = {}
    for name in names:
        if name not in found:
            found[name] = folder_name(name, given, fallback)
            given.add(found[name].lower())
    return found
