"""TensorBoard's ``Event`` messages: what a run logs, to bytes and back.

Field numbers are those of ``event.proto``, ``summary.proto`` and ``tensor.proto`` of TensorBoard 2.x. Encoders return
the bytes of one event, ready to be framed; events of scalars in bulk are in :mod:`convscope.formats.scalars`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.histogram import Distribution

PLUGIN: Final = "convscope"
FILE_VERSION: Final = "brain.Event:2"
_SESSION_START: Final = 1
_DT_STRING: Final = 7
_COUNTS_APART: Final = 1001  # our own field of HistogramProto: [nan, +inf, -inf, zero]; other readers pass over it

# TensorProto: the code of each type -> numpy's type, and the field that lists its values one by one
_DTYPES: Final = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("<u1", 7),
    6: ("<i1", 7),
    9: ("<i8", 10),
    10: ("?", 11),
    19: ("<f2", 13),
}


@dataclass(frozen=True)
class Value:
    """One value of an event, its payload still in bytes.

    Attributes
    ----------
    tag
        The tag.
    form
        ``scalar``, ``histogram``, ``image``, ``tensor``, or empty for what we do not read.
    payload
        The bytes of the value's own field.
    plugin, content
        The TensorBoard plugin the value is for, and what that plugin is told.
    """

    tag: str
    form: str
    payload: bytes
    plugin: str = ""
    content: bytes = b""


@dataclass(frozen=True)
class Event:
    """One event."""

    wall_time: float = 0.0
    step: int = 0
    file_version: str = ""
    starts_session: bool = False
    values: list[Value] = field(default_factory=list)


@dataclass(frozen=True)
class EncodedImage:
    """A picture as it stands in an event."""

    height: int
    width: int
    data: bytes


def _event(wall_time: float, step: int, *rest: bytes) -> bytes:
    return b"".join((wire.double(1, wall_time), wire.integer(2, step), *rest))


def _summary(wall_time: float, step: int, tag: str, *rest: bytes) -> bytes:
    return _event(wall_time, step, wire.chunk(5, wire.chunk(1, wire.text(1, tag) + b"".join(rest))))


def encode_file_version(wall_time: float, step: int = 0) -> bytes:
    """Return the event that starts a file and says who writes it."""
    return _event(wall_time, step, wire.text(3, FILE_VERSION), wire.chunk(10, wire.text(1, PLUGIN)))


def encode_session_start(wall_time: float, step: int) -> bytes:
    """Return the event that says: forget whatever has this step or a later one."""
    return _event(wall_time, step, wire.chunk(7, wire.integer(1, _SESSION_START)))


def encode_histogram(tag: str, step: int, wall_time: float, values: Distribution) -> bytes:
    """Return the event of a histogram."""
    apart = b"".join(wire.varint(count) for count in values.apart)
    stats = (values.min, values.max, float(values.num), values.sum, values.sum_squares)
    message = [wire.double(number, stat) for number, stat in enumerate(stats, start=1)]
    message += [wire.doubles(6, values.limits), wire.doubles(7, values.counts), wire.chunk(_COUNTS_APART, apart)]
    return _summary(wall_time, step, tag, wire.chunk(5, b"".join(message)))


def encode_image(tag: str, step: int, wall_time: float, image: EncodedImage, channels: int) -> bytes:
    """Return the event of a picture that is already encoded; ``channels`` is TensorBoard's colour space, 1 to 4."""
    numbers = [wire.integer(1, image.height), wire.integer(2, image.width), wire.integer(3, channels)]
    return _summary(wall_time, step, tag, wire.chunk(4, b"".join([*numbers, wire.chunk(4, image.data)])))


def encode_text(tag: str, step: int, wall_time: float, text: str) -> bytes:
    """Return the event of a text (Markdown), as TensorBoard's text plugin reads it."""
    return _summary(wall_time, step, tag, _string_tensor(text.encode()), _metadata("text", b""))


def encode_entry(tag: str, step: int, wall_time: float, kind: str, entry: dict[str, Any]) -> bytes:
    """Return the event that names a record of one of our kinds."""
    data = json.dumps(entry, separators=(",", ":")).encode()
    return _summary(wall_time, step, tag, _string_tensor(data), _metadata(PLUGIN, kind.encode()))


def _string_tensor(data: bytes) -> bytes:
    shape = wire.chunk(2, wire.chunk(2, wire.integer(1, 1)))
    return wire.chunk(8, wire.integer(1, _DT_STRING) + shape + wire.chunk(8, data))


def _metadata(plugin: str, content: bytes) -> bytes:
    return wire.chunk(9, wire.chunk(1, wire.text(1, plugin) + wire.chunk(2, content)))


