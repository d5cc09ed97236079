"""Graphs of networks: TensorFlow's ``GraphDef``, to bytes and back.

Field numbers are those of ``graph.proto``, ``node_def.proto`` and ``attr_value.proto`` of TensorFlow 2.x. A slash in a
node's name is a scope: TensorBoard draws what has a scope in common as one box.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from convscope.formats import wire

Shape = tuple[int, ...]
Attribute = str | bool | int | float | tuple[str | bool | int | float, ...]

SHAPES: Final = "_output_shapes"
PARAM: Final = "param"
_PRODUCER: Final = 22  # the version of the graphs that TensorBoard's own writers make
_NOT_IN_A_NAME: Final = re.compile(r"[\s:^\x00-\x1f\x7f]+")
_TYPES: Final = (
    "", "float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool", "qint8",
    "quint8", "qint32", "bfloat16", "qint16", "quint16", "uint16", "complex128", "float16", "resource", "variant",
    "uint32", "uint64",
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes
    ----------
    name
        Its name, with its scopes: ``Net/conv1/conv2d``.
    op
        What it does: ``conv2d``, ``Parameter``, ``Input``, ``Output``.
    inputs
        The names of the nodes whose results it takes; ``name:1`` for the second result of a node.
    shapes
        The shape of each of its results; ``None`` where it is not known, −1 for a size that is not.
    attributes
        What else is known of it, by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    shapes: tuple[Shape | None, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class Names:
    """Names that are given once: ``relu``, ``relu_1``, ``relu_2``; what a name may not have in it becomes ``_``."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """Return ``wanted``, or it with the first number that makes it new."""
        parts = [_NOT_IN_A_NAME.sub("_", part) for part in wanted.split("/")]
        name = clean = "/".join(filter(None, parts)) or "node"
        number = self._next.get(clean, 0)
        while name in self._next:
            number += 1
            name = f"{clean}_{number}"
        self._next[clean] = number
        self._next.setdefault(name, 0)
        return name


def encode_graph(nodes: Iterable[Node]) -> bytes:
    """Return nodes as ``GraphDef``.

    >>> decode_graph(encode_graph([Node("a/b", "relu", ("x",), ((1, 3),))]))[0].shapes
    ((1, 3),)
    """
    versions = wire.chunk(4, wire.integer(1, _PRODUCER))
    return b"".join([*(wire.chunk(1, _encode_node(node)) for node in nodes), versions])


def _encode_node(node: Node) -> bytes:
    head = [wire.text(1, node.name), wire.text(2, node.op), *(wire.text(3, name) for name in node.inputs)]
    attributes = {name: _encode_attribute(value) for name, value in node.attributes.items()}
    if node.shapes:
        attributes[SHAPES] = wire.chunk(1, b"".join(wire.chunk(7, _encode_shape(shape)) for shape in node.shapes))
    entries = [wire.chunk(5, wire.text(1, name) + wire.chunk(2, value)) for name, value in sorted(attributes.items())]
    return b"".join(head + entries)


def _encode_shape(shape: Shape | None) -> bytes:
    if shape is None:
        return wire.integer(3, 1)
    return b"".join(wire.chunk(2, wire.integer(1, size)) for size in shape)


def _encode_attribute(value: Attribute) -> bytes:
    if isinstance(value, tuple):
        return wire.chunk(1, b"".join(_encode_attribute(item) for item in value))
    if isinstance(value, bool):
        return wire.integer(5, value)
    if isinstance(value, int):
        return wire.integer(3, value) if -(1 << 63) <= value < 1 << 63 else wire.text(2, str(value))
    if isinstance(value, float):
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes an infinity
            return wire.key(4, wire.FIXED32) + struct.pack("<f", np.float32(value))
    return wire.text(2, value)


def decode_graph(data: bytes) -> list[Node]:
    """Read a ``GraphDef`` of ours, of torch, tensorboardX, TensorFlow or MXBoard.

    The nodes of TensorFlow's functions stand in a scope that has the function's name. What MXBoard writes as one
    attribute ``param`` (JSON with blanks for its quotes) is given as the attributes that are in it.

    Raises
    ------
    FormatError
        If the bytes are not a graph.
    """
    nodes: list[Node] = []
    for number, _, payload in wire.fields(data):
        if number == 1:
            nodes.append(_node(wire.as_bytes(payload)))
        elif number == 2:
            for inner, _, function in wire.fields(wire.as_bytes(payload)):
                if inner == 1:
                    nodes += _function(wire.as_bytes(function))
    return nodes


def _function(data: bytes) -> Iterator[Node]:
    scope, bodies = "", []
    for number, _, payload in wire.fields(data):
        if number == 1:
            scope = "".join(wire.as_text(name) for n, _, name in wire.fields(wire.as_bytes(payload)) if n == 1)
        elif number == 3:
            bodies.append(wire.as_bytes(payload))
    yield from (_node(body, f"{scope}/") for body in bodies)


def _node(data: bytes, scope: str = "") -> Node:
    name, op = "", ""
    inputs: list[str] = []
    attributes: dict[str, Attribute] = {}
    shapes: tuple[Shape | None, ...] = ()
    for number, _, payload in wire.fields(data):
        if number == 1:
            name = scope + wire.as_text(payload)
        elif number == 2:
            op = wire.as_text(payload)
        elif number == 3:
            inputs.append(_scoped(wire.as_text(payload), scope))
        elif number == 5:
            key, value = _entry(wire.as_bytes(payload))
            if key == SHAPES:
                shapes = _shapes(value)
            elif key == "shape" and (found := _shapes(value)):
                shapes = shapes or found
            else:
                attributes |= _attributes(key, value)
    return Node(name, op, tuple(inputs), shapes, attributes)


def _scoped(name: str, scope: str) -> str:
    return f"^{scope}{name[1:]}" if name.startswith("^") else f"{scope}{name}"


def _entry(data: bytes) -> tuple[str, bytes]:
    key, value = "", b""
    for number, _, payload in wire.fields(data):
        if number == 1:
            key = wire.as_text(payload)
        elif number == 2:
            value = wire.as_bytes(payload)
    return key, value


def _shapes(data: bytes) -> tuple[Shape | None, ...]:
    """Return the shapes in an attribute: one, or a list of them."""
    found: list[Shape | None] = []
    for number, _, payload in wire.fields(data):
        if number == 7:
            found.append(_shape(wire.as_bytes(payload)))
        elif number == 1:
            found += [_shape(wire.as_bytes(shape)) for n, _, shape in wire.fields(wire.as_bytes(payload)) if n == 7]
    return tuple(found)


def _shape(data: bytes) -> Shape | None:
    sizes: list[int] = []
    for number, _, payload in wire.fields(data):
        if number == 2:
            sizes.append(sum(wire.as_integer(size) for n, _, size in wire.fields(wire.as_bytes(payload)) if n == 1))
        elif number == 3 and wire.as_integer(payload):
            return None
    return tuple(sizes)


def _attributes(key: str, data: bytes) -> dict[str, Attribute]:
    """Return the attribute of a name, as far as it is text, numbers or the name of a type."""
    found = list(_values(data))
    if not found:
        return {}
    value = found[0]
    if key == PARAM and isinstance(value, str) and (unpacked := unpack_param(value)):
        return dict(unpacked)
    return {key: value}


def _values(data: bytes, depth: int = 0) -> Iterator[Attribute]:
    for number, _, payload in wire.fields(data):
        if number == 1 and depth == 0:
            yield tuple(item for item in _values(wire.as_bytes(payload), 1) if not isinstance(item, tuple))
        elif number == 2:
            yield wire.as_bytes(payload).decode(errors="replace")
        elif number in (3, 4, 5, 6):
            yield from _numbers(number, payload)


def _numbers(number: int, payload: wire.Payload) -> Sequence[str | bool | int | float]:
    """Return the numbers of a field, which lists of TensorFlow pack into one."""
    if number == 4:
        return [float(item) for item in wire.as_array(payload, "<f4").tolist()]
    integers = wire.as_integers(payload)
    if number == 5:
        return [bool(item) for item in integers]
    return integers if number == 3 else [_type(item) for item in integers]


def _type(code: int) -> str:
    return _TYPES[code] if 0 <= code < len(_TYPES) else f"type {code}"


_PAIR: Final = re.compile(r" ([^ ,:{}]+) :  (.*?) (?=, |\})")


def unpack_param(text: str) -> dict[str, str]:
    """Return what is in an attribute that MXBoard wrote: JSON with blanks for its quotes.

    >>> unpack_param("{ kernel :  (2, 2) ,  num_filter :  2 }")
    {'kernel': '(2, 2)', 'num_filter': '2'}
    """
    return {match[1]: match[2] for match in _PAIR.finditer(text)} if text.startswith("{") else {}
