"""Zeiler & Fergus, plainly: every step of a network and its way back, in float64 with numpy, one after another.

Nothing here knows autograd or convscope. A signal travels as ``(N, C, H, W)``: N positions of one layer are sent back
through one image at once. Windows are written as a loop over the taps of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Pair = tuple[int, int]

RECTIFYING = ("deconvnet", "guided_backprop")
"""[ZF14] §2.1 and [S14] §3.4: only what is positive goes on down."""


def taps(kernel: Pair, stride: Pair, dilation: Pair, rows: int, columns: int) -> Iterator[tuple[int, int, tuple]]:
    """Yield each tap of a kernel and the places of a (padded) map under it, one for each window."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            y, x = i * dilation[0], j * dilation[1]
            down = slice(y, y + (rows - 1) * stride[0] + 1, stride[0])
            across = slice(x, x + (columns - 1) * stride[1] + 1, stride[1])
            yield i, j, (..., down, across)


class Op:
    """A step: ``up`` for one image and, afterwards, ``down`` for signals, one for each of the step's inputs."""

    def up(self, *values: Array) -> Array:
        raise NotImplementedError

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        raise NotImplementedError


@dataclass
class Convolution(Op):
    weight: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def _parts(self) -> Iterator[tuple[slice, slice]]:
        outputs, inputs = len(self.weight) // self.groups, self.weight.shape[1]
        for group in range(self.groups):
            yield slice(group * outputs, (group + 1) * outputs), slice(group * inputs, (group + 1) * inputs)

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        padded = np.pad(x, ((0, 0), *((p, p) for p in self.padding)))
        kernel = self.weight.shape[2:]
        self.size = tuple(
            (padded.shape[a + 1] - self.dilation[a] * (kernel[a] - 1) - 1) // self.stride[a] + 1 for a in range(2)
        )
        out = np.zeros((len(self.weight), *self.size))
        for outputs, inputs in self._parts():
            for i, j, places in taps(kernel, self.stride, self.dilation, *self.size):
                out[outputs] += np.tensordot(self.weight[outputs, :, i, j], padded[inputs][places], 1)
        return out if self.bias is None else out + self.bias[:, None, None]

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        rows, columns = self.padding
        channels, height, width = self.shape
        back = np.zeros((len(signal), channels, height + 2 * rows, width + 2 * columns))
        for outputs, inputs in self._parts():
            for i, j, places in taps(self.weight.shape[2:], self.stride, self.dilation, *self.size):
                spread = np.einsum("oc,noyx->ncyx", self.weight[outputs, :, i, j], signal[:, outputs], optimize=True)
                back[:, inputs][places] += spread
        return [back[:, :, rows : rows + height, columns : columns + width]]


def pooled_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """Return how many windows there are; with ``ceil`` none may begin beyond the map and its padding before it."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= size + padding else count


@dataclass
class MaxPool(Op):
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil: bool = False
    doubtful: int = field(default=0, init=False)

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        geometry = zip(x.shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        self.size = tuple(pooled_size(*axis, self.ceil) for axis in geometry)
        self.ends = [self.dilation[a] * (self.kernel[a] - 1) + 1 + (self.size[a] - 1) * self.stride[a] for a in (0, 1)]
        after = [max(0, self.ends[a] - x.shape[a + 1] - self.padding[a]) for a in range(2)]
        sides = zip(self.padding, after, strict=True)
        padded = np.pad(x, ((0, 0), *sides), constant_values=-np.inf)
        best = np.full((len(x), *self.size), -np.inf)
        self.switch = np.zeros(best.shape, int)
        seen = []
        for i, j, places in taps(self.kernel, self.stride, self.dilation, *self.size):
            value = padded[places]
            seen.append(value)
            self.switch = np.where(value > best, i * self.kernel[1] + j, self.switch)  # of equal ones the first
            best = np.maximum(best, value)
        near = [(best - value < 1e-11 * np.abs(best)) & (value != best) for value in seen]
        self.doubtful = int(np.sum(near))
        return best

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        """Unpool through the switches; where windows share a maximum, what they say is added up."""
        top, left = self.padding
        height, width = self.shape[1:]
        extent = [max(self.ends[a], self.shape[a + 1] + self.padding[a]) for a in range(2)]
        back = np.zeros((*signal.shape[:2], *extent))
        for i, j, places in taps(self.kernel, self.stride, self.dilation, *self.size):
            back[places] += signal * (self.switch == i * self.kernel[1] + j)
        return [back[:, :, top : top + height, left : left + width]]


@dataclass
class AveragePool(Op):
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    ceil: bool = False
    count_padding: bool = True
    divisor: int | None = None

    def _axis(self, axis: int, size: int) -> list[tuple[int, int, int]]:
        """Return each window's first and last place inside the map, and how many it is taken to have."""
        kernel, stride, padding = self.kernel[axis], self.stride[axis], self.padding[axis]
        windows = []
        for i in range(pooled_size(size, kernel, stride, padding, 1, self.ceil)):
            start = i * stride - padding
            stop = min(start + kernel, size + padding)
            inside = max(start, 0), min(stop, size)
            windows.append((*inside, stop - start if self.count_padding else inside[1] - inside[0]))
        return windows

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        self.rows, self.columns = self._axis(0, x.shape[1]), self._axis(1, x.shape[2])
        out = np.zeros((len(x), len(self.rows), len(self.columns)))
        for i, (y0, y1, tall) in enumerate(self.rows):
            for j, (x0, x1, wide) in enumerate(self.columns):
                out[:, i, j] = x[:, y0:y1, x0:x1].sum((1, 2)) / (self.divisor or tall * wide)
        return out

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        back = np.zeros((len(signal), *self.shape))
        for i, (y0, y1, tall) in enumerate(self.rows):
            for j, (x0, x1, wide) in enumerate(self.columns):
                back[:, :, y0:y1, x0:x1] += signal[:, :, i, j, None, None] / (self.divisor or tall * wide)
        return [back]


