"""Reads an ONNX file, which may be damaged or hostile: sizes are checked, data is read from its own folder only."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from convscope.errors import FormatError, InputError, NotFoundError, missing_extra
from convscope.nets.onnx.node import LARGEST, Node, Shape, Unsupported

try:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from onnx import inliner, numpy_helper
except ModuleNotFoundError as error:
    raise missing_extra("onnx", "onnx", "reading ONNX files") from error

_LARGEST_FILE: Final = (1 << 31) - 1  # bytes; a message of protobuf is no larger
_SMALL: Final = 1024
_SCOPES: Final = "pkg.torch.onnx.name_scopes"
OLDEST: Final = 7
"""The first version of the operators that is read."""

_TYPES: Final = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.int32, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float32, 11: torch.float64, 12: torch.int64, 13: torch.int64, 16: torch.float32,
}  # fmt: skip


def torch_type(number: int) -> torch.dtype:
    """Return the type in which a type of ONNX is computed: half precision becomes float32, unsigned a wider integer."""
    if number not in _TYPES:
        raise Unsupported(f"tensors of type {onnx.TensorProto.DataType.Name(number)}")
    return _TYPES[number]


@dataclass(frozen=True)
class GraphInput:
    """One input of a network: its name and its shape, ``None`` where the file leaves a size open."""

    name: str
    shape: Shape | None


@dataclass(frozen=True)
class Graph:
    """What an ONNX file holds.

    Attributes
    ----------
    name
        What to call it in errors.
    nodes
        The operators, in an order in which they can be executed.
    inputs, outputs
        What goes in and comes out.
    initialisers
        The tensors of the file, by name.
    folder
        Where it lies, if it is a file: numbers may be in other files there.
    model
        The ``onnx.ModelProto`` itself.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    initialisers: Mapping[str, Any]
    folder: Path | None
    model: Any

    def tensor(self, name: str) -> Tensor:
        """Return a tensor of the file as torch has it."""
        return tensor_of(self.initialisers[name], self.folder)


def read_graph(source: Any) -> Graph:
    """Return the graph of an ONNX file, of its bytes, or of an ``onnx.ModelProto``.

    Raises
    ------
    NotFoundError
        If there is no such file.
    FormatError
        If it is damaged, too large, or not of ONNX.
    """
    if isinstance(source, onnx.ModelProto):
        return _graph(source, source.graph.name or "the ONNX model", None)
    if isinstance(source, bytes):
        return _graph(_parsed(source, "the ONNX model"), "the ONNX model", None)
    path = Path(source)
    if not path.is_file():
        raise NotFoundError(f"no ONNX file {str(path)!r}; give the path of one")
    if path.stat().st_size > _LARGEST_FILE:
        raise FormatError(f"{path} has {path.stat().st_size:,} bytes; an ONNX file has at most {_LARGEST_FILE:,}")
    return _graph(_parsed(path.read_bytes(), str(path)), path.name, path.resolve().parent)


def _parsed(data: bytes, name: str) -> Any:
    try:
        return onnx.ModelProto.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{name} is not an ONNX file, or it is damaged ({error}); export it again") from error


def _graph(model: Any, name: str, folder: Path | None) -> Graph:
    if not model.HasField("graph") or not model.graph.node:
        raise FormatError(f"{name} is not an ONNX file, or it is damaged: it has no graph; export it again")
    opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    opset = opsets.get("ai.onnx", 1)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise FormatError(f"{name} is of opset {opset}; {OLDEST} to {newest} are read: convert or export it again")
    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except (RuntimeError, ValueError, TypeError) as error:
            raise FormatError(f"{name} has functions that cannot be put in place ({error})") from error
    graph = model.graph
    if graph.sparse_initializer:
        raise FormatError(f"{name} has sparse tensors, which are not read; export it with dense ones")
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    inputs = tuple(GraphInput(v.name, _told(v)) for v in graph.input if v.name not in initialisers)
    _check_texts(name, graph)
    nodes = tuple(_node(proto, opset, name, folder) for proto in graph.node)
    _check_order(name, nodes, [*initialisers, *(value.name for value in inputs)], graph)
    return Graph(name, nodes, inputs, tuple(value.name for value in graph.output), initialisers, folder, model)


def _check_texts(name: str, graph: Any) -> None:
    """Raise an error where a name is no text: protobuf then gives its bytes."""
    named = [
        *graph.initializer,
        *graph.input,
        *graph.output,
        *graph.node,
        *(a for n in graph.node for a in n.attribute),
    ]
    texts = [item.name for item in named]
    texts += [text for node in graph.node for text in (node.op_type, node.domain, *node.input, *node.output)]
    texts += [text for node in graph.node for item in node.metadata_props for text in (item.key, item.value)]
    broken = next((text for text in texts if not isinstance(text, str)), None)
    if broken is not None:
        raise FormatError(f"{name} is damaged: the name {broken!r} is not a text; export it again")


def _check_order(name: str, nodes: Iterable[Node], given: list[str], graph: Any) -> None:
    """Raise an error where a node takes a value that none before it makes."""
    made = {"", *given}
    for node in nodes:
        for value in node.inputs:
            if value not in made:
                raise FormatError(
                    f"{name} is damaged: {node.op} {node.name!r} takes {value!r}, which no node before makes"
                )
        again = next((value for value in node.outputs if value and value in made), None)
        if again is not None:
            raise FormatError(f"{name} is damaged: the value {again!r} is made twice")
        made.update(node.outputs)
    lost = next((value.name for value in graph.output if value.name not in made), None)
    if lost is not None or not graph.output:
        raise FormatError(f"{name} is damaged: no node makes its output {lost or ''!r}")


