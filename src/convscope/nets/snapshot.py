"""What is logged of one optimiser's step: weights, gradients, how far the step went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from convscope.arrays import as_numpy
from convscope.formats.histogram import Distribution
from convscope.inspect.filters import filters_picture
from convscope.nets.histogram import BitCounts, DeviceCounts, count_bits, numbers
from convscope.nets.watched import Watched

Parameters = Mapping[str, nn.Parameter]
_MANY: Final = 8
"""More optimisers than these, as one for each parameter, have one norm together."""


class Writer(Protocol):
    """What :func:`convscope.watch` needs of a writer."""

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> None:
        """Log a number."""

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None) -> None:
        """Log a histogram that was counted already."""

    def add_image(self, tag: str, img_tensor: Any, global_step: int | None = None, *, dataformats: str = "CHW") -> None:
        """Log a picture."""

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        """Log a text."""


class Snapshot:
    """Weights and gradients as an optimiser's step has found them.

    Parameters
    ----------
    watched
        The network, for the names.
    parameters
        Those the optimiser holds.
    """

    def __init__(self, watched: Watched, parameters: Parameters) -> None:
        self._watched = watched
        self._parameters = parameters
        self._before: dict[str, Tensor] = {}
        self._gradients: dict[str, BitCounts | DeviceCounts] = {}
        self._norms: dict[str, Tensor] = {}
        self._filters: tuple[str, Any] | None = None

    def take_weights(self) -> None:
        """Keep a copy of the weights."""
        self._before = {name: p.detach().clone() for name, p in self._parameters.items() if self._asked(name)}

    def take_filters(self) -> None:
        """Keep the first layer's filters as a picture, if this optimiser trains them."""
        layer, name = self._watched.first_filters()
        weight = self._parameters.get(name)
        if weight is not None and not weight.is_complex():
            self._filters = self._watched.label(layer), filters_picture(as_numpy(weight))

    def take_gradients(self, scale: Tensor | None) -> None:
        """Count the gradients and take their norms.

        Parameters
        ----------
        scale
            What a gradient scaler has multiplied them with, where the optimiser is to divide by it itself.
        """
        for name, gradient in gradients(self._parameters).items():
            unscaled = gradient if scale is None else gradient / scale.to(gradient.device)
            self._norms[name] = torch.linalg.vector_norm(unscaled)
            if self._asked(name):
                self._gradients[name] = count_bits(unscaled)

    def _asked(self, name: str) -> bool:
        return self._watched.has(name.rpartition(".")[0]) and self._parameters[name].numel() > 0

    def write(self, writer: Writer, step: int) -> None:
        """Log what was kept, and how far the weights have moved since.

        Parameters
        ----------
        writer, step
            Where and at which step.
        """
        for name, before in self._before.items():
            writer.add_histogram(f"weights/{name}", distribution(count_bits(before)), step)
            if name in self._norms and (ratio := _update_ratio(before, self._parameters[name])) is not None:
                writer.add_scalar(f"update_ratio/{name}", ratio, step)
        for name, counts in self._gradients.items():
            writer.add_histogram(f"gradients/{name}", distribution(counts), step)
        self._write_norms(writer, step)
        if self._filters is not None:
            layer, picture = self._filters
            writer.add_image(f"filters/{layer}", picture, step, dataformats="HWC")

    def norm(self) -> float | None:
        """Return the norm of all gradients; ``None`` where there are none, or they were not taken."""
        return math.hypot(*map(float, self._norms.values())) if self._norms else None

    def _write_norms(self, writer: Writer, step: int) -> None:
        layers: dict[str, list[float]] = {}
        for name, norm in self._norms.items():
            layers.setdefault(name.rpartition(".")[0], []).append(float(norm))
        for layer, parts in layers.items():
            if self._watched.has(layer):
                writer.add_scalar(f"gradient_norm/{self._watched.label(layer)}", math.hypot(*parts), step)


class Totals:
    """The norm of all gradients of each optimiser; where there are many optimisers, one norm for all.

    How many there are is known when the first steps a second time, so a norm is logged a step late.
    """

    def __init__(self) -> None:
        self._round = 0
        self._norms: dict[int, tuple[int, float]] = {}

    def add(self, round_number: int, order: int, step: int, norm: float | None) -> None:
        """Keep the norm of an optimiser that is the ``order``-th, until the round is over."""
        if norm is not None:
            self._round = round_number
            self._norms[order] = step, norm

    def is_waiting(self, round_number: int) -> bool:
        """Whether there are norms of an earlier round."""
        return bool(self._norms) and self._round != round_number

    def write(self, writer: Writer, optimizers: int) -> None:
        """Log the norms that were kept, of so many optimisers in all."""
        norms, self._norms = self._norms, {}
        if optimizers > _MANY and norms:
            step, _ = next(iter(norms.values()))
            norms = {0: (step, math.hypot(*(norm for _, norm in norms.values())))}
        for order, (step, norm) in norms.items():
            writer.add_scalar("gradient_norm/total" + (f"_{order + 1}" if order else ""), norm, step)


def gradients(parameters: Parameters) -> dict[str, Tensor]:
    """Return the numbers of the gradients that are there."""
    found = {name: numbers(p.grad) for name, p in parameters.items() if p.grad is not None}
    return {name: gradient for name, gradient in found.items() if gradient.numel()}


def distribution(counts: BitCounts | DeviceCounts) -> Distribution:
    """Return the histogram of counts, wherever they are."""
    return (counts.fetch() if isinstance(counts, DeviceCounts) else counts).distribution()


def _update_ratio(before: Tensor, after: Tensor) -> float | None:
    """Return the norm of what was changed over that of what it was; ``None`` where that is zero, as of a new bias."""
    old = numbers(before)
    length = float(torch.linalg.vector_norm(old))
    return float(torch.linalg.vector_norm(numbers(after) - old)) / length if length else None
