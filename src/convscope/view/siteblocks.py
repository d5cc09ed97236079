"""The blocks of a site: small files named by what is in them, which a browser loads as scripts.

A script works from any static host and from the disk, where a page may not fetch anything. Each is
``convscopeData(name, [[media type, base64], …])``; small blocks share one.
"""

from __future__ import annotations

import binascii
import gzip
import hashlib
import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from convscope.view.blocks import GZIP, Blocks, Owner, in_base64

SMALL: Final = 16_384
"""Blocks below so many bytes share a file with others of the same page and layer."""
PACK: Final = 131_072
LEVEL: Final = 1
"""Of gzip: numbers are 2 % larger than with 6, in half the time (feature maps of VGG-16 as half floats)."""
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_WAITING: Final = 64


def is_data_name(name: str) -> bool:
    """Tell whether a name is one of a file of blocks."""
    return bool(_NAME.fullmatch(name))


def data_path(name: str) -> str:
    """Return where a file of blocks lies in the site.

    >>> data_path("0123456789abcdef0123456789abcdef")
    'data/01/0123456789abcdef0123456789abcdef.js'
    """
    return f"data/{name[:2]}/{name}.js"


def script(name: str, blocks: list[tuple[str, bytes]]) -> bytes:
    """Return what is in a file of blocks."""
    parts: list[bytes] = [b'convscopeData("', name.encode(), b'",[']
    for at, (kind, data) in enumerate(blocks):
        head = f'{"," if at else ""}[{json.dumps(kind)},"'
        parts += (head.encode(), binascii.b2a_base64(data, newline=False), b'"]')
    return b"".join([*parts, b"])\n"])


def name_of(blocks: list[tuple[str, bytes]]) -> str:
    """Return the name of a file by what is in it."""
    digest = hashlib.sha256()
    for kind, data in blocks:
        digest.update(f"{kind} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()[:32]


class SiteBlocks(Blocks):
    """Blocks that are written to files as they come, compressed and written beside in threads.

    Parameters
    ----------
    write
        Takes a path in the site and the bytes of the file.
    threads
        How many write.
    """

    def __init__(self, write: Callable[[str, bytes], None], threads: int = 2) -> None:
        super().__init__(float("inf"))
        self._write = write
        self._pool = ThreadPoolExecutor(threads, "convscope-site")
        self._room = threading.Semaphore(_WAITING)
        self._counting = threading.Lock()
        self._futures: list[Future[None]] = []
        self._known: dict[str, int] = {}
        self._places: list[tuple[str, int]] = []
        self._packs: dict[Owner, list[tuple[int, str, bytes]]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, owner: Owner, kind: str, data: bytes) -> int:
        """Keep a block and return its number."""
        number, name, is_new = self._number(kind, data)
        if is_new:
            self._count(owner, len(data))
        if is_new and len(data) < SMALL:
            self._collect(owner, number, kind, data)
        elif is_new:
            self._places[number] = (name, 0)
            self._later(lambda: self._write(data_path(name), script(name, [(kind, data)])))
        return number

    def add_gzip(self, owner: Owner, data: bytes) -> int:
        """Keep a block compressed; the same bytes give the same block at any time."""
        if len(data) < SMALL:
            return self.add(owner, GZIP, gzip.compress(data, LEVEL, mtime=0))
        number, _, is_new = self._number("unpacked", data)
        if is_new:
            self._later(lambda: self._compress(owner, number, data))
        return number

    def _number(self, kind: str, data: bytes) -> tuple[int, str, bool]:
        """Return the number of a block, the name of a file of it alone, and whether it is new."""
        name = name_of([(kind, data)])
        is_new = name not in self._known
        if is_new:
            self._known[name] = len(self._places)
            self._places.append(("", 0))
        return self._known[name], name, is_new

    def _count(self, owner: Owner, size: int) -> None:
        with self._counting:
            self.sizes[owner] += in_base64(size)

    def _compress(self, owner: Owner, number: int, data: bytes) -> None:
        blocks = [(GZIP, gzip.compress(data, LEVEL, mtime=0))]
        self._count(owner, len(blocks[0][1]))
        name = name_of(blocks)
        self._places[number] = (name, 0)
        self._write(data_path(name), script(name, blocks))

    def _later(self, work: Callable[[], None]) -> None:
        self._room.acquire()
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._room.release())
        self._futures.append(future)

    def _collect(self, owner: Owner, number: int, kind: str, data: bytes) -> None:
        pack = self._packs.setdefault(owner, [])
        pack.append((number, kind, data))
        if sum(len(data) for _, _, data in pack) >= PACK:
            self._close(self._packs.pop(owner))

    def _close(self, pack: list[tuple[int, str, bytes]]) -> None:
        blocks = [(kind, data) for _, kind, data in pack]
        name = name_of(blocks)
        for place, (number, _, _) in enumerate(pack):
            self._places[number] = (name, place)
        self._later(lambda: self._write(data_path(name), script(name, blocks)))

    def finish(self) -> list[tuple[str, int]]:
        """Write what waits; return of each block the name of its file, and its place in it.

        Raises
        ------
        StorageError
            If a file could not be written.
        """
        for pack in self._packs.values():
            self._close(pack)
        self._packs.clear()
        for future in self._futures:
            future.result()
        self._futures.clear()
        return self._places

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


def table(places: list[tuple[str, int]]) -> dict[str, Any]:
    """Return where the blocks are as JSON: the names of the files, and of each block the file and the place in it."""
    files = {name: at for at, name in enumerate(dict.fromkeys(name for name, _ in places))}
    return {"files": list(files), "blocks": [[files[name], place] for name, place in places]}


def json_script(value: Any) -> tuple[str, bytes]:
    """Return a file of one block that is JSON: its name and what is in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    blocks = [(GZIP, gzip.compress(text.encode(), LEVEL, mtime=0))]
    name = name_of(blocks)
    return name, script(name, blocks)
