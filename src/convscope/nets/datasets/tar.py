"""The members of a tar file: where each begins and how long it is, so that any can be read without the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from convscope.errors import FormatError

BLOCK: Final = 512
MAX_NAME: Final = 1 << 20
"""Longer names and extended headers are refused before they are read."""

_GZIP: Final = b"\x1f\x8b"
_FILES: Final = b"0\0" + b"7"


class Member(NamedTuple):
    """A file inside a tar file.

    Attributes
    ----------
    name
        Its path.
    offset
        Where its bytes begin.
    size
        How many there are.
    """

    name: str
    offset: int
    size: int


def members(path: Path) -> Iterator[Member]:
    """Yield the regular files of a tar file in their order (POSIX.1-1988 ``ustar``, GNU long names, POSIX.1-2001 pax).

    Raises
    ------
    FormatError
        If it is no tar file, is compressed, or is cut off.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        long_name: str | None = None
        long_size: int | None = None
        while block := file.read(BLOCK):
            if not block.strip(b"\0"):
                return
            _check(block, path, file.tell() - BLOCK)
            start, kind = file.tell(), block[156:157]
            size = _number(block[124:136], path) if long_size is None or kind not in _FILES else long_size
            if start + size > end:
                raise FormatError(
                    f"{path} is cut off: a member at byte {start - BLOCK:,} ends behind the file; copy it again"
                )
            if kind == b"L":
                long_name = _text(_read(file, size, path).rstrip(b"\0"))
            elif kind == b"x":
                long_name, long_size = _pax(_read(file, size, path), path, long_name)
            elif kind not in b"gK":
                if kind in _FILES:
                    yield Member(long_name or _name(block), start, size)
                long_name = long_size = None
            file.seek(start + -(-size // BLOCK) * BLOCK)


def _check(block: bytes, path: Path, where: int) -> None:
    """Refuse a header whose checksum does not fit: the file is no tar file or damaged here."""
    if where == 0 and block.startswith(_GZIP):
        raise FormatError(f"{path} is compressed, so its members cannot be found again; unpack it with gunzip first")
    stated = block[148:156].strip(b"\0 ")
    actual = sum(block) - sum(block[148:156]) + 8 * 32
    if (
        len(block) < BLOCK
        or not stated.isdigit()
        or any(digit in b"89" for digit in stated)
        or int(stated, 8) != actual
    ):
        raise FormatError(f"{path} is no tar file at byte {where:,}; give shards written by tar or WebDataset")


def _number(field: bytes, path: Path) -> int:
    """Return a size: octal digits, or GNU's binary numbers for more than 8 GiB."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise FormatError(f"{path} has a member of the size {digits!r}; it is damaged, copy it again") from None


def _read(file: BinaryIO, size: int, path: Path) -> bytes:
    if size > MAX_NAME:
        raise FormatError(f"{path} has a name or header of {size:,} bytes; at most {MAX_NAME:,} are read")
    return file.read(size)


def _pax(data: bytes, path: Path, name: str | None) -> tuple[str | None, int | None]:
    """Return the path and the size of an extended header: lines of ``LENGTH KEY=VALUE``."""
    size, at = None, 0
    while at < len(data):
        length = data[at : at + 12].partition(b" ")[0]
        if not length.isdigit() or not (step := int(length)):
            raise FormatError(f"{path} has a damaged extended header; copy it again")
        key, _, value = data[at + len(length) + 1 : at + step - 1].partition(b"=")
        if key == b"path":
            name = _text(value)
        elif key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        at += step
    return name, size


def _name(block: bytes) -> str:
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    return _text(prefix + b"/" + name if prefix and block[257:262] == b"ustar" and block[262:263] == b"\0" else name)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def read(path: Path, offset: int, size: int) -> bytes:
    """Return the bytes of a member."""
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) < size:
        raise FormatError(f"{path} has become shorter; copy it again")
    return data
