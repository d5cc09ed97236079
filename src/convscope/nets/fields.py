"""Receptive fields from the autograd graph: exact for every way of writing the network, or the whole image and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from torch import Tensor
from torch.autograd.graph import Node

from convscope.inspect.receptive_field import Pair, ReceptiveField
from convscope.nets.nodes import (
    RECTIFIERS,
    UNDEFINED,
    input_shape,
    output_shape,
    result_shape,
    saved,
    short_name,
    signed,
    topological,
)

Fields = dict[Node, ReceptiveField]


def receptive_fields(roots: Iterable[Node], image: Tensor) -> Fields:
    """Return the receptive field of every node between ``image`` and ``roots`` (METHODS §1).

    Where branches meet it is their union. Nodes that do not depend on the image have none.
    """
    size = (int(image.shape[-2]), int(image.shape[-1]))
    fields: Fields = {}
    for node in topological(roots):
        if short_name(node) == "AccumulateGrad":
            if getattr(node, "variable", None) is image:
                fields[node] = ReceptiveField(extent=(0, 0, *size))
            continue
        field = _meeting(node, fields, size)
        if field is not None:
            fields[node] = field if field.is_global else _through(node, field, size)
    return fields


def _meeting(node: Node, fields: Fields, size: Pair) -> ReceptiveField | None:
    """Return the union of what a node's inputs see."""
    if short_name(node) == "Convolution" and any(child in fields for child, _ in node.next_functions[1:]):
        return ReceptiveField.whole(size, "convolution whose weights depend on the image")
    meeting: ReceptiveField | None = None
    pointwise = short_name(node) in POINTWISE
    for child, output in node.next_functions:
        field = fields.get(child) if child is not None else None
        if child is not None and field is not None:
            if pointwise and not field.is_global and _space(result_shape(child, output)) != _space(output_shape(node)):
                field = ReceptiveField.whole(size, "spread over the map")
            meeting = field if meeting is None else meeting.union(field, size)
    return meeting


