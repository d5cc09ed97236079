"""What a run holds: its event files, and what waits in their journals, one after the other.

The order is that of the files' names, and what a journal holds comes right after its file, so that a reader who saw
the files grow at the same time knows what another knows who opens them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.store.index import KIND_ORDER, Index
from convscope.store.results import Entry
from convscope.store.series import Cuts, Places, Series, cut

Columns = list[npt.NDArray[Any]]


class Chain:
    """What several indices say together, as they are now: to be made anew once one of them has grown.

    Where a file was begun after the last value of all files before it, a session begins: its first step of a tag takes
    back what the tag had before at that step and later ones.

    Parameters
    ----------
    parts
        The indices, in the order of what they tell.
    """

    def __init__(self, parts: Sequence[Index]) -> None:
        self._parts = parts
        self._sessions: list[int] = []
        self.last_wall_time: float | None = None
        session = 0
        for part in parts:
            if None not in (part.begin, self.last_wall_time) and (part.begin or 0.0) > (self.last_wall_time or 0.0):
                session += 1
            self._sessions.append(session)
            session += part.session
            times = [time for time in (self.last_wall_time, part.last_wall_time) if time is not None]
            self.last_wall_time = max(times, default=None)
        self._known: dict[tuple[str, str], Series | Places[Any]] = {}
        self._kinds: dict[str, list[str]] | None = None
        self._records: dict[str, dict[tuple[str, str], list[Entry]]] = {}
        self.entries: Places[Entry] = self._entries()

    def scalars(self, tag: str) -> Series | None:
        """Return a curve."""
        found = self.get("scalar", tag)
        return found if isinstance(found, Series) else None

    def places(self, kind: str, tag: str) -> Places[Any] | None:
        """Return the places of a tag of another kind."""
        found = self.get(kind, tag)
        return found if isinstance(found, Places) else None

    def get(self, kind: str, tag: str) -> Series | Places[Any] | None:
        """Return what is known of a tag of a kind that is no record."""
        if len(self._parts) == 1:
            found: Series | Places[Any] | None = self._part(self._parts[0], kind).get(tag)
            return found
        known = self._known.get((kind, tag))
        if known is None:
            known = self._join([self._part(part, kind).get(tag) for part in self._parts])
            if known is not None:
                self._known[kind, tag] = known
        return known

    @staticmethod
    def _part(part: Index, kind: str) -> dict[str, Any]:
        return part.scalars if kind == "scalar" else part.places.get(kind, {})

    def _join(self, found: list[Any]) -> Series | Places[Any] | None:
        """Return what the parts have of a tag as one: each part's values are cut by it and by those after it."""
        told = [one for one in found if one is not None]
        if not told or len(self._parts) == 1:
            return told[0] if told else None
        if len(told) == 1 and all(part.lowest_start is None for part in self._parts):
            return told[0]  # type: ignore[no-any-return]  # nobody has cut it
        count, session, cuts = 0, 0, Cuts()
        for part, base, one in zip(self._parts, self._sessions, found, strict=True):
            if one is None:
                if count and part.lowest_start is not None:
                    cut(cuts, count, part.lowest_start)
                continue
            if count and base + one.born != session:
                cut(cuts, count, one.first_step)
            _shift(cuts, one.cuts, count)
            count, session = count + len(one), base + one.session
        if isinstance(told[0], Series):
            columns = zip(*(one.columns() for one in told), strict=True)
            return Series.of([np.concatenate(column) for column in columns], cuts)
        return Places([item for one in told for item in one.items], cuts)

    def _entries(self) -> Places[Entry]:
        items: list[Entry] = []
        cuts: Cuts = []
        for part in self._parts:
            _shift(cuts, part.entries.cuts, len(items))
            items += part.entries.items
        return Places(items, cuts)

    def records(self, points: str = "current") -> dict[tuple[str, str], list[Entry]]:
        """Return the entries of each kind and tag."""
        if points not in self._records:
            told: dict[tuple[str, str], list[Entry]] = {}
            for entry in self.entries.standing(points):
                told.setdefault((entry.kind, entry.tag), []).append(entry)
            self._records[points] = told
        return self._records[points]

    def stands(self, kind: str, tag: str) -> bool:
        """Tell whether anything of a tag stands that is no record."""
        known = self.get(kind, tag)
        return known is not None and known.stands()

    def kinds(self) -> dict[str, list[str]]:
        """Return the tags of each kind that has something, by first appearance; scalars come first."""
        if self._kinds is None:
            self._kinds = dict(self._list())
        return {kind: list(tags) for kind, tags in self._kinds.items()}

    def _list(self) -> Iterator[tuple[str, list[str]]]:
        for kind in KIND_ORDER:
            known = dict.fromkeys(tag for part in self._parts for tag in self._part(part, kind))
            if tags := [tag for tag in known if self.stands(kind, tag)]:
                yield kind, tags
        told: dict[str, list[str]] = {}
        for kind, tag in self.records():
            told.setdefault(kind, []).append(tag)
        yield from told.items()


def _shift(cuts: Cuts, more: Cuts, count: int) -> None:
    """Append the cuts of a part that ``count`` values come before."""
    for before, step in more:
        if count + before:
            cut(cuts, count + before, step)
