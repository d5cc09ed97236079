"""Arithmetic, comparisons, reductions and products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, Final

import torch
from torch import Tensor, nn

from convscope.nets.onnx.node import (
    Built,
    Node,
    Operator,
    axis_of,
    bounded,
    empty,
    filled,
    function,
    numbers,
    spread_shape,
)


def _pair(call: Callable[..., Tensor], a: Tensor, b: Tensor) -> Tensor:
    bounded(spread_shape(a.shape, b.shape))
    return call(a, b)


def _both(call: Callable[..., Tensor]) -> Operator:
    """Return the operator of two tensors that are spread over each other."""
    return function(partial(_pair, call))


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _power(a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b.to(a.dtype) if a.is_floating_point() else b).to(a.dtype)


def _modulo(node: Node) -> Built:
    return Built(partial(_pair, torch.fmod if node.get("fmod", 0) else torch.remainder))


def _shift(node: Node) -> Built:
    left = node.attributes["direction"] == "LEFT"
    return Built(partial(_pair, torch.bitwise_left_shift if left else torch.bitwise_right_shift))


def _all_of(call: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """Return the operator that takes any number of tensors, two at a time."""
    return function(partial(_fold, call))


def _fold(call: Callable[[Tensor, Tensor], Tensor], *values: Tensor) -> Tensor:
    return reduce(partial(_pair, call), values)


def _mean(*values: Tensor) -> Tensor:
    return _fold(torch.add, *values) / len(values)


def _maximum(node: Node) -> Built:
    """Return the larger of two, which with nothing but 0 beside is a ReLU."""
    for position, other in ((0, 1), (1, 0)):
        limit = node.constant(other)
        zero = limit is not None and limit.is_floating_point() and limit.numel() == 1 and limit.item() == 0
        if zero and limit is not None and len(node.inputs) == 2 and limit.ndim <= (node.rank(position) or 0):
            return Built(nn.ReLU(), (position,))
    return Built(partial(_fold, torch.maximum))


def _choose(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    bounded(spread_shape(condition.shape, a.shape, b.shape))
    return torch.where(condition, a, b)


def _is_infinite(node: Node) -> Built:
    up, down = node.get("detect_positive", 1), node.get("detect_negative", 1)
    return Built(partial(_infinite, up=bool(up), down=bool(down)), (0,))


def _infinite(x: Tensor, up: bool, down: bool) -> Tensor:
    return (torch.isposinf(x) & up) | (torch.isneginf(x) & down)


def _cumulated(node: Node) -> Built:
    return Built(partial(_sums, first=not node.get("exclusive", 0), back=bool(node.get("reverse", 0))), plain=(1,))


def _sums(x: Tensor, axis: Any, *, first: bool, back: bool) -> Tensor:
    dim = int(numbers(axis)[0])
    x = x.flip(dim) if back else x
    summed = x.cumsum(dim).to(x.dtype)
    summed = summed if first else summed - x
    return summed.flip(dim) if back else summed


# ---------------------------------------------------------------- reductions


def _reduction(call: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Operator:
    """Return the operator that takes axes together; they are an attribute in old versions and an input in new ones."""

    def build(node: Node) -> Built:
        keep, empty_is_none = bool(node.get("keepdims", 1)), bool(node.get("noop_with_empty_axes", 0))
        reduced = partial(_reduced, call=call, keep=keep, noop=empty_is_none)
        if not node.has(1):
            return Built(partial(reduced, axes=node.get("axes", None)), (0,))
        return Built(reduced, plain=(1,))

    return build


def _reduced(
    x: Tensor, axes: Any = None, *, call: Callable[[Tensor, tuple[int, ...], bool], Tensor], keep: bool, noop: bool
) -> Tensor:
    wanted = numbers(axes) if axes is not None else []
    if not wanted and noop:
        return call(x.unsqueeze(-1), (-1,), False)  # noqa: FBT003 - no axis is taken together, the rest is done
    dims = tuple(axis_of(int(axis), x.ndim) for axis in wanted) or tuple(range(x.ndim))
    return call(x, dims, keep).to(x.dtype) if dims else x


def _product(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    for dim in sorted(dims, reverse=True):
        x = x.prod(dim, keepdim=keep)
    return x


def _average(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(dims, keepdim=keep)
    return x.double().mean(dims, keepdim=keep).trunc()


def _sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(dims, keepdim=keep)


def _largest(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.amax(dims, keepdim=keep)


def _smallest(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.amin(dims, keepdim=keep)


def _l1(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.abs().sum(dims, keepdim=keep)


def _l2(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    values = x if x.is_floating_point() else x.double()
    return (values**2).sum(dims, keepdim=keep).sqrt()


def _log_sum(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(dims, keepdim=keep).log()


def _log_sum_exp(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    values = x if x.is_floating_point() else x.double()
    return torch.logsumexp(values, tuple(dims), keepdim=keep)


def _sum_of_squares(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    return (x**2).sum(dims, keepdim=keep)


def _best(largest: bool) -> Operator:
    def build(node: Node) -> Built:
        axis, keep, last = node.get("axis", 0), bool(node.get("keepdims", 1)), bool(node.get("select_last_index", 0))
        return Built(partial(_index_of_best, axis=axis, keep=keep, last=last, largest=largest), (0,))

    return build


def _index_of_best(x: Tensor, axis: int, keep: bool, last: bool, largest: bool) -> Tensor:
    values = x.flip(axis) if last else x
    index = (values.argmax if largest else values.argmin)(axis, keepdim=keep)
    return x.shape[axis] - 1 - index if last else index


def _top(node: Node) -> Built:
    options = {
        "axis": node.get("axis", -1),
        "largest": bool(node.get("largest", 1)),
        "ordered": bool(node.get("sorted", 1)),
    }
    if "k" in node.attributes:
        return Built(partial(_best_few, k=[node.attributes["k"]], **options), (0,))
    return Built(partial(_best_few, **options), plain=(1,))


def _best_few(x: Tensor, k: Any, *, axis: int, largest: bool, ordered: bool) -> tuple[Tensor, Tensor]:
    """Return the k best; of equal ones the first, which torch.topk does not promise."""
    del ordered
    values, index = torch.sort(x, dim=axis, descending=largest, stable=True)
    count = int(numbers(k)[0])
    return values.narrow(axis, 0, count), index.narrow(axis, 0, count)


# ---------------------------------------------------------------- products


def _gemm(node: Node) -> Built:
    weight, bias = node.constant(1), node.constant(2)
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    first, second = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    if weight is not None and weight.ndim == 2 and alpha == 1 and not first and node.known(2):
        weight = weight if second else weight.t()
        if bias is None or (beta == 1 and bias.shape[-1:] == (weight.shape[0],) == (bias.numel(),)):
            return Built(linear(weight, bias), (0,))
    return Built(partial(_general_product, alpha=alpha, beta=beta, first=first, second=second))


def linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    """Return ``nn.Linear`` with weights ``(O, I)``."""
    module = empty(nn.Linear, weight.shape[1], weight.shape[0], bias=bias is not None)
    return filled(module, weight=weight.contiguous(), bias=None if bias is None else bias.flatten())


def _general_product(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float, beta: float, first: bool, second: bool
) -> Tensor:
    a, b = a.t() if first else a, b.t() if second else b
    bounded((a.shape[0], b.shape[1]))
    product = torch.matmul(a, b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def _matmul(node: Node) -> Built:
    weight = node.constant(1)
    if weight is not None and weight.ndim == 2 and weight.is_floating_point() and 0 not in node.constants:
        return Built(linear(weight.t(), None), (0,))
    return Built(_matrices)


def _matrices(a: Tensor, b: Tensor) -> Tensor:
    bounded((*a.shape[:-1], *b.shape[-1:]))
    return torch.matmul(a, b)


def _einsum(node: Node) -> Built:
    equation = node.attributes["equation"].replace(" ", "")
    return Built(partial(_summed, equation=equation))


def _summed(*values: Tensor, equation: str) -> Tensor:
    return torch.einsum(equation, *values)


OPERATORS: Final[dict[str, Operator]] = {
    "Add": _both(torch.add),
    "Sub": _both(torch.sub),
    "Mul": _both(torch.mul),
    "Div": _both(_divide),
    "Pow": _both(_power),
    "Mod": _modulo,
    "BitShift": _shift,
    "BitwiseAnd": _both(torch.bitwise_and),
    "BitwiseOr": _both(torch.bitwise_or),
    "BitwiseXor": _both(torch.bitwise_xor),
    "BitwiseNot": function(torch.bitwise_not),
    "And": _both(torch.logical_and),
    "Or": _both(torch.logical_or),
    "Xor": _both(torch.logical_xor),
    "Not": function(torch.logical_not),
    "Equal": _both(torch.eq),
    "Greater": _both(torch.gt),
    "GreaterOrEqual": _both(torch.ge),
    "Less": _both(torch.lt),
    "LessOrEqual": _both(torch.le),
    "Where": function(_choose),
    "Max": _maximum,
    "Min": _all_of(torch.minimum),
    "Sum": _all_of(torch.add),
    "Mean": function(_mean),
    "IsNaN": function(torch.isnan),
    "IsInf": _is_infinite,
    "CumSum": _cumulated,
    "ReduceMean": _reduction(_average),
    "ReduceSum": _reduction(_sum),
    "ReduceMax": _reduction(_largest),
    "ReduceMin": _reduction(_smallest),
    "ReduceProd": _reduction(_product),
    "ReduceL1": _reduction(_l1),
    "ReduceL2": _reduction(_l2),
    "ReduceLogSum": _reduction(_log_sum),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceSumSquare": _reduction(_sum_of_squares),
    "ArgMax": _best(largest=True),
    "ArgMin": _best(largest=False),
    "TopK": _top,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "Det": function(torch.linalg.det),
    "Abs": function(torch.abs),
    "Neg": function(torch.neg),
    "Sqrt": function(torch.sqrt),
    "Exp": function(torch.exp),
    "Log": function(torch.log),
    "Reciprocal": function(torch.reciprocal),
    "Erf": function(torch.erf),
    "Floor": function(torch.floor),
    "Ceil": function(torch.ceil),
    "Round": function(torch.round),
    "Sign": function(torch.sign),
    "Sin": function(torch.sin),
    "Cos": function(torch.cos),
    "Tan": function(torch.tan),
    "Asin": function(torch.asin),
    "Acos": function(torch.acos),
    "Atan": function(torch.atan),
    "Sinh": function(torch.sinh),
    "Cosh": function(torch.cosh),
    "Asinh": function(torch.asinh),
    "Acosh": function(torch.acosh),
    "Atanh": function(torch.atanh),
}
