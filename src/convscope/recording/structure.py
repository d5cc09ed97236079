"""What a run is made of: the network's graph, the layout of the curves, meshes; hyper-parameters have a file beside."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

from convscope.arrays import as_numpy
from convscope.errors import InputError
from convscope.formats import events
from convscope.formats.graph import Node, encode_graph
from convscope.formats.layout import MARGIN, MULTILINE, Chart
from convscope.formats.mesh import encode_mesh, mesh_arrays
from convscope.formats.symbol import symbol_nodes
from convscope.recording.base import tag_of
from convscope.recording.charts import ChartKeeper
from convscope.recording.hyperparameters import HparamMethods

_TRIPLE: Final = 3


class StructureMethods(ChartKeeper, HparamMethods):
    """The methods that log what a run is made of."""

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Say which curves stand in one chart; charts of earlier calls stay.

        >>> writer.add_custom_scalars({"loss": {"both": ["Multiline", ["loss/train", "loss/test"]],
        ...                                     "band": ["Margin", ["mean", "low", "high"]]}})     # doctest: +SKIP

        Parameters
        ----------
        layout
            ``{category: {title: [kind, tags]}}``. ``Multiline``: regular expressions, each for the tags that begin
            with it. ``Margin``: the tags of a curve, of its lower and of its upper bound. A chart replaces an earlier
            one of the same category and title.

        Raises
        ------
        InputError
            If it has another form.
        """
        if not isinstance(layout, Mapping) or not all(isinstance(charts, Mapping) for charts in layout.values()):
            raise InputError(f"a layout is {{category: {{title: [kind, tags]}}}}, got {layout!r:.120}")
        found = [(str(at), _chart(str(title), told)) for at, charts in layout.items() for title, told in charts.items()]
        for category in dict.fromkeys(at for at, _ in found):
            self._take(category, [chart for at, chart in found if at == category])
        self._write_layout()

    def add_custom_scalars_multilinechart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Let several curves stand in one chart.

        Parameters
        ----------
        tags
            Their tags: regular expressions, each for the tags that begin with it.
        category, title
            Where the chart stands, and what above it. Charts that have no title are numbered.
        """
        self._take(category, [self._free_title(category, _chart(title, ("Multiline", tags)))])
        self._write_layout()

    def add_custom_scalars_marginchart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Let a curve stand in one chart with a lower and an upper one.

        Parameters
        ----------
        tags
            The tags of the curve, of the lower and of the upper one.
        category, title
            Where the chart stands, and what above it. Charts that have no title are numbered.
        """
        self._take(category, [self._free_title(category, _chart(title, ("Margin", tags)))])
        self._write_layout()

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Mapping[str, Any] | None = None,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a mesh of triangles, or a cloud of points.

        Parameters
        ----------
        tag
            The mesh's name.
        vertices
            ``(B, N, 3)``, or ``(N, 3)`` for one mesh.
        colors
            One for each vertex: 0..255, or floats of which none is above 1, which are taken as 0..1.
        faces
            ``(B, F, 3)`` or ``(F, 3)``: the numbers of three vertices each.
        config_dict
            How TensorBoard sets up the scene: class names and settings of three.js.
        global_step
            The training step; 0 by default.
        walltime
            Seconds since 1970; now by default.

        Raises
        ------
        InputError
            If the arrays do not fit together.
        """
        given = [None if array is None else as_numpy(array) for array in (colors, faces)]
        arrays = mesh_arrays(as_numpy(vertices), *given)
        values = encode_mesh(tag_of(tag), arrays, config_dict)
        self._log.append(events.encode_values(self._time(walltime), self._step(global_step), values))

    def add_graph(
        self,
        model: Any,
        input_to_model: Any = None,
        verbose: bool = False,
        use_strict_trace: bool = True,  # noqa: ARG002 - said below
    ) -> None:
        """Log what a network computes: its modules as scopes, operators with their shapes, parameters, edges.

        The network is run once, in eval mode, and left as it was.

        Parameters
        ----------
        model
            A ``torch.nn.Module``; or a ``Symbol`` or a hybridized block of MXNet that has been called.
        input_to_model
            What the network is called with: an array, several in a tuple or list, or a dictionary of them. Where it is
            left out, an image of a size that goes through is found by trial.
        verbose
            Print the nodes.
        use_strict_trace
            Not used, and kept for its place among the arguments: lists and dictionaries are always taken.

        Raises
        ------
        InputError
            If it is no network, or does not run with this input.
        """
        self._write_graph(_nodes_of(model, input_to_model), verbose=verbose)

    def add_onnx_graph(
        self, onnx_model_file: str | PathLike[str] | None = None, *, prototxt: str | PathLike[str] | None = None
    ) -> None:
        """Log the graph of an ONNX file; the package onnx is not needed.

        Parameters
        ----------
        onnx_model_file
            The file.
        prototxt
            torch's name for it.

        Raises
        ------
        InputError
            If there is no such file.
        FormatError
            If it is not an ONNX file.
        """
        from convscope.nets.onnx_graph import onnx_nodes

        if (onnx_model_file is None) == (prototxt is None):
            raise InputError("add_onnx_graph() takes one file: onnx_model_file, which torch calls prototxt")
        self._write_graph(onnx_nodes(_read(onnx_model_file or prototxt)))

    def add_openvino_graph(self, xmlname: str | PathLike[str]) -> None:
        """Log the graph of an OpenVINO model.

        Parameters
        ----------
        xmlname
            Its file ``.xml``.

        Raises
        ------
        InputError
            If there is no such file.
        FormatError
            If it is not an OpenVINO model, or declares a document type, which such a model never does.
        """
        from convscope.nets.openvino_graph import openvino_nodes

        self._write_graph(openvino_nodes(_read(xmlname)))

    def _write_graph(self, nodes: list[Node], *, verbose: bool = False) -> None:
        if verbose:
            print(*(_line(node) for node in nodes), sep="\n")
        self._log.append(events.encode_graph(self._time(None), self._step(None), encode_graph(nodes)))


def _line(node: Node) -> str:
    shapes = ", ".join("?" if shape is None else str(shape) for shape in node.shapes)
    return f"{node.name}  {node.op}  {shapes}  <- {', '.join(node.inputs)}"


def _read(path: Any) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r} ({error.strerror or error}); give a file that is there") from error


def _nodes_of(model: Any, inputs: Any) -> list[Node]:
    """Return the nodes of a network of a framework that is loaded."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from convscope.nets.graph import module_nodes

        return module_nodes(model, inputs)
    cached = getattr(model, "_cached_graph", None)  # of a block: its inputs and its symbol
    symbol = cached[1] if cached else model
    if hasattr(symbol, "tojson"):
        return symbol_nodes(symbol.tojson())
    if hasattr(model, "hybridize"):
        raise InputError("this block of MXNet has no graph yet; call hybridize() on it, then the block itself once")
    raise InputError(f"a network is a torch.nn.Module or a Symbol or block of MXNet, got {type(model).__name__}")


def _chart(title: str, told: Any) -> Chart:
    """Return the chart that the user describes as ``[kind, tags]``."""
    kind, tags = told if isinstance(told, list | tuple) and len(told) == 2 else ("", ())
    kinds = {"multiline": MULTILINE, "margin": MARGIN}
    known = kinds.get(kind.lower()) if isinstance(kind, str) else None
    if known is None or isinstance(tags, str) or not tags or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"the chart {title!r} is ['Multiline', tags] or ['Margin', three tags], got {told!r:.80}")
    if known == MARGIN and len(tags) != _TRIPLE:
        raise InputError(f"a margin chart has the tags of a curve, a lower and an upper one, got {len(tags)} tags")
    return Chart(title, known, tuple(tags))
