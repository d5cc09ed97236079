"""The torch module that an ONNX graph becomes, and the small modules that call functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from convscope.errors import InputError
from convscope.nets.onnx.node import Shape, parameter
from convscope.nets.onnx.reading import GraphInput


@dataclass(frozen=True)
class Bound:
    """A function with some of its arguments known.

    Attributes
    ----------
    call
        The function.
    known
        What is known of its arguments, in their order; :data:`OPEN` for one that comes when it is called.
    """

    call: Callable[..., Any]
    known: tuple[Any, ...]

    def __call__(self, *values: Any) -> Any:
        """Call the function with what is known and these values, in their order."""
        given = iter(values)
        return self.call(*[next(given) if value is OPEN else value for value in self.known])


class _Open:
    """Stands for an argument that is not known yet; there is one."""

    def __reduce__(self) -> str:
        return "OPEN"

    def __copy__(self) -> _Open:
        return self

    def __deepcopy__(self, memo: Any) -> _Open:
        return self


OPEN = _Open()


class Operation(nn.Module):
    """A function of torch as a module, so that it is a layer with the file's name; subclasses are called as ONNX does.

    Parameters
    ----------
    call
        The function.
    known
        What is known of its arguments, as in :class:`Bound`; tensors become parameters where ``learned`` has their
        position, else buffers.
    learned
        Positions of tensors that are the network's own.
    """

    ONE_LAYER = True

    def __init__(self, call: Callable[..., Any], known: Sequence[Any], learned: frozenset[int] = frozenset()) -> None:
        super().__init__()
        self.call = call
        self.known = tuple(OPEN if isinstance(value, Tensor) else value for value in known)
        self.tensors: dict[int, str] = {}
        for place, value in enumerate(known):
            if isinstance(value, Tensor):
                name = self.tensors[place] = f"constant_{place}"
                if place in learned:
                    self.register_parameter(name, parameter(value))
                else:
                    self.register_buffer(name, value)

    def forward(self, *values: Any) -> Any:
        """Return what the function makes of what is known and these values, in their order."""
        given = iter(values)
        arguments = [
            getattr(self, self.tensors[place]) if place in self.tensors else next(given) if value is OPEN else value
            for place, value in enumerate(self.known)
        ]
        return self.call(*_together(arguments))


def _together(arguments: list[Any]) -> list[Any]:
    """Return the arguments on one device: what was computed from shapes is on the CPU."""
    devices = {value.device for value in arguments if isinstance(value, Tensor)}
    if len(devices) < 2:
        return arguments
    device = next(device for device in devices if device.type != "cpu")
    return [value.to(device) if isinstance(value, Tensor) else value for value in arguments]


@cache
def operation_class(op: str) -> type[Operation]:
    """Return the class of an operator's modules, so that layers of it are of the kind ``Add``, ``Concat`` and so on."""
    name = "".join(c if c.isalnum() else "_" for c in op)
    return type(name, (Operation,), {"__module__": __name__, "__doc__": f"ONNX's {op}."})


def __getattr__(name: str) -> type[Operation]:
    """Return the class of an operator's modules: this is where pickles look for it."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return operation_class(name)


@dataclass(frozen=True)
class Step:
    """One step of the program: which child or function is called, with which values, and what is dropped after it."""

    module: str
    call: Callable[..., Any] | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    done: tuple[str, ...]


class OnnxModule(nn.Module):
    """The network of an ONNX file; its children are named as in the file.

    It computes the same in training and in evaluation mode: what an ONNX file holds is a network at rest.

    Attributes
    ----------
    inputs
        Names and shapes of what it takes, in the order of the arguments.
    output_names
        What it gives: one output is a tensor, several are a dictionary by these names.
    channels_last
        Whether the file's graph takes images ``(N, H, W, C)``; this module takes ``(N, C, H, W)`` all the same.
    """

    def __init__(
        self, name: str, inputs: Sequence[GraphInput], outputs: Sequence[str], *, channels_last: bool = False
    ) -> None:
        super().__init__()
        self.name = name
        self.inputs = tuple(inputs)
        self.output_names = tuple(outputs)
        self.channels_last = channels_last
        self.output_shapes: tuple[Shape | None, ...] = (None,) * len(outputs)
        self.steps: tuple[Step, ...] = ()
        self.training = False

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width of an image, or ``None`` where the file leaves one open or takes no images."""
        if len(self.inputs) != 1 or self.inputs[0].shape is None or len(self.inputs[0].shape) != 4:
            return None
        _, C, H, W = self.inputs[0].shape
        return None if C is None or H is None or W is None else (C, H, W)

    def train(self, mode: bool = True) -> OnnxModule:
        """Remember the mode; nothing computes differently in it."""
        self.training = mode
        return self

    def forward(self, *inputs: Tensor) -> Any:
        """Return what the graph puts out: a tensor, or a dictionary of several by their names."""
        if len(inputs) != len(self.inputs):
            names = ", ".join(value.name for value in self.inputs)
            raise InputError(f"{self.name} takes {len(self.inputs)} inputs ({names}), got {len(inputs)}")
        values = dict(zip((value.name for value in self.inputs), inputs, strict=True))
        for step in self.steps:
            self._take(step, values)
        found = [values[name] for name in self.output_names]
        self._check_count(inputs, found)
        return found[0] if len(found) == 1 else dict(zip(self.output_names, found, strict=True))

    def _check_count(self, inputs: Sequence[Tensor], found: Sequence[Tensor]) -> None:
        """Raise an error where a graph for a fixed number of images has made one result of several."""
        shape = self.inputs[0].shape if self.inputs else None
        if not shape or shape[0] is None or inputs[0].shape[0] == shape[0]:
            return
        for value, told in zip(found, self.output_shapes, strict=True):
            if told and told[0] == shape[0] and value.shape[0] != inputs[0].shape[0]:
                raise InputError(
                    f"{self.name} was exported for {shape[0]} image(s) at a time and mixes more of them, "
                    f"got {inputs[0].shape[0]}; export it with a batch of any size"
                )

    def _take(self, step: Step, values: dict[str, Any]) -> None:
        call = step.call or self.get_submodule(step.module)
        try:
            result = call(*[values[name] if name else None for name in step.inputs])
        except (RuntimeError, ValueError, IndexError) as error:
            raise self._explained(step, values, error) from error
        results = result if isinstance(result, tuple | list) else (result,)
        values.update(zip(step.outputs, results, strict=False))
        for name in step.done:
            values.pop(name, None)

    def _explained(self, step: Step, values: dict[str, Any], error: Exception) -> Exception:
        """Return an error that says where it happened; the usual one is an image count the file does not leave open."""
        reason = " ".join(str(error).split())[:200]
        shapes = ", ".join(str(tuple(v.shape)) for n in step.inputs if isinstance(v := values.get(n), Tensor))
        fixed = self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else None
        hint = f"; it was exported for {fixed} image(s) at a time" if fixed is not None else ""
        where = step.module or step.outputs[0]
        message = f"{self.name}: {where!r} does not take {shapes or 'what it is given'} ({reason}){hint}"
        return torch.OutOfMemoryError(message) if isinstance(error, torch.OutOfMemoryError) else InputError(message)
