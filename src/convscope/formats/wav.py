"""WAV (RIFF, WAVE_FORMAT_PCM) from 16-bit samples, and samples from any linear WAV."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError

_PCM: Final = 1
_FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE  # the format proper is at the start of the extension's GUID
_LONGEST: Final = (1 << 32) - 1 - 36
_MOST_CHANNELS: Final = 8


@dataclass(frozen=True)
class Header:
    """What a WAV file says about itself.

    Attributes
    ----------
    sample_rate
        Frames in a second.
    channels
        Samples in a frame.
    frames
        How many frames there are.
    """

    sample_rate: int
    channels: int
    frames: int


def to_frames(sound: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return sound as ``(frames, channels)``.

    Of two axes the shorter is that of the channels, at most 8; where both are equal it is the second. More axes are
    taken where all but two have length 1.

    >>> to_frames(np.zeros((2, 44100))).shape
    (44100, 2)

    Raises
    ------
    InputError
        If the array is empty or has another shape.
    """
    array = sound.squeeze() if sound.ndim > 2 else sound
    array = array.reshape(-1, 1) if array.ndim < 2 else array
    if array.ndim > 2 or (min(array.shape) > _MOST_CHANNELS and array.size):
        raise InputError(
            f"a sound is (frames,), (frames, channels) or (channels, frames) with at most {_MOST_CHANNELS} channels, "
            f"got {sound.shape}; log several sounds one by one"
        )
    if not array.size:
        raise InputError(f"a sound has at least one sample, got the shape {sound.shape}")
    return array.T if array.shape[0] < array.shape[1] else array


def to_int16(samples: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int16], int]:
    """Return samples as ``int16`` and how many of them had to be clipped.

    Floats are taken as -1..1, ``uint8``, ``int16`` and ``int32`` as PCM of their full range. A NaN counts as clipped
    and becomes silence.

    >>> to_int16(np.array([-1.5, 0.0, 0.5]))
    (array([-32768,      0,  16384], dtype=int16), 1)

    Raises
    ------
    InputError
        If the samples are of another type.
    """
    kind = samples.dtype.name
    if kind == "int16":
        return samples, 0
    if kind == "uint8":
        return (samples.astype(np.int16) - np.int16(128)) << np.int16(8), 0
    if kind == "int32":
        return (samples >> 16).astype(np.int16), 0
    if samples.dtype.kind != "f":
        raise InputError(f"a sound is floats from -1 to 1, or uint8, int16 or int32 PCM, got {kind}; convert it")
    low, high = samples.min(), samples.max()  # NaN where there is one
    clipped = 0 if low >= -1 and high <= 1 else int(np.count_nonzero(~((samples >= -1) & (samples <= 1))))
    if clipped:
        samples = np.nan_to_num(np.clip(samples, -1, 1), nan=0.0)
    scaled = np.multiply(samples, np.float32(32768), dtype=np.float32)
    np.minimum(np.rint(scaled, out=scaled), 32767, out=scaled)  # 1.0 is one step above what 16 bits hold
    return scaled.astype(np.int16), clipped


def encode(samples: npt.NDArray[np.int16], sample_rate: int) -> bytes:
    """Return samples ``(frames, channels)`` as WAV.

    Raises
    ------
    InputError
        If they are more than a WAV file can hold.
    """
    data = np.ascontiguousarray(samples).astype("<i2", copy=False).tobytes()
    if len(data) > _LONGEST:
        raise InputError(f"a WAV file holds 4 GiB, got {len(data)} bytes of samples; log a part of the sound")
    channels = samples.shape[1]
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16)
    rates = struct.pack("<HHIIHH", _PCM, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16)
    return b"".join((head, rates, struct.pack("<4sI", b"data", len(data)), data))


def decode_header(data: bytes) -> Header:
    """Return what a WAV file says about itself.

    Raises
    ------
    FormatError
        If it is not linear WAV.
    """
    _, channels, sample_rate, bits, content = _parse(data)
    return Header(sample_rate, channels, len(content) // (channels * bits // 8))


def decode(data: bytes) -> npt.NDArray[np.float32]:
    """Return the samples of a WAV file, ``(frames, channels)`` from -1 to 1.

    Raises
    ------
    FormatError
        If it is not linear WAV.
    """
    code, channels, _, bits, content = _parse(data)
    width = channels * bits // 8
    samples = _numbers(content[: len(content) // width * width], code, bits)
    return samples.reshape(-1, channels)


def _numbers(content: bytes, code: int, bits: int) -> npt.NDArray[np.float32]:
    if code == _FLOAT:
        return np.frombuffer(content, f"<f{bits // 8}").astype(np.float32)
    if bits == 8:
        return (np.frombuffer(content, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if bits == 24:  # the upper three bytes of four
        wide = np.zeros((len(content) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)
    return np.frombuffer(content, f"<i{bits // 8}").astype(np.float32) / np.float32(1 << (bits - 1))


def _parse(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Return format, channels, sample rate, bits a sample and the bytes of the samples."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise FormatError(f"expected a WAV file, got bytes that start with {data[:12]!r}")
    chunks: dict[bytes, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(name, data[position + 8 : position + 8 + size])
        position += 8 + size + size % 2
    head = chunks.get(b"fmt ", b"")
    if len(head) < 16 or b"data" not in chunks:
        raise FormatError(f"a WAV file has the chunks 'fmt ' and 'data', got {sorted(chunks)}")
    code, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", head)
    if code == _EXTENSIBLE and len(head) >= 26:
        code = struct.unpack_from("<H", head, 24)[0]
    if (code, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)} or not channels:
        raise FormatError(f"a WAV file of format {code} with {bits} bits and {channels} channels is not read here")
    return code, channels, sample_rate, bits, chunks[b"data"]
