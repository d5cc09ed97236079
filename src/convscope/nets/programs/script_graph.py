"""Graphs of TorchScript as lists of steps that Python can run.

A method's graph names what it calls. Calls of modules stay calls, so that hooks see them; functions and methods of
plain objects are put in where they are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import Tensor

from convscope.nets.programs import operators
from convscope.nets.programs.script_values import ALWAYS, KINDS, PLAIN, plain

_CALL: Final = "convscope::call"
_SCHEMA: Final = re.compile(r"([\w:]+?)(?:\.(\w+))?\((.*)\) -> (.*)", re.DOTALL)
_STRUCTURE: Final = frozenset({
    _CALL,
    "prim::Constant",
    "prim::CreateObject",
    "prim::DictConstruct",
    "prim::GetAttr",
    "prim::If",
    "prim::ListConstruct",
    "prim::ListUnpack",
    "prim::Loop",
    "prim::RaiseException",
    "prim::SetAttr",
    "prim::TupleConstruct",
    "prim::TupleIndex",
    "prim::TupleUnpack",
    "prim::Uninitialized",
    "prim::isinstance",
    "prim::tolist",
})  # fmt: skip


@dataclass(frozen=True)
class Instruction:
    """One node of a graph.

    Attributes
    ----------
    kind
        ``aten::relu``, ``prim::If`` and so on.
    inputs, outputs
        Names of the values it takes and gives.
    name
        The attribute, the method or the tensor it is about.
    value
        The constant; the operator; the types to tell apart.
    blocks
        What it runs under a condition, or again and again.
    done
        Names of what nobody needs afterwards.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = ""
    value: Any = None
    blocks: tuple[Block, ...] = ()
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A list of instructions, what they are given and what they give.

    Attributes
    ----------
    done
        Names of what is of no use once the outputs have been taken: all of this block that is left.
    """

    inputs: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...] = ()


@dataclass
class Reader:
    """Turns graphs into blocks, and notes what cannot be run.

    Attributes
    ----------
    modules
        The names of the types that are modules.
    strange
        What was met that Python cannot run.
    called
        Names of the methods of modules that are called.
    attributes
        Names of the attributes that are read.
    tensors
        The constant tensors of the graph read last, by name.
    """

    modules: set[str]
    strange: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def read(self, graph: Any) -> Block:
        """Return what a method's graph does."""
        self.tensors = {}
        graph = graph.copy()
        self._keep_calls(graph)
        torch._C._jit_pass_inline(graph)  # noqa: SLF001 - torch has no public way
        torch._C._jit_pass_inline_fork_wait(graph)  # noqa: SLF001
        return self._block(graph, list(graph.inputs()), list(graph.outputs()))

    def _keep_calls(self, graph: Any) -> None:
        """Rename the calls of modules, so that inlining does not know them."""
        for node in graph.findAllNodes("prim::CallMethod", True):  # noqa: FBT003 - at any depth
            kind = node.inputsAt(0).type()
            if not (kind.is_interface_type() or kind.str() in self.modules):
                continue
            call = graph.create(_CALL, list(node.inputs()), node.outputsSize())
            call.s_("name", node.s("name"))
            call.insertBefore(node)
            for old, new in zip(node.outputs(), call.outputs(), strict=True):
                new.setType(old.type())
                old.replaceAllUsesWith(new)
            node.destroy()

    def _block(self, block: Any, inputs: list[Any], outputs: list[Any]) -> Block:
        instructions = [self._instruction(node) for node in block.nodes()]
        given, leaving = _names(inputs), _names(outputs)
        kept, finished = set(leaving), []
        mine = {name for instruction in instructions for name in instruction.outputs} | set(given)
        for instruction in reversed(instructions):
            used = _used(instruction) & mine
            done = tuple(sorted(used - kept))
            kept |= used
            finished.append(replace(instruction, done=done))
        left = tuple(sorted((set(leaving) | set(given)) & mine))
        return Block(given, tuple(reversed(finished)), leaving, left)

    def _instruction(self, node: Any) -> Instruction:
        kind, inputs, outputs = node.kind(), _names(node.inputs()), _names(node.outputs())
        name, value = "", None
        if kind == "prim::Constant":
            name, value = self._constant(node)
        elif kind in {"prim::GetAttr", "prim::SetAttr", _CALL}:
            name = node.s("name")
            (self.called if kind == _CALL else self.attributes).add(name)
        elif kind == "prim::isinstance":
            value = tuple(t.kind() for t in node.tys("types"))
            self.strange |= {f"isinstance of {t}" for t in value if t not in KINDS}
        elif kind not in _STRUCTURE:
            value = self._function(node)
        blocks = tuple(self._block(b, list(b.inputs()), list(b.outputs())) for b in node.blocks())
        return Instruction(kind, inputs, outputs, name, value, blocks)

    def _constant(self, node: Any) -> tuple[str, Any]:
        """Return the name under which a constant tensor is kept, or the value of another constant."""
        if not node.hasAttribute("value"):  # None, or a function, which has been put in where it is called
            return "", None
        value = node.output().toIValue()
        if isinstance(value, Tensor):
            name = "constant_" + re.sub(r"\W", "_", node.output().debugName())
            self.tensors[name] = value
            return name, None
        return "", value

    def _function(self, node: Any) -> Any:
        """Return what runs an operator: a function of Python, or an operator of torch with the names it takes."""
        kind = node.kind()
        if kind in ALWAYS:
            return ALWAYS[kind]
        match = _SCHEMA.fullmatch(node.schema())
        if match is None and kind in PLAIN:
            return PLAIN[kind]
        if match is None or (kind.startswith("prim::") and kind not in PLAIN) or "mkldnn" in kind.lower():
            self.strange.add(kind)
            return None
        name, overload, takes, gives = match.groups()
        if kind in PLAIN and "Tensor" not in takes:
            return plain(kind, gives)
        if kind == "aten::to":
            return tuple(re.findall(r"(\w+)(?:=[^,]*)?(?:,|$)", takes))
        operator = find_operator(name, overload)
        if operator is None or operators.has_side_effect(operator):
            self.strange.add(kind)
        return operator


def find_operator(name: str, overload: str | None) -> Any:
    """Return an operator by its name and its overload; ``None`` where only TorchScript itself has it."""
    namespace, _, short = name.partition("::")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), short), overload or "default")
    except (AttributeError, RuntimeError):
        return None
    return found if isinstance(found, torch._ops.OpOverload) else None  # noqa: SLF001


def _names(values: Any) -> tuple[str, ...]:
    return tuple(value.debugName() for value in values)


def _used(instruction: Instruction) -> set[str]:
    """Return all names an instruction deals with, also those its blocks take from outside."""
    inner = {name for block in instruction.blocks for name in _used_in(block)}
    return set(instruction.inputs) | set(instruction.outputs) | inner


def _used_in(block: Block) -> set[str]:
    return set(block.outputs).union(*(_used(instruction) for instruction in block.instructions))


def constants_of(block: Block) -> Iterator[Instruction]:
    """Yield the instructions of a block, at any depth, that name a constant tensor."""
    for instruction in block.instructions:
        if instruction.kind == "prim::Constant" and instruction.name:
            yield instruction
        for inner in instruction.blocks:
            yield from constants_of(inner)
