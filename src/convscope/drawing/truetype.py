"""TrueType files: their tables, which glyph a letter has, and a file made of tables again (OpenType 1.9)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from convscope.errors import FormatError


def tables_of(data: bytes) -> dict[str, bytes]:
    """Return the tables of a font file by their names.

    Raises
    ------
    FormatError
        If it is no TrueType file.
    """
    if data[:4] not in {b"\0\1\0\0", b"true"}:
        raise FormatError("this is no TrueType font; give a .ttf file, not .otf, .woff or .ttc")
    count = int.from_bytes(data[4:6], "big")
    found = {}
    for entry in range(12, 12 + 16 * count, 16):
        if entry + 16 > len(data):
            raise FormatError("a TrueType font ends within its list of tables; take it from where it came again")
        name, _, start, length = struct.unpack_from(">4sIII", data, entry)
        if start + length > len(data):
            raise FormatError(f"a TrueType font ends within its table {name!r}; take it from where it came again")
        found[name.decode("latin-1").strip()] = data[start : start + length]
    return found


def file_of(tables: Mapping[str, bytes]) -> bytes:
    """Return the font file of some tables."""
    names = sorted(tables)
    power = 1 << (len(names).bit_length() - 1)
    head = struct.pack(">IHHHH", 1 << 16, len(names), 16 * power, power.bit_length() - 1, 16 * (len(names) - power))
    start, entries, body = 12 + 16 * len(names), [], []
    for name in names:
        padded = tables[name] + bytes(-len(tables[name]) % 4)
        entries.append(struct.pack(">4sIII", name.encode("latin-1"), _checksum(padded), start, len(tables[name])))
        body.append(padded)
        start += len(padded)
    return head + b"".join(entries) + b"".join(body)


def _checksum(padded: bytes) -> int:
    return int(np.frombuffer(padded, ">u4").sum(dtype=np.uint64)) & 0xFFFFFFFF


def character_map(cmap: bytes) -> dict[str, int]:
    """Return the numbers of glyphs by letter, from the subtables of formats 4 and 12.

    Raises
    ------
    FormatError
        If the table is damaged.
    """
    found: dict[str, int] = {}
    try:
        for entry in range(int.from_bytes(cmap[2:4], "big")):
            platform, encoding, start = struct.unpack_from(">HHI", cmap, 4 + 8 * entry)
            if (platform, encoding) not in {(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (3, 1), (3, 10)}:
                continue
            kind = int.from_bytes(cmap[start : start + 2], "big")
            if kind == 4:
                found.update(_segments(cmap, start))
            elif kind == 12:
                found.update(_groups(cmap, start))
    except struct.error as error:
        raise FormatError("the letters of a TrueType font cannot be read; take it from where it came again") from error
    return {letter: glyph for letter, glyph in found.items() if glyph}


def _segments(cmap: bytes, at: int) -> dict[str, int]:
    count = int.from_bytes(cmap[at + 6 : at + 8], "big") // 2
    ends = struct.unpack_from(f">{count}H", cmap, at + 14)
    starts = struct.unpack_from(f">{count}H", cmap, at + 16 + 2 * count)
    deltas = struct.unpack_from(f">{count}H", cmap, at + 16 + 4 * count)
    place = at + 16 + 6 * count
    offsets = struct.unpack_from(f">{count}H", cmap, place)
    found = {}
    for number, (first, last) in enumerate(zip(starts, ends, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offsets[number]:
                (glyph,) = struct.unpack_from(">H", cmap, place + 2 * number + offsets[number] + 2 * (code - first))
                if not glyph:
                    continue
            found[chr(code)] = (glyph + deltas[number]) & 0xFFFF
    return found


def _groups(cmap: bytes, at: int) -> dict[str, int]:
    (count,) = struct.unpack_from(">I", cmap, at + 12)
    found = {}
    for number in range(min(count, 1 << 16)):
        first, last, glyph = struct.unpack_from(">III", cmap, at + 16 + 12 * number)
        for code in range(first, min(last, 0x10FFFF, first + 0xFFFF) + 1):
            found[chr(code)] = glyph + code - first
    return found


def written_map(glyphs: Mapping[str, int]) -> bytes:
    """Return the table ``cmap`` of letters of the basic plane, in format 4, a segment for every run of them."""
    runs: list[list[int]] = []
    for letter in sorted(glyphs):
        code, glyph = ord(letter), glyphs[letter]
        if runs and runs[-1][1] == code - 1 and runs[-1][2] == (glyph - code) & 0xFFFF:
            runs[-1][1] = code
        else:
            runs.append([code, code, (glyph - code) & 0xFFFF])
    runs.append([0xFFFF, 0xFFFF, 1])
    count = len(runs)
    power = 1 << (count.bit_length() - 1)
    search = 2 * count, 2 * power, power.bit_length() - 1, 2 * (count - power)
    starts, ends, deltas = zip(*runs, strict=True)
    lists = struct.pack(f">{count}HH{count}H{count}H{count}H", *ends, 0, *starts, *deltas, *[0] * count)
    # each run is (first, last, delta): ends are the last ones
    return struct.pack(">HHHHI", 0, 1, 3, 1, 12) + struct.pack(">HHHHHHH", 4, 14 + len(lists), 0, *search) + lists
