"""What a run gives back of each kind that is not a curve, one method a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from convscope.formats import values
from convscope.store.results import Histogram, Location, Picture, Text

T = TypeVar("T")


class Places(Protocol):
    """What the methods need of the run they belong to."""

    def _places(self, kind: str, tag: str, points: str) -> list[Any]: ...

    def _decoded(self, kind: str, tag: str, points: str, decode: Callable[[Location], T]) -> list[T]: ...


class Accessors:
    """The typed questions to a run.

    ``points`` says what to do with steps that go back: see :meth:`convscope.store.Run.scalars`.
    """

    def histograms(self: Places, tag: str, points: str = "current") -> list[Histogram]:
        """Return the histograms of a tag."""
        return self._decoded("histogram", tag, points, _histogram)

    def images(self: Places, tag: str, points: str = "current") -> list[Picture]:
        """Return the pictures of a tag; all of them, none is sampled away."""
        return self._places("image", tag, points)

    def texts(self: Places, tag: str, points: str = "current") -> list[Text]:
        """Return the texts of a tag."""
        return self._decoded("text", tag, points, _text)


def _histogram(place: Location) -> Histogram:
    counted = values.decode_histogram(place.read())
    return Histogram(**vars(counted), step=place.step, wall_time=place.wall_time)


def _text(place: Location) -> Text:
    return Text(place.step, place.wall_time, values.decode_text(place.read()))