def decode_event(data: bytes) -> Event:
    """Read one event.

    Raises
    ------
    FormatError
        If the bytes are not an event.
    """
    found: dict[str, Any] = {}
    values: list[Value] = []
    for number, _, payload in wire.fields(data):
        if number == 1:
            found["wall_time"] = wire.as_double(payload)
        elif number == 2:
            found["step"] = wire.as_integer(payload)
        elif number == 3:
            found["file_version"] = wire.as_text(payload)
        elif number == 5:
            values += [_value(wire.as_bytes(item)) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
        elif number == 7:
            status = [wire.as_integer(item) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
            found["starts_session"] = status == [_SESSION_START]
    return Event(**found, values=values)


_FORMS: Final = {2: "scalar", 4: "image", 5: "histogram", 8: "tensor"}


def _value(data: bytes) -> Value:
    tag, form, content, plugin, told = "", "", b"", "", b""
    for number, _, payload in wire.fields(data):
        if number == 1:
            tag = wire.as_text(payload)
        elif number in _FORMS:
            form, content = _FORMS[number], wire.as_bytes(payload)
        elif number == 9:
            plugin, told = _plugin(wire.as_bytes(payload))
    return Value(tag, form, content, plugin, told)


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    name, content = "", b""
    for number, _, payload in wire.fields(metadata):
        if number != 1:
            continue
        for inner, _, item in wire.fields(wire.as_bytes(payload)):
            name = wire.as_text(item) if inner == 1 else name
            content = wire.as_bytes(item) if inner == 2 else content
    return name, content


def decode_scalar(value: Value) -> float:
    """Return the number of a scalar, stored either way."""
    if value.form == "scalar":
        return wire.as_float(value.payload)
    tensor = decode_tensor(value.payload)
    if isinstance(tensor, list) or tensor.size != 1:
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
        elif number == _COUNTS_APART:
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
    height, width, data = 0, 0, b""
    for number, _, payload in wire.fields(value.payload):
        if number == 1:
            height = wire.as_integer(payload)
        elif number == 2:
            width = wire.as_integer(payload)
        elif number == 4:
            data = wire.as_bytes(payload)
    return EncodedImage(height, width, data)


def _from_strings(value: Value) -> EncodedImage:
    tensor = decode_tensor(value.payload)
    if not isinstance(tensor, list) or len(tensor) < 3 or not (tensor[0].isdigit() and tensor[1].isdigit()):
        raise FormatError(f"the image {value.tag!r} is not a tensor of width, height and pictures")
    return EncodedImage(int(tensor[1]), int(tensor[0]), tensor[2])


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
    except ValueError as error:
        raise FormatError(f"the entry {value.tag!r} is not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise FormatError(f"the entry {value.tag!r} is not a JSON object")
    return entry


def decode_tensor(data: bytes) -> npt.NDArray[Any] | list[bytes]:
    """Return a ``TensorProto`` as an array, or as a list of byte strings."""
    code, content = 0, b""
    shape: tuple[int, ...] = ()
    lists: dict[int, list[wire.Payload]] = {}
    for number, _, payload in wire.fields(data):
        if number == 1:
            code = wire.as_integer(payload)
        elif number == 2:
            shape = _shape(wire.as_bytes(payload))
        elif number == 4:
            content = wire.as_bytes(payload)
        else:
            lists.setdefault(number, []).append(payload)
    if code == _DT_STRING:
        return [wire.as_bytes(item) for item in lists.get(8, [])]
    if code not in _DTYPES:
        raise FormatError(f"a tensor has type {code}, which is not read here")
    dtype, listed = _DTYPES[code]
    values = wire.as_array(content, dtype) if content else _listed(lists.get(listed, []), dtype)
    return _shaped(values, shape)


def _shape(data: bytes) -> tuple[int, ...]:
    dims = [wire.as_bytes(payload) for number, _, payload in wire.fields(data) if number == 2]
    return tuple(sum(wire.as_integer(size) for n, _, size in wire.fields(dim) if n == 1) for dim in dims)


def _listed(payloads: list[wire.Payload], dtype: str) -> npt.NDArray[Any]:
    if dtype in ("<f4", "<f8"):
        return np.concatenate([np.zeros(0, dtype), *(wire.as_array(item, dtype) for item in payloads)])
    numbers = [number for item in payloads for number in wire.as_integers(item)]
    if dtype == "<f2":  # listed as their bits
        return np.array(numbers, np.int64).astype("<u2").view(dtype)
    return np.array(numbers, np.int64).astype(dtype)


def _shaped(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Give the values their shape; a list that is too short stands for its last value repeated."""
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if 0 < len(values) < size <= 1 << 24:
        values = np.concatenate([values, np.repeat(values[-1:], size - len(values))])
    if min(shape, default=1) < 0 or len(values) != size:
        raise FormatError(f"a tensor of shape {shape} has {len(values)} values")
    return values.reshape(shape)
