"""MXNet's networks: the JSON of a ``Symbol``, read as the nodes of a graph."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any, Final

from convscope.errors import FormatError
from convscope.formats.graph import Names, Node, Shape

_SHAPE: Final = re.compile(r"[(\[]\s*(-?\d+\s*(?:,\s*-?\d+\s*)*),?\s*[)\]]")


def symbol_nodes(text: str) -> list[Node]:
    """Return the nodes of a network that ``Symbol.tojson()`` describes.

    An operator stands in a scope of its own name, with the parameters that only it takes: ``conv0/conv0``,
    ``conv0/conv0_weight``. What an operator takes first is data, unless it is named after the operator.

    Raises
    ------
    FormatError
        If the text is not the JSON of a symbol.
    """
    try:
        found: list[dict[str, Any]] = json.loads(text)["nodes"]
        return _nodes(found)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise FormatError(f"this is not the JSON of an MXNet symbol ({type(error).__name__}: {error})") from error


def _nodes(found: list[dict[str, Any]]) -> list[Node]:
    users: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, node in enumerate(found):
        for place, (source, *_) in enumerate(node["inputs"]):
            users[source].append((number, place))
    names = Names()
    given = [names.take(_name(found, number, users[number])) for number in range(len(found))]
    nodes = []
    for number, node in enumerate(found):
        attributes = {key: str(value) for key, value in _attributes(node).items()}
        inputs = tuple(f"{given[source]}:{part}" if part else given[source] for source, part, *_ in node["inputs"])
        shape = _shape(attributes.pop("__shape__", ""))
        op = _op(node, given[number])
        nodes.append(Node(given[number], op, inputs, () if shape is None else (shape,), attributes))
    return nodes


def _name(found: list[dict[str, Any]], number: int, users: list[tuple[int, int]]) -> str:
    name: str = found[number]["name"]
    if found[number]["op"] != "null":
        return f"{name}/{name}"
    if len({user for user, _ in users}) != 1:
        return name
    user, place = users[0]
    owner: str = found[user]["name"]
    return f"{owner}/{name}" if place > 0 or name.startswith(f"{owner}_") else name


def _op(node: dict[str, Any], name: str) -> str:
    op: str = node["op"]
    return op if op != "null" else "Parameter" if "/" in name else "Input"


def _attributes(node: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes, which MXNet has called ``attrs``, ``attr`` and ``param`` in its time."""
    found: dict[str, Any] = next((node[key] for key in ("attrs", "attr", "param") if node.get(key)), {})
    return found


def _shape(text: str) -> Shape | None:
    match = _SHAPE.fullmatch(text.strip())
    return tuple(int(size) for size in match[1].split(",")) if match else None
