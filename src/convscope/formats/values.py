"""The fields of the simple kinds of values: scalars, histograms, pictures, texts and the entries of our records.

Encoders return the bytes that follow the tag in ``Summary.Value``; decoders also take the tensors in which TensorFlow 2
stores the same kinds.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.events import PLUGIN, Value, encode_metadata
from convscope.formats.histogram import Distribution
from convscope.formats.tensor import decode_tensor, encode_strings

_OURS: Final = 1001  # our own field of HistogramProto and Image; other readers pass over it
_MOST_DIGITS: Final = 9  # of the side of a picture
_STATISTIC_KEYS: Final = tuple(number << 3 | wire.FIXED64 for number in range(1, 6))
_STATISTICS: Final = struct.Struct("<BdBdBdBdBd")  # five fields of type double, each with its key


@dataclass(frozen=True)
class EncodedImage:
    """A picture as it stands in an event.

    Attributes
    ----------
    height, width
        In pixels.
    data
        The encoded picture: PNG, JPEG, GIF or BMP.
    clipped
        How many of its numbers lay outside the range and were clipped; 0 where the writer did not say.
    """

    height: int
    width: int
    data: bytes
    clipped: int = 0


def encode_scalar(value: float) -> bytes:
    """Return the fields of a number, which is stored as float32."""
    with np.errstate(over="ignore"):
        return wire.key(2, wire.FIXED32) + struct.pack("<f", np.float32(value))


def encode_histogram(values: Distribution) -> bytes:
    """Return the fields of a histogram; field 1001 has the counts of NaN, infinity, minus infinity and zero."""
    stats = (values.min, values.max, values.num, values.sum, values.sum_squares)
    message = [_STATISTICS.pack(*(part for stat in zip(_STATISTIC_KEYS, stats, strict=True) for part in stat))]
    message += [wire.doubles(6, values.limits), wire.doubles(7, values.counts)]
    if any(values.apart):
        message.append(wire.chunk(_OURS, b"".join(wire.varint(count) for count in values.apart)))
    return wire.chunk(5, b"".join(message))


def encode_image(image: EncodedImage, channels: int) -> bytes:
    """Return the fields of a picture that is already encoded; ``channels`` is TensorBoard's colour space, 1 to 4."""
    numbers = [wire.integer(1, image.height), wire.integer(2, image.width), wire.integer(3, channels)]
    clipped = [wire.integer(_OURS, image.clipped)] if image.clipped else []
    return wire.chunk(4, b"".join([*numbers, wire.chunk(4, image.data), *clipped]))


def encode_text(text: str) -> bytes:
    """Return the fields of a text (Markdown), as TensorBoard's text plugin reads it."""
    return wire.chunk(8, encode_strings([text.encode()])) + encode_metadata("text")


def encode_entry(kind: str, entry: dict[str, Any]) -> bytes:
    """Return the fields of a value that names a record of one of our kinds."""
    data = json.dumps(entry, separators=(",", ":")).encode()
    return wire.chunk(8, encode_strings([data])) + encode_metadata(PLUGIN, kind.encode())


def decode_scalar(value: Value) -> float:
    """Return the number of a scalar, stored either way."""
    if value.form == "scalar":
        return wire.as_float(value.payload)
    tensor = decode_tensor(value.payload)
    if isinstance(tensor, list) or tensor.size != 1 or tensor.dtype.kind == "c":
        raise FormatError(f"the scalar {value.tag!r} is not a single number")
    return float(tensor.reshape(-1)[0])


def decode_histogram(value: Value) -> Distribution:
    """Return a histogram, stored either way.

    Of a histogram that TensorFlow 2 stored (a tensor of left edge, right edge and count) the sums are not known: NaN.
    """
    if value.form == "tensor":
        return _from_buckets(value)
    stats = dict.fromkeys(range(1, 6), 0.0)
    lists: dict[int, list[npt.NDArray[np.generic]]] = {6: [], 7: []}
    apart = [0, 0, 0, 0]
    for number, _, payload in wire.fields(value.payload):
        if number in stats:
            stats[number] = wire.as_double(payload)
        elif number in lists:
            lists[number].append(wire.as_array(payload, "<f8"))
        elif number == _OURS:
            apart = (wire.as_integers(payload) + apart)[:4]
    limits, counts = (np.concatenate([np.zeros(0), *lists[number]]) for number in (6, 7))
    if len(limits) != len(counts):
        raise FormatError(f"the histogram {value.tag!r} has {len(limits)} limits and {len(counts)} counts")
    low, high, num, total, squares = stats.values()
    return Distribution(low, high, num, total, squares, limits, counts, *apart)


def _from_buckets(value: Value) -> Distribution:
    tensor = decode_tensor(value.payload)
    if isinstance(tensor, list) or tensor.ndim != 2 or tensor.shape[1] != 3:
        raise FormatError(f"the histogram {value.tag!r} is not a tensor of left edges, right edges and counts")
    left, right, counts = tensor.astype(np.float64).T
    if not len(counts):
        return Distribution(0.0, 0.0, 0.0, 0.0, 0.0, left, counts)
    limits, counts = np.concatenate([left[:1], right]), np.concatenate([[0.0], counts])
    return Distribution(float(left[0]), float(right[-1]), float(counts.sum()), np.nan, np.nan, limits, counts)


def decode_image(value: Value) -> EncodedImage:
    """Return a picture, stored either way; of several in one event the first."""
    if value.form == "tensor":
        return _from_strings(value)
    height, width, data, clipped = 0, 0, b"", 0
    for number, _, payload in wire.fields(value.payload):
        if number == 1:
            height = wire.as_integer(payload)
        elif number == 2:
            width = wire.as_integer(payload)
        elif number == 4:
            data = wire.as_bytes(payload)
        elif number == _OURS:
            clipped = wire.as_integer(payload)
    return EncodedImage(height, width, data, clipped)


def _from_strings(value: Value) -> EncodedImage:
    tensor = decode_tensor(value.payload)
    if not isinstance(tensor, list) or len(tensor) < 3 or not all(map(_is_side, tensor[:2])):
        raise FormatError(f"the image {value.tag!r} is not a tensor of width, height and pictures")
    return EncodedImage(int(tensor[1]), int(tensor[0]), tensor[2])


def _is_side(text: bytes) -> bool:
    return text.isdigit() and len(text) <= _MOST_DIGITS


def decode_text(value: Value) -> str:
    """Return a text; several strings become paragraphs."""
    tensor = decode_tensor(value.payload)
    if not isinstance(tensor, list):
        raise FormatError(f"the text {value.tag!r} is not a tensor of strings")
    return "\n\n".join(item.decode(errors="replace") for item in tensor)


def decode_entry(value: Value) -> dict[str, Any]:
    """Return what an event says about a record of one of our kinds."""
    try:
        entry = json.loads(decode_text(value))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the entry {value.tag!r} is not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise FormatError(f"the entry {value.tag!r} is not a JSON object")
    return entry
