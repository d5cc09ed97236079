"""The exact cone: forward and backward on the parts of the maps that a position depends on, and on nothing else.

The same numbers as from the whole image, corners included: what lies outside a map is filled in as each operation has
it, zero before a convolution, minus infinity before a maximum. Many positions travel as one batch. The forward pass is
either made on the cone of each position, or once for each image and shared by all positions that were found in it,
whichever is less work (METHODS §2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.inspect.attribution import Rule
from convscope.nets.operations import MaxPool
from convscope.nets.program import NotAProgramError, Program, Step
from convscope.nets.recognised import rectifies
from convscope.nets.windows import Area, Windows, cone_windows

SHARED_PAYS: Final = 0.65
"""A convolution of a whole map is that much faster, for its size, than one of many small parts."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Whole:
    """What whole images gave on their way up.

    Attributes
    ----------
    values
        Results of steps that a way back depends on, and of the last, ``(N, C, H, W)``.
    switches
        Of each maximum where it stood in the map below: row and column, ``(N, C, H, W)`` each.
    """

    values: Mapping[int, Tensor] = field(default_factory=dict)
    switches: Mapping[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


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

    @property
    def fewest_that_share(self) -> int:
        """How many positions of one image pay for its forward pass."""
        cone, whole = self.windows.macs
        return math.ceil(SHARED_PAYS * whole / max(1, cone))

    def whole(self, images: Tensor, rules: Sequence[Rule]) -> Whole:
        """Run the program on whole images, and keep what ways back by these rules depend on."""
        needed = frozenset(
            source
            for number in self.windows.operations
            if _needs_values(self, number, rules)
            for source in self.program.steps[number].inputs
        )
        pools = frozenset(n for n, one in self.windows.operations.items() if isinstance(one, MaxPool))
        values, places = self.program.run(images, needed | {self.last}, pools)
        switches = {}
        for number in pools:
            width = self.program.steps[self.windows.sources[number, 0]].shape[-1]
            rows = torch.div(places[number], width, rounding_mode="floor")
            switches[number] = rows, places.pop(number) - rows * width
        return Whole(values, switches)

    def at(self, row: int, column: int) -> Cone:
        """Return the cone of one position, cut where the maps end."""
        return replace(self, windows=cone_windows(self.program, (row, column), self.windows.operations))

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


def _needs_values(cone: Cone, number: int, rules: Sequence[Rule]) -> bool:
    """Whether the way back through a step depends on what it took."""
    if rectifies(cone.program.steps[number]):
        return any(rule.forward_mask or not rule.rectify for rule in rules)
    one = cone.windows.operations[number]
    return not (one.linear or isinstance(one, MaxPool))  # where a maximum stood is kept in its place
