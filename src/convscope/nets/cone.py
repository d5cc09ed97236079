"""The exact cone: forward and backward on the parts of the maps that a position depends on, and on nothing else.

The same numbers as from the whole image, corners included: what lies outside a map is filled in as each operation has
it, zero before a convolution, minus infinity before a maximum. Many positions travel as one batch. The forward pass is
either made on the cone of each position, or once for each image and shared by all positions that were found in it,
whichever is less work (METHODS §2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.inspect.attribution import Rule
from convscope.nets.operations import MaxPool, Places, rectifies
from convscope.nets.program import NotAProgramError, Program, Step
from convscope.nets.windows import Area, Span, Windows, cone_windows, sized

SHARED_PAYS: Final = 0.8
"""A convolution of a whole map is that much faster, for its size, than one of many small parts."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cone:
    """A program with the cone of a position of its last step."""

    program: Program
    windows: Windows
    blocked: frozenset[tuple[int, int]]
    """(step, place among its inputs) that no signal goes back to: denominators held constant."""
    passed: frozenset[tuple[int, int]]
    """(step, place) that the signal goes back to unchanged: responses whose normalisation is ignored."""

    @classmethod
    def of(cls, program: Program, lrn: str) -> Cone:
        """Return the cone of a program's last step.

        Raises
        ------
        NotAProgramError
            If a step cannot be done in parts.
        """
        windows = cone_windows(program)
        ratios = [number for number in windows.operations if _is_response(program, number)]
        held = [] if lrn == "gradient" else ratios
        plain = ratios if lrn == "identity" else []
        return cls(program, windows, frozenset((n, 1) for n in held), frozenset((n, 0) for n in plain))

    @property
    def last(self) -> int:
        """The number of the layer among the steps."""
        return len(self.program.steps) - 1

    @property
    def pixels(self) -> Area:
        """The part of the image that a position depends on."""
        return self.windows.areas[0]

    def shares(self, positions: int, images: int) -> bool:
        """Whether one forward pass for each image is less work than one for each position."""
        cone, whole = self.windows.macs
        return SHARED_PAYS * whole * images <= cone * positions

    def whole(self, images: Tensor, rules: Sequence[Rule]) -> dict[int, Tensor]:
        """Run the program on whole images, and keep what ways back by these rules depend on."""
        needed = frozenset(
            source
            for number in self.windows.operations
            if _needs_values(self, number, rules)
            for source in self.program.steps[number].inputs
        )
        return self.program.run(images, needed | {self.last})

    def values_of_one(self) -> int:
        """Return how many numbers the cone of one position holds."""
        areas = self.windows.areas
        return sum(_channels(self.program.steps[n]) * a[0].length * a[1].length for n, a in areas.items())

    def with_program(self, program: Program) -> Cone:
        """Return the same cone of a program that differs in its constants."""
        return replace(self, program=program, windows=cone_windows(program))


def _channels(step: Step) -> int:
    return int(np.prod(step.shape[:-2], dtype=np.int64))


def _is_response(program: Program, number: int) -> bool:
    """Whether a step is a map divided by a power: local response normalisation."""
    step = program.steps[number]
    if step.name not in ("div", "mul") or len(step.inputs) < 2 or len(set(step.inputs)) < 2:
        return False
    if step.name == "div" and program.steps[step.inputs[1]].name == "pow":
        return True
    raise NotAProgramError("a product of two maps")


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
    whole: Mapping[int, Tensor] = field(default_factory=dict)
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
    def on_images(
        cls, cone: Cone, whole: Mapping[int, Tensor], owner: Sequence[int], rows: Ints, columns: Ints
    ) -> Climb:
        """Take up what :meth:`Cone.whole` gave for whole images; ``owner`` says in which of them each position is."""
        maps = whole[cone.last]
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
            part = self._take(number, 0, one.fill)
            if number not in self._switches:
                self._switches[number] = one.pooled(part)[1]
            return [one.unpooled(signal, part, self._switches[number])]
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
            taken = parts(self.whole[source], self.owner, self._starts(need), sized(need), fill or 0.0)
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
            _add_parts(signals.own(source, shape, part), part, (starts[0] - own[0], starts[1] - own[1]))
            return
        (rows, from_rows), (columns, from_columns) = (_overlap(area[i], need[i]) for i in range(2))
        part = part[..., from_rows, from_columns]
        if part.shape[-2:] == sized(area):
            signals.add(source, part, mine=mine)
        else:
            signals.own(source, shape, part)[..., rows, columns] += part


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


def _needs_values(cone: Cone, number: int, rules: Sequence[Rule]) -> bool:
    """Whether the way back through a step depends on what it took."""
    if rectifies(cone.program.steps[number]):
        return any(rule.forward_mask or not rule.rectify for rule in rules)
    return not cone.windows.operations[number].linear


def parts(
    maps: Tensor, owner: Sequence[int], starts: tuple[Ints, Ints], size: tuple[int, int], fill: float = 0.0
) -> Tensor:
    """Cut a part out of a map for each position: ``(B, …, h, w)``.

    Parameters
    ----------
    maps
        ``(N, …, H, W)``.
    owner
        Which of the maps each part is cut out of, ``(B,)``.
    starts
        Where the parts begin, rows ``(B,)`` and columns ``(B,)``; they may begin or end outside the map.
    size
        Rows and columns of a part.
    fill
        What stands outside the map.
    """
    found = maps.new_full((len(owner), *maps.shape[1:-2], *size), fill)
    for i, (one, box) in enumerate(zip(owner, _boxes(starts, size, maps.shape[-2:]), strict=True)):
        (y0, y1, x0, x1), (v0, v1, u0, u1) = box
        if y0 < y1 and x0 < x1:
            found[i, ..., v0:v1, u0:u1] = maps[one, ..., y0:y1, x0:x1]
    return found


def _add_parts(maps: Tensor, signals: Tensor, starts: tuple[Ints, Ints]) -> None:
    """Add each part to its map, at its place; what lies outside is dropped."""
    for i, box in enumerate(_boxes(starts, (signals.shape[-2], signals.shape[-1]), maps.shape[-2:])):
        (y0, y1, x0, x1), (v0, v1, u0, u1) = box
        if y0 < y1 and x0 < x1:
            maps[i, ..., y0:y1, x0:x1] += signals[i, ..., v0:v1, u0:u1]


Box = tuple[int, int, int, int]


def _boxes(starts: tuple[Ints, Ints], size: tuple[int, int], limit: Sequence[int]) -> list[tuple[Box, Box]]:
    """Return for each part its box inside the map, and the same in the part's own rows and columns."""
    edges = []
    for axis in range(2):
        low = np.maximum(starts[axis], 0)
        high = np.minimum(starts[axis] + size[axis], limit[axis])
        edges.append((low, high, low - starts[axis], high - starts[axis]))
    (y0, y1, v0, v1), (x0, x1, u0, u1) = ([edge.tolist() for edge in axis] for axis in edges)
    inside = zip(y0, y1, x0, x1, strict=True)
    return list(zip(inside, zip(v0, v1, u0, u1, strict=True), strict=True))
