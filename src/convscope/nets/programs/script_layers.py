"""Layers of torch.nn found in TorchScript: modules that do what one does, and, in frozen files, operators that do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from convscope.nets.programs import operators
from convscope.nets.programs.rebuilt import IMAGE, Own, as_layer, called
from convscope.nets.programs.script_graph import Block, Instruction, find_operator
from convscope.nets.programs.script_run import ScriptPart, is_forward

_WITH_WEIGHTS: Final = {
    "conv1d": "torch.nn.modules.conv.Conv1d",
    "conv2d": "torch.nn.modules.conv.Conv2d",
    "conv3d": "torch.nn.modules.conv.Conv3d",
    "linear": "torch.nn.modules.linear.Linear",
}
_NAMED: Final = re.compile(r"self\.(.+)\.\w+")


def qualified(script: Any) -> str:
    """Return the class a module of TorchScript was made from, ``torch.nn.modules.conv.Conv2d``."""
    name = re.sub(r"___torch_mangle_\d+\.", "", script._type().qualified_name())  # noqa: SLF001
    return name.removeprefix("__torch__.")


def parameters(script: Any) -> dict[str, Tensor]:
    """Return a module's own parameters by name."""
    return _held("ParameterDict", script)


def buffers(script: Any) -> dict[str, Tensor]:
    """Return a module's own buffers by name."""
    return _held("BufferDict", script)


def children(script: Any) -> dict[str, Any]:
    """Return the modules in a module by name."""
    return _held("ModuleDict", script)


def _held(kind: str, script: Any) -> dict[str, Any]:
    return dict(getattr(torch._C, kind)(script).items())  # noqa: SLF001 - what torch.jit itself goes through


def layer_of(script: Any, tensors: Mapping[str, Tensor]) -> nn.Module | None:
    """Return the layer of torch.nn that does what a module of TorchScript does, if one does.

    Parameters
    ----------
    script
        A ``torch._C.ScriptModule`` without children.
    tensors
        Its parameters and buffers.
    """
    methods = [name for name in script._method_names() if is_forward(name)]  # noqa: SLF001
    layers = [_layer(qualified(script), script._get_method(name).graph, tensors) for name in methods]  # noqa: SLF001
    if not layers or any(layer is None or repr(layer) != repr(layers[0]) for layer in layers):
        return None
    return layers[0]


def _layer(kind: str, graph: Any, tensors: Mapping[str, Tensor]) -> nn.Module | None:
    graph = _simplified(graph)
    takes, leaves = list(graph.inputs()), list(graph.outputs())
    if len(takes) != 2 or len(leaves) != 1:
        return None
    last = leaves[0].node()
    if any(node != last and _makes_tensor(node) for node in graph.nodes()):
        return None
    match = re.fullmatch(r"([\w:]+?)(?:\.(\w+))?\(.*", last.schema(), re.DOTALL)
    operator = find_operator(*match.groups()) if match else None
    if operator is None:
        return None
    given = [_option(value, takes[1], tensors) for value in last.inputs()]
    options = operators.arguments(operator, given, {})
    return as_layer(kind, operators.short_name(operator), options)


def _simplified(graph: Any) -> Any:
    """Return what a method does in eval mode, with all that is known beforehand worked out."""
    graph = graph.copy()
    torch._C._jit_pass_inline(graph)  # noqa: SLF001 - torch has no public way
    for node in graph.findAllNodes("prim::GetAttr", True):  # noqa: FBT003 - at any depth
        if node.s("name") == "training":
            constant = graph.insertConstant(False)  # noqa: FBT003
            constant.node().moveBefore(node)
            node.output().replaceAllUsesWith(constant)
    torch._C._jit_pass_erase_shape_information(graph)  # noqa: SLF001 - that of the example a trace was made with
    for _ in range(2):
        torch._C._jit_pass_constant_propagation(graph)  # noqa: SLF001
        torch._C._jit_pass_peephole(graph)  # noqa: SLF001
        torch._C._jit_pass_dce(graph)  # noqa: SLF001
    return graph


def _makes_tensor(node: Any) -> bool:
    """Whether a node that is not the last makes a tensor; weights are read, and sizes only checked."""
    if node.kind() in {"prim::GetAttr", "prim::Constant"}:
        return False
    inner = any(_makes_tensor(part) for block in node.blocks() for part in block.nodes())
    return inner or any("Tensor" in value.type().str() for value in node.outputs())


