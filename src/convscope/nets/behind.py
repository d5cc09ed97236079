"""The part of a network behind a layer, run again and again with some of the layer's maps put to zero.

The forward pass is recorded at the level of torch's own operators (as in :mod:`convscope.nets.program`), cut where the
filters' maps are, and only what depends on them runs again. Where a network cannot be recorded, or where what was
recorded does not give the same logits to the last bit, the whole network runs each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.fx import Node, map_arg
from torch.fx.experimental.proxy_tensor import make_fx

from convscope.errors import InputError
from convscope.nets.called import chosen_output
from convscope.nets.frozen import frozen
from convscope.nets.observe import Call, observed
from convscope.nets.trace import Tap

Values = dict[Node, Any]


class Runs(Protocol):
    """A batch of images that can be looked at with any filters put to zero, more and more of them."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    def begin(self) -> None:
        """Start again with all filters."""
        ...

    def without(self, filters: Tensor) -> None:
        """Put these to zero too."""
        ...

    def output(self) -> Tensor:
        """Return what the network says, ``(N, classes)``."""
        ...


@dataclass(frozen=True)
class Cut:
    """A network, where the maps of a layer's filters are in it, and which output holds the logits."""

    network: nn.Module
    places: tuple[Tap, ...]
    name: str
    output: str | int | None = None

    @property
    def calls(self) -> frozenset[Call]:
        """The modules or functions, and which of their calls, whose outputs are the filters' maps."""
        return frozenset(place.call for place in self.places)

    @property
    def functions(self) -> bool:
        """Whether one of them is a function."""
        return any(place.function for place in self.places)

    def whole(self, images: Tensor, zeros: Tensor) -> Tensor:
        """Return what the whole network says with some filters' maps put to zero."""
        seen: set[Call] = set()

        def see(call: Call, _: object, output: Any) -> Tensor | None:
            if call not in self.calls:
                return None
            seen.add(call)
            return zeroed(output, zeros) if len(zeros) else None

        names = {name for name, _ in self.calls}
        with torch.no_grad(), frozen(self.network), observed(self.network, names, see, functions=self.functions):
            said = chosen_output(self.network(images), self.output, self.name)
        if missing := self.calls - seen:
            raise InputError(f"layer {min(missing)[0]!r} did not run for these images: {self.name} took another way")
        return said


def zeroed(maps: Tensor, filters: Tensor) -> Tensor:
    """Return maps ``(N, C, …)`` with some channels put to zero."""
    return maps.index_fill(1, filters, 0.0)


@dataclass
class WholeRuns:
    """Runs of the whole network."""

    cut: Cut
    images: Tensor
    _zeros: list[Tensor] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.images.device

    def begin(self) -> None:
        """Start again with all filters."""
        self._zeros = []

    def without(self, filters: Tensor) -> None:
        """Put these to zero too."""
        self._zeros.append(filters)

    def output(self) -> Tensor:
        """Return what the network says."""
        none = torch.zeros(0, dtype=torch.long, device=self.images.device)
        return self.cut.whole(self.images, torch.cat([none, *self._zeros]))


