"""Numbered blocks of bytes that a page without a server can carry, and how large they are together."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from convscope.errors import FormatError

GZIP: Final = "application/gzip"
OCTETS: Final = "application/octet-stream"
_FAR: Final = 10


class TooLargeError(Exception):
    """Far more has come together than may; what more there is was not looked at."""


class Owner(NamedTuple):
    """Whose a block is: a page's, and there a layer's, where it has layers."""

    page: str
    layer: str = ""


@dataclass(frozen=True)
class Block:
    """Some bytes, their media type (numbers are ``application/gzip``), and the page whose they are."""

    type: str
    data: bytes
    page: str = ""

    @property
    def is_packed(self) -> bool:
        """Whether it is not a file as it was stored, but compressed by us."""
        return self.type == GZIP


class Blocks:
    """Numbered blocks; what is there already is not kept twice.

    Parameters
    ----------
    most
        How many bytes they may have in base64, all together. What goes beyond is counted, not kept.
    """

    def __init__(self, most: float) -> None:
        self.all: list[Block] = []
        self.sizes: Counter[Owner] = Counter()
        self._most = most
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def too_many(self) -> bool:
        """Whether there are more bytes than may be; then not all blocks are kept."""
        return self.sizes.total() > self._most

    def add(self, owner: Owner, kind: str, data: bytes) -> int:
        """Keep a block and return its number.

        Raises
        ------
        TooLargeError
            If all blocks together are ten times as large as they may be.
        """
        key = hashlib.sha256(kind.encode() + b"\0" + data).digest()
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            self.sizes[owner] += in_base64(len(data))
            if self.sizes.total() > _FAR * self._most:
                raise TooLargeError
            if self.too_many:
                self.all.clear()
            else:
                self.all.append(Block(kind, data, owner.page))
        return self._numbers[key]

    def add_gzip(self, owner: Owner, data: bytes) -> int:
        """Keep a block compressed; the same bytes give the same block at any time."""
        return self.add(owner, GZIP, gzip.compress(data, 6, mtime=0))

    def add_json(self, owner: Owner, value: Any) -> int:
        """Keep what JSON can hold.

        Raises
        ------
        FormatError
            If it cannot hold it: NaN is not JSON, but in files that others have written.
        """
        try:
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise FormatError(f"what describes {owner.layer or owner.page!r} is not JSON ({error})") from error
        return self.add_gzip(owner, text.encode())

    def by_page(self) -> dict[str, int]:
        """Return the bytes of each page in base64."""
        return _summed((owner.page, size) for owner, size in self.sizes.items())

    def by_layer(self) -> dict[str, int]:
        """Return the bytes of each layer in base64."""
        return _summed((owner.layer, size) for owner, size in self.sizes.items() if owner.layer)


def _summed(sizes: Any) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for name, size in sizes:
        sums[name] += size
    return dict(sums)


def in_base64(size: int) -> int:
    """Return how long so many bytes are in base64."""
    return -(-size // 3) * 4
