"""A network built again from the operators it ran: modules that run a list of steps, and layers of torch.nn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator, OpOverload

from convscope.nets.programs import operators


@dataclass(frozen=True)
class Value:
    """Stands for a result of an earlier step, by its name."""

    name: str


@dataclass(frozen=True)
class Attribute:
    """Stands for a tensor of a module."""

    owner: nn.Module
    name: str


@dataclass(frozen=True)
class Step:
    """A function that is called.

    Attributes
    ----------
    function
        An operator, a function of Python, or a module.
    args, kwargs
        What it is given, with :class:`Value` and :class:`Attribute` in it.
    results
        Names of what it returns; several where it returns a tuple.
    done
        Names of what nobody needs afterwards.
    """

    function: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    results: tuple[str, ...]
    done: tuple[str, ...] = ()


@dataclass(frozen=True)
class Body:
    """What one call of a module does."""

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: Any

    def run(self, given: Sequence[Any]) -> Any:
        """Return what the call returns; values are dropped after their last use."""
        values = dict(zip(self.inputs, given, strict=True))
        device = next((value.device for value in given if isinstance(value, Tensor)), None)
        for step in self.steps:
            args = [_filled(argument, values, device) for argument in step.args]
            kwargs = {name: _filled(argument, values, device) for name, argument in step.kwargs.items()}
            result = _call(step.function, args, kwargs)
            if len(step.results) == 1:
                values[step.results[0]] = result
            else:
                values.update(zip(step.results, result, strict=True))
            del args, kwargs, result
            for name in step.done:
                del values[name]
        return _filled(self.outputs, values, device)


class Part(nn.Module):
    """A module that runs the steps it was seen to run.

    Attributes
    ----------
    convscope_bodies
        What each of its calls does, in order; a call says which of them it is. No module inside has this name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convscope_bodies: list[Body] = []

    def forward(self, *values: Any, body: int = 0) -> Any:
        """Return the tensor, or the tuple of tensors, that left the module."""
        return self.convscope_bodies[body].run(values)


def _call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if isinstance(function, OpOverload):
        return operators.run(function, args, kwargs)
    if isinstance(function, HigherOrderOperator):
        return _HIGHER[str(function)](*args, **kwargs)
    return function(*args, **kwargs)


def _filled(template: Any, values: Mapping[str, Any], device: torch.device | None) -> Any:
    """Return arguments with what the placeholders stand for; tensors are made where the images are."""
    if isinstance(template, Value):
        return values[template.name]
    if isinstance(template, Attribute):
        return getattr(template.owner, template.name)
    if isinstance(template, torch.device):
        return device or template
    return _nested(template, lambda part: _filled(part, values, device))


def _nested(template: Any, filled: Callable[[Any], Any]) -> Any:
    """Return a list, a tuple, a dictionary or a slice with its parts filled; anything else as it is."""
    if isinstance(template, list | tuple):
        return type(template)(filled(part) for part in template)
    if isinstance(template, dict):
        return {name: filled(part) for name, part in template.items()}
    if isinstance(template, slice):
        return slice(filled(template.start), filled(template.stop), filled(template.step))
    return template


def placeholders(template: Any) -> Iterator[Value]:
    """Yield the values that arguments wait for."""
    if isinstance(template, Value):
        yield template
    elif isinstance(template, list | tuple):
        for part in template:
            yield from placeholders(part)
    elif isinstance(template, dict):
        yield from placeholders(list(template.values()))
    elif isinstance(template, slice):
        yield from placeholders([template.start, template.stop, template.step])


def with_done(inputs: Sequence[str], steps: Sequence[Step], outputs: Any) -> Body:
    """Return a body that drops each value after the last step that needs it."""
    kept = {value.name for value in placeholders(outputs)}
    finished: list[Step] = []
    for step in reversed(steps):
        used = {value.name for value in placeholders([list(step.args), dict(step.kwargs)])} | set(step.results)
        done = tuple(sorted(used - kept))
        kept |= used
        finished.append(Step(step.function, step.args, step.kwargs, step.results, done))
    return Body(tuple(inputs), tuple(reversed(finished)), outputs)


def can_run(function: Any) -> bool:
    """Whether a function that a program names is one that may be called."""
    if isinstance(function, OpOverload):
        return not operators.has_side_effect(function)
    if isinstance(function, HigherOrderOperator):
        return str(function) in _HIGHER
    home = getattr(function, "__module__", "")
    name = getattr(function, "__name__", "")
    return (home == "_operator" and name != "call") or home == "math" or (home == "torch" and name.startswith("sym_"))


def _cond(chosen: Any, yes: Callable[..., Any], no: Callable[..., Any], operands: Sequence[Any] = ()) -> Any:
    return (yes if bool(chosen) else no)(*operands)


def _while_loop(goes_on: Any, step: Any, carried: Sequence[Any], extra: Sequence[Any] = ()) -> Any:
    carried = tuple(carried)
    while bool(goes_on(*carried, *extra)):
        carried = tuple(step(*carried, *extra))
    return carried


def _with_gradients(enabled: bool, body: Callable[..., Any], *args: Any) -> Any:
    with torch.set_grad_enabled(enabled and torch.is_grad_enabled()):
        return body(*args)


def _with_autocast(device: str, dtype: Any, enabled: bool, cached: bool, body: Any, *args: Any) -> Any:
    with torch.autocast(device, dtype, enabled, cached):
        return body(*args)


_HIGHER: Final[Mapping[str, Callable[..., Any]]] = {
    "cond": _cond,
    "while_loop": _while_loop,
    "wrap_with_set_grad_enabled": _with_gradients,
    "wrap_with_autocast": _with_autocast,
}
"""Operators that run other graphs, which are plain Python modules here."""
