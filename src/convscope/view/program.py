"""The front end for hosts without a server: chunks that are classic scripts, and how each host begins.

``static/export`` holds it: ``chunks.json`` names the chunks that a host or a view needs, ``boot-<host>.js`` is
the first script of a host. How chunks find each other is said in ``web/src/hosts/loader.ts``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from convscope.errors import StorageError

CHUNKS: Final = "chunks.json"


class Program(NamedTuple):
    """What a host needs before it shows a view."""

    boot: str
    """The first script: it loads chunks and begins with the one that its element names, ``data-start``."""
    start: str
    """The name of that chunk."""
    scripts: tuple[str, ...]
    """The names of all chunks that are needed in any view; each stands after those that it needs."""
    style: str
    icon: bytes
    """An SVG."""


def entry(host: str) -> Program:
    """Return the program of a host: ``page`` (one HTML file), ``site`` or ``frame`` (of a notebook).

    Raises
    ------
    StorageError
        If the front end is not built.
    """
    table = _table()
    return Program(
        _read(f"boot-{host}.js").decode().strip(),
        table["entry"][host],
        tuple(table["hosts"][host]),
        _read("style.css").decode().strip(),
        _read("../logo.svg"),
    )


def chunks(views: Iterable[str]) -> list[str]:
    """Return the names of the chunks of some views, each once, after those that it needs.

    Raises
    ------
    StorageError
        If the front end is not built.
    """
    table = _table()["views"]
    return list(dict.fromkeys(name for view in views for name in table[view]))


def chunk(name: str) -> bytes:
    """Return the script of a chunk: UTF-8.

    Raises
    ------
    StorageError
        If the front end is not built.
    """
    return _read(name).strip()


def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_read(CHUNKS))
    return table


def _read(name: str) -> bytes:
    try:
        return (Path(str(files("convscope.view") / "static")) / "export" / name).read_bytes()
    except FileNotFoundError as error:
        raise StorageError(
            "the front end is not built; build it with: pip install . (or make test in a checkout)"
        ) from error
