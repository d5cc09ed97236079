"""Makes a torch module of an ONNX graph: constants are computed, neighbours that belong together become one module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from convscope.errors import ConvscopeError, FormatError
from convscope.nets.onnx import activations, arithmetic, constants, naming, quantised, resizing, shaping, windows
from convscope.nets.onnx.module import OPEN, Bound, OnnxModule, Operation, Step, operation_class
from convscope.nets.onnx.node import LARGEST, Built, Node, Operator, Shape, Unsupported, parameter
from convscope.nets.onnx.reading import Graph, GraphInput, infer_shapes, read_graph

OPERATORS: Final[dict[str, Operator]] = {
    **windows.OPERATORS,
    **activations.OPERATORS,
    **arithmetic.OPERATORS,
    **shaping.OPERATORS,
    **constants.OPERATORS,
    **resizing.OPERATORS,
    **quantised.OPERATORS,
}
"""What is supported: for each operator, what makes a module or a function of a node."""

_SHAPES: Final = frozenset({"Shape", "Size"})
_BIASED: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_BY_PIXEL: Final = frozenset({"Add", "Sub", "Mul", "Div", "Cast", "Identity"})
_TO_CHANNELS_FIRST: Final = [0, 3, 1, 2]


def load(source: Any) -> OnnxModule:
    """Return the network of an ONNX file as a torch module that computes the same.

    Children are torch's own modules where these do the same (``nn.Conv2d``, ``nn.BatchNorm2d``, ``nn.ReLU`` …), with
    the file's numbers and names. Half precision is computed in float32.

    Parameters
    ----------
    source
        The path of an ``.onnx`` file, its bytes, or an ``onnx.ModelProto``.

    Returns
    -------
    OnnxModule
        Takes the graph's inputs in their order; images as ``(N, C, H, W)``.

    Raises
    ------
    NotFoundError
        If there is no such file, or none with the numbers it points to.
    FormatError
        If the file is damaged, or holds operators that are not supported: all are named.
    """
    graph = read_graph(source)
    with torch.no_grad():
        return _Builder(graph).build()


@dataclass
class _Made:
    """A step before it has a name."""

    node: Node
    call: nn.Module | Callable[..., Any]
    inputs: list[str]
    outputs: list[str]
    suffix: str = ""


class _Builder:
    """Goes through a graph once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = _needed(graph)
        self.constants: dict[str, Tensor] = {}
        self.of_image = {value.name for value in graph.inputs}
        self.uses = Counter(name for node in self.nodes for name in node.inputs)
        self.uses.update(graph.outputs)
        self.steps: list[_Made] = []
        self.maker: dict[str, _Made] = {}
        self.shared: dict[tuple[Any, ...], nn.Module] = {}
        self.numbers = 0
        self.shapes: dict[str, Shape] = {}

    def build(self) -> OnnxModule:
        self._refuse_unknown()
        refused: Counter[str] = Counter()
        self._take_all(self._compute_constants, refused)
        self.shapes = infer_shapes(self.graph, self.constants)
        inputs, last = self._take_images()
        self._take_all(self._take, refused)
        if refused:
            raise self._not_supported(refused)
        self._constant_outputs()
        module = OnnxModule(self.graph.name, inputs, self.graph.outputs, channels_last=last)
        module.output_shapes = tuple(self.shapes.get(name) for name in self.graph.outputs)
        module.steps = tuple(self._named(module))
        return module.eval()

    # ------------------------------------------------------------ what is not supported

    def _refuse_unknown(self) -> None:
        unknown = Counter(node.op for node in self.nodes if node.op not in OPERATORS)
        if unknown:
            raise self._not_supported(unknown)

    def _not_supported(self, what: Counter[str]) -> FormatError:
        names = ", ".join(f"{name} ({count}×)" if count > 1 else name for name, count in sorted(what.items()))
        return FormatError(f"{self.graph.name} uses what is not supported: {names}; export it without, or as torch")

    # ------------------------------------------------------------ images

    def _take_images(self) -> tuple[tuple[GraphInput, ...], bool]:
        """Let a graph for images (N, H, W, C) take (N, C, H, W): its first step turns them, or no longer has to."""
        inputs = self.graph.inputs
        shape = inputs[0].shape if len(inputs) == 1 else None
        if shape is None or len(shape) != 4 or shape[3] not in (1, 3, 4) or not self._turned(inputs[0].name):
            return inputs, False
        name, new = inputs[0].name, f"{inputs[0].name}, channels first"
        turns = [
            node for node in self.nodes if node.op == "Transpose" and node.get("perm", None) == _TO_CHANNELS_FIRST
            and node.inputs == (name,)
        ]  # fmt: skip
        self.of_image = {new}
        self.nodes = [node for node in self.nodes if node not in turns]
        turned = {node.outputs[0]: new for node in turns}
        self.nodes = [replace(node, inputs=tuple(turned.get(i, i) for i in node.inputs)) for node in self.nodes]
        if any(name in node.inputs for node in self.nodes):
            turn = Node("Transpose", "", (new,), (name,), {"perm": [0, 2, 3, 1]}, self.nodes[0].opset)
            self.nodes.insert(0, turn)
        N, H, W, C = shape
        return (GraphInput(new, (N, C, H, W)),), True

    def _turned(self, name: str) -> bool:
        """Whether a graph turns its images from (N, H, W, C), at once or after what changes pixel by pixel."""
        reached = {name}
        for node in self.nodes:
            if reached & set(node.inputs):
                if node.op == "Transpose" and node.get("perm", None) == _TO_CHANNELS_FIRST:
                    return True
                if node.op in _BY_PIXEL:
                    reached.update(node.outputs)
        return False

    # ------------------------------------------------------------ one node

    def _known(self, node: Node) -> dict[int, Tensor]:
        return {place: value for place, name in enumerate(node.inputs) if (value := self._constant(name)) is not None}

    def _constant(self, name: str) -> Tensor | None:
        if name not in self.constants and name in self.graph.initialisers:
            self.constants[name] = self.graph.tensor(name)
        return self.constants.get(name)

    def _take_all(self, take: Callable[[Node], None], refused: Counter[str]) -> None:
        """Do something with every node; what is not supported is counted, so that all of it can be named."""
        for node in self.nodes:
            try:
                self._explaining(take, node)
            except Unsupported as reason:
                refused[str(reason)] += 1
                self.of_image.update(node.outputs)
        self.nodes = [node for node in self.nodes if node.outputs[0] not in self.constants]

    def _compute_constants(self, node: Node) -> None:
        if all(name in self.constants or name in self.graph.initialisers for name in node.inputs if name):
            self._compute(replace(node, constants=self._known(node)))

    def _take(self, node: Node) -> None:
        shapes = {place: self.shapes[name] for place, name in enumerate(node.inputs) if name in self.shapes}
        node = replace(node, constants=self._known(node), shapes=shapes)
        if not self._joined(node):
            self._add(node, self._shared(node))

    def _explaining(self, take: Callable[[Node], None], node: Node) -> None:
        try:
            take(node)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError, ZeroDivisionError) as error:
            if isinstance(error, ConvscopeError):
                raise
            reason = " ".join(str(error).split())[:200]
            what = f"it lacks {reason}" if isinstance(error, KeyError) else reason
            raise FormatError(f"{self.graph.name} is damaged: {node.op} {node.outputs[0]!r}: {what}") from error

    def _compute(self, node: Node) -> None:
        """Compute what depends on numbers of the file alone."""
        built = OPERATORS[node.op](node)
        values = [node.constants.get(place) for place in range(len(node.inputs))]
        if built.before is not None:
            values[0] = built.before(values[0])
        if built.takes is not None:
            values = [values[place] if place < len(values) else None for place in built.takes]
        results = built.call(*values)
        for name, value in zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=False):
            self.constants[name] = value
            self.numbers += value.numel()
        if self.numbers > LARGEST:
            raise FormatError(f"{self.graph.name} computes more than {LARGEST:,} constants; it is not read")

    def _shared(self, node: Node) -> Built:
        """Return the module for a node; nodes with the same weights of the file share it."""
        weights = tuple(node.inputs[place] for place in sorted(node.constants))
        built = OPERATORS[node.op](node)
        if not isinstance(built.call, _BIASED) or self.uses[node.inputs[1]] == 1:
            return built
        key = (node.op, weights, node.scopes[:-1], repr(sorted(node.attributes.items())), str(built.call))
        return replace(built, call=self.shared.setdefault(key, built.call))

    def _add(self, node: Node, built: Built) -> None:
        inputs = list(node.inputs)
        if built.before is not None:
            padded = f"{node.outputs[0]}, padded"
            self._append(_Made(node, built.before, inputs[:1], [padded], "_pad"))
            inputs[0] = padded
        if isinstance(built.call, nn.Module):
            self._append(_Made(node, built.call, [inputs[place] for place in built.takes or ()], list(node.outputs)))
            return
        takes = built.takes if built.takes is not None else tuple(range(len(inputs)))
        known: list[Any] = []
        open_inputs = []
        for place in takes:
            value = node.constants.get(place)
            if place < len(inputs) and inputs[place] and value is None:
                known.append(OPEN)
                open_inputs.append(inputs[place])
            else:
                known.append(value.flatten().tolist() if value is not None and place in built.plain else value)
        call = self._callable(node, built, known, takes)
        self._append(_Made(node, call, open_inputs, list(node.outputs)))

    def _callable(
        self, node: Node, built: Built, known: list[Any], takes: tuple[int, ...]
    ) -> nn.Module | Callable[..., Any]:
        """Return a module for what depends on the image, a function for what depends on shapes only."""
        if node.op in _SHAPES or not self.of_image & set(node.inputs):
            return Bound(built.call, tuple(known))
        learned = frozenset(
            place
            for place, value in enumerate(known)
            if isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 1
            and node.inputs[takes[place]] in self.graph.initialisers
        )  # fmt: skip
        return operation_class(node.op)(built.call, known, learned)

    def _append(self, made: _Made) -> None:
        self.steps.append(made)
        if self.of_image & set(made.inputs) and made.node.op not in _SHAPES:
            self.of_image.update(made.outputs)
        self.maker.update(dict.fromkeys(made.outputs, made))

    # ------------------------------------------------------------ neighbours that belong together

    def _joined(self, node: Node) -> bool:
        """Join a node to the one before where both are one module of torch."""
        if node.op == "Add":
            return self._bias(node, 0, 1) or self._bias(node, 1, 0)
        if node.op == "Gather" and node.inputs[0] in self.maker:
            return self._reshaped(node, self.maker[node.inputs[0]].node)
        if node.op == "DequantizeLinear" and node.inputs[0] in self.maker:
            first = self.maker[node.inputs[0]].node
            first = replace(first, constants=self._known(first))
            built = quantised.fused(first, node) if first.op == "QuantizeLinear" else None
            if built is not None:
                self._append(_Made(first, built.call, [first.inputs[0]], [node.outputs[0]]))
                return True
        return False

    def _reshaped(self, node: Node, before: Node) -> bool:
        """Take a flattening, and a gathering of everything in its order, as the reshaping it is in torch's exports."""
        index, shape = node.constants.get(1), self._known(before).get(1)
        if before.op != "Reshape" or index is None or shape is None or shape.tolist() != [-1] or node.get("axis", 0):
            return False
        if not torch.equal(index.flatten(), torch.arange(index.numel())) or self.uses[node.inputs[0]] > 1:
            return False
        built = shaping.reshape_to(list(index.shape), before)
        self.steps.remove(self.maker[node.inputs[0]])
        self._add(replace(node, op="Reshape", inputs=before.inputs[:1], constants={}), built)
        return True

    def _bias(self, node: Node, place: int, other: int) -> bool:
        """Take a constant that is added to a convolution's or a linear layer's output as its bias."""
        bias, made = node.constants.get(other), self.maker.get(node.inputs[place])
        if bias is None or made is None or self.uses[node.inputs[place]] > 1:
            return False
        module = made.call
        if not isinstance(module, _BIASED) or module.bias is not None or module in self.shared.values():
            return False
        by_channel = (module.weight.shape[0], *(1,) * (module.weight.ndim - 2))
        if tuple(bias.shape) != by_channel and (tuple(bias.shape) != (1, *by_channel) or (node.rank(place) or 0) < 2):
            return False
        module.bias = parameter(bias.flatten())
        made.node = replace(made.node, inputs=(*made.node.inputs, node.inputs[other]))
        self.maker[node.outputs[0]] = made
        made.outputs = list(node.outputs)
        self.of_image.update(node.outputs)
        return True

    # ------------------------------------------------------------ the program

    def _constant_outputs(self) -> None:
        for name in self.graph.outputs:
            value = self._constant(name)
            if value is not None:
                node = Node("Constant", name, (), (name,), {}, 0)
                self.steps.append(_Made(node, Operation(partial(_itself), [value]), [], [name]))

    def _named(self, module: OnnxModule) -> Iterable[Step]:
        """Put the modules under their names, and say after each step which values are no longer needed."""
        taken = {name for made in self.steps for name in made.inputs} | set(self.graph.outputs)
        steps = [made for made in self.steps if taken & set(made.outputs)]  # one that was joined to the next is left
        last = {name: place for place, made in enumerate(steps) for name in made.inputs}
        first: dict[int, _Made] = {}
        for made in steps:
            if isinstance(made.call, nn.Module):
                first.setdefault(id(made.call), made)
        names = naming.unique([(self._wish(made), made.node.op) for made in first.values()])
        called = dict(zip(first, names, strict=True))
        for key, name in called.items():
            _put(module, name, first[key].call)
        kept = set(self.graph.outputs)
        for place, made in enumerate(steps):
            done = {name for name in made.inputs if name and last[name] == place} - kept
            done |= {name for name in made.outputs if not name or name not in last} - kept
            name = called.get(id(made.call), "")
            call = None if name else made.call
            yield Step(name, call, tuple(made.inputs), tuple(made.outputs), tuple(sorted(done)))

    def _wish(self, made: _Made) -> str:
        """Return what a step would be called if it were alone.

        Its weight tells best, because exporters put a batch normalisation into the convolution before it. What is the
        weight of several nodes tells nothing: exporters store equal numbers once.
        """
        node = made.node
        owners = [
            naming.weight_owner(value)
            if self.uses[value] == 1 or (place == 0 and isinstance(made.call, _BIASED))
            else ""
            for place, value in enumerate(node.inputs[1:])
        ]
        name = (
            next(iter(owners), "")
            or naming.from_scopes(node.scopes, node.op)
            or next(filter(None, owners), "")
            or naming.clean(node.name)
            or naming.clean(made.outputs[0])
        )
        if not made.suffix:
            return name
        scope, dot, last = name.rpartition(".")
        return f"{scope if last == node.op else scope + dot + last}{made.suffix}"


def _itself(value: Any) -> Any:
    return value


def _needed(graph: Graph) -> list[Node]:
    """Return the nodes that an output depends on."""
    wanted = set(graph.outputs)
    found = []
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs) - {""}:
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _put(root: nn.Module, name: str, module: Any) -> None:
    *scopes, last = name.split(".")
    for scope in scopes:
        if scope not in root._modules:  # noqa: SLF001 - getattr would find what is no child too
            root.add_module(scope, nn.Module())
        root = root.get_submodule(scope)
    root.add_module(last, module.eval())
