"""Up a cone and back: forward and backward on the parts of the maps that positions depend on.

Many positions travel as one batch (:class:`Climb`), or, where their cones are large, one after the other
(:class:`Climbs`). The forward pass is made on the cone of each position, or taken from that of whole images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.inspect.attribution import Rule
from convscope.nets.cone import Cone, Whole
from convscope.nets.operations import MaxPool, Places
from convscope.nets.parts import add_parts, parts
from convscope.nets.program import Step
from convscope.nets.recognised import rectifies
from convscope.nets.windows import Area, Span, sized

Ints = npt.NDArray[np.int64]


@dataclass
class Climb:
    """A batch of positions that has gone up a cone, and can be sent back by any rule.

    Attributes
    ----------
    cone
        The cone.
    rows, columns
        The positions in the layer's map, ``(B,)``.
    values
        Results on the cone, by step; ``(B, C, n, m)``.
    """

    cone: Cone
    rows: Ints
    columns: Ints
    values: dict[int, Tensor]
    whole: Whole = field(default_factory=Whole)
    owner: Sequence[int] = ()
    _taken: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    _switches: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def on_cones(cls, cone: Cone, pixels: Tensor, rows: Ints, columns: Ints) -> Climb:
        """Go up on the cone of each position; ``pixels`` are the parts of the images, as :func:`parts` cuts them."""
        climb = cls(cone, rows, columns, {0: pixels})
        for number, one in cone.windows.operations.items():
            source = cone.program.steps[number].inputs[0]
            if cone.program.steps[number].name == "relu" and source in cone.windows.once:
                climb.values[number] = climb.values[source].relu_()  # what was below 0 is needed no more
                continue
            if isinstance(one, MaxPool):
                climb.values[number], climb._switches[number] = one.pooled(climb._take(number, 0, one.fill))
                continue
            taken = [climb._take(number, place, one.fill) for place in range(len(climb._step(number).inputs))]
            climb.values[number] = one.run(taken, climb._places(number))
        return climb

    @classmethod
    def on_images(cls, cone: Cone, whole: Whole, owner: Sequence[int], rows: Ints, columns: Ints) -> Climb:
        """Take up what :meth:`Cone.whole` gave for whole images; ``owner`` says in which of them each position is."""
        maps = whole.values[cone.last]
        at = torch.as_tensor(np.stack([np.asarray(owner), rows, columns]), device=maps.device)
        return cls(cone, rows, columns, {cone.last: maps[at[0], :, at[1], at[2]][:, :, None, None]}, whole, owner)

    @property
    def outcome(self) -> Tensor:
        """The layer's values at the positions, ``(B, C)``."""
        return self.values[self.cone.last][:, :, 0, 0]

    def back(self, seed: Tensor, rule: Rule, own: Tensor | None = None) -> Tensor:
        """Send values of the layer's channels ``(B, C)`` back to the pixels by a rule: ``(B, c, h, w)`` of the cone.

        ``own`` stands in for the weights of the uppermost convolution.
        """
        signals = _Signals(self.cone.last, seed[:, :, None, None])
        blocked = self.cone.blocked if rule.rectify else frozenset()
        for number in reversed(self.cone.windows.operations):
            signal = signals.take(number)
            if signal is None:
                continue
            for place, part in enumerate(self._undone(number, signal, rule, own, mine=signals.last_was_mine)):
                if part is not None and (number, place) not in blocked:
                    alone = signals.last_was_mine and len(self._step(number).inputs) == 1
                    mine = _is_dense(part) and (alone or not _share_memory(part, signal))
                    self._give(signals, number, place, part, mine=mine)
            if own is not None and self._step(number).name == "convolution":
                own = None  # only the first on the way down is the layer's own
        size = sized(self.cone.pixels)
        channels = self.cone.program.image[0]
        return signals.own(0, (len(seed), channels, *size), seed)

    def _undone(
        self, number: int, signal: Tensor, rule: Rule, own: Tensor | None, *, mine: bool
    ) -> list[Tensor | None]:
        """Return what goes back through one step; a signal that is ``mine`` may be written into."""
        step, one = self._step(number), self.cone.windows.operations[number]
        if rule.rectify and (number, 0) in self.cone.passed:
            return [signal, None]
        if rectifies(step):
            if rule.rectify and not rule.forward_mask:
                return [signal.clamp_min_(0) if mine else signal.clamp_min(0)]
            given = self._take(number, 0, one.fill)
            if rule.rectify:
                return [signal.clamp_min(0) * (given > 0)]
            return one.back(signal, [given], self._places(number))
        if own is not None and step.name == "convolution":
            one = replace(one, weight=own)  # type: ignore[type-var]
        if isinstance(one, MaxPool):
            if number not in self._switches:
                self._switches[number] = self._switches_of_whole(number)
            return [one.unpooled(signal, self._blank(number, 0, signal), self._switches[number])]
        if one.linear:
            taken = [self._blank(number, place, signal) for place in range(len(step.inputs))]
        else:
            taken = [self._take(number, place, one.fill) for place in range(len(step.inputs))]
        return one.back(signal, taken, self._places(number))

    def _step(self, number: int) -> Step:
        return self.cone.program.steps[number]

    def _blank(self, number: int, place: int, like: Tensor) -> Tensor:
        """Return something of the shape of what a step takes, for an operation that only wants to know that."""
        source = self._step(number).inputs[place]
        shape = (len(self.rows), *self._step(source).shape[:-2], *sized(self.cone.windows.needs[number, place]))
        return like.new_zeros(()).expand(shape)

    def _switches_of_whole(self, number: int) -> Tensor:
        """Return the switches of a maximum as places in the parts below, from those in the whole map."""
        need, area = self.cone.windows.needs[number, 0], self.cone.windows.areas[number]
        rows, columns = (parts(one, self.owner, self._starts(area), sized(area)) for one in self.whole.switches[number])
        width, (top, left) = need[1].length, self._starts(need)
        corner = torch.as_tensor(top * width + left, device=rows.device)
        places = rows.mul_(width).add_(columns).sub_(corner.view(-1, *[1] * (rows.ndim - 1)))
        return places.clamp_(0, need[0].length * width - 1)  # nothing comes from outside the map

    def _starts(self, area: Area) -> tuple[Ints, Ints]:
        return area[0].at(self.rows), area[1].at(self.columns)

    def _places(self, number: int) -> Places:
        area = self.cone.windows.areas[number]
        rows, columns = (
            torch.as_tensor(start[:, None] + np.arange(area[axis].length))
            for axis, start in enumerate(self._starts(area))
        )
        device = next(iter(self.values.values())).device
        return Places(rows.to(device), columns.to(device))

    def _take(self, number: int, place: int, fill: float | None) -> Tensor:
        """Return the part of a map that a step takes, with what lies outside the map filled in."""
        if (known := self._taken.get((number, place))) is not None:
            return known
        source = self._step(number).inputs[place]
        need = self.cone.windows.needs[number, place]
        if source not in self.values:
            taken = parts(self.whole.values[source], self.owner, self._starts(need), sized(need), fill or 0.0)
        else:
            taken = self._cut(source, need, fill)
        if fill == float("-inf") or source not in self.values:
            self._taken[number, place] = taken
        return taken

    def _cut(self, source: int, need: Area, fill: float | None) -> Tensor:
        held, area = self.values[source], self.cone.windows.areas[source]
        if any(have.stride != want.stride for have, want in zip(area, need, strict=True)):
            starts, own = self._starts(need), self._starts(area)
            local = (starts[0] - own[0], starts[1] - own[1])
            cut = parts(held, range(len(held)), local, sized(need), fill or 0.0)
        else:
            (rows, to_rows), (columns, to_columns) = (_overlap(area[i], need[i]) for i in range(2))
            cut = held[..., rows, columns]
            if cut.shape[-2:] != sized(need):
                wide = held.new_full((*held.shape[:-2], *sized(need)), fill or 0.0)
                wide[..., to_rows, to_columns] = cut
                cut = wide
        if fill is None or self._is_inside(source):  # then what lies outside is filled already
            return cut
        return self._filled(cut, source, need, fill, mine=source in self.cone.windows.once)

    def _is_inside(self, source: int) -> bool:
        """Whether the part of a map is the same for all positions, and nothing of it lies outside the map."""
        size, area = self._step(source).shape[-2:], self.cone.windows.areas[source]
        return all(
            not span.stride and span.start >= 0 and span.start + span.length <= size[axis]
            for axis, span in enumerate(area)
        )

    def _filled(self, part: Tensor, source: int, need: Area, fill: float, *, mine: bool = False) -> Tensor:
        """Return a part ``(B, …, n, m)`` with ``fill`` outside the map; written in place only where it is ``mine``."""
        size = self._step(source).shape[-2:]
        top, left = self._starts(need)
        above, before = np.maximum(-top, 0), np.maximum(-left, 0)
        below, behind = size[0] - top, size[1] - left
        height, width = sized(need)
        crossing = np.flatnonzero((above > 0) | (before > 0) | (below < height) | (behind < width)).tolist()
        part = part.clone() if crossing and not mine else part
        for i in crossing:
            y0, y1, x0, x1 = int(above[i]), max(0, int(below[i])), int(before[i]), max(0, int(behind[i]))
            one = part[i]
            if y0 > 0:
                one[..., :y0, :] = fill
            if y1 < height:
                one[..., y1:, :] = fill
            if x0 > 0:
                one[..., :x0] = fill
            if x1 < width:
                one[..., x1:] = fill
        return part

    def _give(self, signals: _Signals, number: int, place: int, part: Tensor, *, mine: bool) -> None:
        """Add what goes back to a part of a map to what has come to it already."""
        source = self._step(number).inputs[place]
        need, area = self.cone.windows.needs[number, place], self.cone.windows.areas[source]
        if not self._is_inside(source):
            part = self._filled(part, source, need, 0.0, mine=mine)
        shape = (len(part), *self._step(source).shape[:-2], *sized(area))
        if any(have.stride != want.stride for have, want in zip(area, need, strict=True)):
            starts, own = self._starts(need), self._starts(area)
            add_parts(signals.own(source, shape, part), part, (starts[0] - own[0], starts[1] - own[1]))
            return
        (rows, from_rows), (columns, from_columns) = (_overlap(area[i], need[i]) for i in range(2))
        part = part[..., from_rows, from_columns]
        if part.shape[-2:] == sized(area):
            signals.add(source, part, mine=mine)
        else:
            signals.own(source, shape, part)[..., rows, columns] += part


