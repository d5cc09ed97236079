"""A network at rest: looked into without a trace. Whatever is attached or switched is put back (STYLE, habit 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convscope.nets.functions import function_name
from convscope.nets.nodes import BELOW, WRITTEN, notes, short_name

_TURNS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
_GIVING_OUT = RLock()


def _turn(network: nn.Module) -> RLock:
    """Return the lock of a network: what one thread switches or attaches must not meet what another does."""
    with _GIVING_OUT:
        return _TURNS.setdefault(next(iter(network.modules())), RLock())


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and switch the parameters' gradients off; put all of it back afterwards.

    Without gradients of parameters the autograd graph holds exactly the paths from the image. Modules that were
    compiled in place run as they were written, because compiled code would take the observers in. One thread at a time.
    """
    with _turn(network), _at_rest(network):
        yield


@contextmanager
def _at_rest(network: nn.Module) -> Iterator[None]:
    compiled = {m: code for m in network.modules() if (code := getattr(m, "_compiled_call_impl", None)) is not None}
    training = [(module, module.training) for module in network.modules()]
    trained = [p for p in network.parameters() if p.requires_grad and p.is_leaf]
    try:
        network.eval()
        for module in compiled:
            module._compiled_call_impl = None  # noqa: SLF001 - torch has no other way back from Module.compile
        for parameter in trained:
            parameter.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        yield
    finally:
        for module, code in compiled.items():
            module._compiled_call_impl = code  # noqa: SLF001
        for module, mode in training:
            module.training = mode
        for parameter in trained:
            parameter.requires_grad_(True)  # noqa: FBT003


@contextmanager
def watching_gradients() -> Iterator[None]:
    """Build an autograd graph, whatever mode the caller is in."""
    with torch.inference_mode(mode=False), torch.enable_grad(), _Thresholds():
        yield


class _Thresholds(TorchFunctionMode):
    """Notes in the graph what a threshold puts in place of small values, and what is done to parts of a map."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        node = result.grad_fn if isinstance(result, Tensor) else None
        if node is not None and short_name(node) == "Threshold" and BELOW not in notes(node):
            value = options["value"] if "value" in options else args[2] if len(args) > 2 else None
            notes(node)[BELOW] = None if value is None else float(value)
        if node is not None and function_name(func) in _BENDING:
            _note_part(result, function_name(func))
        return result


def _note_part(part: Tensor, function: str) -> None:
    """Note in the graph what was done in place to a part of a map: the graph itself only shows that some was."""
    whole = part._base  # noqa: SLF001 - torch's only name for what a view is a view of
    node = whole.grad_fn if whole is not None else None
    if node is not None and short_name(node) == "CopySlices":
        notes(node)[WRITTEN] = function


_BENDING = frozenset({
    "relu", "relu6", "hardtanh", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "silu", "mish", "sigmoid",
    "hardsigmoid", "hardswish", "tanh", "clamp", "threshold", "abs", "exp", "sqrt", "rsqrt", "pow",
})  # fmt: skip
"""Functions that are not linear and can be done in place."""
