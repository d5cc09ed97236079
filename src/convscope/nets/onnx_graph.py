"""The graph in an ONNX file: its nodes, initialisers and the shapes it tells.

Field numbers are those of ``onnx.proto`` (IR version 3 to 13). The numbers of the initialisers are not looked at, and
data outside the file is not opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

from convscope.errors import FormatError
from convscope.formats import wire
from convscope.formats.graph import Attribute, Names, Node, Shape

_DEEPEST: Final = 32
_LONGEST: Final = 160
_TYPES: Final = (
    "", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
    "uint32", "uint64", "complex64", "complex128", "bfloat16",
)  # fmt: skip

Fields = dict[int, list[wire.Payload]]


def onnx_nodes(data: bytes) -> list[Node]:
    """Return the graph of an ONNX model: operators, parameters, inputs and outputs.

    Parameters
    ----------
    data
        The bytes of the file.

    Raises
    ------
    FormatError
        If they are not an ONNX model.
    """
    graph = _fields(data).get(7)
    if not graph:
        raise FormatError("this is not an ONNX file: it has no graph")
    reader = _Reader()
    reader.read(wire.as_bytes(graph[-1]), "", {})
    if not reader.nodes:
        raise FormatError("this is not an ONNX file: its graph is empty")
    return reader.nodes


class _Reader:
    """Makes nodes of a graph, and of those that its operators hold."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names = Names()

    def read(self, data: bytes, scope: str, outer: Mapping[str, str], depth: int = 0) -> None:
        """Take the nodes of a graph into a scope; ``outer`` says which nodes make the values from outside."""
        if depth > _DEEPEST:
            raise FormatError(f"an ONNX graph holds graphs in more than {_DEEPEST} levels")
        graph = _fields(data)
        told = dict(_value(item) for number in (11, 12, 13) for item in _messages(graph, number))
        made_by = dict(outer)
        for name, shape, dtype in map(_tensor, _messages(graph, 5)):
            facts: dict[str, Attribute] = {"parameters": prod(shape), "dtype": dtype}
            made_by[name] = self._add(scope, _path(name), "Parameter", (), (shape,), facts)
        given = [_value(item)[0] for item in _messages(graph, 11)]
        for name in given:
            if name not in made_by or name in outer:
                made_by[name] = self._add(scope, f"input/{name}", "Input", (), told.get(name, ((None,), {}))[0], {})
        for item in _messages(graph, 1):
            self._operator(_fields(item), scope, made_by, told, depth)
        for name in (_value(item)[0] for item in _messages(graph, 12)):
            source = (made_by[name],) if name in made_by else ()
            self._add(scope, f"output/{name}", "Output", source, told[name][0], {})

    def _add(
        self, scope: str, name: str, op: str, inputs: tuple[str, ...], shapes: tuple[Shape | None, ...], facts: Any
    ) -> str:
        name = self._names.take(f"{scope}{name}")
        self.nodes.append(Node(name, op, inputs, () if shapes == (None,) else shapes, facts))
        return name

    def _operator(self, node: Fields, scope: str, made_by: dict[str, str], told: Mapping[str, Any], depth: int) -> None:
        outputs = [name for name in _texts(node, 2) if name]
        op = "".join(_texts(node, 4)) or "unknown"
        wanted = _path("".join(_texts(node, 3))) or f"{_path(outputs[0]) if outputs else op}"
        inputs = tuple(made_by.get(name, name) for name in _texts(node, 1) if name)
        facts: dict[str, Attribute] = {}
        inner: list[tuple[str, bytes]] = []
        for item in _messages(node, 5):
            key, value, graphs = _attribute(_fields(item))
            inner += [(key, graph) for graph in graphs]
            if value is not None:
                facts[key] = value
        if domain := "".join(_texts(node, 7)):
            facts["domain"] = domain
        shapes = tuple(told.get(name, ((None,), ""))[0][0] for name in outputs)
        name = self._add(scope, wanted, op, inputs, shapes, facts)
        for number, output in enumerate(outputs):
            made_by[output] = f"{name}:{number}" if number else name
        for key, graph in inner:
            self.read(graph, f"{name}/{key}/", made_by, depth + 1)


def _path(name: str) -> str:
    """Return a name of torch's exporter (``features.0.weight``, ``/features/0/Conv``) with scopes."""
    return name if "/" in name else name.replace(".", "/")


def _fields(data: bytes) -> Fields:
    found: Fields = {}
    for number, _, payload in wire.fields(data):
        found.setdefault(number, []).append(payload)
    return found


def _messages(found: Fields, number: int) -> Iterator[bytes]:
    return (wire.as_bytes(payload) for payload in found.get(number, []))


def _texts(found: Fields, number: int) -> list[str]:
    return [wire.as_text(payload) for payload in found.get(number, [])]


def _value(data: bytes) -> tuple[str, tuple[tuple[Shape | None, ...], str]]:
    """Return the name of a value, its shape and the type of its elements, as far as they are told."""
    info = _fields(data)
    name = "".join(_texts(info, 1))
    for kind in _messages(info, 2):
        for tensor in _messages(_fields(kind), 1):
            facts = _fields(tensor)
            shape = [tuple(map(_size, _messages(_fields(dims), 1))) for dims in _messages(facts, 2)]
            return name, ((shape[0] if shape else None,), _dtype(facts.get(1, [])))
    return name, ((None,), "")


def _size(data: bytes) -> int:
    return next((wire.as_integer(payload) for payload in _fields(data).get(1, [])), -1)


def _dtype(codes: list[wire.Payload]) -> str:
    code = wire.as_integer(codes[-1]) if codes else 0
    return _TYPES[code] if 0 <= code < len(_TYPES) else f"type {code}"


def _tensor(data: bytes) -> tuple[str, Shape, str]:
    """Return the name, the shape and the type of an initialiser."""
    facts = _fields(data)
    shape = tuple(size for payload in facts.get(1, []) for size in wire.as_integers(payload))
    return "".join(_texts(facts, 8)), shape, _dtype(facts.get(2, []))


def _attribute(facts: Fields) -> tuple[str, Attribute | None, list[bytes]]:
    """Return the name of an attribute, its value if it is a number or a text, and the graphs that it holds."""
    name = "".join(_texts(facts, 1))
    graphs = [*_messages(facts, 6), *_messages(facts, 11)]
    if 2 in facts:
        return name, wire.as_float(facts[2][-1]), graphs
    if 3 in facts:
        return name, wire.as_integer(facts[3][-1]), graphs
    if 4 in facts:
        return name, wire.as_bytes(facts[4][-1]).decode(errors="replace")[:_LONGEST], graphs
    if 8 in facts:
        return name, tuple(number for payload in facts[8] for number in wire.as_integers(payload)), graphs
    if 7 in facts:
        return name, tuple(float(n) for payload in facts[7] for n in wire.as_array(payload, "<f4").tolist()), graphs
    return name, None, graphs
