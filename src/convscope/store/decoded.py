"""What was decoded once, kept for the next question; what cannot be decoded is remembered and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from convscope.errors import FormatError
from convscope.formats.events import Value
from convscope.store.results import Location

_MOST_BYTES: Final = 1 << 28
_MOST_FAULTS: Final = 1000
_OVERHEAD: Final = 256  # bytes of the objects around the numbers, roughly

Decode = Callable[[Location, Value], Any]


class Decoded:
    """Decoded values by kind and tag; those asked for least recently go first where they become too many."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self.faults: dict[Location, str] = {}
        self._most = most
        self._known: dict[tuple[str, str], dict[Location, Any]] = {}
        self._bytes: dict[tuple[str, str], int] = {}

    def values(self, kind: str, tag: str, places: Iterable[Location], decode: Decode) -> list[Any]:
        """Return the values at these places, but those that cannot be decoded."""
        key = kind, tag
        known = self._known.pop(key, {})
        self._known[key] = known  # the last one now
        found = []
        for place in places:
            if place not in known:
                known[place] = self._decode(place, decode)
                self._bytes[key] = self._bytes.get(key, 0) + _OVERHEAD + _freeze(known[place])
            found.append(known[place])
        while sum(self._bytes.values()) > self._most:
            oldest = next(iter(self._known))
            del self._known[oldest], self._bytes[oldest]
        return [value for value in found if value is not None]

    def _decode(self, place: Location, decode: Decode) -> Any:
        try:
            return decode(place, place.read())
        except FormatError as error:
            if len(self.faults) < _MOST_FAULTS:
                self.faults[place] = f"{place.path.name}: record at byte {place.offset} skipped: {error}"
            return None


def _freeze(value: Any) -> int:
    """Make the arrays of a value read-only, as it will be given out again; return how many bytes they take."""
    size = 0
    for part in vars(value).values() if value is not None else ():
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
            size += part.nbytes
        elif isinstance(part, str | list):
            size += len(part) if isinstance(part, str) else sum(map(len, part))
    return size
