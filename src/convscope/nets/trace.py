"""One forward pass, watched: the layers in the order of execution, how they are connected, and where to tap them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.graph import Node

from convscope.errors import InputError, not_found
from convscope.inspect.layers import Layer
from convscope.inspect.receptive_field import ReceptiveField
from convscope.nets.fields import receptive_fields
from convscope.nets.frozen import frozen, watching_gradients
from convscope.nets.nodes import NONLINEARITIES, ceiling, inputs, is_rectifier, short_name, topological
from convscope.nets.observe import Call, FunctionCall, forward, is_layer, observed
from convscope.nets.seen import Seen
from convscope.nets.wiring import macs, options, sources


@dataclass(frozen=True)
class Tap:
    """Where the values of a layer are read, and what is still to be done to them.

    Attributes
    ----------
    layer
        The layer whose values these are.
    call
        The module or function, and which of its calls, whose output is read.
    function
        Whether it is a function, which is only seen by those who look for functions.
    rectify
        Whether a functional ReLU comes next, so that the values have to be rectified here.
    ceiling
        Where that ReLU is cut off (6 for ReLU6), else infinity.
    folded
        Whether the first axis of the output is not the images, so that they have to be given one at a time.
    """

    layer: Layer
    call: Call
    function: bool = False
    rectify: bool = False
    ceiling: float = float("inf")
    folded: bool = False

    def read(self, output: Tensor) -> Tensor:
        """Return the layer's values as ``(N, C, H, W)``."""
        values = self.rectified(output)
        return values if values.ndim == 4 else values[:, :, None, None]

    def rectified(self, values: Tensor) -> Tensor:
        """Return values after the functional ReLU that comes next, if one does."""
        return values.clamp(0, self.ceiling) if self.rectify else values


@dataclass(frozen=True)
class Trace:
    """What one forward pass has shown.

    Attributes
    ----------
    layers
        Modules without children and functions, in the order of execution.
    everything
        Those, and the modules that contain them, by name.
    convolutions
        Names of the layers that are convolutions over maps.
    weights
        Name → the weights that a function was called with.
    """

    layers: tuple[Layer, ...]
    everything: dict[str, Layer]
    convolutions: tuple[str, ...]
    weights: Mapping[str, Tensor]
    _seen: dict[str, Seen]
    _after: dict[str, Tap]

    def layer(self, name: str, network: str) -> Layer:
        """Return a layer by its name."""
        if name not in self.everything:
            raise not_found("layer", name, self.everything, network)
        return self.everything[name]

    def tap(self, name: str, network: str) -> Tap:
        """Return where to read a layer's own output, before any non-linearity that follows it."""
        return _tap(self.layer(name, network), self._seen[name])

    def tap_after(self, name: str, network: str) -> Tap:
        """Return where to read what a layer's non-linearity, of any kind, makes of its output."""
        layer = self.layer(name, network)
        if not layer.nonlinearity:
            raise InputError(f"no non-linearity directly takes what layer {name!r} of {network} gives; read it before")
        return self.tap(layer.nonlinearity, network)

    def map_tap(self, name: str, network: str) -> Tap:
        """Return where to read the maps of a layer, after the ReLU if one directly consumes them."""
        layer = self.layer(name, network)
        if len(layer.shape) not in (1, 3) or self._seen[name].folded:
            raise InputError(f"layer {name!r} gives {layer.shape}, not maps (C, H, W) or a vector (C,); choose another")
        return self._after.get(name) or self.tap(name, network)


def trace(network: nn.Module, images: Tensor) -> Trace:
    """Run the network once on ``images`` and return what was seen; the network is left as it was."""
    outputs: list[tuple[Call, nn.Module | FunctionCall, tuple[int, ...], Node | None]] = []

    def see(call: Call, source: nn.Module | FunctionCall, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        if is_functorch_wrapped_tensor(output):
            raise InputError(
                "this network runs inside torch.func (vmap, grad), which hides its layers; call it plainly"
            )
        outputs.append((call, source, tuple(output.shape), output.grad_fn))

    with watching_gradients(), frozen(network):
        image = images.detach().clone().requires_grad_(True)  # noqa: FBT003
        with observed(network, None, see, functions=True):
            output = forward(network, image.clone())  # what it is given it may write into
        seen = [Seen.of(*output, batch=int(images.shape[0])) for output in outputs]
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
    elif isinstance(output, Mapping):
        yield from tensors(list(output.values()))
    elif isinstance(output, list | tuple):
        for part in output:
            yield from tensors(part)
    elif is_dataclass(output):
        yield from tensors(list(vars(output).values()))


def named_parts(output: Any) -> Mapping[Any, Any]:
    """Return the parts of a network's output by their names, or by their numbers where they have none."""
    if isinstance(output, Mapping):
        return output
    if is_dataclass(output):
        return vars(output)
    if hasattr(output, "_asdict"):  # a named tuple
        return dict(output._asdict())
    return dict(enumerate(output if isinstance(output, list | tuple) else [output]))


def only_tensor(output: Any, network: str) -> Tensor:
    """Return the one tensor that a network puts out, however it is wrapped."""
    found = list(tensors(output))
    if len(found) == 1:
        return found[0]
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in found)
    names = f"output={next(iter(named_parts(output)), 0)!r}"
    raise InputError(
        f"{network} puts out {len(found)} tensors ({shapes}) in a {type(output).__name__}, not the logits alone; "
        f"say which: {names}"
    )


