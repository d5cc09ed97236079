"""The steps of one optimiser, or of several that take turns, counted on one axis."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

_PATIENCE: Final = 16


@dataclass(eq=False)
class Course:
    """How far one optimiser has come.

    Attributes
    ----------
    optimizer
        Whose course it is; ``None`` when called if that is gone.
    number
        Of the optimisers in the order of their first steps, counted from 0; one that takes another's place has its.
    names
        The parameters it holds.
    taken
        Steps it has taken.
    last
        The round of its last step; -1 before the first.
    logged
        The last period (of so many rounds) in which a step of it was logged.
    replaced
        Whether another has taken its place.
    """

    optimizer: ref[Any]
    number: int
    names: frozenset[str]
    taken: int = 0
    last: int = -1
    logged: int = -1
    replaced: bool = False


@dataclass
class Rounds:
    """Whose step has which number, and which of them are to be logged; the price does not grow with the optimisers.

    The number is that of the round, and a round ends when an optimiser that has taken its step in it takes another. So
    several that take turns share an axis: of a GAN whose critic steps five times for one step of the generator, the
    generator's steps are 4, 9, 14… In each period of ``every`` rounds an optimiser's first step is logged.

    An optimiser whose parameters another held takes its place and goes on with its count, where that other is gone; or
    where one of them holds all that the other holds, and the other has taken more than one step alone.
    """

    every: int
    total: int = 0
    optimizers: int = 0
    _round: int = 0
    _courses: WeakKeyDictionary[Any, Course] = field(default_factory=WeakKeyDictionary)
    _holders: dict[str, Course] = field(default_factory=dict)
    _waiting: set[Course] = field(default_factory=set)
    _periods: tuple[int, int] = (-1, -1)

    def course(self, optimizer: Any, names: Collection[str]) -> Course:
        """Return the course of an optimiser that holds these parameters; it starts with this call if it is new."""
        course = self._courses.get(optimizer)
        if course is None:
            course = self._courses[optimizer] = self._start(optimizer, frozenset(names))
            self._waiting.add(course)
        elif course.replaced:  # it was not gone after all
            course.replaced, course.number = False, self._new_number()
        elif len(course.names) == len(names):
            return course
        course.names = frozenset(names)
        self._holders.update(dict.fromkeys(course.names, course))
        return course

    def _start(self, optimizer: Any, names: frozenset[str]) -> Course:
        holders = {id(held): held for name in names if (held := self._holders.get(name)) is not None}
        earlier = [held for held in holders.values() if _gives_way(held, names)]
        for held in earlier:
            held.replaced = True
        return Course(
            ref(optimizer),
            min(held.number for held in earlier) if earlier else self._new_number(),
            names,
            last=max((held.last for held in earlier), default=-1),
            logged=max((held.logged for held in earlier), default=-1),
        )

    def _new_number(self) -> int:
        self.optimizers += 1
        return self.optimizers - 1

    def next(self, course: Course) -> int:
        """Return the number of its next step."""
        return self._round + (course.last == self._round)

    def due(self, course: Course) -> bool:
        """Whether its next step is to be logged."""
        return self.next(course) // self.every > course.logged

    def took(self, course: Course, *, logged: bool) -> None:
        """Note that a step was taken."""
        self._round = course.last = self.next(course)
        if logged:
            course.logged = self._round // self.every
        course.taken += 1
        self.total += 1
        self._file(course)

    def any_due(self) -> bool:
        """Whether the next step of an optimiser that is still in use is to be logged."""
        periods = self._round // self.every, (self._round + 1) // self.every
        if periods != self._periods:  # else only the course that took a step can have changed
            self._periods = periods
            for course in self._courses.values():
                self._file(course)
        while self._waiting:
            course = next(iter(self._waiting))
            if course.optimizer() is not None and self._in_use(course):
                return True
            self._waiting.discard(course)
        return False

    def _file(self, course: Course) -> None:
        (self._waiting.add if self.due(course) else self._waiting.discard)(course)

    def _in_use(self, course: Course) -> bool:
        return not course.replaced and self._round - course.last < max(self.every, _PATIENCE)


def _gives_way(held: Course, names: frozenset[str]) -> bool:
    """Whether an optimiser that holds parameters with these names takes the place of an earlier one."""
    if held.replaced:
        return False
    return held.optimizer() is None or (held.taken > 1 and (held.names <= names or names <= held.names))
