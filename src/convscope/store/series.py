"""What was logged under one tag, as far as it has been read, and what later sessions have taken back of it."""

from __future__ import annotations

from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import not_found
from convscope.store.results import Entry, Location, Picture

POINTS: Final = ("current", "latest", "all")


class Extent(NamedTuple):
    """How far a series goes: how many values stand, the steps of the first and the last, and when that was logged."""

    length: int
    first_step: int
    last_step: int
    last_wall_time: float


Cuts = list[tuple[int, int]]  # so many points stood before, those of this step and later ones were taken back
T = TypeVar("T", Picture, Location, Entry)


def standing(step: npt.NDArray[np.int64], cuts: Cuts, points: str = "current") -> npt.NDArray[np.bool_]:
    """Tell which points of a series stand.

    Parameters
    ----------
    step
        The steps in the order in which they were logged, ``(n,)``.
    cuts
        What later sessions have taken back, in the order in which they did.
    points
        ``current``: all but what a later session took back. ``latest``: also only the last of those whose steps go
        back, as TensorBoard's fast loader does. ``all``: everything.
    """
    if points not in POINTS:
        raise not_found("choice of points", points, POINTS)
    keep = np.ones(len(step), np.bool_)
    if points == "all":
        return keep
    if cuts:
        count, first = (np.array(column, np.int64) for column in zip(*cuts, strict=True))
        lowest = np.minimum.accumulate(first[::-1])[::-1]  # of this cut and all later ones
        keep[: count[-1]] = step[: count[-1]] < np.repeat(lowest, np.diff(count, prepend=0))
    if points == "latest" and len(step) > 1:
        beyond = np.where(keep, step, np.iinfo(np.int64).max)
        keep[:-1] &= step[:-1] < np.minimum.accumulate(beyond[::-1])[::-1][1:]
    return keep


def cut(cuts: Cuts, count: int, step: int) -> None:
    """Note that of the first ``count`` points those of this step and later ones were taken back."""
    if cuts and cuts[-1][0] == count:
        cuts[-1] = (count, min(cuts[-1][1], step))
    else:
        cuts.append((count, step))


class Series:
    """A curve that grows; what has been given out stays as it was."""

    def __init__(self) -> None:
        self._columns: list[npt.NDArray[Any]] = [np.empty(16, np.int64), np.empty(16), np.empty(16)]
        self._count = 0
        self.cuts: Cuts = []
        self.born = self.session = 0  # the sessions of its first and its last value

    @classmethod
    def of(cls, columns: list[npt.NDArray[Any]], cuts: Cuts, born: int = 0, session: int = 0) -> Series:
        """Return a curve that is known already: its steps, times and values."""
        series = cls()
        series._columns, series._count, series.cuts = columns, len(columns[0]), cuts
        series.born, series.session = born, session
        return series

    def extend(self, *columns: npt.NDArray[Any]) -> None:
        """Append values: steps, times, values."""
        count = self._count + len(columns[0])
        if count > len(self._columns[0]):
            self._grow(max(count, 2 * self._count))
        for column, new in zip(self._columns, columns, strict=True):
            column[self._count : count] = new
        self._count = count

    def _grow(self, capacity: int) -> None:
        for index, column in enumerate(self._columns):
            larger = np.empty(capacity, column.dtype)
            larger[: self._count] = column[: self._count]
            self._columns[index] = larger

    def cut(self, step: int) -> None:
        """Take back what has this step or a later one."""
        cut(self.cuts, self._count, step)

    def stands(self) -> bool:
        """Tell whether anything of it stands."""
        if not self.cuts:
            return self._count > 0
        return bool(standing(self._columns[0][: self._count], self.cuts).any())

    def extent(self) -> Extent:
        """Return how far it goes; something of it has to stand."""
        step, wall_time, _ = self._columns
        if not self.cuts:
            last = self._count - 1
            return Extent(self._count, int(step[0]), int(step[last]), float(wall_time[last]))
        rows = np.flatnonzero(standing(step[: self._count], self.cuts))
        return Extent(len(rows), int(step[rows[0]]), int(step[rows[-1]]), float(wall_time[rows[-1]]))

    @property
    def first_step(self) -> int:
        """The step of the first value."""
        return int(self._columns[0][0])

    def columns(self) -> list[npt.NDArray[Any]]:
        """Return all steps, times and values; they cannot be written."""
        views = [column[: self._count] for column in self._columns]
        for view in views:
            view.flags.writeable = False
        return views

    def __len__(self) -> int:
        return self._count


class Places(Generic[T]):
    """Values of one kind and tag, or entries, as far as they have been read."""

    def __init__(self, items: list[T] | None = None, cuts: Cuts | None = None, born: int = 0, session: int = 0) -> None:
        self.items: list[T] = items or []
        self.cuts: Cuts = cuts or []
        self.born, self.session = born, session

    def cut(self, step: int) -> None:
        """Take back what has this step or a later one."""
        cut(self.cuts, len(self.items), step)

    def stands(self) -> bool:
        """Tell whether anything of it stands."""
        return bool(self.standing() if self.cuts else self.items)

    def extent(self) -> Extent:
        """Return how far it goes; something of it has to stand."""
        items = self.standing() if self.cuts else self.items
        return Extent(len(items), items[0].step, items[-1].step, items[-1].wall_time)

    @property
    def first_step(self) -> int:
        """The step of the first item."""
        return self.items[0].step

    def standing(self, points: str = "current") -> list[T]:
        """Return those that stand."""
        if not self.cuts and points == "current":
            return list(self.items)
        steps = np.array([item.step for item in self.items], np.int64)
        return [self.items[index] for index in np.flatnonzero(standing(steps, self.cuts, points))]

    def __len__(self) -> int:
        return len(self.items)
