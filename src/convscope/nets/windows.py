"""Which part of every map one position of a layer depends on: its receptive cone, cut where a map ends (METHODS §2).

Along each axis the part that position y needs begins at ``stride·y + start`` and has a fixed length, at every step
below. Where branches meet it is their union. Where that is as large as the map, it is the whole map, and so is all
below that cannot be told apart any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from convscope.nets.operations import Operation, Pair
from convscope.nets.program import Program
from convscope.nets.recognised import makes_its_own, operation

Starts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """A part of a map along one axis: for position y of the layer from ``stride·y + start`` on, so many positions.

    With stride 0 it is the same part for all positions.
    """

    stride: int
    start: int
    length: int

    def at(self, position: Starts) -> Starts:
        """Return where the part begins for positions ``(B,)`` of the layer."""
        return self.stride * position + self.start

    def together(self, other: Span, size: int) -> Span:
        """Return the part that holds both, in a map of so many positions."""
        if self.stride != other.stride:
            return Span(0, 0, size)
        start = min(self.start, other.start)
        end = max(self.start + self.length, other.start + other.length)
        return Span(self.stride, start, end - start).within(size)

    def within(self, size: int) -> Span:
        """Return the part, or the whole map where that is no larger; one that is the same for all is cut to the map."""
        if self.stride:
            return Span(0, 0, size) if self.length >= size else self
        start = min(max(0, self.start), size - 1)  # a position is left even where only padding is read
        return Span(0, start, max(1, min(size, self.start + self.length) - start))

    def below(self, kernel: int, stride: int, padding: int, dilation: int) -> Span:
        """Return what an operation reads to give this part."""
        length = (self.length - 1) * stride + dilation * (kernel - 1) + 1
        return Span(self.stride * stride, self.start * stride - padding, length)


Area = tuple[Span, Span]
"""A part of a map: along rows, and along columns."""


@dataclass(frozen=True)
class Windows:
    """The cone of one position of a layer.

    Attributes
    ----------
    operations
        What the steps that belong to it do, by their numbers, from the image to the layer.
    areas
        The part of each step's map that is needed; of step 0, of the image.
    needs
        What each of these steps takes of the maps below it: (step, place among its inputs) → area.
    sources
        Which step that is: (step, place among its inputs) → step.
    macs
        Multiplications and additions of all convolutions for one position: on the cone, and on the whole maps.
    """

    operations: dict[int, Operation]
    areas: dict[int, Area]
    needs: dict[tuple[int, int], Area]
    sources: dict[tuple[int, int], int]
    macs: tuple[int, int]

    @cached_property
    def once(self) -> frozenset[int]:
        """Steps that make a part of their own which only one other takes: this one may write into it."""
        takers = Counter(self.sources.values())
        return frozenset(step for step, one in self.operations.items() if takers[step] == 1 and makes_its_own(one))


def cone_windows(program: Program, at: Pair | None = None, known: Mapping[int, Operation] | None = None) -> Windows:
    """Return what one position of the last step of a program depends on.

    Parameters
    ----------
    program
        The program.
    at
        The position, row and column, whose own cone is wanted, cut where the maps end; ``None`` for windows that are
        as large for all positions, and may reach over the edges.
    known
        What its steps do, where that was found out before.

    Raises
    ------
    NotAProgramError
        If a step cannot be done in parts.
    """
    last = len(program.steps) - 1
    top = (Span(1, 0, 1), Span(1, 0, 1)) if at is None else (Span(0, at[0], 1), Span(0, at[1], 1))
    areas: dict[int, Area] = {last: top}
    operations: dict[int, Operation] = {}
    needs: dict[tuple[int, int], Area] = {}
    cone = whole = 0
    for number in range(last, 0, -1):
        if number not in areas:
            continue
        step, area = program.steps[number], areas[number]
        one = operations[number] = known[number] if known else operation(program, number)
        cone += one.macs * area[0].length * area[1].length
        whole += one.macs * step.shape[-2] * step.shape[-1]
        for place, source in enumerate(step.inputs):
            needs[number, place] = need = _below(area, one)
            size = program.steps[source].shape[-2:]
            met = areas.get(source)
            rows, columns = (
                need[i].within(size[i]) if met is None else met[i].together(need[i], size[i]) for i in range(2)
            )
            areas[source] = rows, columns
    sources = {(number, place): program.steps[number].inputs[place] for number, place in needs}
    return Windows(dict(sorted(operations.items())), areas, needs, sources, (cone, whole))


def _below(area: Area, one: Operation) -> Area:
    g = one.geometry
    rows, columns = (area[i].below(g.kernel[i], g.stride[i], g.padding[i], g.dilation[i]) for i in range(2))
    return rows, columns


def sized(area: Area) -> Pair:
    """Return how many rows and columns a part has."""
    return area[0].length, area[1].length
