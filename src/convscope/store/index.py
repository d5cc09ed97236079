"""What a run holds, by kind and tag, as far as its event files have been read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, not_found
from convscope.formats import events, values
from convscope.formats.forms import decode_forms
from convscope.formats.mesh import split_tag
from convscope.formats.record import HEADER
from convscope.formats.scalars import ScalarBatch, by_tag, decode_scalars, join_batches
from convscope.store.reader import Block
from convscope.store.records import is_id
from convscope.store.results import Entry, Location, Picture

PLUGIN_KINDS: Final = {
    "scalars": "scalar",
    "histograms": "histogram",
    "images": "image",
    "audio": "audio",
    "text": "text",
    "pr_curves": "pr_curve",
    "mesh": "mesh",
    "hparams": "hparams",
    "custom_scalars": "layout",
}
POINTS: Final = ("current", "latest", "all")
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")

Note = Callable[[int, object], None]
Cuts = list[tuple[int, int]]  # so many points stood before, those of this step and later ones were taken back
T = TypeVar("T", Picture, Location, Entry)


def standing(step: npt.NDArray[np.int64], cuts: Cuts, points: str = "current") -> npt.NDArray[np.bool_]:
    """Tell which points of a series stand.

    Parameters
    ----------
    step
        The steps in the order in which they were logged, ``(n,)``.
    cuts
        What later sessions have taken back.
    points
        ``current``: all but what a later session took back. ``latest``: also only the last of those whose steps go
        back, as TensorBoard's fast loader does. ``all``: everything.
    """
    if points not in POINTS:
        raise not_found("choice of points", points, POINTS)
    keep = np.ones(len(step), np.bool_)
    if points == "all":
        return keep
    for count, first in cuts:
        keep[:count] &= step[:count] < first
    if points == "latest" and len(step) > 1:
        beyond = np.where(keep, step, np.iinfo(np.int64).max)
        keep[:-1] &= step[:-1] < np.minimum.accumulate(beyond[::-1])[::-1][1:]
    return keep


class Series:
    """A curve that grows; what has been given out stays as it was."""

    def __init__(self) -> None:
        self._columns: list[npt.NDArray[Any]] = [np.empty(16, np.int64), np.empty(16), np.empty(16)]
        self._count = 0
        self.cuts: Cuts = []
        self.session = 0

    @classmethod
    def of(cls, columns: list[npt.NDArray[Any]], cuts: Cuts, session: int) -> Series:
        """Return a curve that is known already: its steps, times and values."""
        series = cls()
        series._columns, series._count, series.cuts, series.session = columns, len(columns[0]), cuts, session
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
        self.cuts.append((self._count, step))

    def stands(self) -> bool:
        """Tell whether anything of it stands."""
        if not self.cuts:
            return self._count > 0
        return bool(standing(self._columns[0][: self._count], self.cuts).any())

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

    def __init__(self, items: list[T] | None = None, cuts: Cuts | None = None, session: int = 0) -> None:
        self.items: list[T] = items or []
        self.cuts: Cuts = cuts or []
        self.session = session

    def cut(self, step: int) -> None:
        """Take back what has this step or a later one."""
        self.cuts.append((len(self.items), step))

    def stands(self) -> bool:
        """Tell whether anything of it stands."""
        return bool(self.standing())

    def standing(self, points: str = "current") -> list[T]:
        """Return those that stand."""
        if not self.cuts and points == "current":
            return list(self.items)
        steps = np.array([item.step for item in self.items], np.int64)
        return [self.items[index] for index in np.flatnonzero(standing(steps, self.cuts, points))]

    def __len__(self) -> int:
        return len(self.items)


@dataclass
class Index:
    """Series, places of media and entries of one run.

    A session is what one program wrote: where a file starts after the last value of all others, its first step of a
    tag takes back what the tag had at that step and later ones. What is kept here :mod:`convscope.store.sidecar` keeps
    too: whoever adds a field adds it there.
    """

    scalars: dict[str, Series] = field(default_factory=dict)
    places: dict[str, dict[str, Places[Any]]] = field(default_factory=dict)
    entries: Places[Entry] = field(default_factory=Places)
    last_wall_time: float | None = None
    session: int = 0
    plugins: dict[str, str] = field(default_factory=dict)

    def add(self, block: Block, note: Note) -> None:
        """Take the records of a block; those that make no sense are noted with their place in the file."""
        batch, others = decode_scalars(block.data, block.offset, block.length)
        if len(others):
            more, others = decode_forms(block.data, block.offset, block.length, others, self.plugins)
            batch = join_batches([batch, more]) if len(more.tag) else batch
        loose: list[ScalarBatch] = []
        first = 0
        for frame in others.tolist():
            event = _decode(block, frame, note)
            if event is None:
                continue
            if event.file_version and self.last_wall_time is not None and event.wall_time > self.last_wall_time:
                self.session += 1
            if event.starts_session:  # takes away what came before, not what comes after
                self._extend(join_batches([_between(batch, first, frame), *loose]))
                self._cut(event.step)
                first, loose = frame, []
            elif (scalars := self._take(block, frame, event, note)) is not None:
                loose.append(scalars)
        self._extend(join_batches([_between(batch, first, None), *loose]))

    def _take(self, block: Block, frame: int, event: events.Event, note: Note) -> ScalarBatch | None:
        """Take the values of one event; its scalars are given back, to be merged with the others in order."""
        scalars: list[tuple[str, float]] = []
        offset = block.start + int(block.offset[frame])
        for number, value in enumerate(event.values):
            if not (value.form or value.plugin):
                continue
            place = Location(block.path, offset, int(block.length[frame]), number, event.step, event.wall_time)
            try:
                if (scalar := self._place(value, place)) is not None:
                    scalars.append((value.tag, scalar))
            except FormatError as error:
                note(offset, error)
        if event.values:
            self._see(event.wall_time)
        return _batch(scalars, event, frame) if scalars else None

    def _place(self, value: events.Value, place: Location) -> float | None:
        """Put a value where it belongs; a scalar is given back."""
        kind = self._kind(value)
        if kind == "scalar":
            return values.decode_scalar(value)
        if kind == events.PLUGIN:
            self.entries.items.append(_entry(value, place))
        elif kind:
            tag = split_tag(value.tag)[0] if kind == "mesh" else value.tag
            known = self.places.setdefault(kind, {}).setdefault(tag, Places())
            self._renew(known, place.step)
            known.items.append(_picture(value, place) if kind == "image" else place)
        return None

    def _kind(self, value: events.Value) -> str:
        """Return the kind of a value; a tensor's is its plugin's, which only the first of a tag may name."""
        if value.form != "tensor":  # torch's and tensorboardX's hyper-parameters have nothing but metadata
            return "hparams" if not value.form and value.plugin == "hparams" else value.form
        plugin = value.plugin or self.plugins.get(value.tag, "")
        self.plugins[value.tag] = plugin
        return PLUGIN_KINDS.get(plugin, plugin if plugin == events.PLUGIN else "tensor")

    def _extend(self, batch: ScalarBatch) -> None:
        for tag, rows in by_tag(batch):
            series = self.scalars.setdefault(tag, Series())
            self._renew(series, int(batch.step[rows[0]]))
            series.extend(batch.step[rows], batch.wall_time[rows], batch.value[rows])
        if len(batch.wall_time):
            self._see(float(batch.wall_time.max()))

    def _renew(self, series: Series | Places[Any], step: int) -> None:
        """Take back what an earlier session had of a series at its first step in this one and later."""
        if series.session != self.session:
            if len(series):
                series.cut(step)
            series.session = self.session

    def _see(self, wall_time: float) -> None:
        self.last_wall_time = max(wall_time, self.last_wall_time or wall_time)

    def _cut(self, step: int) -> None:
        """Take back what has this step or a later one, as TensorBoard does when a session starts again."""
        for series in self.scalars.values():
            series.cut(step)
        for known in self.places.values():
            for places in known.values():
                places.cut(step)
        self.entries.cut(step)

    def kinds(self) -> Iterator[tuple[str, list[str]]]:
        """Give the tags of each kind that has something, by first appearance; scalars come first."""
        known: dict[str, Any] = {"scalar": self.scalars, **self.places}
        for kind in _KIND_ORDER:
            if tags := [tag for tag, series in known.get(kind, {}).items() if series.stands()]:
                yield kind, tags
        tags_of_records: dict[str, dict[str, None]] = {}
        for entry in self.entries.standing():
            tags_of_records.setdefault(entry.kind, {})[entry.tag] = None
        yield from ((kind, list(tags)) for kind, tags in tags_of_records.items())


_KIND_ORDER: Final = (
    "scalar",
    "histogram",
    "image",
    "audio",
    "text",
    "pr_curve",
    "mesh",
    "hparams",
    "layout",
    "graph",
    "tensor",
)


def _picture(value: events.Value, place: Location) -> Picture:
    image = values.decode_image(value)
    return Picture(place.step, place.wall_time, image.height, image.width, place, image.clipped)


def _decode(block: Block, frame: int, note: Note) -> events.Event | None:
    start = int(block.offset[frame]) + HEADER
    try:
        return events.decode_event(block.data[start : start + int(block.length[frame])].tobytes())
    except FormatError as error:
        note(block.start + int(block.offset[frame]), error)
        return None


def _between(batch: ScalarBatch, first: int, last: int | None) -> ScalarBatch:
    """Return the values of the records from ``first`` on that come before ``last``."""
    if first == 0 and last is None:
        return batch
    rows = slice(*np.searchsorted(batch.frame, [first, batch.frame.max(initial=0) + 1 if last is None else last]))
    return ScalarBatch(
        batch.tags, batch.tag[rows], batch.step[rows], batch.wall_time[rows], batch.value[rows], batch.frame[rows]
    )


def _batch(scalars: list[tuple[str, float]], event: events.Event, frame: int) -> ScalarBatch:
    count = len(scalars)
    tags = list(dict.fromkeys(tag for tag, _ in scalars))
    return ScalarBatch(
        tags,
        np.array([tags.index(tag) for tag, _ in scalars], np.int64),
        np.full(count, event.step),
        np.full(count, event.wall_time),
        np.array([value for _, value in scalars], np.float64),
        np.full(count, frame),
    )


def _entry(value: events.Value, place: Location) -> Entry:
    told = values.decode_entry(value)
    kind, name, size = told.get("kind"), told.get("id"), told.get("bytes", 0)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or not is_id(name) or not isinstance(size, int):
        raise FormatError(f"the entry {value.tag!r} names no record: {told!r:.120}")
    return Entry(str(name), kind, value.tag, place.step, place.wall_time, size)