def _told(value: Any) -> Shape | None:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim)


def infer_shapes(graph: Graph, constants: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Return the shapes of values: what the file tells, or what can be inferred from a copy without its weights.

    Parameters
    ----------
    graph
        The graph.
    constants
        Values that are known already; the nodes that make them are left out.
    """
    model, small = graph.model, onnx.ModelProto()
    small.ir_version = max(model.ir_version, 4)
    small.opset_import.extend(model.opset_import)
    small.graph.name = "shapes"
    small.graph.node.extend(node for node in model.graph.node if not set(node.output) & set(constants))
    small.graph.output.extend(model.graph.output)
    known = {*graph.initialisers, *constants}
    small.graph.value_info.extend(value for value in model.graph.value_info if value.name not in known)
    small.graph.input.extend(value for value in model.graph.input if value.name not in known)
    for name, value in constants.items():
        if value.numel() <= _SMALL:
            small.graph.initializer.append(numpy_helper.from_array(value.numpy(), name))
        else:
            small.graph.input.append(onnx.helper.make_tensor_value_info(name, 1, list(value.shape)))
    for name, tensor in graph.initialisers.items():
        if name not in constants:
            small.graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
    try:
        small = onnx.shape_inference.infer_shapes(small, data_prop=True)
    except Exception:  # noqa: BLE001 - whatever it raises: shapes help, but nothing depends on them
        small = model
    values = [*small.graph.value_info, *small.graph.input, *small.graph.output]
    found = {value.name: shape for value in values if (shape := _told(value)) is not None}
    return {**found, **{name: tuple(value.shape) for name, value in constants.items()}}


def _node(proto: Any, opset: int, name: str, folder: Path | None) -> Node:
    domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}."
    try:
        attributes = {item.name: _attribute(item, folder) for item in proto.attribute}
    except (ValueError, TypeError) as error:
        raise FormatError(f"{name} is damaged: an attribute of {proto.op_type} {proto.name!r}: {error}") from error
    return Node(
        domain + proto.op_type,
        proto.name,
        tuple(proto.input),
        tuple(proto.output),
        attributes,
        opset,
        scopes=_scopes(proto),
    )


def _attribute(item: Any, folder: Path | None) -> Any:
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return value if value.data_type == onnx.TensorProto.STRING else tensor_of(value, folder)
    return value


def _scopes(proto: Any) -> tuple[str, ...]:
    """Return the modules of torch a node was exported from, which torch's newer exporter writes into the file."""
    told = {item.key: item.value for item in getattr(proto, "metadata_props", ())}.get(_SCOPES, "")
    try:
        scopes = ast.literal_eval(told) if len(told) < 1 << 16 else ()
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    return tuple(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list | tuple) else ()


# ---------------------------------------------------------------- tensors


def tensor_of(proto: Any, folder: Path | None) -> Tensor:
    """Return a tensor of the file; half precision becomes float32.

    Raises
    ------
    FormatError
        If its numbers are not there.
    InputError
        If they are in a file beside, and the model's own path is not known.
    """
    dtype = torch_type(proto.data_type)
    count = prod(proto.dims)
    if min(proto.dims, default=0) < 0 or count > LARGEST:
        raise FormatError(f"tensor {proto.name!r} of shape {tuple(proto.dims)} is larger than {LARGEST:,} numbers")
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        array = _external(proto, count, folder)
    else:
        try:
            array = numpy_helper.to_array(proto)
        except (ValueError, TypeError) as error:
            raise FormatError(f"tensor {proto.name!r} is damaged: {error}; export the file again") from error
    if str(array.dtype) == "bfloat16":  # numpy has none of its own
        array = array.astype(np.float32)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.array(array.astype(array.dtype.newbyteorder("="), copy=False))).to(dtype)


def _external(proto: Any, count: int, folder: Path | None) -> Any:
    """Return the numbers of a tensor from a file beside the model: never from outside its folder."""
    if folder is None:
        raise InputError(f"the numbers of {proto.name!r} are in another file; give the path of the ONNX file instead")
    told = {item.key: item.value for item in proto.external_data}
    path = (folder / told.get("location", "")).resolve()
    if not path.is_relative_to(folder):
        raise FormatError(f"tensor {proto.name!r} points to {told.get('location')!r}, outside the file's folder")
    if not path.is_file():
        raise NotFoundError(f"no file {path.name!r} beside the ONNX file, where the numbers of {proto.name!r} are")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
    try:
        offset, length = int(told.get("offset", 0)), int(told.get("length", count * dtype.itemsize))
    except ValueError as error:
        raise FormatError(f"tensor {proto.name!r} does not say where its numbers are in {path.name!r}") from error
    if offset < 0 or length != count * dtype.itemsize or offset + length > path.stat().st_size:
        raise FormatError(f"tensor {proto.name!r} is cut off: {path.name!r} has no {length:,} bytes at {offset:,}")
    with path.open("rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(length), dtype).reshape(tuple(proto.dims))