def _space(shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return shape[-2:] if shape is not None else None


def _through(node: Node, field: ReceptiveField, size: Pair) -> ReceptiveField:
    name = short_name(node)
    if name in POINTWISE:
        return field
    step = STEPS.get(name)
    after = step(node, field) if step else None
    if isinstance(after, ReceptiveField):
        shape = output_shape(node)
        return after.limited(shape[-2], shape[-1]) if shape is not None and len(shape) > 2 else after
    return ReceptiveField.whole(size, after or REASONS.get(name, f"{name} is not known to be local"))


def _convolution(node: Node, field: ReceptiveField) -> ReceptiveField | str:
    weight = saved(node, "weight")
    if weight.ndim != 4:
        return f"convolution in {weight.ndim - 2}D: its axes are not rows and columns"
    if saved(node, "transposed"):
        return "transposed convolution: the field depends on the position"
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    return _windows(node, field, kernel, _pair(node, "stride"), _pair(node, "dilation"))


def _windows(node: Node, field: ReceptiveField, kernel: Pair, stride: Pair, dilation: Pair) -> ReceptiveField:
    """Return the field through windows; mirrored pixels that the same window also sees directly do not widen it."""
    padding = _pair(node, "padding")
    child = node.next_functions[0][0]
    rows, columns = _mirrored(child) if child is not None else ((0, 0), (0, 0))
    down, across = (max(0, (kernel[i] - 1) * dilation[i] - padding[i]) for i in range(2))
    late = 0 if saved(node, "ceil_mode") else 1  # such a last window may lie in the padding alone
    seen = (
        (-min(rows[0], late * down), -min(rows[1], down)),
        (-min(columns[0], late * across), -min(columns[1], across)),
    )
    return _widened(field, seen).through(kernel, stride, padding, dilation)


def _pool(node: Node, field: ReceptiveField) -> ReceptiveField:
    kernel = _pair(node, "kernel_size")
    dilation = _pair(node, "dilation") if saved(node, "dilation") is not None else (1, 1)
    stride = _pair(node, "stride") if saved(node, "stride") else kernel
    return _windows(node, field, kernel, stride, dilation)


def _channel_pool(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    """Return the field through a pooling over channels only, as in local response normalisation."""
    local = _pair(node, "kernel_size") == _pair(node, "stride") == (1, 1) and _pair(node, "padding") == (0, 0)
    return field if local else None


def _adaptive(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    """Return the field through an adaptive pooling, which has fixed windows where the sizes divide."""
    before, after = input_shape(node), output_shape(node)
    if before is None or after is None or any(b % a for b, a in zip(before[-2:], after[-2:], strict=True)):
        return None
    window = (before[-2] // after[-2], before[-1] // after[-1])
    return field.through(window, window)


def _pad(node: Node, field: ReceptiveField) -> ReceptiveField:
    (top, _), (left, _) = _padding(node)
    return _widened(field.through((1, 1), (1, 1), (top, left)), _mirrored(node))


Sides = tuple[Pair, Pair]
"""For rows and for columns, how many positions before and after."""


def _padding(node: Node) -> Sides:
    widths = [signed(width) for width in saved(node, "pad") or saved(node, "padding")]
    return (widths[2], widths[3]) if len(widths) > 2 else (0, 0), (widths[0], widths[1])


def _mirrored(node: Node) -> Sides:
    """Return how far beyond itself a position of a padded map sees: position −i shows i (reflected) or 0 (repeated)."""
    times = MIRRORS.get(short_name(node), 0)
    if not times:
        return (0, 0), (0, 0)
    rows, columns = ((times * max(0, after), times * max(0, before)) for before, after in _padding(node))
    return rows, columns


def _widened(field: ReceptiveField, by: Sides) -> ReceptiveField:
    """Return a field that holds so many more positions of its map on each side."""
    rows, columns = ((sum(by[i]) * field.stride[i], by[i][0] * field.stride[i]) for i in range(2))
    return ReceptiveField(
        (field.size[0] + rows[0], field.size[1] + columns[0]),
        field.stride,
        (field.start[0] - rows[1], field.start[1] - columns[1]),
        extent=field.extent,
    )


def _slice(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    shape = input_shape(node)
    if shape is None:
        return None
    axis = signed(saved(node, "dim")) % len(shape) - (len(shape) - 2)
    if axis < 0:
        return field
    start, step = signed(saved(node, "start") or 0), int(saved(node, "step"))
    offset, stride = [0, 0], [1, 1]
    offset[axis], stride[axis] = min(max(start + shape[axis + len(shape) - 2] * (start < 0), 0), shape[-2:][axis]), step
    return field.through((1, 1), (stride[0], stride[1]), (-offset[0], -offset[1]))


def _keeps_space(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    """Return the field through a change of shape, if rows and columns stay the last two axes."""
    before, after = input_shape(node), output_shape(node)
    same = before is not None and after is not None and min(len(before), len(after)) > 2 and before[-2:] == after[-2:]
    return field if same else None


def _reorders(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    shape = output_shape(node)
    if shape is None:
        return None
    order = list(range(len(shape)))
    if saved(node, "dims") is not None:
        order = [signed(d) % len(shape) for d in saved(node, "dims")]
    else:
        a, b = (signed(saved(node, f"dim{i}")) % len(shape) for i in range(2))
        order[a], order[b] = order[b], order[a]
    return field if order[-2:] == [len(shape) - 2, len(shape) - 1] else None


def _over_channels(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    """Return the field through something that mixes along an axis, if that axis is not one of rows and columns."""
    shape, dims = output_shape(node), saved(node, "dim")
    if shape is None or dims is None or saved(node, "keepdim") is False:
        return None
    axes = [signed(d) % len(shape) for d in (dims if isinstance(dims, tuple | list) else [dims])]
    return field if all(axis < len(shape) - 2 for axis in axes) and axes else None


def _batch_norm(node: Node, field: ReceptiveField) -> ReceptiveField | None:
    return None if saved(node, "training") else field


def _pair(node: Node, name: str) -> Pair:
    values = [int(value) for value in saved(node, name)]
    return (values[-2], values[-1]) if len(values) > 1 else (values[0], values[0])


MIRRORS: Final = {"ReflectionPad2D": 2, "ReplicationPad2D": 1}
"""Paddings that show pixels again: how far away, in widths of the padding."""

Step = Callable[[Node, ReceptiveField], ReceptiveField | str | None]
STEPS: Final[dict[str, Step]] = {
    "Convolution": _convolution,
    **dict.fromkeys(["MaxPool2DWithIndices", "AvgPool2D"], _pool),
    "AvgPool3D": _channel_pool,
    **dict.fromkeys(["AdaptiveAvgPool2D", "AdaptiveMaxPool2D"], _adaptive),
    **dict.fromkeys(["ConstantPadNd", "ReflectionPad2D", "ReplicationPad2D"], _pad),
    "Slice": _slice,
    **dict.fromkeys(["View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Expand"], _keeps_space),
    **dict.fromkeys(["Permute", "Transpose"], _reorders),
    **dict.fromkeys(["Cat", "Split", "SplitWithSizes", "Mean", "Sum", "Amax"], _over_channels),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Glu"], _over_channels),
    **dict.fromkeys(["NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"], _batch_norm),
}  # fmt: skip
"""How a field changes; a text (why) or ``None`` (see :data:`REASONS`) from a step means the whole image."""

POINTWISE: Final = (frozenset(RECTIFIERS) | frozenset(UNDEFINED) | {
    "Add", "Sub", "Mul", "Div", "Neg", "Alias", "Clone", "ToCopy", "NativeDropout", "Where", "Maximum", "Minimum",
    "MaskedFill",
}) - {
    "Softmax", "LogSoftmax", "Glu", "NativeLayerNorm", "NativeGroupNorm", "FusedRmsNorm", "LinalgVectorNorm", "Var",
    "VarMean", "Std", *(name for name in UNDEFINED if name.startswith("ScaledDotProduct")),
}  # fmt: skip
"""Steps that look at one position at a time."""

_UNEVEN: Final = "adaptive pooling with uneven windows"
_UPSAMPLED: Final = "upsampled: the field depends on the position"
_MOVED: Final = "rows and columns are moved"
REASONS: Final[dict[str, str]] = {
    **dict.fromkeys(["Mean", "Sum", "Amax", "Max"], "global pooling"),
    **dict.fromkeys(["AdaptiveAvgPool2D", "AdaptiveMaxPool2D"], _UNEVEN),
    **dict.fromkeys(["View", "UnsafeView", "ReshapeAlias"], "flattened"),
    **dict.fromkeys(["Permute", "Transpose", "Slice", "Cat", "Split", "CopySlices"], _MOVED),
    **dict.fromkeys(["Addmm", "Mm"], "fully connected"),
    **dict.fromkeys(["UpsampleNearest2D", "UpsampleBilinear2D", "UpsampleBicubic2D"], _UPSAMPLED),
    "Bmm": "every position meets every other",
    "NativeBatchNorm": "normalised by the image's own statistics",
    "NativeGroupNorm": "group norm looks at the whole map",
    "NativeLayerNorm": "layer norm looks at the whole map",
    "Softmax": "softmax over positions",
    **dict.fromkeys([name for name in UNDEFINED if name.startswith("ScaledDotProduct")], "attention"),
}
"""Why a step sees the whole image."""
