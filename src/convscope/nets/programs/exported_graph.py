"""The graph of an exported program, cut into the modules it was made of."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from convscope.errors import InputError
from convscope.nets.programs import operators
from convscope.nets.programs.frames import Frame, frames_of
from convscope.nets.programs.program import Attribute, Body, Part, Step, Value, can_run, with_done
from convscope.nets.programs.rebuilt import IMAGE, Own, as_layer, as_parameter, called

WAY_OUT: Final = "give the torch.nn.Module it was exported from"


@dataclass(frozen=True)
class Source:
    """What a program of torch.export holds.

    Attributes
    ----------
    graph_module
        The graph, and the graphs in it.
    tensors, parameters, persistent
        All tensors by their names, which of them are parameters, and which belong to the state of the network.
    attributes
        Nodes that stand for one of those.
    inputs, outputs
        The nodes of what a user gives (``None`` where a constant was given), and what the user gets.
    """

    graph_module: GraphModule
    tensors: Mapping[str, Tensor]
    parameters: set[str]
    persistent: set[str]
    attributes: Mapping[Node, str]
    inputs: Sequence[Node | None]
    outputs: Sequence[Any]


class Builder:
    """Builds the modules of a program into ``root``."""

    def __init__(self, source: Source, root: type[Part]) -> None:
        self._source = source
        nodes = [node for node in source.graph_module.graph.nodes if node.op == "call_function"]
        _refuse(nodes, source.attributes)
        self._frame, self._homes = frames_of(nodes)
        for node in source.inputs:
            if node is not None:
                self._homes[node] = self._frame
        self._subgraphs = {
            node: source.graph_module.get_submodule(str(node.target))
            for node in source.graph_module.graph.nodes
            if node.op == "get_attr" and node not in source.attributes
        }
        self._tensors = _shared(source)
        self._calls: dict[str, list[Frame]] = {}
        for frame in _entered(self._frame):
            self._calls.setdefault(frame.name, []).append(frame)
        self._taken, self._given = self._flow()
        self.modules: dict[str, nn.Module] = {"": called(root, self._frame.qualified.rpartition(".")[2])()}

    def build(self) -> nn.Module:
        """Return the network."""
        for name, frames in self._calls.items():
            self._module(name, self._layer(name, frames), frames[0].qualified)
        for name, tensor in self._tensors.items():
            self._hold(name, tensor)
        for name, frames in self._calls.items():
            part = self.modules[name]
            if isinstance(part, Part):
                part.convscope_bodies.extend(
                    self._body(frame, [n.name for n in self._taken[frame]]) for frame in frames
                )
        root = self.modules[""]
        inputs = [node.name if node else f"constant {k}" for k, node in enumerate(self._source.inputs)]
        if isinstance(root, Part):
            root.convscope_bodies.append(self._body(self._frame, inputs))
        return root.eval()

    def _module(self, name: str, module: nn.Module | None = None, qualified: str = "Module") -> nn.Module:
        """Return the module of a name; make it, and those it is in, where there is none."""
        if name not in self.modules:
            parent, _, last = name.rpartition(".")
            made = module or called(Part, qualified.rpartition(".")[2])()
            self._module(parent).add_module(last, made)
            self.modules[name] = made
        return self.modules[name]

    def _hold(self, name: str, tensor: Tensor) -> None:
        """Give a tensor to the module it belongs to, unless that is a layer, which has it."""
        owner, _, last = name.rpartition(".")
        module = self._module(owner)
        if isinstance(tensor, nn.Parameter):
            module.register_parameter(last, tensor)
        else:
            module.register_buffer(last, tensor, persistent=name in self._source.persistent)

    def _flow(self) -> tuple[dict[Frame, list[Node]], dict[Frame, list[Node]]]:
        """Return what each call takes, in the order of first use, and what it gives, in the order it is made."""
        taken: dict[Frame, dict[Node, None]] = {frame: {} for frame in _entered(self._frame)}
        given: dict[Frame, dict[Node, None]] = {frame: {} for frame in taken}
        leaving = {node for node in self._source.outputs if isinstance(node, Node)}
        for node, home in self._homes.items():
            for other in node.all_input_nodes:
                for frame in _only(home, self._homes.get(other)):
                    if other in self._homes:
                        taken[frame][other] = None
            for user in node.users:
                for frame in _only(home, self._homes.get(user)) if user in self._homes else ():
                    given[frame][node] = None
            for frame in home.path()[1:] if node in leaving else ():
                given[frame][node] = None
        last = {frame: list(frame.nodes())[-1:] for frame in given}
        order = {node: k for k, node in enumerate(self._source.graph_module.graph.nodes)}
        return (
            {frame: list(nodes) for frame, nodes in taken.items()},
            {frame: sorted(nodes, key=order.__getitem__) or last[frame] for frame, nodes in given.items()},
        )

    def _body(self, frame: Frame, inputs: Sequence[str]) -> Body:
        steps = [self._call(item) if isinstance(item, Frame) else self._step(item) for item in frame.items]
        if frame.parent is None:
            return with_done(inputs, steps, [self._template(value) for value in self._source.outputs])
        values = tuple(Value(node.name) for node in self._given[frame])
        return with_done(inputs, steps, values[0] if len(values) == 1 else values)

    def _call(self, frame: Frame) -> Step:
        module = self.modules[frame.name]
        number = self._calls[frame.name].index(frame)
        which = {"body": number} if number and isinstance(module, Part) else {}
        args = tuple(Value(node.name) for node in self._taken[frame])
        return Step(module, args, which, tuple(node.name for node in self._given[frame]))

    def _step(self, node: Node) -> Step:
        args = tuple(self._template(value) for value in node.args)
        kwargs = {name: self._template(value) for name, value in node.kwargs.items()}
        return Step(node.target, args, kwargs, (node.name,))

    def _template(self, argument: Any) -> Any:
        return _plain(map_arg(argument, self._placeholder))

    def _placeholder(self, node: Node) -> Any:
        if (name := self._source.attributes.get(node)) is not None:
            owner, _, last = name.rpartition(".")
            return Attribute(self.modules[owner], last)
        return self._subgraphs[node] if node in self._subgraphs else Value(node.name)

    def _layer(self, name: str, frames: Sequence[Frame]) -> nn.Module | None:
        """Return the layer of torch.nn that does what all calls of a module did, if one does."""
        layers = [self._layer_of(frame) for frame in frames]
        first = layers[0]
        if first is None or any(layer is None or repr(layer) != repr(first) for layer in layers):
            return None
        inside = {key.removeprefix(f"{name}.") for key in self._tensors if key.startswith(f"{name}.")}
        return first if inside <= {key for key, _ in _tensors_of(first)} else None

    def _layer_of(self, frame: Frame) -> nn.Module | None:
        if any(isinstance(item, Frame) for item in frame.items):
            return None
        if len(self._taken[frame]) != 1 or len(self._given[frame]) != 1:
            return None
        found = self._operation(frame, [item for item in frame.items if isinstance(item, Node)])
        return as_layer(frame.qualified, *found) if found else None

    def _operation(self, frame: Frame, nodes: Sequence[Node]) -> tuple[str, dict[str, Any]] | None:
        """Return the one operator a call comes down to, and its arguments."""
        first, last = nodes[0], nodes[-1]
        if self._given[frame] != [last] or not all(n.target is operator.getitem or _is_operator(n) for n in nodes):
            return None
        if len(nodes) == 2 and last.target is operator.getitem and last.args == (first, 0):
            nodes = [first]
        if len(nodes) == 1 and _is_operator(first):
            options = operators.arguments(first.target, first.args, first.kwargs)
            options = {key: self._option(frame, value) for key, value in options.items()}
            return _name(first), options
        return self._linear(frame, first, last) if len(nodes) == 2 else None

    def _linear(self, frame: Frame, first: Node, last: Node) -> tuple[str, dict[str, Any]] | None:
        """Recognise a linear layer after decomposition: the weights turned, a product, and perhaps the bias."""
        if _name(first) not in {"t", "permute"} or _name(last) not in {"mm", "addmm"} or last.args[-1] is not first:
            return None
        image, bias = last.args[-2], last.args[0] if _name(last) == "addmm" else None
        options = {"input": image, "weight": first.args[0], "bias": bias}
        return "linear", {key: self._option(frame, value) for key, value in options.items()}

    def _option(self, frame: Frame, value: Any) -> Any:
        if not isinstance(value, Node):
            return _plain(value)
        name = self._source.attributes.get(value)
        if name is None:
            return IMAGE
        owner, _, last = name.rpartition(".")
        return Own(last, self._tensors[name]) if owner == frame.name else value


def _refuse(nodes: Sequence[Node], attributes: Mapping[Node, str]) -> None:
    """Raise an error for what cannot be run piece by piece, and for what is only done in training."""
    strange = sorted({str(node.target) for node in nodes if not can_run(node.target)})
    if strange:
        raise InputError(f"this program calls {', '.join(strange)}, which cannot be looked into; {WAY_OUT}")
    for node in nodes:
        if not isinstance(node.target, OpOverload):
            continue
        given = operators.arguments(node.target, node.args, node.kwargs)
        if operators.in_training(node.target, given):
            raise in_training_mode(_name(node), node)
        first = node.args[0] if node.args else None
        if node.target._schema.is_mutable and isinstance(first, Node) and first in attributes:  # noqa: SLF001
            refuse_changes([attributes[first]])


def refuse_changes(names: Sequence[str]) -> None:
    """Raise an error for a program that changes its own buffers."""
    if any(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in names):
        raise in_training_mode("batch_norm")
    if names:
        raise InputError(f"this program changes its own buffers ({', '.join(names)}) when it runs; {WAY_OUT}")


def in_training_mode(operation: str, node: Node | None = None) -> InputError:
    """Return the error for a program whose layers do what they do in training."""
    stack = list(node.meta.get("nn_module_stack", {}).values()) if node else []
    where = f" in {stack[-1][0]!r}" if stack else ""
    return InputError(
        f"this program was exported in training mode ({operation}{where}); call eval() on the network, export it again"
    )


def _shared(source: Source) -> dict[str, Tensor]:
    """Return all tensors by name; those that are one under two names stay one."""
    made: dict[int, Tensor] = {}
    for name, tensor in source.tensors.items():
        if id(tensor) not in made:
            made[id(tensor)] = as_parameter(tensor) if name in source.parameters else tensor.detach()
    return {name: made[id(tensor)] for name, tensor in source.tensors.items()}


def _entered(frame: Frame) -> Iterator[Frame]:
    """Yield all calls in a call, in the order they begin."""
    for item in frame.items:
        if isinstance(item, Frame):
            yield item
            yield from _entered(item)


def _only(frame: Frame, other: Frame | None) -> list[Frame]:
    """Return the calls a call is in, itself included, that another is not in."""
    outer = other.path() if other else ()
    return [f for f in frame.path()[1:] if f not in outer]


def _tensors_of(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _is_operator(node: Node) -> bool:
    return isinstance(node.target, OpOverload)


def _name(node: Node) -> str:
    return operators.short_name(node.target) if isinstance(node.target, OpOverload) else str(node.target)


def _plain(value: Any) -> Any:
    """Return fx's own lists and dictionaries as Python's."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, torch.Size) or type(value) is tuple:
        return tuple(_plain(part) for part in value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return value
