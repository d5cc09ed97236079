"""A network at rest: looked into without a trace. Whatever is attached or switched is put back (STYLE, habit 6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convscope.nets.nodes import BELOW, notes, short_name


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and switch the parameters' gradients off; put all of it back afterwards.

    Without gradients of parameters the autograd graph holds exactly the paths from the image. Modules that were
    compiled in place run as they were written, because compiled code would take the observers in.
    """
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
    """Notes in the graph what a threshold puts in place of small values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        node = result.grad_fn if isinstance(result, Tensor) else None
        if node is not None and short_name(node) == "Threshold" and BELOW not in notes(node):
            value = options["value"] if "value" in options else args[2] if len(args) > 2 else None
            notes(node)[BELOW] = None if value is None else float(value)
        return result
