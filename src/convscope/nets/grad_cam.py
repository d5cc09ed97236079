"""Grad-CAM: the maps below a layer, weighted by how much the activation depends on each ([Sel17] §3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn import functional as fn

from convscope.errors import InputError
from convscope.inspect.attribution import RuleReport
from convscope.inspect.layers import Layer
from convscope.nets.backward import Ascent, Origin, ascended, start_values
from convscope.nets.frozen import frozen
from convscope.nets.measuring import Question
from convscope.nets.nodes import inputs, short_name
from convscope.nets.observe import ROOT, Call, FunctionCall, observed

_IMAGE = "the image"
_SEVERAL = frozenset({"Split", "SplitWithSizes", "Chunk", "Unbind"})
"""Steps of which one node gives several maps."""


def grad_cam(question: Question) -> tuple[Tensor, Tensor, RuleReport]:
    """Return relu(Σ weight · map), stretched over the image bilinearly and the same in all its channels.

    A map's weight is the mean over its positions of the derivative of the activation with respect to it.
    """
    signals, activations = [], []
    report = RuleReport(question.rule.name, 0, 0)
    for rows in question.batches(len(question.images)):
        origins = [question.origins[i] for i in rows]
        with _watched(question, rows) as (ascent, seen):
            maps = _maps(question, ascent, seen)
            activation = _objective(ascent, origins)
            slopes = torch.autograd.grad(activation.sum(), list(maps.values()), allow_unused=True)
            if all(slope is None for slope in slopes):
                raise InputError(f"layer {ascent.tap.layer.name!r} does not depend on the maps of {', '.join(maps)!r}")
            heat = _heat(list(maps.values()), slopes, question.images.shape[-2:])
            signals.append(heat[: len(rows)].expand(-1, question.images.shape[1], -1, -1))
            activations.append(ascent.tap.rectified(_chosen(ascent, origins).detach()))
            report = replace(report, parameters={"maps": ", ".join(maps)})
    return torch.cat(signals), torch.cat(activations), report


@dataclass
class _Seen:
    """What was put out on the way up: whose it is, the tensor, and the node that made it."""

    outputs: list[tuple[str, Tensor, Node | None]] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)

    def __call__(self, call: Call, source: nn.Module | FunctionCall, output: Any) -> None:
        name, count = call
        said = (name or ROOT) if count == 1 else f"{name or ROOT}:{count}"
        if isinstance(output, Tensor):
            self.outputs.append((said, output, output.grad_fn))
        if isinstance(source, nn.Module) and any(source.children()):
            self.holders.add(said)

    def maps(self) -> list[tuple[str, Tensor, Node]]:
        """Return those that are maps into which nothing has been written since."""
        return [
            (name, tensor, node)
            for name, tensor, node in self.outputs
            if node is not None and tensor.grad_fn is node and short_name(node) not in _SEVERAL and _is_map(tensor)
        ]

    def makers(self) -> dict[Node, tuple[str, Tensor]]:
        """Return the maps by the nodes that made them; a module has made what a function in it has."""
        made: dict[Node, tuple[str, Tensor]] = {}
        for name, tensor, node in self.maps():
            if node not in made or name not in self.holders:
                made[node] = name, tensor
        return made


def _is_map(tensor: Tensor) -> bool:
    """Whether a tensor is maps of more than one position."""
    return tensor.ndim == 4 and tensor.shape[-2] * tensor.shape[-1] > 1


@contextmanager
def _watched(question: Question, rows: range) -> Iterator[tuple[Ascent, _Seen]]:
    """Go up to the layer, and see all that is put out on the way.

    The network is frozen first: while another thread looks into it, nothing may be attached to it.
    """
    seen = _Seen()
    images = question.images[rows.start : rows.stop]
    with (
        frozen(question.network),
        observed(question.network, None, seen, functions=True),
        ascended(question.network, images, question.tap, question.rule) as ascent,
    ):
        yield ascent, seen


def _chosen(ascent: Ascent, origins: Sequence[Origin]) -> Tensor:
    places = [(i, origin.channel, origin.y, origin.x) for i, origin in enumerate(origins)]
    return ascent.values[tuple(torch.tensor(column) for column in zip(*places, strict=True))]


def _objective(ascent: Ascent, origins: Sequence[Origin]) -> Tensor:
    """Return the values whose derivative is that of the activations: 0 where the ReLU that comes next is closed."""
    values = _chosen(ascent, origins)
    return values * start_values(ascent.tap, values.detach(), ascent.rule)


def _maps(question: Question, ascent: Ascent, seen: _Seen) -> dict[str, Tensor]:
    """Return the maps to be weighted by the names of their layers: those asked for, or those that feed the layer."""
    layer, wanted = question.tap.layer, question.rule.maps
    if not wanted:
        return _feeding(ascent, seen, layer)
    named = next((maps for name, maps, _ in seen.maps() if name == wanted), None)
    if named is None:
        own = ascent.values.grad_fn
        below = (name for name, _, node in seen.maps() if name != layer.name and node is not own)
        here = ", ".join(dict.fromkeys(below)) or "none"
        raise InputError(f"no maps of a layer {wanted!r} below layer {layer.name!r}; there are: {here}")
    return {wanted: named}


def _feeding(ascent: Ascent, seen: _Seen, layer: Layer) -> dict[str, Tensor]:
    """Follow the graph down from a layer to the nearest maps of more than one position, at last to the image."""
    made = seen.makers()
    own = [node for name, _, node in seen.outputs if name == layer.name and node is not None]
    tops = own or [node for node in [ascent.values.grad_fn] if node is not None]
    found: dict[str, Tensor] = {}
    done = set(tops)
    stack = [below for top in tops for below in reversed(inputs(top))]
    while stack:
        node = stack.pop()
        if node in done:
            continue
        done.add(node)
        if node in made:
            name, maps = made[node]
            found[name] = maps
        elif getattr(node, "variable", None) is ascent.images:
            found[_IMAGE] = ascent.images
        else:
            stack += reversed(inputs(node))
    return found


def _heat(maps: Sequence[Tensor], slopes: Sequence[Tensor | None], image: Sequence[int]) -> Tensor:
    """Return the rectified sum of weighted maps at the size of the image, ``(N, 1, H, W)``."""
    size = tuple(max(part.shape[axis] for part in maps) for axis in (-2, -1))
    total = torch.zeros((len(maps[0]), 1, *size), dtype=maps[0].dtype, device=maps[0].device)
    for part, slope in zip(maps, slopes, strict=True):
        if slope is not None:
            weighted = (part.detach() * slope.mean((2, 3), keepdim=True)).sum(1, keepdim=True)
            total += weighted if weighted.shape[-2:] == size else _stretched(weighted, size)
    return _stretched(total.clamp_min(0), (int(image[0]), int(image[1])))


def _stretched(values: Tensor, size: tuple[int, ...]) -> Tensor:
    return fn.interpolate(values, size=size, mode="bilinear", align_corners=False)
