"""What the operations of a program need of their maps, and how they are run and undone on parts of them.

An operation over windows (convolution, pooling, padding) reads ``(n - 1)·stride + dilation·(kernel - 1) + 1`` positions
to give n; every other operation that a program may hold treats each position by itself. Parts of maps come with
everything outside the map filled in as the operation wants it, so none pads by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import torch
from torch import Tensor

from convscope.nets.program import Slot, Step, resized

FEW_CHANNELS: Final = 16
LARGE_MAP: Final = 48 * 48
Pair = tuple[int, int]
Values = Sequence[Tensor]


@dataclass(frozen=True)
class Geometry:
    """Which positions of its map an operation reads, along rows and columns."""

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


class Operation(Protocol):
    """One kind of operation.

    Attributes
    ----------
    geometry
        What it reads.
    fill
        What stands outside a map for it; ``None`` where it does not matter.
    linear
        Whether the way back does not depend on the values it took.
    macs
        Multiplications and additions for one position.
    """

    @property
    def geometry(self) -> Geometry:
        """What it reads."""
        ...

    @property
    def fill(self) -> float | None:
        """What stands outside a map for it."""
        ...

    @property
    def linear(self) -> bool:
        """Whether the way back is the same for all values."""
        ...

    @property
    def macs(self) -> int:
        """Multiplications and additions for one position."""
        ...

    def run(self, taken: Values, places: Places) -> Tensor:
        """Return what it gives for parts of its maps."""
        ...

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:
        """Return what goes back to each of the parts it took, by its derivative."""
        ...


@dataclass(frozen=True)
class Places:
    """Which rows ``(B, n)`` and columns ``(B, m)`` of its own map an operation is to give; some may lie outside."""

    rows: Tensor
    columns: Tensor

    @property
    def size(self) -> Pair:
        """How many rows and columns."""
        return int(self.rows.shape[1]), int(self.columns.shape[1])

    def of(self, factor: Tensor) -> Tensor:
        """Return the values of one map ``(H, W)`` there, as ``(B, 1, n, m)``."""
        rows, columns = (part.clamp(0, factor.shape[axis] - 1) for axis, part in enumerate((self.rows, self.columns)))
        return factor.to(rows.device)[rows[:, :, None], columns[:, None, :]][:, None]


@dataclass(frozen=True)
class Convolution:
    """A convolution with constant weights; backwards its transpose."""

    weight: Tensor
    bias: Tensor | None
    geometry: Geometry
    groups: int
    fill: float | None = 0.0
    linear: bool = True

    @property
    def macs(self) -> int:
        """Of all its channels."""
        return self.weight.numel()

    def run(self, taken: Values, places: Places) -> Tensor:  # noqa: ARG002 - the same everywhere
        """Return what it gives."""
        g = self.geometry
        return torch.conv2d(taken[0], self.weight, self.bias, g.stride, 0, g.dilation, self.groups)

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:  # noqa: ARG002
        """Return the transpose."""
        g = self.geometry
        if self._phases is not None:
            return [self._by_phases(signal, self._phases)]
        if self._taps is not None and signal.device.type == "cpu" and signal[0, 0].numel() >= LARGE_MAP:
            return [self._by_taps(signal, self._taps)]
        return [torch.conv_transpose2d(signal, self.weight, None, g.stride, 0, 0, self.groups, g.dilation)]

    @cached_property
    def _phases(self) -> Tensor | None:
        """The weights of the transpose as a plain convolution with one output for each pixel between two positions.

        A transposed convolution to the few colours of an image leaves a processor idle; this one does not. Entry
        (c, ry, rx) of its output at (q, p) is the transpose at (q·stride + ry, p·stride + rx).
        """
        g = self.geometry
        if self.weight.shape[1] > FEW_CHANNELS or g.stride == (1, 1) or g.dilation != (1, 1):
            return None
        (kh, kw), (sh, sw) = g.kernel, g.stride
        rows, columns = -(-kh // sh), -(-kw // sw)
        padded = torch.nn.functional.pad(self.weight, (0, columns * sw - kw, 0, rows * sh - kh))
        out, channels = self.weight.shape[:2]
        split = padded.reshape(self.groups, out // self.groups, channels, rows, sh, columns, sw).flip(3, 5)
        # (group, out, in, m, ry, n, rx) -> (group · in · ry · rx, out, m, n)
        phases = split.permute(0, 2, 4, 6, 1, 3, 5)
        return phases.reshape(self.groups * channels * sh * sw, out // self.groups, rows, columns).contiguous()

    @cached_property
    def _taps(self) -> Tensor | None:
        """The weights of the transpose as a matrix, a row for each colour and place in the kernel.

        Where positions lie side by side, each place of the kernel adds a shifted map to the few colours of an image:
        on a large map that is several times faster than a convolution to three channels.
        """
        g = self.geometry
        if self.weight.shape[1] > FEW_CHANNELS // 4 or g.stride != (1, 1) or self.groups != 1:
            return None
        return self.weight.permute(2, 3, 1, 0).reshape(-1, len(self.weight)).contiguous()

    def _by_taps(self, signal: Tensor, taps: Tensor) -> Tensor:
        g, channels, (height, width) = self.geometry, self.weight.shape[1], signal.shape[-2:]
        (kh, kw), (dh, dw) = g.kernel, g.dilation
        found = signal.new_zeros(len(signal), channels, height + dh * (kh - 1), width + dw * (kw - 1))
        for picture, one in zip(found, signal, strict=True):
            shares = torch.mm(taps, one.reshape(len(one), -1)).view(kh, kw, channels, height, width)
            for y in range(kh):
                for x in range(kw):
                    picture[:, y * dh : y * dh + height, x * dw : x * dw + width] += shares[y, x]
        return found

    def _by_phases(self, signal: Tensor, phases: Tensor) -> Tensor:
        g = self.geometry
        rows, columns = phases.shape[-2:]
        found = torch.conv2d(signal, phases, None, 1, (rows - 1, columns - 1), 1, self.groups)
        count, _, height, width = found.shape
        (sh, sw), (n, m) = g.stride, signal.shape[-2:]
        split = found.reshape(count, -1, sh, sw, height, width).permute(0, 1, 4, 2, 5, 3)
        whole = split.reshape(count, split.shape[1], height * sh, width * sw)
        return whole[..., : (n - 1) * sh + g.kernel[0], : (m - 1) * sw + g.kernel[1]]


@dataclass(frozen=True)
class MaxPool:
    """A maximum; backwards through the recorded switches, where windows share one the signals add up."""

    geometry: Geometry
    fill: float | None = float("-inf")
    linear: bool = False
    macs: int = 0

    def run(self, taken: Values, places: Places) -> Tensor:  # noqa: ARG002
        """Return the maxima."""
        return self.pooled(taken[0])[0]

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:  # noqa: ARG002
        """Return the signals at the switches."""
        return [self.unpooled(signal, taken[0], self.pooled(taken[0])[1])]

    def pooled(self, part: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maxima and the switches."""
        g = self.geometry
        values, switches = torch.ops.aten.max_pool2d_with_indices(part, g.kernel, g.stride, (0, 0), g.dilation)
        return values, switches

    def unpooled(self, signal: Tensor, part: Tensor, switches: Tensor) -> Tensor:
        """Return the signals at the switches; of the part that was pooled only the size matters."""
        g = self.geometry
        undo = torch.ops.aten.max_pool2d_with_indices_backward
        found: Tensor = undo(signal, part, g.kernel, g.stride, (0, 0), g.dilation, False, switches)  # noqa: FBT003
        return found


