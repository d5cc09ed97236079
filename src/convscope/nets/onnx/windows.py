"""Convolutions and poolings: everything that moves a window over a map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from convscope.nets.onnx.node import Built, Node, Operator, Unsupported, empty, filled

CONVOLUTIONS: Final = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
TRANSPOSED: Final = {3: nn.ConvTranspose1d, 4: nn.ConvTranspose2d, 5: nn.ConvTranspose3d}
MAX_POOLS: Final = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOLS: Final = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
GLOBAL_AVERAGES: Final = {3: nn.AdaptiveAvgPool1d, 4: nn.AdaptiveAvgPool2d, 5: nn.AdaptiveAvgPool3d}
GLOBAL_MAXIMA: Final = {3: nn.AdaptiveMaxPool1d, 4: nn.AdaptiveMaxPool2d, 5: nn.AdaptiveMaxPool3d}
_CONVOLVE: Final = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
_DECONVOLVE: Final = {3: functional.conv_transpose1d, 4: functional.conv_transpose2d, 5: functional.conv_transpose3d}


class PadWindows(nn.Module):
    """Pads a map so that windows without padding of their own cover it: unequal sides, ``SAME``, or a last partial one.

    Parameters
    ----------
    kernel, stride, dilation
        Of the windows, for every axis of the map.
    pads
        Positions before every axis, then after every axis.
    auto
        ``SAME_UPPER`` or ``SAME_LOWER`` for as many windows as the stride divides the map into, whatever its size.
    ceil
        Whether a window that only partly lies on the map counts.
    value
        What is put there.
    """

    def __init__(
        self,
        kernel: Sequence[int],
        stride: Sequence[int],
        dilation: Sequence[int],
        pads: Sequence[int],
        *,
        auto: str = "NOTSET",
        ceil: bool = False,
        value: float = 0.0,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.dilation = tuple(kernel), tuple(stride), tuple(dilation)
        self.pads, self.auto, self.ceil, self.value = tuple(pads), auto, ceil, value

    def extra_repr(self) -> str:
        """Return what is told of it where a network is printed."""
        return f"kernel={self.kernel}, stride={self.stride}, pads={self.auto if self._same else self.pads}"

    @property
    def _same(self) -> bool:
        return self.auto.startswith("SAME")

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded maps ``(N, C, ...)``."""
        sides = self.sides(tuple(x.shape[2:]))
        return functional.pad(x, _for_torch(sides), value=self.value) if any(map(any, sides)) else x

    def sides(self, size: Sequence[int], *, ceil: bool = True) -> list[tuple[int, int]]:
        """Return the positions before and after each axis; without ``ceil`` not those of a last partial window."""
        found = []
        for axis, length in enumerate(size):
            reach, stride = (self.kernel[axis] - 1) * self.dilation[axis] + 1, self.stride[axis]
            if self._same:
                missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
                less, more = missing // 2, missing - missing // 2
                found.append((less, more) if self.auto == "SAME_UPPER" else (more, less))
                continue
            before, after = self.pads[axis], self.pads[axis + len(self.kernel)]
            if self.ceil and ceil:
                windows = -(-(length + before + after - reach) // stride) + 1
                windows -= (windows - 1) * stride >= length + before  # none begins behind the map
                after = max(after, (windows - 1) * stride + reach - length - before)
            found.append((before, after))
        return found


def _for_torch(sides: Sequence[tuple[int, int]]) -> list[int]:
    """Return paddings as torch takes them: the last axis first."""
    return [size for side in reversed(sides) for size in side]


class Windows:
    """The windows of a node: sizes from its attributes, and how they are padded."""

    def __init__(self, node: Node, kernel: Sequence[int]) -> None:
        count = len(kernel)
        self.kernel = list(kernel)
        self.stride = list(node.get("strides", [1] * count))
        self.dilation = list(node.get("dilations", [1] * count))
        self.auto = node.get("auto_pad", "NOTSET") or "NOTSET"
        self.ceil = bool(node.get("ceil_mode", 0)) and self.auto == "NOTSET"
        self.pads = list(node.get("pads", [0] * 2 * count)) if self.auto == "NOTSET" else [0] * 2 * count
        if self.auto.startswith("SAME") and all(stride == 1 for stride in self.stride):
            self._resolve_same()
        lengths = {len(self.stride), len(self.dilation), len(self.pads) // 2}
        if lengths != {count} or min(self.stride + self.dilation + self.kernel, default=0) < 1 or min(self.pads) < 0:
            raise ValueError("kernel_shape, strides, dilations and pads do not fit together")

    def _resolve_same(self) -> None:
        """With stride 1 the padding does not depend on the size of the map."""
        reach = [(k - 1) * d for k, d in zip(self.kernel, self.dilation, strict=True)]
        less, more = [r // 2 for r in reach], [r - r // 2 for r in reach]
        self.pads = less + more if self.auto == "SAME_UPPER" else more + less
        self.auto = "NOTSET"

    @property
    def even(self) -> bool:
        """Whether both sides of every axis get the same padding, whatever the size of the map."""
        half = len(self.kernel)
        return self.pads[:half] == self.pads[half:] and not self.auto.startswith("SAME")

    @property
    def padding(self) -> list[int]:
        """The padding of every axis where it is even, else none: :meth:`module` pads."""
        return self.pads[: len(self.kernel)] if self.even else [0] * len(self.kernel)

    def module(self, value: float = 0.0) -> PadWindows:
        """Return what pads a map for these windows."""
        return PadWindows(
            self.kernel, self.stride, self.dilation, self.pads, auto=self.auto, ceil=self.ceil, value=value
        )


def _kernel(node: Node) -> list[int]:
    weight = node.constant(1)
    shape = tuple(weight.shape) if weight is not None else node.shapes.get(1, ())
    kernel = node.get("kernel_shape", shape[2:])
    if not kernel or any(size is None for size in kernel):
        raise Unsupported(f"{node.op} of weights whose shape is not told")
    return list(kernel)


def _conv(node: Node) -> Built:
    weight, bias = node.constant(1), node.constant(2)
    kernel = _kernel(node)
    windows, groups = Windows(node, kernel), node.get("group", 1)
    before = None if windows.even else windows.module()
    options = {"stride": windows.stride, "padding": windows.padding, "dilation": windows.dilation, "groups": groups}
    if weight is None or not node.known(2) or weight.ndim not in CONVOLUTIONS:
        return Built(partial(_convolve, **options), before=before)
    kind = CONVOLUTIONS[weight.ndim]
    module = empty(
        kind, weight.shape[1] * groups, weight.shape[0], tuple(kernel), **_tuples(options), bias=bias is not None
    )
    return Built(filled(module, weight=weight, bias=bias), (0,), before=before)


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Any) -> Tensor:
    return _CONVOLVE[weight.ndim](x, weight, bias, **options)


def _conv_transpose(node: Node) -> Built:
    weight, bias = node.constant(1), node.constant(2)
    kernel = _kernel(node)
    windows = Windows(node, kernel)
    more = list(node.get("output_padding", [0] * len(kernel)))
    shape, groups = node.get("output_shape", None), node.get("group", 1)
    auto = node.get("auto_pad", "NOTSET")
    options = {"stride": windows.stride, "dilation": windows.dilation, "groups": groups}
    fits = all(m < max(s, d) for m, s, d in zip(more, windows.stride, windows.dilation, strict=True))
    if (
        weight is None
        or not node.known(2)
        or weight.ndim not in TRANSPOSED
        or shape is not None
        or auto.startswith("SAME")
        or not windows.even
        or not fits
    ):
        pads = None if shape is not None or auto.startswith("SAME") else windows.pads
        return Built(partial(_deconvolve, pads=pads, more=more, shape=shape, upper=auto == "SAME_UPPER", **options))
    module = empty(
        TRANSPOSED[weight.ndim],
        weight.shape[0],
        weight.shape[1] * groups,
        tuple(kernel),
        padding=tuple(windows.padding),
        output_padding=tuple(more),
        bias=bias is not None,
        **_tuples(options),
    )
    return Built(filled(module, weight=weight, bias=bias), (0,))


def _deconvolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    pads: list[int] | None,
    more: list[int],
    shape: list[int] | None,
    upper: bool,
    **options: Any,
) -> Tensor:
    """Make the whole transposed convolution and cut its sides off, which may differ."""
    whole = _DECONVOLVE[weight.ndim](x, weight, bias, **options)
    cut = []
    for axis in range(weight.ndim - 2):
        full = whole.shape[axis + 2] + more[axis]
        if pads is not None:
            before, after = pads[axis], pads[axis + weight.ndim - 2]
        else:
            wanted = shape[-(weight.ndim - 2) :][axis] if shape else x.shape[axis + 2] * options["stride"][axis]
            spare = full - wanted
            before = max(spare // 2 if upper else spare - spare // 2, 0)
            after = spare - before
        cut.append((-before, more[axis] - after))
    if not any(end > 0 for _, end in cut) or bias is None:
        return functional.pad(whole, _for_torch(cut))
    bare = _deconvolve(x, weight, None, pads=pads, more=more, shape=shape, upper=upper, **options)
    return bare + bias.reshape(-1, *(1,) * (weight.ndim - 2))  # also positions that no window reaches get the bias


def _max_pool(node: Node) -> Built:
    windows = Windows(node, node.attributes["kernel_shape"])
    if len(windows.kernel) not in MAX_POOLS:
        raise Unsupported(f"MaxPool over {len(windows.kernel)} axes")
    if node.get("storage_order", 0) and node.makes(1):
        raise Unsupported("MaxPool with indices in column order")
    own = windows.even and all(2 * p <= k for p, k in zip(windows.padding, windows.kernel, strict=True))
    options: dict[str, Any] = {
        "kernel_size": tuple(windows.kernel),
        "stride": tuple(windows.stride),
        "dilation": tuple(windows.dilation),
        "padding": tuple(windows.padding) if own else 0,
        "ceil_mode": windows.ceil and own,
    }
    if node.makes(1):
        pad = windows.module()
        return Built(partial(_max_pool_indices, pad=pad, **options), (0,))
    module = MAX_POOLS[len(windows.kernel)](**options)
    return Built(module, (0,), before=None if own else windows.module(float("-inf")))


def _max_pool_indices(x: Tensor, pad: PadWindows, **options: Any) -> tuple[Tensor, Tensor]:
    """Return the maxima and where they lie in the flattened tensor."""
    size = x.shape[2:]
    if not options["padding"]:
        sides = pad.sides(size)
        x = functional.pad(x, _for_torch(sides), value=float("-inf"))
    else:
        sides = [(0, 0)] * len(size)
    pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[len(size)]
    values, flat = pool(x, return_indices=True, **options)
    places = torch.unravel_index(flat, x.shape[2:])
    index = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *(1,) * len(size))
    for place, (before, _), length in zip(places, sides, size, strict=True):
        index = index * length + (place - before)
    return values, index


def _average_pool(node: Node) -> Built:
    windows = Windows(node, node.attributes["kernel_shape"])
    include = bool(node.get("count_include_pad", 0))
    own = windows.even and all(2 * p <= k for p, k in zip(windows.padding, windows.kernel, strict=True))
    if own and set(windows.dilation) == {1} and len(windows.kernel) in AVERAGE_POOLS:
        size, stride, padding = tuple(windows.kernel), tuple(windows.stride), tuple(windows.padding)
        kind = AVERAGE_POOLS[len(windows.kernel)]
        return Built(kind(size, stride, padding, ceil_mode=windows.ceil, count_include_pad=include), (0,))
    return Built(partial(_window_mean, pad=windows.module(), include=include), (0,))


def _window_mean(x: Tensor, pad: PadWindows, include: bool) -> Tensor:
    """Average over windows of any padding and dilation: a sum, divided by the positions that count."""
    size = tuple(x.shape[2:])
    ones = torch.ones((1, 1, *size), dtype=x.dtype, device=x.device)
    if include:
        ones = functional.pad(ones, _for_torch(pad.sides(size, ceil=False)), value=1.0)
        every, some = pad.sides(size), pad.sides(size, ceil=False)
        rest = [(0, whole[1] - part[1]) for whole, part in zip(every, some, strict=True)]
        count = _window_sum(functional.pad(ones, _for_torch(rest)), pad)
    else:
        count = _window_sum(pad(ones), pad)
    return _window_sum(pad(x), pad) / count


def _window_sum(x: Tensor, pad: PadWindows) -> Tensor:
    """Return the sum over each window of a map that is padded already, channel by channel."""
    kernel = torch.ones((1, 1, *pad.kernel), dtype=x.dtype, device=x.device)
    if kernel.ndim not in _CONVOLVE:
        raise Unsupported(f"windows over {kernel.ndim - 2} axes")
    flat = x.reshape(-1, 1, *x.shape[2:])
    summed = _CONVOLVE[kernel.ndim](flat, kernel, None, stride=pad.stride, dilation=pad.dilation)
    return summed.reshape(*x.shape[:2], *summed.shape[2:])


def _lp_pool(node: Node) -> Built:
    pad = Windows(node, node.attributes["kernel_shape"]).module()
    return Built(partial(_window_norm, pad=pad, p=node.get("p", 2)), (0,))


def _window_norm(x: Tensor, pad: PadWindows, p: float) -> Tensor:
    return _window_sum(pad(x.abs() ** p), pad) ** (1 / p)


def _global_average(node: Node) -> Built:
    kind = GLOBAL_AVERAGES.get(node.rank() or 0)
    return Built(kind(1) if kind else _mean_of_maps, (0,))


def _mean_of_maps(x: Tensor) -> Tensor:
    return x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)


def _global_max(node: Node) -> Built:
    kind = GLOBAL_MAXIMA.get(node.rank() or 0)
    return Built(kind(1) if kind else _max_of_maps, (0,))


def _max_of_maps(x: Tensor) -> Tensor:
    return x.amax(dim=tuple(range(2, x.ndim)), keepdim=True)


def _global_lp(node: Node) -> Built:
    return Built(partial(_norm_of_maps, p=node.get("p", 2)), (0,))


def _norm_of_maps(x: Tensor, p: float) -> Tensor:
    return (x.abs() ** p).sum(dim=tuple(range(2, x.ndim)), keepdim=True) ** (1 / p)


OPERATORS: Final[dict[str, Operator]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LpPool": _lp_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
    "GlobalLpPool": _global_lp,
}
