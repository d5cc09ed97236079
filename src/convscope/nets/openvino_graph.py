"""The graph in an OpenVINO model: the layers and edges of its XML file."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from convscope.errors import FormatError
from convscope.formats.graph import Attribute, Names, Node, Shape

_OPS = {"Parameter": "Input", "Const": "Parameter", "Result": "Output"}


class _Builder(ET.TreeBuilder):
    """Builds the tree of a document that declares no type."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - xml's own signature
        """Refuse a document type: entities that grow, and files from elsewhere, are declared in one."""
        raise FormatError(f"this is not an OpenVINO model: it declares the document type {name!r}")


def openvino_nodes(data: bytes) -> list[Node]:
    """Return the graph of an OpenVINO model.

    Parameters
    ----------
    data
        The bytes of its XML file.

    Raises
    ------
    FormatError
        If they are not an OpenVINO model.
    """
    try:
        root = ET.fromstring(data, ET.XMLParser(target=_Builder()))  # noqa: S314 - see above
    except (ET.ParseError, ValueError, LookupError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"this is not an OpenVINO model: it is not XML ({error})") from error
    layers = root.findall("./layers/layer")
    if root.tag != "net" or not layers:
        raise FormatError(f"this is not an OpenVINO model: its XML is a {root.tag!r} without layers")
    names = Names()
    given = {layer.get("id", ""): names.take(layer.get("name", "")) for layer in layers}
    sources = dict(_sources(root, given, {layer.get("id", ""): layer for layer in layers}))
    return [_node(layer, given, sources) for layer in layers]


def _node(layer: ET.Element, names: dict[str, str], sources: dict[tuple[str, str], str]) -> Node:
    number, kind = layer.get("id", ""), layer.get("type", "unknown")
    data = layer.find("data")
    facts: dict[str, Attribute] = {} if data is None else dict(data.attrib)
    ports = [port.get("id", "") for port in layer.findall("./input/port")]
    ports += [port for to, port in sources if to == number and port not in ports]
    inputs = tuple(sources[number, port] for port in ports if (number, port) in sources)
    shapes = tuple(_shape(port) for port in layer.findall("./output/port"))
    return Node(names[number], _OPS.get(kind, kind), inputs, shapes, facts)


def _shape(port: ET.Element) -> Shape | None:
    sizes = [(dim.text or "").strip() for dim in port.findall("dim")]
    return tuple(int(size) if size.lstrip("-").isdecimal() else -1 for size in sizes)


def _sources(
    root: ET.Element, names: dict[str, str], layers: dict[str, ET.Element]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Give what comes into each port of each layer."""
    for edge in root.findall("./edges/edge"):
        source = edge.get("from-layer", "")
        if source not in names:
            raise FormatError(f"this OpenVINO model has an edge from a layer {source!r} that is not there")
        ports = [port.get("id", "") for port in layers[source].findall("./output/port")]
        port = edge.get("from-port", "")
        number = ports.index(port) if port in ports else 0
        yield (
            (edge.get("to-layer", ""), edge.get("to-port", "")),
            f"{names[source]}:{number}" if number else names[source],
        )
