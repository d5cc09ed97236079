"""A network as a program: the operations between the pixels and a layer, in order, whatever way it was written.

One forward pass is recorded at the level of torch's own operators, below modules, functions, in-place writes and
normalisations. What does not depend on the image is a constant of the program. A program can be run on parts of an
image, which is what the exact cone does (:mod:`convscope.nets.cone`); a network that cannot be recorded is only
projected from whole images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from convscope.nets.frozen import frozen
from convscope.nets.observe import Reached, forward, observed
from convscope.nets.trace import Tap

IMAGES_OF_A_TRACE = 3
"""How many images are recorded at once: a number that is no number of channels, so that axes are not confused."""


class NotAProgramError(Exception):
    """Why a network cannot be run in parts, in words."""


@dataclass(frozen=True)
class Slot:
    """Stands in the arguments of an operation for the result of an earlier one."""

    step: int


@dataclass(frozen=True)
class Step:
    """One operation: its name among torch's operators, what it takes, and the shape of what it gives for one image."""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    options: Mapping[str, Any]
    shape: tuple[int, ...]
    part: int | None = None

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """The steps whose results it takes, in the order of its arguments."""
        found: list[int] = []
        _replaced((self.args, dict(self.options)), lambda slot: found.append(slot.step))
        return tuple(found)

    def run(self, values: Callable[[int], Tensor], args: tuple[Any, ...] | None = None) -> Tensor:
        """Return its result; ``values`` gives the results of earlier steps, ``args`` stand in for its own."""
        return self.results(values, args)[0]

    def results(self, values: Callable[[int], Tensor], args: tuple[Any, ...] | None = None) -> Sequence[Tensor]:
        """Return its result, and after it whatever the operation gives beside: a maximum its switches."""
        given = _replaced(self.args if args is None else args, lambda slot: values(slot.step))
        result = self.call(*given, **_replaced(dict(self.options), lambda slot: values(slot.step)))
        if not isinstance(result, list | tuple):
            return (result,)
        return result if self.part is None else (result[self.part], *result[1:])


@dataclass(frozen=True)
class Program:
    """The steps up to a layer. Step 0 is the image itself, and the last step is the layer.

    Attributes
    ----------
    steps
        In the order of execution.
    image
        The shape of one image ``(C, H, W)``.
    """

    steps: tuple[Step, ...]
    image: tuple[int, ...]

    def run(
        self, images: Tensor, keep: frozenset[int], beside: frozenset[int] = frozenset()
    ) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Return the results of the last and of some other steps for whole images ``(N, C, H, W)``.

        Also what the steps ``beside`` give beside their result: where each maximum stood. The rest is let go.
        """
        last_use = {number: step for step, one in enumerate(self.steps) for number in one.inputs}
        values, others = {0: images}, {}
        for number, step in enumerate(self.steps[1:], 1):
            values[number], *more = step.results(values.__getitem__, resized(step, len(images)))
            if number in beside:
                others[number] = more[0]
            for past in {*step.inputs} - keep:
                if last_use[past] == number:
                    del values[past]
        return values, others


def resized(step: Step, count: int, size: tuple[int, int] | None = None) -> tuple[Any, ...]:
    """Return a step's arguments for another number of images, and for maps of another size where that is given."""
    if step.name not in RESHAPES:
        return step.args
    shape = list(step.args[1])
    shape[0] = count
    if size is not None:
        shape[-2:] = size
    return (step.args[0], shape, *step.args[2:])


RESHAPES = frozenset({"view", "_unsafe_view", "reshape", "expand"})