@dataclass(frozen=True)
class AveragePool:
    """A mean; what a sum over a window is divided by depends on the place (``factor``, of the whole map)."""

    geometry: Geometry
    factor: Tensor
    fill: float | None = 0.0
    linear: bool = True
    macs: int = 0

    def run(self, taken: Values, places: Places) -> Tensor:
        """Return the means."""
        g = self.geometry
        total: Tensor = torch.ops.aten.avg_pool2d(taken[0], g.kernel, g.stride, (0, 0), False, True, 1)  # noqa: FBT003
        return total * places.of(self.factor).to(total)

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:
        """Return the transpose."""
        g = self.geometry
        undo = torch.ops.aten.avg_pool2d_backward
        shared = signal * places.of(self.factor).to(signal)
        return [undo(shared, taken[0], g.kernel, g.stride, (0, 0), False, True, 1)]  # noqa: FBT003


@dataclass(frozen=True)
class Padding:
    """A padding by a constant: the part that is taken has it already."""

    geometry: Geometry
    fill: float | None
    linear: bool = True
    macs: int = 0

    def run(self, taken: Values, places: Places) -> Tensor:  # noqa: ARG002
        """Return the part."""
        return taken[0]

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:  # noqa: ARG002
        """Return the signal; what came to the padding is nobody's."""
        return [signal]


@dataclass(frozen=True)
class Affine:
    """A batch normalisation with the statistics of the training set: a factor and a shift for each channel."""

    factor: Tensor
    shift: Tensor
    geometry: Geometry = Geometry()
    fill: float | None = None
    linear: bool = True
    macs: int = 0

    def run(self, taken: Values, places: Places) -> Tensor:  # noqa: ARG002
        """Return what it gives."""
        return torch.addcmul(self.shift, taken[0], self.factor)

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:  # noqa: ARG002
        """Return the signal by the factor."""
        return [signal * self.factor]


@dataclass(frozen=True)
class Local:
    """Any operation on each position by itself: the step as it is, on parts of its maps."""

    step: Step
    linear: bool
    geometry: Geometry = Geometry()
    fill: float | None = None
    macs: int = 0

    def run(self, taken: Values, places: Places) -> Tensor:
        """Return what the step gives."""
        given = iter(taken)
        inputs = {number: next(given) for number in self.step.inputs}
        args = resized(self.step, len(taken[0]), places.size)
        return self.step.run(inputs.__getitem__, args)

    def back(self, signal: Tensor, taken: Values, places: Places) -> list[Tensor | None]:
        """Return what its derivative makes of the signal."""
        if self.step.name == "add" and _plain(self.step):
            return [signal for _ in taken]
        with torch.enable_grad():
            leaves = [part.detach().requires_grad_(True) for part in taken]  # noqa: FBT003
            # of a map that is taken twice only the last of its leaves is used: x · x
            return list(torch.autograd.grad(self.run(leaves, places), leaves, signal, allow_unused=True))


def _plain(step: Step) -> bool:
    return not step.options and all(isinstance(arg, Slot) for arg in step.args) and len(set(step.inputs)) == 2
