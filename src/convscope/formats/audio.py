"""The fields of a sound in an event."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from convscope.errors import FormatError
from convscope.formats import wav, wire
from convscope.formats.events import Value
from convscope.formats.tensor import decode_tensor

_CLIPPED: Final = 1001  # our own field, as in pictures; other readers pass over it
_MEDIA_TYPE: Final = "audio/wav"


@dataclass(frozen=True)
class EncodedAudio:
    """A sound as it stands in an event.

    Attributes
    ----------
    sample_rate
        Frames in a second.
    channels
        Samples in a frame.
    frames
        How many frames there are.
    data
        The encoded sound: WAV.
    clipped
        How many of its samples lay outside the range and were clipped; 0 where the writer did not say.
    """

    sample_rate: float
    channels: int
    frames: int
    data: bytes
    clipped: int = 0


def encode_audio(audio: EncodedAudio) -> bytes:
    """Return the fields of a sound."""
    message = [
        wire.key(1, wire.FIXED32) + struct.pack("<f", audio.sample_rate),
        wire.integer(2, audio.channels),
        wire.integer(3, audio.frames),
        wire.chunk(4, audio.data),
        wire.text(5, _MEDIA_TYPE),
        wire.integer(_CLIPPED, audio.clipped) if audio.clipped else b"",
    ]
    return wire.chunk(6, b"".join(message))


def decode_audio(value: Value) -> EncodedAudio:
    """Return a sound, stored as TensorBoard 1 or 2 does; of several in one event the first."""
    if value.form == "tensor":
        return _from_strings(value)
    rate, channels, frames, data, clipped = 0.0, 0, 0, b"", 0
    for number, _, payload in wire.fields(value.payload):
        if number == 1:
            rate = wire.as_float(payload)
        elif number == 2:
            channels = wire.as_integer(payload)
        elif number == 3:
            frames = wire.as_integer(payload)
        elif number == 4:
            data = wire.as_bytes(payload)
        elif number == _CLIPPED:
            clipped = wire.as_integer(payload)
    return EncodedAudio(rate, channels, frames, data, clipped)


def _from_strings(value: Value) -> EncodedAudio:
    """Return the first of the pairs of sound and label in which TensorFlow 2 stores sounds."""
    tensor = decode_tensor(value.payload)
    if not isinstance(tensor, list) or not tensor:
        raise FormatError(f"the sound {value.tag!r} is not a tensor of encoded sounds")
    header = wav.decode_header(tensor[0])
    return EncodedAudio(header.sample_rate, header.channels, header.frames, tensor[0])
