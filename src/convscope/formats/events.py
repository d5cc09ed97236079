"""TensorBoard's ``Event`` messages: what a run logs, to bytes and back, whatever the kind of its values.

Field numbers are those of ``event.proto`` and ``summary.proto`` of TensorBoard 2.x. A value travels as the bytes of
its fields; :mod:`convscope.formats.values` and its neighbours make and read those of each kind. Scalars in bulk are in
:mod:`convscope.formats.scalars`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from convscope.formats import wire

PLUGIN: Final = "convscope"
FILE_VERSION: Final = "brain.Event:2"
_SESSION_START: Final = 1


@dataclass(frozen=True)
class Value:
    """One value of an event, its payload still in bytes.

    Attributes
    ----------
    tag
        The tag.
    form
        ``scalar``, ``histogram``, ``image``, ``audio``, ``tensor``, ``graph``, or empty for what we do not read.
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


def _event(wall_time: float, step: int, *rest: bytes) -> bytes:
    return b"".join((wire.double(1, wall_time), wire.integer(2, step), *rest))


def encode_values(wall_time: float, step: int, values: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the event that holds some values, each a tag and the bytes of its other fields.

    >>> decode_event(encode_values(1.5, 3, [("loss", wire.chunk(8, b""))])).values[0].tag
    'loss'
    """
    message = b"".join(wire.chunk(1, wire.text(1, tag) + fields) for tag, fields in values)
    return _event(wall_time, step, wire.chunk(5, message))


def encode_metadata(plugin: str, content: bytes = b"", *, display_name: str = "", description: str = "") -> bytes:
    """Return the field of a value that says which plugin it is for, what that is told, and what people are told."""
    data = wire.chunk(1, wire.text(1, plugin) + wire.chunk(2, content))
    if display_name:
        data += wire.text(2, display_name)
    if description:
        data += wire.text(3, description)
    return wire.chunk(9, data)


def encode_file_version(wall_time: float, step: int = 0) -> bytes:
    """Return the event that starts a file and says who writes it."""
    return _event(wall_time, step, wire.text(3, FILE_VERSION), wire.chunk(10, wire.text(1, PLUGIN)))


def encode_session_start(wall_time: float, step: int) -> bytes:
    """Return the event that says: forget whatever has this step or a later one."""
    return _event(wall_time, step, wire.chunk(7, wire.integer(1, _SESSION_START)))


def encode_graph(wall_time: float, step: int, graph: bytes) -> bytes:
    """Return the event that holds a serialized ``GraphDef``."""
    return _event(wall_time, step, wire.chunk(4, graph))


def encode_summary(wall_time: float, step: int, summary: bytes) -> bytes:
    """Return the event that holds a serialized ``Summary``."""
    return _event(wall_time, step, wire.chunk(5, summary))


def encode_run_metadata(wall_time: float, step: int, tag: str, metadata: bytes) -> bytes:
    """Return the event that holds a serialized ``RunMetadata``: what the parts of a graph have cost."""
    return _event(wall_time, step, wire.chunk(8, wire.text(1, tag) + wire.chunk(2, metadata)))


def decode_event(data: bytes) -> Event:
    """Read one event; a graph in it is given as a value without a tag.

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
        elif number == 4:
            values.append(Value("", "graph", wire.as_bytes(payload)))
        elif number == 5:
            values += [_value(wire.as_bytes(item)) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
        elif number == 7:
            status = [wire.as_integer(item) for n, _, item in wire.fields(wire.as_bytes(payload)) if n == 1]
            found["starts_session"] = status == [_SESSION_START]
    return Event(**found, values=values)


_FORMS: Final = {2: "scalar", 4: "image", 5: "histogram", 6: "audio", 8: "tensor"}


def _value(data: bytes) -> Value:
    tag, node, form, content, plugin, told = "", "", "", b"", "", b""
    for number, _, payload in wire.fields(data):
        if number == 1:
            tag = wire.as_text(payload)
        elif number == 7:
            node = wire.as_text(payload)  # where old writers, MXBoard among them, have put the tag of a text
        elif number in _FORMS:
            form, content = _FORMS[number], wire.as_bytes(payload)
        elif number == 9:
            plugin, told = _plugin(wire.as_bytes(payload))
    if form == "tensor" and not (tag or plugin) and node:
        plugin = "text"  # MXBoard says so only once for all its texts: it takes them for one without a tag
    return Value(tag or node, form, content, plugin, told)


def _plugin(metadata: bytes) -> tuple[str, bytes]:
    name, content = "", b""
    for number, _, payload in wire.fields(metadata):
        if number != 1:
            continue
        for inner, _, item in wire.fields(wire.as_bytes(payload)):
            name = wire.as_text(item) if inner == 1 else name
            content = wire.as_bytes(item) if inner == 2 else content
    return name, content
