"""What the operations of a program need of their maps, and how they are run and undone on parts of them.

An operation over windows (convolution, pooling, padding) reads ``(n - 1)·stride + dilation·(kernel - 1) + 1`` positions
to give n; every other operation that a program may hold treats each position by itself. Parts of maps come with
everything outside the map filled in as the operation wants it, so none pads by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from convscope.nets.program import NotAProgramError, Program, Slot, Step, resized

FEW_CHANNELS: Final = 16
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
        """Return the signals at the switches."""
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


def operation(program: Program, number: int) -> Operation:
    """Return what a step of a program is as an operation on parts of maps.

    Raises
    ------
    NotAProgramError
        If it is none.
    """
    step = program.steps[number]
    shapes = [program.steps[source].shape for source in step.inputs]
    if len(step.shape) < 3 or any(len(shape) < 3 for shape in shapes):
        raise NotAProgramError(f"{step.name} gives or takes no maps")
    build = WINDOWS.get(step.name)
    if build is not None and (found := build(step, shapes[0])) is not None:
        return found
    if step.name not in POINTWISE and step.name not in LINEAR_POINTWISE:
        raise NotAProgramError(f"{step.name} is not known to treat positions by themselves")
    if any(shape[-2:] != step.shape[-2:] for shape in shapes) or not _local(step, len(step.shape) + 1):
        raise NotAProgramError(f"{step.name} mixes positions")
    return Local(step, step.name in LINEAR_POINTWISE and (step.name not in PRODUCTS or len(shapes) == 1))


def _local(step: Step, axes: int) -> bool:
    """Whether an operation leaves rows and columns alone: the axes it works along, and the constants it takes."""
    constants = _tensors((*step.args, *step.options.values()))
    if any(constant.ndim and max(constant.shape[-2:]) > 1 for constant in constants):
        return False
    test = ALONG.get(step.name)
    return test is None or test(step, axes)


def _tensors(held: Any) -> list[Tensor]:
    if isinstance(held, list | tuple):
        return [tensor for one in held for tensor in _tensors(one)]
    return [held] if isinstance(held, Tensor) else []


def _pair(value: Any) -> Pair:
    values = [int(one) for one in value] if isinstance(value, list | tuple) else [int(value)]
    return values[0], values[-1]


def _convolution(step: Step, _: tuple[int, ...]) -> Operation | None:
    _image, weight, bias, stride, padding, dilation, transposed, _output, groups = step.args
    if transposed or isinstance(weight, Slot) or isinstance(bias, Slot) or weight.ndim != 4:
        raise NotAProgramError("a transposed convolution, or one whose weights depend on the image")
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    geometry = Geometry(kernel, _pair(stride), _pair(padding), _pair(dilation))
    return Convolution(weight, bias, geometry, int(groups))


def _given(step: Step, *defaults: Any) -> list[Any]:
    """Return a step's arguments after the first, completed by their defaults."""
    return [*step.args[1:], *defaults[len(step.args) - 1 :]]


def _max_pool(step: Step, _: tuple[int, ...]) -> Operation | None:
    kernel, stride, padding, dilation, _ceil = _given(step, None, [], 0, 1, False)  # noqa: FBT003
    return MaxPool(Geometry(_pair(kernel), _pair(stride or kernel), _pair(padding), _pair(dilation)))


def _average_pool(step: Step, shape: tuple[int, ...]) -> Operation | None:
    kernel, stride, padding, *_rest = _given(step, None, [], 0)
    kernel, stride, padding = _pair(kernel), _pair(stride or kernel), _pair(padding)
    image = next(iter(step.inputs))
    like = torch.ones((1, 1, *shape[-2:]), dtype=torch.float64)
    means = step.run({image: like}.__getitem__)
    reach = [(n - 1) * stride[axis] + kernel[axis] for axis, n in enumerate(step.shape[-2:])]
    bottom, right = (reach[axis] - padding[axis] - shape[-2:][axis] for axis in range(2))
    covered = torch.nn.functional.pad(like, (padding[1], right, padding[0], bottom))
    sums = torch.ops.aten.avg_pool2d(covered, kernel, stride, (0, 0), False, True, 1)  # noqa: FBT003
    factor = means[0, 0] / sums[0, 0]
    return AveragePool(Geometry(kernel, stride, padding), factor)


def _padding(step: Step, shape: tuple[int, ...]) -> Operation | None:
    widths, value = _given(step, None, 0)
    left, right, top, bottom = (*map(int, widths[:4]), 0, 0, 0, 0)[:4]
    if not (left or right or top or bottom):
        return Local(step, linear=True)
    if len(widths) > 4 and any(widths[4:]):
        raise NotAProgramError("a padding of rows, columns and channels at once")
    del shape
    return Padding(Geometry(padding=(top, left)), float(value))


def _norm(step: Step, shape: tuple[int, ...]) -> Operation | None:
    if len(shape) != 3 or not _frozen_norm(step, len(shape)):
        raise NotAProgramError("a normalisation by the image's own statistics")
    weight, bias, mean, variance = step.args[1:5]
    epsilon = float(step.args[-1])
    factor = (variance.double() + epsilon).rsqrt()
    factor = factor if weight is None else factor * weight.double()
    shift = -mean.double() * factor
    shift = shift if bias is None else shift + bias.double()
    return Affine(*(part.to(mean.dtype)[:, None, None] for part in (factor, shift)))


