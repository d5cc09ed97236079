"""How the recorded steps of a program are recognised: which operation on parts of maps each of them is.

A step that is known neither as a window over positions nor as something done to each position by itself is refused,
and the layer is projected from whole images.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from convscope.nets.operations import (
    Affine,
    AveragePool,
    Convolution,
    Geometry,
    Local,
    MaxPool,
    Operation,
    Padding,
    Pair,
)
from convscope.nets.program import NotAProgramError, Program, Slot, Step


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


def _padding(step: Step, _: tuple[int, ...]) -> Operation | None:
    widths, value = _given(step, None, 0)
    left, right, top, bottom = (*map(int, widths[:4]), 0, 0, 0, 0)[:4]
    if not (left or right or top or bottom):
        return Local(step, linear=True)
    if len(widths) > 4 and any(widths[4:]):
        raise NotAProgramError("a padding of rows, columns and channels at once")
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