@dataclass(frozen=True)
class Behind:
    """A recorded network, for batches of one size, cut at the maps of a layer's filters.

    Attributes
    ----------
    before, after
        The operations that run once for a batch, and those that depend on the filters' maps.
    cuts
        Those whose results are the filters' maps.
    constants
        What does not depend on the images.
    image, said
        Where the images come in, and where the logits go out.
    """

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    cuts: frozenset[Node]
    constants: Values
    image: Node
    said: Node

    @classmethod
    def of(cls, cut: Cut, images: Tensor) -> Behind | None:
        """Record a network for batches like this one; ``None`` where that cannot be done."""
        try:
            recorded, cuts = _recorded(cut, images)
            with torch.no_grad(), frozen(cut.network):
                return _split(recorded, cuts)
        except (KeyboardInterrupt, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - whatever the recording of strange code raises; the plain way remains
            return None

    @cached_property
    def after_uses(self) -> dict[int, list[Node]]:
        """After which operation behind the layer which results are not needed any more."""
        return _last_uses(self.after)

    @cached_property
    def _before_uses(self) -> dict[int, list[Node]]:
        return _last_uses(self.before)

    @cached_property
    def _needed(self) -> frozenset[Node]:
        """What comes before and is used behind."""
        return frozenset({source for node in self.after for source in node.all_input_nodes} | self.cuts | {self.said})

    def runs(self, images: Tensor) -> BehindRuns:
        """Run what comes before, once."""
        values = {**self.constants, self.image: images}
        needed = self._needed
        for place, node in enumerate(self.before):
            values[node] = _run(node, values)
            for past in self._before_uses.get(place, ()):
                if past not in needed and past not in self.constants and past is not self.image:
                    del values[past]
        return BehindRuns(self, values)


@dataclass
class BehindRuns:
    """Runs of what comes behind a layer, on what comes before it."""

    behind: Behind
    values: Values
    _maps: Values = field(default_factory=dict)
    _zeros: list[Tensor] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        images: Tensor = self.values[self.behind.image]
        return images.device

    def begin(self) -> None:
        """Start again with all filters."""
        self._maps, self._zeros = {}, []

    def without(self, filters: Tensor) -> None:
        """Put these to zero too."""
        self._zeros.append(filters)
        for node in self.behind.cuts:
            if node in self.values:
                held = self._maps.get(node)
                self._maps[node] = (
                    zeroed(self.values[node], filters) if held is None else held.index_fill_(1, filters, 0.0)
                )

    def output(self) -> Tensor:
        """Return what the network says."""
        values = {**self.values, **self._maps}
        last = self.behind.after_uses
        for place, node in enumerate(self.behind.after):
            result = _run(node, values)
            if node in self.behind.cuts and self._zeros:
                result = zeroed(result, torch.cat(self._zeros))
            values[node] = result
            for past in last.get(place, ()):
                if past is not self.behind.said:
                    values.pop(past, None)
        said: Tensor = values[self.behind.said]
        return said


def _recorded(cut: Cut, images: Tensor) -> tuple[Any, Sequence[Call]]:
    """Record a network whose outputs are the logits and the filters' maps."""
    order: list[Call] = []

    def run(pixels: Tensor) -> tuple[Tensor, ...]:
        found: dict[Call, Tensor] = {}

        def see(call: Call, _: object, output: Any) -> Tensor | None:
            if call not in cut.calls:
                return None
            found[call] = output
            return output.clone()  # type: ignore[no-any-return]  # what comes next may write into it

        names = {name for name, _ in cut.calls}
        with observed(cut.network, names, see, functions=cut.functions):
            said = chosen_output(cut.network(pixels), cut.output, cut.name)
        order[:] = sorted(found)
        return said, *(found[call] for call in order)

    with frozen(cut.network), torch.no_grad():
        recorded = make_fx(torch.func.functionalize(run))(images)
    recorded.graph.eliminate_dead_code()
    return recorded, order


def _split(recorded: Any, calls: Sequence[Call]) -> Behind | None:
    """Sort the nodes of a recording: constants, before the cut, behind it."""
    nodes = list(recorded.graph.nodes)
    image = next(node for node in nodes if node.op == "placeholder")
    said, *found = next(node for node in nodes if node.op == "output").args[0]
    cuts = frozenset(found)
    if len(cuts) != len(calls) or not cuts or any(not isinstance(node, Node) for node in (said, *cuts)):
        return None
    constants: Values = {}
    varying, behind = {image}, set(cuts)
    before: list[Node] = []
    after: list[Node] = []
    for node in nodes:
        sources = node.all_input_nodes
        if node.op == "get_attr":
            constants[node] = _held(recorded, str(node.target))
        elif node.op == "call_function" and not varying.intersection(sources):
            constants[node] = _run(node, constants)
        elif node.op == "call_function":
            varying.add(node)
            late = any(source in behind for source in sources)
            (after if late else before).append(node)
            if late:
                behind.add(node)
    return Behind(tuple(before), tuple(after), cuts, constants, image, said)


def _held(recorded: Any, target: str) -> Any:
    held = recorded
    for part in target.split("."):
        held = getattr(held, part)
    return held.detach() if isinstance(held, Tensor) else held


def _run(node: Node, values: Values) -> Any:
    args, options = map_arg((node.args, node.kwargs), values.__getitem__)
    return node.target(*args, **options)  # type: ignore[operator]  # of a call_function it is one


def _last_uses(nodes: Sequence[Node]) -> dict[int, list[Node]]:
    """Return after which of some nodes others are not needed any more."""
    last: dict[Node, int] = {}
    for place, node in enumerate(nodes):
        for source in node.all_input_nodes:
            last[source] = place
    places: dict[int, list[Node]] = {}
    for source, place in last.items():
        places.setdefault(place, []).append(source)
    return places
