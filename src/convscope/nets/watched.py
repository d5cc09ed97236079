"""What of a network can be watched: its parameters and layers by the names the user gave them, whatever wraps it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parallel import DataParallel, DistributedDataParallel

from convscope.errors import InputError, not_found

_SHARDED: Final = {"FullyShardedDataParallel", "FSDPModule", "DTensor"}
_PASS_ON: Final = (nn.Flatten, nn.Unflatten, nn.Identity)
"""Layers whose output is their input in another shape."""


class Watched:
    """A network without what wraps it, and which of its layers are asked for.

    Parameters
    ----------
    network
        The network; DistributedDataParallel, DataParallel and ``torch.compile`` are looked through.
    layers
        Names of modules, or one regular expression; what is inside a module that is chosen is chosen too.

    Raises
    ------
    InputError
        If it is not a network with parameters, or they are sharded.
    NotFoundError
        If a layer is not there.
    """

    def __init__(self, network: nn.Module, layers: str | Sequence[str] | None) -> None:
        if not isinstance(network, nn.Module):
            raise InputError(f"watch() takes a torch.nn.Module, got {type(network).__name__}")
        self.network = _unwrapped(network)
        self.name = type(self.network).__name__
        self.compiled = _runs_compiled(network, self.network)
        self._refuse_what_cannot_be()
        self._chosen = None if layers is None else self._choose(layers)

    def _refuse_what_cannot_be(self) -> None:
        for name, part in [*self.network.named_modules(), *self.network.named_parameters()]:
            if _SHARDED & {base.__name__ for base in type(part).__mro__}:
                raise InputError(
                    f"watch() needs whole parameters, and {name or self.name} is sharded (FSDP, DTensor); "
                    "log those of a full state dict with writer.add_histogram instead"
                )
        if next(self.network.parameters(), None) is None:
            raise InputError(f"{self.name} has no parameters, so there is nothing to watch")

    def _choose(self, layers: str | Sequence[str]) -> frozenset[str]:
        several = isinstance(layers, Collection) and all(isinstance(name, str) for name in layers)
        if not several or not layers:
            raise InputError(f"layers are names or a regular expression, got {layers!r:.80}; leave them out for all")
        names = [name for name, _ in self.network.named_modules() if name]
        if isinstance(layers, str):
            try:
                pattern = re.compile(layers)
            except re.error as error:
                raise InputError(f"layers={layers!r} is no regular expression ({error}); give names") from error
            found = {name for name in names if pattern.fullmatch(name)}
            if not found:
                raise not_found("layer", layers, names, self.name)
            return frozenset(found)
        for name in layers:
            if name not in names:
                raise not_found("layer", name, names, self.name)
        return frozenset(layers)

    def has(self, module: str) -> bool:
        """Whether a module of this name, or one that holds it, has been asked for."""
        if self._chosen is None:
            return True
        parts = module.split(".")
        return any(".".join(parts[:end]) in self._chosen for end in range(1, len(parts) + 1))

    def label(self, module: str) -> str:
        """Return how a module is called in tags: the network itself has no name, but a class."""
        return module or self.name

    def parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Return the parameters that hold numbers; a shared one by its first name."""
        for name, parameter in self.network.named_parameters():
            lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
            if not lazy and not parameter.is_meta and (parameter.is_floating_point() or parameter.is_complex()):
                yield name, parameter

    def leaves(self) -> Iterator[tuple[str, nn.Module]]:
        """Return the layers asked for that hold no others and change what goes through them."""
        for name, module in self.network.named_modules():
            inside = "parametrizations" in name.split(".")  # what computes a parametrised weight is no layer
            leaf = next(module.children(), None) is None or hasattr(module, "parametrizations")
            if leaf and not inside and not isinstance(module, _PASS_ON) and self.has(name):
                yield name, module

    def first_filters(self) -> tuple[str, str]:
        """Return the first 2-D convolution asked for and its weight's name; empty without one, or if it is computed."""
        for name, module in self.network.named_modules():
            if isinstance(module, nn.Conv2d) and self.has(name):
                direct = "weight" in dict(module.named_parameters(recurse=False))
                return (name, f"{name}.weight".removeprefix(".")) if direct else ("", "")
        return "", ""


def _unwrapped(network: nn.Module) -> nn.Module:
    while True:
        inner = getattr(network, "_orig_mod", None)
        if isinstance(network, DistributedDataParallel | DataParallel):
            inner = network.module
        if not isinstance(inner, nn.Module):
            return network
        network = inner


def _runs_compiled(outer: nn.Module, inner: nn.Module) -> bool:
    """Whether hooks of its modules may never be called."""
    if any(getattr(module, "_orig_mod", None) is not None for module in outer.modules()):
        return True
    compiled = (getattr(module, "_compiled_call_impl", None) is not None for module in inner.modules())
    return any(compiled) or any(isinstance(module, torch.jit.ScriptModule) for module in inner.modules())


def first_tensor(output: object) -> Tensor | None:
    """Return the first tensor of numbers in what a module gave out, however it is packed; a single number is a loss."""
    if isinstance(output, Tensor):
        if output.is_nested or output.is_meta or isinstance(output, FakeTensor):  # there are no numbers to be had
            return None
        floating = output.is_floating_point() or output.is_complex()
        return output if floating and output.ndim and output.numel() else None
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return next((found for part in output if (found := first_tensor(part)) is not None), None)
    return None
