"""The weights of a layer as something derivatives are taken of, and the place where a filter's map is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils import parametrize

from convscope.errors import InputError
from convscope.nets.observe import ROOT
from convscope.nets.trace import Tap, Trace

_PER_CHANNEL = ("BatchNorm", "InstanceNorm")
"""Normalisations that keep every channel to itself: behind them stands a filter's map."""


@dataclass(frozen=True)
class Weights:
    """The tensor that holds a layer's weights, and how it is turned to ``(O, I, kh, kw)``.

    Attributes
    ----------
    tensor
        A leaf that requires a gradient.
    transposed
        Whether a linear layer's weights lie as ``(I, O)``.
    groups
        Of a transposed convolution, whose weights are ``(I, O / groups, kh, kw)``; 0 for any other layer.
    """

    tensor: Tensor
    transposed: bool = False
    groups: int = 0

    def as_filters(self, gradient: Tensor) -> Tensor:
        """Return a gradient of the tensor as ``(O, I, kh, kw)``."""
        if self.transposed:
            gradient = gradient.t()
        if self.groups:
            inputs, outputs, *kernel = gradient.shape
            apart = gradient.reshape(self.groups, inputs // self.groups, outputs, *kernel).transpose(1, 2)
            gradient = apart.reshape(self.groups * outputs, inputs // self.groups, *kernel)
        outputs, inputs, *kernel = gradient.shape
        return gradient.reshape(outputs, inputs, *([1] * (2 - len(kernel))), *kernel)


@contextmanager
def differentiable(network: nn.Module, trace: Trace, layer: str) -> Iterator[Weights]:
    """Let derivatives be taken of a layer's weights, and of nothing else; inside :func:`convscope.nets.frozen.frozen`.

    Parametrised weights (weight norm) are the ones that the layer computes with.

    Raises
    ------
    InputError
        If the layer has no weights that can be had as numbers.
    """
    modules = {ROOT: network, **dict(network.named_modules())}
    module = modules.get(layer.partition(":")[0])
    parametrised = module is not None and parametrize.is_parametrized(module, "weight")
    with parametrize.cached() if parametrised else nullcontext():
        held = module.weight if module is not None and parametrised else _leaf(network, trace, module, layer)
        asked = held.requires_grad
        held.requires_grad_(True)  # noqa: FBT003 - torch's own signature
        try:
            yield _weights(held, trace, layer)
        finally:
            held.requires_grad_(asked)


def _leaf(network: nn.Module, trace: Trace, module: nn.Module | None, layer: str) -> Tensor:
    """Return the parameter or buffer that a layer's weights lie in."""
    used = trace.weights.get(layer)
    held: Tensor | None = module._parameters.get("weight") if module is not None else None  # noqa: SLF001 - not what a hook computes
    if used is not None:
        held = _lies_in(network, used)
    elif held is None and module is not None and isinstance(module._buffers.get("weight"), Tensor):  # noqa: SLF001
        held = module._buffers["weight"]  # noqa: SLF001
    kind = trace.everything[layer].kind
    if held is None or not held.is_floating_point() or held.ndim not in (2, 3, 4):
        why = "its weights are not a parameter of the network" if "Conv" in kind or "Linear" in kind else "it has none"
        raise InputError(f"no gradient of the weights of layer {layer!r} ({kind}): {why}; choose another convolution")
    return held


def _lies_in(network: nn.Module, used: Tensor) -> Tensor | None:
    held = [*network.parameters(), *network.buffers()]
    same = (one for one in held if one.data_ptr() == used.data_ptr() and one.numel() == used.numel())
    return next(same, None)


def _weights(held: Tensor, trace: Trace, layer: str) -> Weights:
    about = trace.everything[layer]
    used = trace.weights.get(layer)
    transposed = used is not None and used.ndim == 2 and used.stride() != held.stride()
    groups = int(about.options.get("groups", 1)) if about.kind.startswith("ConvTranspose") else 0
    return Weights(held, transposed, groups)


def map_place(trace: Trace, layer: str, network: str) -> Tap:
    """Return where a filter's map is whole: the layer's own output, or that of a batch norm that alone takes it."""
    trace.map_tap(layer, network)  # says it where there are no maps
    takers = [one for one in trace.layers if layer in one.inputs]
    if len(takers) == 1 and takers[0].kind.startswith(_PER_CHANNEL):
        return trace.tap(takers[0].name, network)
    return trace.tap(layer, network)


def activation_place(trace: Trace, layer: str, network: str) -> Tap:
    """Return where a filter's activation is read: its map after the non-linearity that directly takes it, if one does.

    Not behind a softmax, which mixes the filters.
    """
    place = map_place(trace, layer, network)
    after = place.layer.nonlinearity
    if not after or "Softmax" in trace.layer(after, network).kind:
        return place
    return trace.tap(after, network)


def all_places(trace: Trace, layer: str, network: str) -> tuple[Tap, ...]:
    """Return where the filters' maps are in every call of a layer that is called several times."""
    base = layer.partition(":")[0]
    if base not in trace.everything:
        base = layer
    names = [one.name for one in trace.layers if one.name == base or one.name.startswith(f"{base}:")]
    return tuple(map_place(trace, name, network) for name in names or [layer])
