"""One forward pass whose graph is held: derivatives of logits by a layer's weights, image by image, and by its maps.

The weights' part of a derivative is a sum over positions of the layer alone, so that one backward pass to the layer
serves all images of a batch; where the weights are used in another way each image is sent back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn import functional as fn
from torch.overrides import TorchFunctionMode

from convscope.errors import InputError
from convscope.nets.called import chosen_output
from convscope.nets.filterweights import Weights, differentiable
from convscope.nets.frozen import frozen, watching_gradients
from convscope.nets.functions import function_name
from convscope.nets.nodes import inputs, short_name
from convscope.nets.observe import Call, observed
from convscope.nets.trace import Tap, Trace

SQUASHED: Final = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
"""What a network may do to its logits at the very end."""
_VIEWS: Final = frozenset({"View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Alias", "Clone", "ToCopy", "T"})
_WEIGHING: Final = frozenset({
    "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear",
})  # fmt: skip
_SAME: Final = 1e-2
"""As a share of its size, a sum of derivatives of single images may be that far from the derivative of the sum."""


@dataclass(frozen=True)
class Use:
    """One call of a function with a layer's weights, and what it gave."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]
    output: Tensor


class _Uses(TorchFunctionMode):
    """Sees who uses a tensor of weights, and what a softmax or a sigmoid is given."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self._weight = weight
        self.uses: list[Use] = []
        self.others = False
        self.before: dict[Node, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        if not isinstance(result, Tensor) or result.grad_fn is None:
            return result
        if short_name(result.grad_fn) in SQUASHED and args:
            self.before[result.grad_fn] = args[0]
        if any(value is self._weight for value in (*args, *options.values())):
            if function_name(func) not in _WEIGHING or len(args) < 2 or args[1] is not self._weight:
                self.others = True
                return result
            self.uses.append(Use(func, args, options, result))
            return result.clone()  # what comes next may write into it
        return result


@dataclass
class Pass:
    """A batch that has gone through the network, and can be sent back to a layer any number of times.

    Attributes
    ----------
    logits
        What the network says before any softmax, ``(N, classes)``.
    maps
        The filters' activations where they were asked for, ``(N, C, H, W)``.
    """

    logits: Tensor
    weights: Weights
    maps: Tensor | None = None
    _uses: list[Use] = field(default_factory=list)

    def by_image(self, classes: Tensor) -> Iterator[Tensor]:
        """Yield d(logit of its class) / d(weights) of each image, ``(O, I, kh, kw)``; ``classes`` is ``(N,)``."""
        chosen = self.logits.gather(1, classes[:, None])[:, 0]
        if not self._uses:
            yield from self._one_by_one(chosen)
            return
        outputs = [use.output for use in self._uses]
        whole, *slopes = _derivatives(chosen.sum(), [self.weights.tensor, *outputs], keep=True)
        found = [self._of_image(slopes, image) for image in range(len(chosen))]
        total = torch.stack([part.double() for part in found]).sum(0)
        if (total - whole.double()).norm() > _SAME * whole.double().norm() + 1e-30:
            yield from self._one_by_one(chosen)  # the weights are used in a way that was not seen
            return
        for gradient in found:
            yield self.weights.as_filters(gradient)

    def _of_image(self, slopes: Sequence[Tensor], image: int) -> Tensor:
        weight = self.weights.tensor.detach().requires_grad_(True)  # noqa: FBT003 - torch's own signature
        total = torch.zeros_like(weight)
        for use, slope in zip(self._uses, slopes, strict=True):
            given = use.args[0].detach()[image : image + 1]
            output = use.function(given, weight, *use.args[2:], **use.options)
            total += torch.autograd.grad(output, weight, slope[image : image + 1])[0]
        return total

    def _one_by_one(self, chosen: Tensor) -> Iterator[Tensor]:
        for logit in chosen:
            yield self.weights.as_filters(_derivatives(logit, [self.weights.tensor], keep=True)[0])

    def of_sum(self, classes: Tensor) -> Tensor:
        """Return the derivatives of all images together, added up, ``(O, I, kh, kw)``."""
        chosen = self.logits.gather(1, classes[:, None])
        return self.weights.as_filters(_derivatives(chosen.sum(), [self.weights.tensor], keep=True)[0])

    def taylor(self, classes: Tensor) -> Tensor:
        """Return |mean over positions of activation · d(loss) / d(activation)| of each filter, ``(N, C)``."""
        if self.maps is None:
            raise RuntimeError("this pass was made without maps")
        loss = fn.cross_entropy(self.logits, classes, reduction="sum")
        (slope,) = _derivatives(loss, [self.maps], keep=True)
        product = (self.maps.detach() * slope)[: len(classes)]
        return product.reshape(*product.shape[:2], -1).mean(2).abs()  # a vector has one position


def _derivatives(value: Tensor, sources: Sequence[Tensor], *, keep: bool) -> list[Tensor]:
    found = torch.autograd.grad(value, list(sources), retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(s) if part is None else part for s, part in zip(sources, found, strict=True)]


@dataclass(frozen=True)
class Slopes:
    """Takes derivatives of a network's logits by one layer.

    Attributes
    ----------
    network, trace, layer, name
        What of which network, and what that is called.
    output
        Which of several outputs holds the logits.
    place
        Where the filters' activations are read, if they are asked for.
    """

    network: nn.Module
    trace: Trace
    layer: str
    name: str
    output: str | int | None = None
    place: Tap | None = None

    @contextmanager
    def through(self, images: Tensor, count: int) -> Iterator[Pass]:
        """Send images through, and hold the graph of the first ``count``; the network is left without a trace.

        Raises
        ------
        InputError
            If the layer has no weights, or the logits do not depend on it.
        """
        held: list[Tensor] = []

        def see(call: Call, _: object, output: Any) -> Tensor | None:
            if self.place is None or call != self.place.call:
                return None
            held.append(output)
            return output.clone() if isinstance(output, Tensor) else None  # what comes next may write into it

        names = set() if self.place is None else {self.place.call[0]}
        functions = self.place is not None and self.place.function
        with (
            watching_gradients(),
            frozen(self.network),
            differentiable(self.network, self.trace, self.layer) as weights,
        ):
            with observed(self.network, names, see, functions=functions), _Uses(weights.tensor) as seen:
                said = self.network(images)
            logits = before_squashing(chosen_output(said, self.output, self.name), seen.before)
            self._check(logits, len(images))
            own = seen.uses if not seen.others and all(_each_its_own(use, len(images)) for use in seen.uses) else []
            yield Pass(logits[:count], weights, self._maps(held), own)

    def _maps(self, held: list[Tensor]) -> Tensor | None:
        if self.place is None:
            return None
        if not held:
            raise InputError(f"layer {self.layer!r} did not run for these images: {self.name} took another way")
        return held[0]

    def _check(self, logits: Tensor, count: int) -> None:
        if logits.ndim != 2 or len(logits) != count:
            shape = tuple(logits.shape)
            raise InputError(f"{self.name} gives {shape} for {count} images, not the logits of classes (N, classes)")
        if logits.grad_fn is None:
            raise InputError(
                f"the logits of {self.name} do not depend on layer {self.layer!r} by a differentiable path"
            )


def _each_its_own(use: Use, count: int) -> bool:
    """Whether the first axis of what a function was given, and gave, is the images."""
    given = use.args[0]
    return isinstance(given, Tensor) and given.ndim > 1 and len(given) == count == len(use.output)


def before_squashing(output: Tensor, before: dict[Node, Tensor]) -> Tensor:
    """Return the logits: what a softmax or sigmoid at the very end was given, else the output itself."""
    node = output.grad_fn
    while node is not None and short_name(node) in _VIEWS and inputs(node):
        node = inputs(node)[0]
    if node is None or short_name(node) not in SQUASHED:
        return output.flatten(1) if output.ndim > 2 and output.shape[1] == output[0].numel() else output
    if node not in before:
        raise InputError(
            f"this network ends in a {short_name(node)} whose input cannot be seen, so its logits cannot be had; "
            "give it without"
        )
    return before[node].reshape(len(output), -1)
