"""Which logged pictures move, told from the first bytes of each."""

from __future__ import annotations

from typing import Final

from convscope.errors import FormatError
from convscope.formats.record import HEADER
from convscope.store.results import Picture

_HEAD: Final = 8192
_STARTS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")


def moves(picture: Picture) -> bool:
    """Tell whether a picture is a GIF, a video, or an animated PNG or WebP.

    Only its first bytes are read: a series may have thousands of large pictures.
    """
    place = picture.location
    try:
        with place.path.open("rb") as file:
            file.seek(place.offset + HEADER)
            head = file.read(min(_HEAD, place.length))
        at = min((found for start in _STARTS if (found := head.find(start)) >= 0), default=-1)
        if at < 0 or place.index:  # what describes it is long, or other pictures come before it
            return is_moving(picture.png[:_HEAD])
    except (OSError, FormatError):
        return False  # who asks for the picture itself is told why there is none
    return is_moving(head[at:])


def is_moving(head: bytes) -> bool:
    r"""Tell whether a picture of which these are the first bytes moves.

    >>> is_moving(b"GIF89a"), is_moving(b"\x89PNG\r\n\x1a\n....IHDR....IDAT")
    (True, False)
    """
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head.partition(b"IDAT")[0]
    if head.startswith(b"RIFF"):
        return head[8:16] == b"WEBPVP8X" and bool(head[20:21] and head[20] & 2)
    return head.startswith(b"GIF8") or head[4:8] == b"ftyp"
