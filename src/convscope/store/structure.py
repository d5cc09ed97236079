"""What a run is made of, read back: graphs, hyper-parameters, the layout of its curves, meshes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from convscope.errors import FormatError
from convscope.formats.events import Value
from convscope.formats.graph import Node, decode_graph
from convscope.formats.hparams import HParams, decode_hparams
from convscope.formats.layout import Layout, decode_layout, merge
from convscope.formats.mesh import MeshArrays, decode_mesh, split_tag
from convscope.formats.tensor import decode_tensor
from convscope.store.results import Location


@dataclass(frozen=True)
class Graph:
    """The graph of a network, logged at a step."""

    step: int
    wall_time: float
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Mesh(MeshArrays):
    """Meshes, or clouds of points, at a step; ``config`` sets up TensorBoard's scene."""

    step: int = 0
    wall_time: float = 0.0
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeshPart:
    """One tensor of a mesh at a step; its numbers stay in the file until they are asked for.

    Attributes
    ----------
    part
        ``VERTEX``, ``FACE`` or ``COLOR``.
    shape
        Of the tensor: meshes, rows, 3.
    """

    step: int
    wall_time: float
    part: str
    shape: tuple[int, ...]
    location: Location


class Places(Protocol):
    """What the methods need of the run they belong to."""

    def tags(self, kind: str | None = None) -> dict[str, list[str]]:
        """Return the tags of a kind."""
        ...

    def _places(self, kind: str, tag: str, points: str) -> list[Any]: ...

    def _decoded(self, kind: str, tag: str, points: str) -> list[Any]: ...


class StructureAccessors:
    """The questions to a run about what it is made of."""

    def graphs(self: Places, points: str = "current") -> list[Graph]:
        """Return the graphs of networks that the run holds, in the order in which they were logged."""
        places: list[Location] = [
            place for tag in self.tags("graph")["graph"] for place in self._places("graph", tag, points)
        ]
        return [Graph(at.step, at.wall_time, tuple(decode_graph(at.read().payload))) for at in places]

    def hparams(self: Places) -> HParams | None:
        """Return the hyper-parameters of the run, those that were logged last; ``None`` if it has none."""
        places: list[Location] = [
            place for tag in self.tags("hparams")["hparams"] for place in self._places("hparams", tag, "all")
        ]
        return decode_hparams([place.read() for place in places]) if places else None

    def layout(self: Places) -> Layout:
        """Return the charts of each category: of all that writers of this run have said, the last of each title."""
        places: list[Location] = [
            place for tag in self.tags("layout")["layout"] for place in self._places("layout", tag, "all")
        ]
        return merge(decode_layout(place.read()) for place in places)

    def meshes(self: Places, tag: str, points: str = "current") -> list[Mesh]:
        """Return the meshes of a tag."""
        return [_mesh(parts) for parts in _together(self._places("mesh", tag, points))]

    def mesh_parts(self: Places, tag: str, points: str = "current") -> list[dict[str, MeshPart]]:
        """Return of each mesh of a tag what it is made of, without its numbers; see :func:`read_mesh`."""
        found: list[dict[str, MeshPart]] = []
        for one in self._decoded("mesh", tag, points):
            last = found[-1] if found else {}
            if not last or one.part in last or next(iter(last.values())).step != one.step:
                last = {}
                found.append(last)
            last[one.part] = one
        return found


def mesh_part(place: Location, value: Value) -> MeshPart:
    """Return which part of a mesh a value is, and how large.

    Raises
    ------
    FormatError
        If it is no tensor.
    """
    tensor = decode_tensor(value.payload)
    if isinstance(tensor, list):
        raise FormatError(f"a part of the mesh {value.tag!r} is not a tensor of numbers")
    return MeshPart(place.step, place.wall_time, split_tag(value.tag)[1], tensor.shape, place)


def read_mesh(parts: Mapping[str, MeshPart]) -> MeshArrays:
    """Return a mesh as :meth:`StructureAccessors.mesh_parts` gives it, with its numbers."""
    return decode_mesh({part: one.location.read() for part, one in parts.items()})[0]


def _together(places: list[Location]) -> Iterator[dict[str, tuple[Location, Any]]]:
    """Give the parts of each mesh: a part that is there already, or another step, begins the next."""
    parts: dict[str, tuple[Location, Any]] = {}
    for place in places:
        value = place.read()
        _, part = split_tag(value.tag)
        if parts and (part in parts or next(iter(parts.values()))[0].step != place.step):
            yield parts
            parts = {}
        parts[part] = (place, value)
    if parts:
        yield parts


def _mesh(parts: dict[str, tuple[Location, Any]]) -> Mesh:
    arrays, config = decode_mesh({part: value for part, (_, value) in parts.items()})
    place = next(iter(parts.values()))[0]
    return Mesh(**vars(arrays), step=place.step, wall_time=place.wall_time, config=config)
