"""The public torch function behind each operator of an exported program or a TorchScript graph.

Such graphs name operators (``aten::relu``, ``aten.add.Tensor``). Called as operators they run, but an observer of
torch functions (``TorchFunctionMode``) sees names nobody writes. The functions that PyTorch generates from the same
declarations (``torch.relu``, ``torch.nn.functional.linear``, ``Tensor.view``) take the same arguments in the same
order and run the same kernels, so a network rebuilt from them reads, and computes, as the one that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any, Final

import torch
from torch import Tensor

_DTYPES: Final = {
    0: torch.uint8,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.int64,
    5: torch.float16,
    6: torch.float32,
    7: torch.float64,
    8: torch.complex32,
    9: torch.complex64,
    10: torch.complex128,
    11: torch.bool,
    15: torch.bfloat16,
}
"""What TorchScript writes for a dtype (c10/core/ScalarType.h)."""

_ENUMERATED: Final[Mapping[str, Mapping[int, Any]]] = {
    "ScalarType": _DTYPES,
    "Layout": {0: torch.strided},
    "MemoryFormat": {
        0: torch.contiguous_format,
        1: torch.preserve_format,
        2: torch.channels_last,
        3: torch.channels_last_3d,
    },
}

_TRAINED: Final = {
    "dropout": "train",
    "feature_dropout": "train",
    "alpha_dropout": "train",
    "feature_alpha_dropout": "train",
    "native_dropout": "train",
    "batch_norm": "training",
    "native_batch_norm": "training",
    "_native_batch_norm_legit": "training",
    "rrelu": "training",
}
"""Operators that behave differently while training, and the argument that says so."""

_ALWAYS_TRAINED: Final = {"_native_batch_norm_legit_functional", "_batch_norm_with_update"}


def dtype_number(dtype: torch.dtype) -> int:
    """Return what TorchScript writes for a dtype."""
    return next((number for number, known in _DTYPES.items() if known == dtype), -1)


def dtype_of(number: Any) -> Any:
    """Return the dtype that a number of TorchScript stands for; anything else as it is."""
    return _DTYPES.get(number, number) if type(number) is int else number


def short_name(operator: Any) -> str:
    """Return an operator's name without namespace and overload: ``add`` for ``aten.add.Tensor``."""
    return str(operator._schema.name).rpartition("::")[2]  # noqa: SLF001 - the only way to an operator's schema


def arguments(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments of a call by their names in the operator's schema, defaults included."""
    declared = operator._schema.arguments  # noqa: SLF001
    given = dict(zip((a.name for a in declared), args, strict=False)) | dict(kwargs)
    return {a.name: given.get(a.name, a.default_value) for a in declared if a.name in given or a.has_default_value()}


def in_training(operator: Any, given: Mapping[str, Any]) -> bool:
    """Whether a call does what the operator does only while a network is trained."""
    name = short_name(operator)
    if name in _ALWAYS_TRAINED:
        return True
    if "running_mean" in given and given["running_mean"] is None:
        return False  # statistics of the batch because there are no others: the same in eval mode
    return name in _TRAINED and given.get(_TRAINED[name]) is True


def has_side_effect(operator: Any) -> bool:
    """Whether an operator reads or writes files."""
    return short_name(operator) in {"from_file", "save", "load"}


def run(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call an operator through its public function where there is one.

    Parameters
    ----------
    operator
        A ``torch._ops.OpOverload``.
    args, kwargs
        As in the operator's schema. Numbers that stand for a dtype, a layout or a memory format, as in TorchScript,
        become what they stand for.
    """
    declared = operator._schema.arguments  # noqa: SLF001
    args = [_spelled(value, argument) for value, argument in zip(args, declared, strict=False)]
    positional = min(len(args), sum(not a.kwarg_only for a in declared))
    named = {a.name: value for a, value in zip(declared[positional:], args[positional:], strict=False)} | dict(kwargs)
    while positional and _is_default(args[positional - 1], declared[positional - 1]):
        positional -= 1  # the shorter form is the one that people write, and that all functions know
    function = _public(operator)
    try:
        return function(*args[:positional], **named)
    except TypeError:  # a function that is parsed otherwise; nothing has run yet
        if function is operator:
            raise
        return operator(*args[:positional], **named)


def _is_default(value: Any, argument: Any) -> bool:
    return (
        argument.has_default_value()
        and type(value) is type(argument.default_value)
        and (isinstance(value, bool | int | float | str | list | None) and value == argument.default_value)
    )


def _spelled(value: Any, argument: Any) -> Any:
    if type(value) is int and (known := _ENUMERATED.get(_type_name(argument))):
        return known.get(value, value)
    return value


@cache
def _type_names(argument: str) -> str:
    return argument.removeprefix("Optional[").removesuffix("]").removesuffix("?")


def _type_name(argument: Any) -> str:
    return _type_names(str(getattr(argument, "real_type", argument.type)))


@cache
def _public(operator: Any) -> Callable[..., Any]:
    """Return the public function of an operator: one of our own spelling, a generated one, or the operator itself."""
    name = short_name(operator)
    if not str(operator._schema.name).startswith("aten::"):  # noqa: SLF001
        return _as_function(operator)
    if (own := _SPELLED.get(name)) is not None:
        return own
    for home in (torch, torch._C._nn, torch.Tensor):  # noqa: SLF001 - where torch.nn.functional.linear itself lives
        function = getattr(home, name, None)
        if isinstance(function, BuiltinFunctionType | MethodDescriptorType):
            return function
    return _as_function(operator)


def _as_function(operator: Any) -> Callable[..., Any]:
    """Return an operator as the function it also is."""
    call: Callable[..., Any] = operator
    return call


def _convolution(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: bool,
) -> Tensor:
    dimensions = weight.ndim - 2
    if transposed:
        function = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[dimensions - 1]
        return function(input, weight, bias, stride, padding, output_padding, groups, dilation)
    plain = (torch.conv1d, torch.conv2d, torch.conv3d)[dimensions - 1]
    return plain(input, weight, bias, stride, padding, dilation, groups)


def _batch_norm(
    input: Tensor,  # noqa: A002
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, None, None]:
    """Return what the operator gives in eval mode; nobody needs the statistics of the batch."""
    cudnn = torch.backends.cudnn.enabled
    out = torch.batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps, cudnn)  # noqa: FBT003
    return out, None, None


def _slice(
    input: Tensor,  # noqa: A002
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """Return a slice, which Python writes with brackets."""
    before = (slice(None),) * (dim % max(input.ndim, 1))
    return input[(*before, slice(start, end, step))]


def _clone(input: Tensor, *, memory_format: Any = None) -> Tensor:  # noqa: A002
    return input.clone() if memory_format is None else input.clone(memory_format=memory_format)


def _size(input: Tensor, dim: int) -> int:  # noqa: A002
    return input.size(dim)


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing: what an exported program asserts of dtypes and devices need not hold on another device."""


_SPELLED: Final[Mapping[str, Callable[..., Any]]] = {
    "_convolution": _convolution,
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "slice": _slice,
    "clone": _clone,
    "sym_size": _size,
    "_assert_tensor_metadata": _nothing,
    "split": torch.split,
}
