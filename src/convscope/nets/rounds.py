"""The steps of one optimiser, or of several that take turns, counted on one axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

_PATIENCE: Final = 16


@dataclass
class Course:
    """How far one optimiser has come.

    Attributes
    ----------
    number
        Of the optimisers in the order of their first steps, counted from 0.
    steps
        The step that it takes next.
    logged
        The last period (of so many steps) in which a step of it was logged.
    last
        Steps of all optimisers when it took its last one.
    """

    number: int
    steps: int = 0
    logged: int = -1
    last: int = 0


@dataclass
class Rounds:
    """Whose step has which number, and which of them are to be logged.

    An optimiser's step has the number of its steps before. Where several take turns, the one that takes the most steps
    counts for all, so that they share an axis: of a GAN whose critic steps five times for one step of the generator,
    the generator's steps are 4, 9, 14… In each period of ``every`` steps an optimiser's first is logged.
    """

    every: int
    total: int = 0
    _courses: WeakKeyDictionary[Any, Course] = field(default_factory=WeakKeyDictionary)

    def course(self, optimizer: Any) -> Course:
        """Return the course of an optimiser, which starts with this call if it is new."""
        course = self._courses.get(optimizer)
        if course is None:
            course = self._courses[optimizer] = Course(len(self._courses), last=self.total)
        course.steps = self._next(course)
        return course

    def _next(self, course: Course) -> int:
        return max([course.steps, *(other.steps - 1 for other in self._others(course))])

    def _others(self, course: Course) -> Iterable[Course]:
        return [other for other in self._courses.values() if other is not course]

    def due(self, course: Course) -> bool:
        """Whether its next step is to be logged."""
        return self._next(course) // self.every > course.logged

    def took(self, course: Course, *, logged: bool) -> None:
        """Note that a step was taken."""
        if logged:
            course.logged = course.steps // self.every
        course.steps += 1
        self.total += 1
        course.last = self.total

    def any_due(self) -> bool:
        """Whether the next step of an optimiser that is still in use is to be logged."""
        patience = max(self.every, _PATIENCE)
        return any(self.due(course) for course in self._courses.values() if self.total - course.last < patience)
