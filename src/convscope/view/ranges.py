"""Parts of what is served: a player of sounds asks for the bytes it wants."""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_HEADERS: Final = {"accept-ranges": "bytes", "cache-control": "no-store"}


def part_of(content: bytes, kind: str, wanted: str) -> Response:
    """Return the bytes that a ``Range`` header wants [RFC 9110, section 14]; all where there is none that is known.

    >>> part_of(b"0123456789", "audio/wav", "bytes=2-4").headers["content-range"]
    'bytes 2-4/10'
    """
    asked = _RANGE.fullmatch(wanted)
    if asked is None or not any(asked.groups()):  # of several parts, too, all may be answered
        return Response(content, media_type=kind, headers=_HEADERS)
    size = len(content)
    first, last = asked.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        return Response(status_code=416, headers={**_HEADERS, "content-range": f"bytes */{size}"})
    headers = {**_HEADERS, "content-range": f"bytes {start}-{stop - 1}/{size}"}
    return Response(content[start:stop], 206, media_type=kind, headers=headers)