@dataclass
class Climbs:
    """Positions that go up and back one after the other, each on its own cone, cut where the maps end.

    Where the cones are large nothing is gained by a batch, and much by not computing what lies outside.
    """

    frame: Cone
    rows: Ints
    columns: Ints
    climbs: Sequence[Climb] = ()
    whole: Whole = field(default_factory=Whole)
    owner: Sequence[int] = ()

    @classmethod
    def on_cones(cls, cone: Cone, pixels: Tensor, rows: Ints, columns: Ints) -> Climbs:
        """Go up on the cones; see :meth:`Climb.on_cones`."""
        climbs = cls(cone, rows, columns)
        found = []
        for i in range(len(rows)):
            own = climbs._cone(i)
            place = climbs._within(own, i)
            found.append(Climb.on_cones(own, pixels[i : i + 1, :, *place], rows[i : i + 1], columns[i : i + 1]))
        return replace(climbs, climbs=found)

    @classmethod
    def on_images(cls, cone: Cone, whole: Whole, owner: Sequence[int], rows: Ints, columns: Ints) -> Climbs:
        """Take up what :meth:`Cone.whole` gave; see :meth:`Climb.on_images`."""
        return cls(cone, rows, columns, (), whole, owner)

    @property
    def outcome(self) -> Tensor:
        """The layer's values at the positions, ``(B, C)``."""
        if self.climbs:
            return torch.cat([climb.outcome for climb in self.climbs])
        return Climb.on_images(self.frame, self.whole, self.owner, self.rows, self.columns).outcome

    def back(self, seed: Tensor, rule: Rule, own: Tensor | None = None) -> Tensor:
        """Send values of the layer's channels back to the pixels; see :meth:`Climb.back`."""
        found = seed.new_zeros(len(seed), self.frame.program.image[0], *sized(self.frame.pixels))
        for i in range(len(seed)):
            climb = self.climbs[i] if self.climbs else self._taken_up(i)
            found[i, :, *self._within(climb.cone, i)] = climb.back(seed[i : i + 1], rule, own)[0]
        return found

    def _taken_up(self, i: int) -> Climb:
        """Take one position up; what it needs of the whole maps is let go when it is back."""
        return Climb.on_images(
            self._cone(i), self.whole, self.owner[i : i + 1], self.rows[i : i + 1], self.columns[i : i + 1]
        )

    def _cone(self, i: int) -> Cone:
        own = self.frame.at(int(self.rows[i]), int(self.columns[i]))
        inside = zip(self._within(own, i), sized(self.frame.pixels), strict=True)
        # where a step reads nothing but padding a position is left that the frame may not hold
        return own if all(part.start >= 0 and part.stop <= length for part, length in inside) else self.frame

    def _within(self, own: Cone, i: int) -> tuple[slice, slice]:
        """Return where the pixels of a position's own cone lie within those of the frame."""
        at = self.rows[i], self.columns[i]
        starts = [int(own.pixels[axis].at(at[axis]) - self.frame.pixels[axis].at(at[axis])) for axis in range(2)]
        rows, columns = (slice(start, start + own.pixels[axis].length) for axis, start in enumerate(starts))
        return rows, columns


