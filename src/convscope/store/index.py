"""What a run holds, by kind and tag, as far as its event files have been read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats import events
from convscope.formats.record import HEADER
from convscope.formats.scalars import ScalarBatch, by_tag, decode_scalars, join_batches
from convscope.store.reader import Block
from convscope.store.records import is_id
from convscope.store.results import Entry, Location, Picture, Scalars

_KINDS_OF_PLUGINS: Final = {"scalars": "scalar", "histograms": "histogram", "images": "image", "text": "text"}
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")

Note = Callable[[int, object], None]


class Series:
    """A curve that grows; what has been given out stays as it was."""

    def __init__(self) -> None:
        self._columns: list[npt.NDArray[Any]] = [np.empty(16, np.int64), np.empty(16), np.empty(16)]
        self._count = 0

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

    def purge(self, step: int) -> None:
        """Forget what has this step or a later one."""
        keep = self._columns[0][: self._count] < step
        self._columns = [column[: self._count][keep] for column in self._columns]
        self._count = len(self._columns[0])

    def scalars(self) -> Scalars:
        """Return the curve; its arrays cannot be written."""
        views = [column[: self._count] for column in self._columns]
        for view in views:
            view.flags.writeable = False
        return Scalars(*views)

    def __len__(self) -> int:
        return self._count


@dataclass
class Index:
    """Series, places of media and entries of one run."""

    scalars: dict[str, Series] = field(default_factory=dict)
    histograms: dict[str, list[Location]] = field(default_factory=dict)
    images: dict[str, list[Picture]] = field(default_factory=dict)
    texts: dict[str, list[Location]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    last_wall_time: float | None = None
    purges: int = 0
    _plugins: dict[str, str] = field(default_factory=dict)

    def add(self, block: Block, note: Note) -> None:
        """Take the records of a block; those that make no sense are noted with their place in the file."""
        batch, others = decode_scalars(block.data, block.offset, block.length)
        loose: list[ScalarBatch] = []
        first = 0
        for frame in others.tolist():
            event = _decode(block, frame, note)
            if event is not None and event.starts_session:  # takes away what came before, not what comes after
                self._extend(join_batches([_between(batch, first, frame), *loose]))
                self.purge(event.step)
                first, loose = frame, []
            elif event is not None and (scalars := self._take(block, frame, event, note)) is not None:
                loose.append(scalars)
        self._extend(join_batches([_between(batch, first, None), *loose]))

    def _take(self, block: Block, frame: int, event: events.Event, note: Note) -> ScalarBatch | None:
        """Take the values of one event; its scalars are given back, to be merged with the others in order."""
        scalars: list[tuple[str, float]] = []
        offset = block.start + int(block.offset[frame])
        for number, value in enumerate(event.values):
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
            return events.decode_scalar(value)
        if kind == "image":
            image = events.decode_image(value)
            picture = Picture(place.step, place.wall_time, image.height, image.width, place)
            self.images.setdefault(value.tag, []).append(picture)
        elif kind in ("histogram", "text"):
            places = self.histograms if kind == "histogram" else self.texts
            places.setdefault(value.tag, []).append(place)
        elif kind == events.PLUGIN:
            self.entries.append(_entry(value, place))
        return None

    def _kind(self, value: events.Value) -> str:
        """Return the kind of a value; a tensor's is its plugin's, which only the first of a tag may name."""
        if value.form != "tensor":
            return value.form
        plugin = value.plugin or self._plugins.get(value.tag, "")
        self._plugins[value.tag] = plugin
        return _KINDS_OF_PLUGINS.get(plugin, plugin if plugin == events.PLUGIN else "")

    def _extend(self, batch: ScalarBatch) -> None:
        for tag, rows in by_tag(batch):
            series = self.scalars.setdefault(tag, Series())
            series.extend(batch.step[rows], batch.wall_time[rows], batch.value[rows])
        if len(batch.wall_time):
            self._see(float(batch.wall_time.max()))

    def _see(self, wall_time: float) -> None:
        self.last_wall_time = max(wall_time, self.last_wall_time or wall_time)

    def purge(self, step: int) -> None:
        """Forget what has this step or a later one, as TensorBoard does when a session starts again."""
        for series in self.scalars.values():
            series.purge(step)
        for places in (*self.histograms.values(), *self.texts.values()):
            places[:] = [place for place in places if place.step < step]
        for pictures in self.images.values():
            pictures[:] = [picture for picture in pictures if picture.step < step]
        self.entries[:] = [entry for entry in self.entries if entry.step < step]
        self.purges += 1

    def kinds(self) -> Iterator[tuple[str, list[str]]]:
        """Give the tags of each kind that has something, by first appearance."""
        for kind in ("scalar", "histogram", "image", "text"):
            known: dict[str, Any] = getattr(self, f"{kind}s")
            if tags := [tag for tag, values in known.items() if len(values)]:
                yield kind, tags
        tags_of_records: dict[str, dict[str, None]] = {}
        for entry in self.entries:
            tags_of_records.setdefault(entry.kind, {})[entry.tag] = None
        yield from ((kind, list(tags)) for kind, tags in tags_of_records.items())


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
    told = events.decode_entry(value)
    kind, name, size = told.get("kind"), told.get("id"), told.get("bytes", 0)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or not is_id(name) or not isinstance(size, int):
        raise FormatError(f"the entry {value.tag!r} names no record: {told!r:.120}")
    return Entry(str(name), kind, value.tag, place.step, place.wall_time, size)
