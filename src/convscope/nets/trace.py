"""One forward pass, watched: the layers in the order of execution, and where each can be tapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils import parametrize

from convscope.errors import InputError, not_found
from convscope.inspect.layers import Layer
from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets.fields import receptive_fields
from convscope.nets.frozen import Call, forward, frozen, observed, watching_gradients
from convscope.nets.nodes import ceiling, inputs, is_rectifier, topological

ROOT: Final = ".network"
"""What the whole network is called among its layers; no module inside can have a name that begins with a dot."""


@dataclass(frozen=True)
class Tap:
    """Where the values of a layer are read, and what is still to be done to them.

    Attributes
    ----------
    layer
        The layer whose values these are.
    call
        The module, and which of its calls, whose output is read.
    rectify
        Whether a functional ReLU comes next, so that the values have to be rectified here.
    ceiling
        Where that ReLU is cut off (6 for ReLU6), else infinity.
    """

    layer: Layer
    call: Call
    rectify: bool = False
    ceiling: float = float("inf")

    def read(self, output: Tensor) -> Tensor:
        """Return the layer's values as ``(N, C, H, W)``."""
        values = self.rectified(output)
        return values if values.ndim == 4 else values[:, :, None, None]

    def rectified(self, values: Tensor) -> Tensor:
        """Return values after the functional ReLU that comes next, if one does."""
        return values.clamp(0, self.ceiling) if self.rectify else values


@dataclass(frozen=True)
class _Seen:
    call: Call
    module: nn.Module
    shape: tuple[int, ...]
    node: Node | None


@dataclass(frozen=True)
class Trace:
    """What one forward pass has shown.

    Attributes
    ----------
    layers
        Modules without children, in the order of execution.
    everything
        Those, and the modules that contain them, by name.
    convolutions
        Names of the layers that are convolutions.
    """

    layers: tuple[Layer, ...]
    everything: dict[str, Layer]
    convolutions: tuple[str, ...]
    _calls: dict[str, Call]
    _after: dict[str, Tap]

    def layer(self, name: str, network: str) -> Layer:
        """Return a layer by its name."""
        if name not in self.everything:
            raise not_found("layer", name, self.everything, network)
        return self.everything[name]

    def tap(self, name: str, network: str, *, after_rectifier: bool) -> Tap:
        """Return where to read a layer: its own output, or what the ReLU that directly consumes it makes of it."""
        layer = self.layer(name, network)
        if len(layer.shape) not in (1, 3):
            raise InputError(f"layer {name!r} gives {layer.shape}, not maps (C, H, W) or a vector (C,); choose another")
        return (self._after.get(name) if after_rectifier else None) or Tap(layer, self._calls[name])


def trace(network: nn.Module, images: Tensor) -> Trace:
    """Run the network once on ``images`` and return what was seen; the network is left as it was."""
    seen: list[_Seen] = []

    def see(call: Call, module: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor):
            seen.append(_Seen(call, module, tuple(output.shape[1:]), output.grad_fn))

    with watching_gradients(), frozen(network):
        image = images.detach().clone().requires_grad_(True)  # noqa: FBT003
        with observed(network, None, see):
            output = forward(network, image)
        if not seen:
            raise InputError("no module of this network could be observed; give a network made of torch.nn modules")
        # what is read from the graph may run checkpointed modules again: nobody looks any more, but they are frozen
        roots = [node for part in tensors(output) if (node := part.grad_fn) is not None]
        roots += [s.node for s in seen if s.node is not None]
        fields = receptive_fields(roots, image)
        return _assemble(seen, fields, topological(roots), (int(images.shape[-2]), int(images.shape[-1])))


def tensors(output: Any) -> Iterator[Tensor]:
    """Yield all tensors in a network's output, however it is nested."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        yield from tensors(list(output.values()))
    elif isinstance(output, list | tuple):
        for part in output:
            yield from tensors(part)


def only_tensor(output: Any, network: str) -> Tensor:
    """Return the one tensor that a network puts out, however it is wrapped."""
    found = list(tensors(output))
    if len(found) == 1:
        return found[0]
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in found)
    raise InputError(
        f"{network} puts out {len(found)} tensors ({shapes}) in a {type(output).__name__}, not the logits alone; "
        "wrap it into a module that returns those"
    )


def _assemble(seen: list[_Seen], fields: dict[Node, ReceptiveField], nodes: list[Node], size: tuple[int, int]) -> Trace:
    layers = {_name(s.call): _layer(s, fields, size) for s in seen}
    leaves = {_name(s.call): s for s in seen if _is_leaf(s.module)}
    rectified = {inputs(node)[0]: node for node in nodes if is_rectifier(node) and inputs(node)}
    modules_of = {s.node: s for s in reversed(list(leaves.values())) if s.node is not None}
    after = {}
    for name, s in leaves.items():
        rectifier = rectified.get(s.node) if s.node is not None else None
        if rectifier is not None:
            after[name] = _tap_after(layers[name], s, rectifier, modules_of.get(rectifier))
    return Trace(
        tuple(layers[name] for name in leaves),
        layers,
        tuple(name for name, s in leaves.items() if isinstance(s.module, nn.Conv2d)),
        {_name(s.call): s.call for s in seen},
        after,
    )


def _tap_after(layer: Layer, seen: _Seen, rectifier: Node, module: _Seen | None) -> Tap:
    """Read a ReLU module's own output where there is one, which saves doing its work twice."""
    if module is not None and module.shape == seen.shape:
        return Tap(layer, module.call)
    highest = ceiling(rectifier)
    return Tap(layer, seen.call, rectify=True, ceiling=float("inf") if highest is None else highest)


def _is_leaf(module: nn.Module) -> bool:
    """Whether a module holds no others, or only those that compute its parametrised weights."""
    return all(name == "parametrizations" for name, _ in module.named_children())


def _kind(module: nn.Module) -> str:
    kind = parametrize.type_before_parametrizations(module) if parametrize.is_parametrized(module) else type(module)
    return kind.__name__


def _name(call: Call) -> str:
    name, count = call
    name = name or ROOT
    return name if count == 1 else f"{name}:{count}"


def _layer(seen: _Seen, fields: dict[Node, ReceptiveField], size: tuple[int, int]) -> Layer:
    field = fields.get(seen.node) if seen.node is not None else None
    if field is None:
        field = ReceptiveField.whole(size, "does not depend on the image by a path that gradients take")
    elif len(seen.shape) != 3 and not field.is_global:
        field = ReceptiveField.whole(size, "not a map")
    parameters = sum(p.numel() for p in seen.module.parameters())
    return Layer(_name(seen.call), _kind(seen.module), seen.shape, parameters, field, _macs(seen))


def _macs(seen: _Seen) -> int:
    """Return the multiply-adds of a convolution or a linear layer for one image."""
    if isinstance(seen.module, nn.Conv2d):
        return prod(seen.shape) * seen.module.weight[0].numel()
    if isinstance(seen.module, nn.Linear):
        return prod(seen.shape) * seen.module.in_features
    return 0


def spare_input(shape: tuple[int, ...], like: nn.Module) -> Tensor:
    """Return one image of noise for tracing, of the dtype and on the device of the network's parameters."""
    first = next((p for p in like.parameters() if p.is_floating_point()), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *shape), generator=generator).to(first)
