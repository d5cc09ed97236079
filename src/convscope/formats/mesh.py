"""Meshes and clouds of points as TensorBoard's ``mesh`` plugin stores them: a tensor each of vertices, faces, colours.

Field numbers are those of the plugin's ``plugin_data.proto``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import FormatError, InputError
from convscope.formats import wire
from convscope.formats.events import Value, encode_metadata
from convscope.formats.tensor import decode_tensor, encode_tensor

PLUGIN: Final = "mesh"
_PARTS: Final = {"VERTEX": 1, "FACE": 2, "COLOR": 3}


@dataclass(frozen=True)
class MeshArrays:
    """What a mesh is made of.

    Attributes
    ----------
    vertices
        ``(B, N, 3)`` float32.
    colors
        ``(B, N, 3)`` uint8, one for each vertex.
    faces
        ``(B, F, 3)`` int32: triangles, each of three vertices by their numbers.
    """

    vertices: npt.NDArray[Any]
    colors: npt.NDArray[Any] | None = None
    faces: npt.NDArray[Any] | None = None


def mesh_arrays(
    vertices: npt.NDArray[Any], colors: npt.NDArray[Any] | None, faces: npt.NDArray[Any] | None
) -> MeshArrays:
    """Return a mesh whose arrays fit together.

    Parameters
    ----------
    vertices
        ``(B, N, 3)`` or ``(N, 3)``.
    colors
        The same shape: 0..255, or floats of which none is above 1, which are taken as 0..1.
    faces
        ``(B, F, 3)`` or ``(F, 3)``: from 0 to N − 1.

    Raises
    ------
    InputError
        If they do not fit.
    """
    vertices = _triples("vertices", vertices).astype(np.float32)
    batch, count, _ = vertices.shape
    if colors is not None:
        colors = _for_each("colors", colors, batch)
        if colors.shape != vertices.shape:
            raise InputError(f"each vertex has one color: vertices have the shape {vertices.shape}, got {colors.shape}")
        colors = _to_bytes(colors)
    if faces is not None:
        faces = _for_each("faces", faces, batch)
        if faces.size and not (faces.min() >= 0 and faces.max() < count and (faces == np.floor(faces)).all()):
            raise InputError(
                f"faces are numbers of vertices from 0 to {count - 1}, got numbers from {faces.min()} to {faces.max()}"
            )
        faces = faces.astype(np.int32)
    return MeshArrays(vertices, colors, faces)


def _for_each(name: str, array: npt.NDArray[Any], batch: int) -> npt.NDArray[Any]:
    """Return an array for each mesh of a batch; one that is given once is for all of them."""
    array = _triples(name, array)
    if array.shape[0] not in (1, batch):
        raise InputError(f"{name} are for {array.shape[0]} meshes, vertices for {batch}; give as many")
    return np.broadcast_to(array, (batch, *array.shape[1:]))


def _triples(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim not in (2, 3) or array.shape[-1] != 3 or array.dtype.kind not in "biuf":
        raise InputError(f"{name} are real numbers (B, N, 3) or (N, 3), got {array.dtype} of shape {array.shape}")
    return array if array.ndim == 3 else array[None]


def _to_bytes(colors: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if colors.dtype.kind == "f":
        colors = np.nan_to_num(colors.astype(np.float64))
        colors = np.rint(colors * 255 if colors.max(initial=0) <= 1 else colors)
    limited: npt.NDArray[Any] = np.clip(colors, 0, 255)
    return limited.astype(np.uint8)


def encode_mesh(tag: str, mesh: MeshArrays, config: Mapping[str, Any] | None) -> list[tuple[str, bytes]]:
    """Return the tags and the fields of the values of a mesh.

    Raises
    ------
    InputError
        If the configuration of the scene is not JSON.
    """
    try:
        settings = json.dumps({} if config is None else config, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the configuration of a mesh is what JSON can hold ({error}); see three.js") from error
    arrays = {"VERTEX": mesh.vertices, "FACE": mesh.faces, "COLOR": mesh.colors}
    there = {part: array for part, array in arrays.items() if array is not None}
    components = sum(1 << _PARTS[part] for part in there)
    return [
        (f"{tag}_{part}", _encode_part(tag, _PARTS[part], array, settings, components)) for part, array in there.items()
    ]


def _encode_part(tag: str, part: int, array: npt.NDArray[Any], settings: str, components: int) -> bytes:
    shape = b"".join(wire.varint(size) for size in array.shape)
    content = [wire.text(2, tag), wire.integer(3, part), wire.text(5, settings), wire.chunk(6, shape)]
    told = b"".join([*content, wire.integer(7, components)])
    return wire.chunk(8, encode_tensor(array)) + encode_metadata(PLUGIN, told)


def split_tag(tag: str) -> tuple[str, str]:
    """Return the tag of the mesh that a value belongs to, and which of its parts the value is.

    >>> split_tag("bunny_FACE"), split_tag("bunny_2")       # tensorboardX numbers them
    (('bunny', 'FACE'), ('bunny', 'FACE'))
    """
    name, _, part = tag.rpartition("_")
    part = next((known for known, number in _PARTS.items() if part in (known, str(number))), "")
    return (name, part) if part and name else (tag, "VERTEX")


def decode_mesh(parts: Mapping[str, Value]) -> tuple[MeshArrays, dict[str, Any]]:
    """Return a mesh from its parts, and the configuration of the scene where they tell.

    Raises
    ------
    FormatError
        If they are not those of a mesh.
    """
    arrays = {part: decode_tensor(value.payload) for part, value in parts.items()}
    good = all(isinstance(a, np.ndarray) and a.ndim == 3 and a.dtype.kind in "biuf" for a in arrays.values())
    if not good or "VERTEX" not in arrays:
        raise FormatError(
            f"the mesh {split_tag(next(iter(parts.values())).tag)[0]!r} has no tensor of vertices (B, N, 3)"
        )
    types = {"VERTEX": np.float32, "FACE": np.int32, "COLOR": np.uint8}
    with np.errstate(invalid="ignore", over="ignore"):
        found = {part: np.asarray(array).astype(types[part]) for part, array in arrays.items()}
    mesh = MeshArrays(found["VERTEX"], found.get("COLOR"), found.get("FACE"))
    return mesh, _settings(next((value.content for value in parts.values() if value.content), b""))


def _settings(content: bytes) -> dict[str, Any]:
    text = b"".join(wire.as_bytes(payload) for number, _, payload in wire.fields(content) if number == 5)
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