@dataclass
class Rectifier(Op):
    """A ReLU, perhaps with a ceiling: what is at the ceiling has no derivative."""

    ceiling: float = np.inf

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.positive, self.open = x > 0, (x > 0) & (x < self.ceiling)
        return np.clip(x, 0, self.ceiling)

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        if rule == "deconvnet":
            return [np.maximum(signal, 0)]
        return [np.maximum(signal, 0) * self.positive if rule in RECTIFYING else signal * self.open]


@dataclass
class Smooth(Op):
    """What has no rule: leaky ReLU and SiLU go back by their true derivative."""

    kind: str

    def up(self, *values: Array) -> Array:
        (x,) = values
        if self.kind == "leaky":
            self.slope = np.where(x > 0, 1, 0.1)
            return x * self.slope
        s = 1 / (1 + np.exp(-x))
        self.slope = s + x * s * (1 - s)
        return x * s

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return [signal * self.slope]


@dataclass
class BatchNorm(Op):
    """In eval: a scale and a shift for each channel."""

    weight: Array
    bias: Array
    mean: Array
    variance: Array

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.scale = (self.weight / np.sqrt(self.variance + 1e-5))[:, None, None]
        return (x - self.mean[:, None, None]) * self.scale + self.bias[:, None, None]

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return [signal * self.scale]


@dataclass
class ResponseNorm(Op):
    """Krizhevsky 2012 §3.3; its denominators are constant, or derived, or left out on the way back."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def _neighbours(self, channel: int) -> range:
        before = self.size // 2
        return range(max(0, channel - before), min(len(self.x), channel - before + self.size))

    def up(self, *values: Array) -> Array:
        (self.x,) = values
        self.sums = np.stack([(self.x[list(self._neighbours(c))] ** 2).sum(0) for c in range(len(self.x))])
        self.sums = self.k + self.alpha * self.sums / self.size
        return self.x / self.sums**self.beta

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        how = lrn if rule in RECTIFYING else "gradient"
        if how == "identity":
            return [signal]
        back = signal / self.sums**self.beta
        if how == "gradient":
            for c in range(len(self.x)):  # of output c: the derivative of its denominator by each input it holds
                inner = signal[:, c] * self.x[c] * -self.beta * self.sums[c] ** (-self.beta - 1)
                for other in self._neighbours(c):
                    back[:, other] += inner * 2 * self.alpha / self.size * self.x[other]
        return [back]


@dataclass
class Take(Op):
    """Places of a map by their numbers, −1 for a constant: paddings of all kinds, crops, steps, mirrors, upsampling."""

    rows: Array
    columns: Array
    constant: float = 0.0

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        out = x[:, self.rows[:, None], self.columns]
        out[:, self.rows < 0, :] = self.constant
        out[:, :, self.columns < 0] = self.constant
        return out

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        back = np.zeros((len(signal), *self.shape))
        for i, y in enumerate(self.rows):
            for j, x in enumerate(self.columns):
                if y >= 0 and x >= 0:
                    back[:, :, y, x] += signal[:, :, i, j]
        return [back]


@dataclass
class Channels(Op):
    """Channels by their numbers: slices, splits, shuffles."""

    index: Sequence[int]

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        return x[list(self.index)]

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        back = np.zeros((len(signal), *self.shape))
        for i, c in enumerate(self.index):
            back[:, c] += signal[:, i]
        return [back]


@dataclass
class Concatenation(Op):
    def up(self, *values: Array) -> Array:
        self.ends = np.cumsum([len(x) for x in values])[:-1]
        return np.concatenate(values)

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return list(np.split(signal, self.ends, axis=1))


@dataclass
class Sum(Op):
    signs: Sequence[float] = (1, 1)

    def up(self, *values: Array) -> Array:
        return np.sum([sign * x for sign, x in zip(self.signs, values, strict=True)], axis=0)

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return [sign * signal for sign in self.signs]


@dataclass
class Affine(Op):
    """Times a number, plus a number: inputs normalised inside the network, and what does nothing in eval."""

    factor: float = 1.0
    offset: float = 0.0

    def up(self, *values: Array) -> Array:
        return values[0] * self.factor + self.offset

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return [signal * self.factor]


@dataclass
class Dense(Op):
    """A linear layer over all values of a map."""

    weight: Array
    bias: Array

    def up(self, *values: Array) -> Array:
        (x,) = values
        self.shape = x.shape
        return (self.weight @ x.reshape(-1) + self.bias)[:, None, None]

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        return [(signal[:, :, 0, 0] @ self.weight).reshape(len(signal), *self.shape)]


@dataclass
class Gate(Op):
    """Squeeze and excite: the gates are constant where the rule is not a derivative."""

    weight: Array

    def up(self, *values: Array) -> Array:
        (self.x,) = values
        self.gate = 1 / (1 + np.exp(-self.weight @ self.x.mean((1, 2))))
        return self.x * self.gate[:, None, None]

    def down(self, signal: Array, rule: str, lrn: str) -> list[Array]:
        back = signal * self.gate[:, None, None]
        if rule not in RECTIFYING:
            by_gate = (signal * self.x).sum((2, 3)) * self.gate * (1 - self.gate)
            back = back + (by_gate @ self.weight / self.x[0].size)[:, :, None, None]
        return [back]
