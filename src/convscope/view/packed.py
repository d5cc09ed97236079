"""Large answers of numbers, compressed where that pays: voxels and maps are mostly zeros, other numbers noise."""

from __future__ import annotations

import zlib
from typing import Final

SMALL: Final = 16_384
"""Bytes below which an answer is sent as it is."""
SAMPLE: Final = 65_536
PAYS: Final = 0.7
"""The share of its bytes to which the middle of an answer must shrink, or the whole is not tried."""
FASTEST: Final = 1


def accepts_gzip(header: str) -> bool:
    """Say whether an ``Accept-Encoding`` names gzip, and not with quality 0 (RFC 9110, 12.5.3)."""
    for choice in header.lower().split(","):
        name, _, quality = choice.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def gzipped(content: bytes) -> bytes | None:
    """Return the bytes as gzip, or ``None`` where they would hardly shrink."""
    if len(content) < SMALL:
        return None
    start = max(0, len(content) // 2 - SAMPLE // 2)
    sample = content[start : start + SAMPLE]
    if len(zlib.compress(sample, FASTEST)) > PAYS * len(sample):
        return None
    packer = zlib.compressobj(FASTEST, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()
