"""What TorchScript does with values that are no tensors: numbers, lists, dictionaries, strings, types."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from convscope.nets.programs.operators import dtype_number, dtype_of


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[key] = value
    return container


def _delete(container: Any, key: Any) -> None:
    del container[key]


def _append(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _extend(values: list[Any], more: list[Any]) -> None:
    values.extend(more)


def _insert(values: list[Any], place: int, value: Any) -> None:
    values.insert(place, value)


def _size(tensor: Tensor, dim: int | None = None) -> Any:
    return list(tensor.size()) if dim is None else tensor.size(dim)


def _slice(values: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return values[start:end:step]


def _range_length(low: int, high: int, step: int) -> int:
    return len(range(low, high, step))


def _tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return torch.tensor(data, dtype=dtype_of(dtype), device=device, requires_grad=requires_grad)


def _as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    return torch.as_tensor(data, dtype=dtype_of(dtype), device=device)


def _nothing(*_: Any) -> None:
    """Do nothing: warnings and prints of a network are for its makers."""


def _contains(container: Any, value: Any) -> bool:
    return value in container


def _is_same(one: Any, other: Any) -> bool:
    return one is other


def _is_other(one: Any, other: Any) -> bool:
    return one is not other


def _round_division(one: Any, other: Any) -> Any:
    return one // other


def _format(text: str, *values: Any) -> str:
    """Put values into the braces of a text, one after the other; TorchScript knows nothing else of formats."""
    parts = text.split("{}")
    filled = [str(value) + part for value, part in zip(values, parts[1:], strict=False)]
    return "".join([parts[0], *filled])


def _refined(value: Any) -> Any:
    return value


ALWAYS: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::Bool": bool,
    "aten::Float": float,
    "aten::FloatImplicit": float,
    "aten::Int": int,
    "aten::IntImplicit": int,
    "aten::ScalarImplicit": lambda tensor: tensor.item(),
    "aten::__contains__": _contains,
    "aten::__derive_index": lambda index, start, step: start + index * step,
    "aten::__is__": _is_same,
    "aten::__isnot__": _is_other,
    "aten::__not__": operator.not_,
    "aten::__range_length": _range_length,
    "aten::_set_item": _set_item,
    "aten::append": _append,
    "aten::as_tensor": _as_tensor,
    "aten::Delete": _delete,
    "aten::dim": lambda tensor: tensor.dim(),
    "aten::dict": dict,
    "aten::extend": _extend,
    "aten::format": _format,
    "aten::get": lambda container, *key: container.get(*key),
    "aten::insert": _insert,
    "aten::is_floating_point": lambda tensor: tensor.is_floating_point(),
    "aten::item": lambda tensor: tensor.item(),
    "aten::items": lambda container: list(container.items()),
    "aten::keys": lambda container: list(container.keys()),
    "aten::len": len,
    "aten::list": list,
    "aten::numel": lambda tensor: tensor.numel(),
    "aten::pop": lambda container, *key: container.pop(*key),
    "aten::size": _size,
    "aten::tensor": _tensor,
    "aten::values": lambda container: list(container.values()),
    "aten::warn": _nothing,
    "prim::NumToTensor": torch.tensor,
    "prim::Print": _nothing,
    "prim::data": lambda tensor: tensor.detach(),
    "prim::device": lambda tensor: tensor.device,
    "prim::dtype": lambda tensor: dtype_number(tensor.dtype),
    "prim::is_cpu": lambda tensor: tensor.is_cpu,
    "prim::is_cuda": lambda tensor: tensor.is_cuda,
    "prim::layout": lambda _: 0,
    "prim::rangelist": lambda count: list(range(count)),
    "prim::requires_grad": lambda tensor: tensor.requires_grad,
    "prim::shape": lambda tensor: list(tensor.shape),
    "prim::type": lambda device: device.type,
    "prim::unchecked_cast": _refined,
    "prim::unchecked_unwrap_optional": _refined,
}
"""Operators that are Python whatever they are given."""

PLAIN: Final[Mapping[str, Callable[..., Any]]] = {
    "aten::__and__": lambda one, other: one and other if isinstance(one, bool) else one & other,
    "aten::__getitem__": operator.getitem,
    "aten::__or__": lambda one, other: one or other if isinstance(one, bool) else one | other,
    "aten::add": operator.add,
    "aten::add_": operator.iadd,
    "aten::abs": abs,
    "aten::ceil": math.ceil,
    "aten::clear": lambda container: container.clear(),
    "aten::copy": lambda container: container.copy(),
    "aten::count": lambda container, value: container.count(value),
    "aten::div": operator.truediv,
    "aten::endswith": lambda text, end, *_: text.endswith(end),
    "aten::eq": operator.eq,
    "aten::exp": math.exp,
    "aten::floor": math.floor,
    "aten::floordiv": _round_division,
    "aten::ge": operator.ge,
    "aten::gt": operator.gt,
    "aten::index": lambda container, value: container.index(value),
    "aten::join": lambda separator, parts: separator.join(parts),
    "aten::le": operator.le,
    "aten::log": math.log,
    "aten::lower": lambda text: text.lower(),
    "aten::lt": operator.lt,
    "aten::mul": operator.mul,
    "aten::ne": operator.ne,
    "aten::neg": operator.neg,
    "aten::pow": operator.pow,
    "aten::remainder": operator.mod,
    "aten::replace": lambda text, old, new, *count: text.replace(old, new, *count),
    "aten::reverse": lambda values: values.reverse(),
    "aten::round": round,
    "aten::slice": _slice,
    "aten::sqrt": math.sqrt,
    "aten::split": lambda text, separator=None, most=-1: text.split(separator, most),
    "aten::startswith": lambda text, start, *_: text.startswith(start),
    "aten::str": str,
    "aten::strip": lambda text, characters=None: text.strip(characters),
    "aten::sub": operator.sub,
    "aten::sum": sum,
    "aten::upper": lambda text: text.upper(),
    "prim::abs": abs,
    "prim::max": max,
    "prim::min": min,
}
"""Operators that are Python where none of what they are given is a tensor."""


def plain(kind: str, result: str) -> Callable[..., Any]:
    """Return the function of Python for an operator without tensors, with the kind of number TorchScript makes of it.

    ``round`` and ``pow`` make a float there, whatever Python makes.
    """
    function = PLAIN[kind]
    return partial(_as_float, function) if result.strip() == "float" else function


def _as_float(function: Callable[..., Any], *values: Any) -> float:
    return float(function(*values))


KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "TensorType": Tensor,
    "IntType": int,
    "FloatType": float,
    "BoolType": bool,
    "StringType": str,
    "ListType": list,
    "TupleType": tuple,
    "DictType": dict,
    "NoneType": type(None),
    "NumberType": (int, float, complex),
}
"""What TorchScript's types are in Python."""


def is_instance(value: Any, kinds: tuple[str, ...]) -> bool:
    """Whether a value is of one of TorchScript's types; a truth value is no number there."""
    return any(
        isinstance(value, KINDS[kind]) and not (isinstance(value, bool) and kind in {"IntType", "NumberType"})
        for kind in kinds
    )


def convert(tensor: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Do what all overloads of ``aten::to`` do, by the names of their arguments."""
    if (other := options.get("other")) is not None:
        return tensor.to(other)
    wanted = {"dtype": dtype_of(options.get("dtype")), "device": options.get("device")}
    given = {name: value for name, value in wanted.items() if value is not None}
    return tensor.to(**given, copy=bool(options.get("copy"))) if given else tensor
