"""What a run holds, by kind and tag, as far as its event files have been read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from convscope.errors import FormatError
from convscope.formats import events, values
from convscope.formats.forms import decode_forms
from convscope.formats.mesh import split_tag
from convscope.formats.record import HEADER
from convscope.formats.scalars import ScalarBatch, by_tag, decode_scalars, join_batches
from convscope.store.reader import Block
from convscope.store.records import is_id
from convscope.store.results import Entry, Location, Picture
from convscope.store.series import Cuts, Places, Series

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
KIND_ORDER: Final = (
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
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")

Note = Callable[[int, object], None]


@dataclass
class Index:
    """Series, places of media and entries of one event file; :mod:`convscope.store.chain` makes a run of several.

    A session is what one program wrote. What is kept here :mod:`convscope.store.sidecar` keeps too: whoever adds a
    field adds it there.

    Attributes
    ----------
    scalars, places, entries
        What the file holds, by tag, by kind and tag, and as it was committed.
    begin
        When the file was begun, as it says itself.
    last_wall_time
        When its last value was logged.
    session
        How many more sessions were begun in the file after the first.
    lowest_start
        The lowest step at which a session has started again in it (``SessionLog.START``).
    plugins
        What the tensors of each tag are for; the files of a run share it, as only the first of a tag has to say it.
    """

    scalars: dict[str, Series] = field(default_factory=dict)
    places: dict[str, dict[str, Places[Any]]] = field(default_factory=dict)
    entries: Places[Entry] = field(default_factory=Places)
    begin: float | None = None
    last_wall_time: float | None = None
    session: int = 0
    lowest_start: int | None = None
    plugins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_batch(cls, batch: ScalarBatch) -> Index:
        """Return what a file would say that held these scalars only."""
        index = cls()
        index._extend(batch)
        return index

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
            if event.file_version or event.starts_session:  # it is about what came before, not what comes after
                self._extend(join_batches([_between(batch, first, frame), *loose]))
                first, loose = frame, []
                self._begin(event)
            elif (scalars := self._take(block, frame, event, note)) is not None:
                loose.append(scalars)
        self._extend(join_batches([_between(batch, first, None), *loose]))

    def _begin(self, event: events.Event) -> None:
        """Note when the file was begun; another beginning inside it, after its last value, begins a session there."""
        if event.starts_session:
            self._cut(event.step)
        elif self.last_wall_time is None:
            self.begin = event.wall_time
        elif event.wall_time > self.last_wall_time:
            self.session += 1

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
            several = self.places.setdefault(kind, {})
            known = several.get(tag)
            if known is None:
                known = several[tag] = Places(cuts=self._cuts(), born=self.session, session=self.session)
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
            series = self.scalars.get(tag)
            if series is None:
                empty = [np.empty(0, np.int64), np.empty(0), np.empty(0)]
                series = self.scalars[tag] = Series.of(empty, self._cuts(), self.session, self.session)
            self._renew(series, int(batch.step[rows[0]]))
            series.extend(batch.step[rows], batch.wall_time[rows], batch.value[rows])
        if len(batch.wall_time):
            self._see(float(batch.wall_time.max()))

    def _renew(self, series: Series | Places[Any], step: int) -> None:
        """Take back what an earlier session had of a series at its first step in this one and later."""
        if series.session != self.session:
            series.cut(step)
            series.session = self.session

    def _cuts(self) -> Cuts:
        """Return what a tag that appears now has lost: what earlier files hold of it."""
        return [] if self.lowest_start is None else [(0, self.lowest_start)]

    def _see(self, wall_time: float) -> None:
        self.last_wall_time = max(wall_time, self.last_wall_time or wall_time)

    def _cut(self, step: int) -> None:
        """Take back what has this step or a later one, as TensorBoard does when a session starts again."""
        self.lowest_start = step if self.lowest_start is None else min(self.lowest_start, step)
        for series in self.scalars.values():
            series.cut(step)
        for known in self.places.values():
            for places in known.values():
                places.cut(step)
        self.entries.cut(step)


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
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or kind in KIND_ORDER or not is_id(name):
        raise FormatError(f"the entry {value.tag!r} names no record: {told!r:.120}")
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise FormatError(f"the entry {value.tag!r} tells no number of bytes: {size!r:.60}")
    return Entry(str(name), kind, value.tag, place.step, place.wall_time, size)