def read_program(network: nn.Module, image: Tensor, tap: Tap) -> Program:
    """Record what a network does up to a layer's tap.

    Parameters
    ----------
    network
        Any network that can be called with a batch of images.
    image
        One batch of images, on the network's device and of its dtype.
    tap
        Where the layer's values are read.

    Raises
    ------
    NotAProgramError
        If it cannot be recorded.
    """
    found: list[Tensor] = []

    def see(call: object, _: object, output: Any) -> None:
        if call == tap.call:
            found[:] = [output]
            raise Reached

    def run(pixels: Tensor) -> Tensor:
        found.clear()
        forward(network, pixels)
        return found[0]

    with frozen(network), torch.no_grad(), observed(network, {tap.call[0]}, see, functions=tap.function):
        try:
            recorded = make_fx(torch.func.functionalize(run))(image)
        except Exception as error:
            raise NotAProgramError(f"it cannot be recorded ({str(error).splitlines()[0][:80]})") from error
        finally:
            found.clear()
    recorded.graph.eliminate_dead_code()
    with torch.no_grad():
        return _Reader(recorded, len(image)).program(image)


@dataclass
class _Reader:
    """Sorts the nodes of a recording into constants and steps, by running it once more."""

    recorded: Any
    count: int
    values: dict[Any, Any] = field(default_factory=dict)
    numbers: dict[Any, int] = field(default_factory=dict)
    many: dict[Any, Any] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def program(self, image: Tensor) -> Program:
        for node in self.recorded.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = image
                self._number(node, Step("image", tuple, (), {}, tuple(image.shape[1:])))
            elif node.op == "get_attr":
                held: Any = self.recorded
                for part in str(node.target).split("."):
                    held = getattr(held, part)
                self.values[node] = held.detach() if isinstance(held, Tensor) else held
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                return self._ended(node.args[0], tuple(image.shape[1:]))
        raise NotAProgramError("it has no output")

    def _ended(self, target: Any, shape: tuple[int, ...]) -> Program:
        if target not in self.numbers:
            raise NotAProgramError("the layer does not depend on the image")
        return Program(tuple(self.steps[: self.numbers[target] + 1]), shape)

    def _call(self, node: Any) -> None:
        plain = _replaced_nodes((node.args, node.kwargs), self.values.__getitem__)
        self.values[node] = node.target(*plain[0], **plain[1])
        sources = node.all_input_nodes
        if node.target is getitem and sources[0] in self.many:
            self._part(node, sources[0])
        elif any(source in self.numbers or source in self.many for source in sources):
            args, options = _replaced_nodes((node.args, node.kwargs), self._slot)
            value = self.values[node]
            name = str(getattr(node.target, "_overloadpacket", node.target)).rpartition(".")[2]
            step = Step(name, node.target, args, options, ())
            if isinstance(value, Tensor):
                self._number(node, _shaped(step, value, self.count))
            else:
                self.many[node] = step

    def _part(self, node: Any, source: Any) -> None:
        """Take one of several results: of a pooling with indices the maxima, of a split one part."""
        step, part = self.many[source], node.args[1]
        if not isinstance(self.values[source], list) and part != 0:
            self.many[node] = step  # indices, saved statistics: nobody may take them
            return
        one = replace(step, part=part)
        self._number(node, _shaped(one, self.values[node], self.count))

    def _slot(self, node: Any) -> Any:
        if node in self.many:
            raise NotAProgramError(f"it takes what {self.many[node].name} gives beside its maps")
        return Slot(self.numbers[node]) if node in self.numbers else self.values[node]

    def _number(self, node: Any, step: Step) -> None:
        self.numbers[node] = len(self.steps)
        self.steps.append(step)


def _shaped(step: Step, value: Tensor, count: int) -> Step:
    """Return a step with the shape of what it gives for one image; none where its first axis is not the images."""
    shape = tuple(value.shape[1:]) if value.ndim and value.shape[0] == count else ()
    return replace(step, shape=shape)


def _replaced(held: Any, by: Callable[[Slot], Any]) -> Any:
    """Return arguments with every slot replaced, however they are nested."""
    if isinstance(held, Slot):
        return by(held)
    if isinstance(held, list | tuple):
        return type(held)([_replaced(one, by) for one in held])
    return {key: _replaced(one, by) for key, one in held.items()} if isinstance(held, dict) else held


def _replaced_nodes(held: Any, by: Callable[[Any], Any]) -> Any:
    """Return the arguments of a recorded node with every node in them replaced."""
    return torch.fx.map_arg(held, by)
