"""What a run gives back: curves, histograms, pictures, texts, tensors and the entries of records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, StorageError
from convscope.formats import events, wav
from convscope.formats.audio import decode_audio
from convscope.formats.histogram import Distribution
from convscope.formats.record import HEADER
from convscope.formats.values import decode_image

_MEDIA_TYPES: Final = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True)
class Scalars:
    """A curve, in the order in which it was logged.

    Attributes
    ----------
    step
        ``(n,)`` int64.
    wall_time
        Seconds since 1970, ``(n,)`` float64.
    value
        ``(n,)`` float64, as precise as stored: event files hold float32.
    """

    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True)
class Histogram(Distribution):
    """A histogram at a step.

    Of one that TensorFlow 2 has stored the sums are not known (NaN), and of one that is not ours the numbers of NaN,
    infinities and zeros are not (0).
    """

    step: int = 0
    wall_time: float = 0.0


@dataclass(frozen=True)
class Location:
    """Where a value is: a value of an event of a file; what is big is read when it is wanted."""

    path: Path
    offset: int
    length: int
    index: int
    step: int
    wall_time: float

    def read(self) -> events.Value:
        """Return the value."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset + HEADER)
                event = events.decode_event(file.read(self.length))
        except OSError as error:
            raise StorageError(f"cannot read {self.path} ({error}); it was there when the run was indexed") from error
        if self.index >= len(event.values):
            raise FormatError(f"{self.path.name} has changed at byte {self.offset}; read the run again")
        return event.values[self.index]


@dataclass(frozen=True)
class Picture:
    """A picture at a step; its bytes stay in the file until they are asked for.

    ``clipped`` says how many of its numbers lay outside the range and were clipped, where the writer has told.
    """

    step: int
    wall_time: float
    height: int
    width: int
    location: Location
    clipped: int = 0

    @property
    def png(self) -> bytes:
        """The picture as stored: PNG, unless another program has logged something else."""
        return decode_image(self.location.read()).data

    @property
    def media_type(self) -> str:
        """The media type of :attr:`png`, from its first bytes."""
        data = self.png
        if data[4:8] == b"ftyp":
            return "video/mp4"
        known = (name for start, name in _MEDIA_TYPES.items() if data.startswith(start))
        return next(known, "application/octet-stream")


@dataclass(frozen=True)
class Audio:
    """A sound at a step; its bytes stay in the file until they are asked for.

    ``clipped`` says how many of its samples lay outside the range and were clipped, where the writer has told.
    """

    step: int
    wall_time: float
    sample_rate: float
    channels: int
    frames: int
    location: Location
    clipped: int = 0

    @property
    def wav(self) -> bytes:
        """The sound as stored: WAV, unless another program has logged something else."""
        return decode_audio(self.location.read()).data

    @property
    def samples(self) -> npt.NDArray[np.float32]:
        """The samples from -1 to 1, ``(frames, channels)``."""
        return wav.decode(self.wav)


@dataclass(frozen=True)
class Text:
    """A text (Markdown) at a step."""

    step: int
    wall_time: float
    text: str


@dataclass(frozen=True)
class Entry:
    """What the log says about a record."""

    id: str
    kind: str
    tag: str
    step: int
    wall_time: float
    bytes: int


@dataclass(frozen=True)
class PRCurve:
    """A precision-recall curve at a step.

    Attributes
    ----------
    threshold
        Evenly from 0 to 1, ``(n,)``, as TensorBoard takes them to be.
    true_positives, false_positives, true_negatives, false_negatives, precision, recall
        At each threshold, ``(n,)``.
    """

    step: int
    wall_time: float
    threshold: npt.NDArray[np.float64]
    true_positives: npt.NDArray[np.float32]
    false_positives: npt.NDArray[np.float32]
    true_negatives: npt.NDArray[np.float32]
    false_negatives: npt.NDArray[np.float32]
    precision: npt.NDArray[np.float32]
    recall: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """An array at a step, or the byte strings of a tensor of strings."""

    step: int
    wall_time: float
    values: npt.NDArray[Any] | list[bytes]