def _assemble(seen: list[Seen], fields: dict[Node, ReceptiveField], nodes: list[Node], size: tuple[int, int]) -> Trace:
    leaves = _leaves(seen, fields)
    made_by = {s.name: s for s in leaves}
    after = _nonlinearities(leaves)
    feeds = sources(leaves, fields)
    everything = {}
    for s in seen:
        field = _field(s, fields, size)
        layer = Layer(
            name=s.name,
            kind=s.kind,
            shape=s.shape,
            parameters=s.parameters,
            receptive_field=field,
            macs=macs(s),
            inputs=feeds.get(s.name, ()),
            nonlinearity=after.get(s.name, ""),
            options=options(s) if s.name in made_by else {},
        )
        everything[s.name] = layer
    rectified = {inputs(node)[0]: node for node in nodes if is_rectifier(node) and inputs(node)}
    modules_of = {s.node: s for s in reversed(leaves) if s.node is not None and isinstance(s.source, nn.Module)}
    taps = {}
    for s in leaves:
        rectifier = rectified.get(s.node) if s.node is not None else None
        if rectifier is not None:
            taps[s.name] = _tap_after(everything[s.name], s, rectifier, modules_of.get(rectifier))
    return Trace(
        layers=tuple(everything[name] for name in made_by),
        everything=everything,
        convolutions=tuple(name for name, s in made_by.items() if s.kind.startswith("Conv") and len(s.shape) == 3),
        weights={s.name: weight for s in leaves if (weight := _weight(s)) is not None},
        _seen={s.name: s for s in seen},
        _after=taps,
    )


def _leaves(seen: list[Seen], fields: dict[Node, ReceptiveField]) -> list[Seen]:
    """Return what counts as layers: layers of torch, functions, and modules of which nothing inside was seen.

    A module without children that calls a single function is a layer itself, and its function is none.
    """
    called = Counter(s.name_of_module for s in seen if isinstance(s.source, FunctionCall))
    runs = Counter(s.call[0] for s in seen if isinstance(s.source, nn.Module))
    childless = {s.call[0] for s in seen if isinstance(s.source, nn.Module) and not any(s.source.children())}
    single = {name for name in childless - {""} if called[name] == runs[name]}
    leaves = []
    for s in seen:
        name = s.call[0]
        if isinstance(s.source, FunctionCall):
            # what does not depend on the image is no layer: masks, positions, weights that are computed
            keep = s.node in fields and s.name_of_module not in single
        else:
            keep = is_layer(s.source) or name in single or (name in childless and not called[name])
        if keep:
            leaves.append(s)
    return leaves


def _nonlinearities(leaves: list[Seen]) -> dict[str, str]:
    """Return the non-linearity of each layer that one directly follows, by names."""
    made_by = {s.node: s for s in leaves if s.node is not None}
    after: dict[str, str] = {}
    for s in leaves:
        if s.node is None or not (is_rectifier(s.node) or short_name(s.node) in NONLINEARITIES):
            continue
        before = made_by.get(inputs(s.node)[0]) if inputs(s.node) else None
        if before is not None and before.shape == s.shape:
            after.setdefault(before.name, s.name)
    return after


def _tap(layer: Layer, seen: Seen) -> Tap:
    return Tap(layer, seen.call, isinstance(seen.source, FunctionCall), folded=seen.folded)


def _tap_after(layer: Layer, seen: Seen, rectifier: Node, module: Seen | None) -> Tap:
    """Read a ReLU module's own output where there is one, which saves doing its work twice."""
    if module is not None and module.shape == seen.shape:
        return Tap(layer, module.call)
    highest = ceiling(rectifier)
    limit = float("inf") if highest is None else highest
    return Tap(layer, seen.call, isinstance(seen.source, FunctionCall), rectify=True, ceiling=limit)


def _weight(seen: Seen) -> Tensor | None:
    """Return the weights a function was called with."""
    if not isinstance(seen.source, FunctionCall) or not (seen.kind.startswith("Conv") or seen.kind == "Linear"):
        return None
    if seen.source.function == "addmm":  # the bias, the images, and the weights turned
        weight = seen.source.argument(2, "mat2")
        return weight.detach().t() if isinstance(weight, Tensor) and not weight.requires_grad else None
    weight = seen.source.argument(1, "weight")
    return weight.detach() if isinstance(weight, Tensor) else None


def _field(seen: Seen, fields: dict[Node, ReceptiveField], size: tuple[int, int]) -> ReceptiveField:
    field = fields.get(seen.node) if seen.node is not None else None
    if field is None:
        return ReceptiveField.whole(size, "does not depend on the image by a path that gradients take")
    if (len(seen.shape) != 3 or seen.folded) and not field.is_global:
        return ReceptiveField.whole(size, "not a map")
    return field


def spare_input(shape: tuple[int, ...], like: nn.Module) -> Tensor:
    """Return one image of noise for tracing, of the dtype and on the device of the network's parameters."""
    first = next((p for p in like.parameters() if p.is_floating_point()), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    return torch.rand((1, *shape), generator=generator).to(first)