def _is_dense(part: Tensor) -> bool:
    """Whether each value has its own place in memory: a spread sum has not."""
    return part.is_contiguous() or (part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last))


def _share_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _overlap(have: Span, want: Span) -> tuple[slice, slice]:
    """Return where two spans of one stride overlap: in the first, and in the second."""
    offset = want.start - have.start
    low = max(0, offset)
    high = max(low, min(have.length, offset + want.length))
    return slice(low, high), slice(low - offset, high - offset)


class _Signals:
    """What has come back to each step; a tensor that several steps were given is never written into."""

    def __init__(self, last: int, seed: Tensor) -> None:
        self._held = {last: seed}
        self._owned: set[int] = set()
        self.last_was_mine = False

    def take(self, step: int) -> Tensor | None:
        """Return what has come to a step, for the last time."""
        self.last_was_mine = step in self._owned
        return self._held.pop(step, None)

    def add(self, step: int, signal: Tensor, *, mine: bool) -> None:
        """Add a signal to all of a step's part; one that is ``mine`` no other step was given."""
        if step in self._held:
            self._held[step] = self._held[step] + signal
            self._owned.add(step)
        else:
            self._held[step] = signal
            self._owned.update([step] if mine else [])

    def own(self, step: int, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return what has come to a step so far as a tensor that may be written into."""
        if step not in self._held:
            self._held[step] = like.new_zeros(shape)
        elif step not in self._owned:
            self._held[step] = self._held[step].clone()
        self._owned.add(step)
        return self._held[step]
