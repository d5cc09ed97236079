"""Running TorchScript in Python: modules whose methods are lists of instructions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from convscope.errors import InputError
from convscope.nets.programs import operators
from convscope.nets.programs.script_graph import Block, Instruction
from convscope.nets.programs.script_values import convert, is_instance

Values = dict[str, Any]


class ScriptPart(nn.Module):
    """A module of TorchScript that runs its methods in Python.

    Attributes
    ----------
    convscope_methods
        What each of its methods does.
    convscope_values
        Its attributes that are neither tensors nor modules. Both names are ours alone: no module inside has them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convscope_methods: dict[str, Block] = {}
        self.convscope_values: Values = {}

    def forward(self, *values: Any, method: str = "forward") -> Any:
        """Return what a method of the module returns."""
        block = self.convscope_methods[method]
        device = next((value.device for value in values if isinstance(value, Tensor)), None)
        run = _Run(self, device)
        given = dict(zip(block.inputs, (self, *values), strict=True))
        return run.block(block, given)[0]


class _Run:
    """One call of one method."""

    def __init__(self, module: ScriptPart, device: torch.device | None) -> None:
        self._module, self._device = module, device

    def block(self, block: Block, values: Values) -> list[Any]:
        """Return the outputs of a block; ``values`` holds what it is given and what is around it."""
        for instruction in block.instructions:
            self._step(instruction, values)
            for name in instruction.done:
                values.pop(name, None)
        results = [values[name] for name in block.outputs]
        for name in block.done:
            values.pop(name, None)
        return results

    def _step(self, instruction: Instruction, values: Values) -> None:
        kind, outputs = instruction.kind, instruction.outputs
        if kind == "prim::Constant":
            values[outputs[0]] = self._constant(instruction)
            return
        if kind in _FLOW:
            results = _FLOW[kind](self, instruction, values)
        else:
            given = [values[name] for name in instruction.inputs]
            structure = _STRUCTURE.get(kind)
            results = structure(instruction, given) if structure else _run(instruction, given)
        if len(outputs) == 1:
            values[outputs[0]] = results
        elif outputs:
            values.update(zip(outputs, results, strict=True))

    def _constant(self, instruction: Instruction) -> Any:
        if instruction.name:
            return getattr(self._module, instruction.name)
        if isinstance(instruction.value, torch.device):
            return self._device or instruction.value
        return list(instruction.value) if isinstance(instruction.value, list) else instruction.value

    def choose(self, instruction: Instruction, values: Values) -> Any:
        """Run one of two blocks."""
        block = instruction.blocks[0 if values[instruction.inputs[0]] else 1]
        results = self.block(block, values)
        return results[0] if len(instruction.outputs) == 1 else results

    def repeat(self, instruction: Instruction, values: Values) -> Any:
        """Run a block until it says it is over, or has run as often as it may."""
        most, goes_on, *carried = (values[name] for name in instruction.inputs)
        block, count = instruction.blocks[0], 0
        while goes_on and count < most:
            values.update(zip(block.inputs, (count, *carried), strict=True))
            goes_on, *carried = self.block(block, values)
            count += 1
        return carried[0] if len(instruction.outputs) == 1 else carried


def _run(instruction: Instruction, given: Sequence[Any]) -> Any:
    function = instruction.value
    if isinstance(function, OpOverload):
        result = operators.run(function, given, {})
        is_list = len(instruction.outputs) == 1 and isinstance(result, tuple)
        return list(result) if is_list else result
    if isinstance(function, tuple):
        return convert(given[0], dict(zip(function, given, strict=False)))
    return function(*given)


def _get(instruction: Instruction, given: Sequence[Any]) -> Any:
    owner, name = given[0], instruction.name
    if isinstance(owner, ScriptPart) and name in owner.convscope_values:
        return owner.convscope_values[name]
    return getattr(owner, name)


def _set(instruction: Instruction, given: Sequence[Any]) -> None:
    owner, value = given
    if isinstance(owner, ScriptPart) and instruction.name in owner.convscope_values:
        owner.convscope_values[instruction.name] = value
    else:
        setattr(owner, instruction.name, value)


def is_forward(method: str) -> bool:
    """Whether a method is a call of the module: traces number those of one used again, scripts the overloads."""
    return re.fullmatch(r"forward(__)?\d*", method) is not None


def _call(instruction: Instruction, given: Sequence[Any]) -> Any:
    module, method = given[0], instruction.name
    if not isinstance(module, ScriptPart):
        return module(*given[1:]) if is_forward(method) else getattr(module, method)(*given[1:])
    if method == "forward":
        return module(*given[1:])
    if is_forward(method):
        return module(*given[1:], method=method)
    return ScriptPart.forward(module, *given[1:], method=method)  # no call of the module: hooks do not see it


def _raise(_: Instruction, given: Sequence[Any]) -> None:
    raise InputError(f"the network does not take this input ({given[0]}); give it what it was made for")


def _dictionary(_: Instruction, given: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(given[::2], given[1::2], strict=True))


def _unpack(instruction: Instruction, given: Sequence[Any]) -> Any:
    return given[0][0] if len(instruction.outputs) == 1 else given[0]


_FLOW: Final[Mapping[str, Callable[[_Run, Instruction, Values], Any]]] = {
    "prim::If": _Run.choose,
    "prim::Loop": _Run.repeat,
}

_STRUCTURE: Final[Mapping[str, Callable[[Instruction, Sequence[Any]], Any]]] = {
    "convscope::call": _call,
    "prim::CreateObject": lambda *_: SimpleNamespace(),
    "prim::DictConstruct": _dictionary,
    "prim::GetAttr": _get,
    "prim::ListConstruct": lambda _, given: list(given),
    "prim::ListUnpack": _unpack,
    "prim::RaiseException": _raise,
    "prim::SetAttr": _set,
    "prim::TupleConstruct": lambda _, given: tuple(given),
    "prim::TupleIndex": lambda _, given: operator.getitem(*given),
    "prim::TupleUnpack": _unpack,
    "prim::Uninitialized": lambda *_: None,
    "prim::isinstance": lambda instruction, given: is_instance(given[0], instruction.value),
    "prim::tolist": lambda _, given: given[0].tolist(),
}