WINDOWS: Final = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "constant_pad_nd": _padding,
    **dict.fromkeys(["native_batch_norm", "_native_batch_norm_legit_no_training"], _norm),
}
"""Operations over windows and with constants of their own, and how each is made of a step."""

RECTIFIERS: Final = frozenset({"relu", "clamp", "clamp_min", "hardtanh", "threshold"})
"""Those of a step that pass what is above 0 and nothing below (see :func:`rectifies`)."""

PRODUCTS: Final = frozenset({"mul", "div"})
LINEAR_POINTWISE: Final = frozenset({
    "add", "sub", "neg", "mul", "div", "alias", "clone", "_to_copy", "cat", "split", "split_with_sizes", "slice",
    "select", "unsqueeze", "squeeze", "view", "_unsafe_view", "reshape", "permute", "transpose", "avg_pool3d", "sum",
    "mean",
})  # fmt: skip
"""Operations on each position by itself that are linear, the products as long as one factor is constant."""

POINTWISE: Final = frozenset({
    *RECTIFIERS, "pow", "sqrt", "rsqrt", "exp", "log", "sigmoid", "tanh", "silu", "gelu", "elu", "leaky_relu",
    "hardswish", "hardsigmoid", "mish", "softplus", "abs", "_prelu_kernel",
})  # fmt: skip
"""Other operations on each position by itself."""


def _axes_of(step: Step, axes: int) -> list[int]:
    """Return the axes that an operation works along."""
    given = step.args[1] if len(step.args) > 1 else step.options.get("dim", 0)
    return [int(axis) % axes for axis in (given if isinstance(given, list | tuple) else [given])]


def _along_channels(step: Step, axes: int) -> bool:
    before = axes
    return bool(_axes_of(step, before)) and all(0 < axis < before - 2 for axis in _axes_of(step, before))


def _split_along(step: Step, axes: int) -> bool:
    axis = int(step.args[2] if len(step.args) > 2 else step.options.get("dim", 0)) % axes
    return 0 < axis < axes - 2


def _reduced_along(step: Step, axes: int) -> bool:
    keeps = bool(step.args[2] if len(step.args) > 2 else step.options.get("keepdim", False))
    before = axes if keeps else axes + len(_axes_of(step, 99))
    return all(0 < axis < before - 2 for axis in _axes_of(step, before))


def _same_space(step: Step, axes: int) -> bool:
    shape = step.args[1]
    return len(shape) == axes and axes > 3


def _moved(step: Step, axes: int) -> bool:
    order = list(range(axes))
    if step.name == "permute":
        order = [int(axis) % axes for axis in step.args[1]]
    else:
        a, b = (int(axis) % axes for axis in step.args[1:3])
        order[a], order[b] = order[b], order[a]
    return order[0] == 0 and order[-2:] == [axes - 2, axes - 1]


def _small_windows(step: Step, _: int) -> bool:
    kernel, stride, padding, *_rest = _given(step, None, [], 0)
    stride = stride or kernel
    return (
        list(kernel)[1:] == [1, 1]
        and list(stride)[1:] == [1, 1]
        and not any([padding] if isinstance(padding, int) else list(padding)[1:])
    )


def _frozen_norm(step: Step, _: int) -> bool:
    return step.name == "_native_batch_norm_legit_no_training" or not step.args[5]


ALONG: Final = {
    "cat": lambda step, axes: 0 < int((*step.args, 0)[1]) % axes < axes - 2,
    **dict.fromkeys(["split", "split_with_sizes"], _split_along),
    "slice": _along_channels,
    "select": lambda step, axes: 0 < int(step.args[1]) % (axes + 1) < axes - 1,
    "unsqueeze": _along_channels,
    "squeeze": lambda step, axes: len(step.args) > 1 and 0 < int(_axes_of(step, axes + 1)[0]) < axes - 1,
    **dict.fromkeys(["sum", "mean"], _reduced_along),
    **dict.fromkeys(RESHAPES := ["view", "_unsafe_view", "reshape"], _same_space),
    **dict.fromkeys(["permute", "transpose"], _moved),
    "avg_pool3d": _small_windows,
}
"""Of operations that have axes: whether these are neither the images nor rows and columns."""


def makes_its_own(one: Operation) -> bool:
    """Whether what an operation gives is never a view of what it took."""
    return not isinstance(one, Padding | Local) or (isinstance(one, Local) and rectifies(one.step))


def rectifies(step: Step) -> bool:
    """Whether a step is a ReLU, perhaps with a ceiling that is the same everywhere."""
    low, high, *_ = [*step.args[1:], None, None]
    if step.name == "relu":
        return True
    if step.name == "threshold":
        return low == 0 and high == 0
    if step.name == "clamp_min":
        return _is_zero(low)
    return step.name in RECTIFIERS and _is_zero(low) and _is_one_number(high)


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool((value == 0).all())
    return not isinstance(value, Slot) and value is not None and float(value) == 0


def _is_one_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool((value == value.flatten()[0]).all())
    return not isinstance(value, Slot)
