"""What a run gives back of each kind that is not a curve, one method a kind."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from convscope.formats import values
from convscope.formats.audio import decode_audio
from convscope.formats.curves import decode_pr_curve
from convscope.formats.events import Value
from convscope.formats.tensor import decode_tensor
from convscope.store.decoded import Decode
from convscope.store.results import Audio, Histogram, Location, Picture, PRCurve, Tensor, Text
from convscope.store.structure import StructureAccessors, mesh_part


class Places(Protocol):
    """What the methods need of the run they belong to."""

    def _places(self, kind: str, tag: str, points: str) -> list[Any]: ...

    def _decoded(self, kind: str, tag: str, points: str) -> list[Any]: ...


class Accessors(StructureAccessors):
    """The typed questions to a run. What cannot be decoded is left out and told by its ``problems``.

    ``points`` says what to do with steps that go back: see :meth:`convscope.store.Run.scalars`.
    """

    def histograms(self: Places, tag: str, points: str = "current") -> list[Histogram]:
        """Return the histograms of a tag."""
        return self._decoded("histogram", tag, points)

    def images(self: Places, tag: str, points: str = "current") -> list[Picture]:
        """Return the pictures of a tag; all of them, none is sampled away."""
        return self._places("image", tag, points)

    def audio(self: Places, tag: str, points: str = "current") -> list[Audio]:
        """Return the sounds of a tag."""
        return self._decoded("audio", tag, points)

    def texts(self: Places, tag: str, points: str = "current") -> list[Text]:
        """Return the texts of a tag."""
        return self._decoded("text", tag, points)

    def pr_curves(self: Places, tag: str, points: str = "current") -> list[PRCurve]:
        """Return the precision-recall curves of a tag."""
        return self._decoded("pr_curve", tag, points)

    def tensors(self: Places, tag: str, points: str = "current") -> list[Tensor]:
        """Return the arrays of a tag, each in its own dtype and shape; of strings their bytes."""
        return self._decoded("tensor", tag, points)


def _histogram(place: Location, value: Value) -> Histogram:
    counted = values.decode_histogram(value)
    return Histogram(**vars(counted), step=place.step, wall_time=place.wall_time)


def _audio(place: Location, value: Value) -> Audio:
    sound = decode_audio(value)
    return Audio(place.step, place.wall_time, sound.sample_rate, sound.channels, sound.frames, place, sound.clipped)


def _text(place: Location, value: Value) -> Text:
    return Text(place.step, place.wall_time, values.decode_text(value))


def _pr_curve(place: Location, value: Value) -> PRCurve:
    table = decode_pr_curve(value)
    return PRCurve(place.step, place.wall_time, np.linspace(0.0, 1.0, table.shape[1]), *table)


def _tensor(place: Location, value: Value) -> Tensor:
    return Tensor(place.step, place.wall_time, decode_tensor(value.payload))


DECODERS: Final[dict[str, Decode]] = {
    "histogram": _histogram,
    "audio": _audio,
    "text": _text,
    "pr_curve": _pr_curve,
    "tensor": _tensor,
    "mesh": mesh_part,
}