def _option(value: Any, image: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Return what a value stands for among a layer's options; anything but a known value rules the layer out."""
    node = value.node()
    if value == image or value.debugName() == image.debugName():
        return IMAGE
    if node.kind() == "prim::GetAttr":
        name = node.s("name")
        return Own(name, tensors[name]) if name in tensors else None
    return value.toIValue() if node.kind() == "prim::Constant" else value


class Frozen:
    """Finds layers in a graph whose weights are constants, as ``torch.jit.freeze`` leaves them."""

    def __init__(self, part: ScriptPart, tensors: Mapping[str, Tensor]) -> None:
        self._part, self._tensors = part, tensors
        self._constants: dict[str, Any] = {}
        self._layers: dict[tuple[Any, ...], nn.Module] = {}

    def rebuilt(self, block: Block) -> Block:
        """Return a block that calls layers where it had operators with constant weights."""
        instructions = []
        for instruction in block.instructions:
            self._note(instruction)
            layer = self._layer(instruction)
            blocks = tuple(self.rebuilt(inner) for inner in instruction.blocks)
            made = replace(instruction, blocks=blocks)
            if layer is not None:
                image = next(name for name in instruction.inputs if name not in self._constants)
                made = replace(made, kind="convscope::layer", inputs=(image,), value=layer)
            instructions.append(made)
        used = {name for instruction in instructions for name in _reads(instruction)} | set(block.outputs)
        kept = (i for i in instructions if i.kind != "prim::Constant" or i.outputs[0] in used)
        return replace(block, instructions=tuple(kept))

    def _note(self, instruction: Instruction) -> None:
        if instruction.kind == "prim::Constant":
            value = self._tensors[instruction.name] if instruction.name else instruction.value
            self._constants[instruction.outputs[0]] = value
        elif instruction.kind == "prim::ListConstruct" and all(n in self._constants for n in instruction.inputs):
            self._constants[instruction.outputs[0]] = [self._constants[name] for name in instruction.inputs]

    def _layer(self, instruction: Instruction) -> nn.Module | None:
        operator = instruction.value
        if not isinstance(operator, OpOverload):
            return None
        names = [argument.name for argument in operator._schema.arguments]  # noqa: SLF001
        given = [self._option(name, value) for name, value in zip(names, instruction.inputs, strict=False)]
        own = [value for value in given if isinstance(value, Own)]
        short = operators.short_name(operator)
        if short == "_convolution" and own:
            short = f"conv{own[0].tensor.ndim - 2}d"
        if not own or short not in _WITH_WEIGHTS:
            return None
        key = (short, *(str(v) if not isinstance(v, Own) else v.tensor.data_ptr() for v in given))
        if key not in self._layers:
            layer = as_layer(_WITH_WEIGHTS[short], short, operators.arguments(operator, given, {}))
            if layer is None:
                return None
            self._layers[key] = layer
            self._add(instruction.inputs[1], short, layer)
        return self._layers[key]

    def _option(self, name: str, value: str) -> Any:
        if value not in self._constants:
            return IMAGE
        constant = self._constants[value]
        return Own(name, constant) if isinstance(constant, Tensor) else constant

    def _add(self, weight: str, operator: str, layer: nn.Module) -> None:
        """Put a layer where its weights were, if their name says so, else under the operator's name."""
        match = _NAMED.fullmatch(weight)
        *path, last = match[1].split(".") if match else [operator]
        home: nn.Module = self._part
        for name in path:
            if name not in dict(home.named_children()):
                home.add_module(name, called(ScriptPart, "Module")())
            home = home.get_submodule(name)
        taken = dict(home.named_children())
        number = next(k for k in range(1, len(taken) + 2) if (f"{last}_{k}" if k > 1 else last) not in taken)
        home.add_module(f"{last}_{number}" if number > 1 else last, layer)


def _reads(instruction: Instruction) -> set[str]:
    inner = {name for block in instruction.blocks for part in block.instructions for name in _reads(part)}
    return set(instruction.inputs) | inner | {name for block in instruction.blocks for name in block.outputs}
