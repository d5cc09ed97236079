"""Layers of torch.nn made again from what they did: one operator, its options, and the module's own weights.

Exported programs and TorchScript keep the name and the class of every module and the operators it ran. Where those
are what one layer of ``torch.nn`` does, it becomes that layer again, so that its kind, its weights and its hooks read
as in the network that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar, cast

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class Image:
    """Stands for the tensor a layer is given, among the arguments of its operator."""


IMAGE: Final = Image()


@dataclass(frozen=True)
class Own:
    """Stands for a tensor that belongs to the module, among the arguments of its operator."""

    name: str
    tensor: Tensor


Options = Mapping[str, Any]


def called(base: type[Module], name: str) -> type[Module]:
    """Return a module class under another name, so that its instances read as what they were made from."""
    if name == base.__name__ or not name.isidentifier():
        return base
    anything: Any = base
    return cast("type[Module]", _class(anything, name))


@cache
def _class(base: Any, name: str) -> Any:
    """Return one and the same class for the same base and name."""
    return type(name, (base,), {"__doc__": base.__doc__})


def as_layer(qualified: str, operator: str, options: Options) -> nn.Module | None:
    """Return the layer that does what one operator does.

    Parameters
    ----------
    qualified
        The class of the module, ``torch.nn.modules.conv.Conv2d``. A class of the user's own becomes a layer only
        where that has weights (a convolution of theirs is one); it keeps its name.
    operator
        The operator's name without namespace, ``conv2d``.
    options
        All of its arguments by name; :data:`IMAGE` and :class:`Own` stand for tensors.

    Returns
    -------
    torch.nn.Module | None
        In eval mode, with the very same tensors as weights; ``None`` where no layer does the same.
    """
    name = qualified.rpartition(".")[2]
    original = qualified.startswith("torch.nn.modules.")
    kind = name if original else _WEIGHTED.get(operator.rstrip("_"), "")
    if kind not in _MAKERS or next(iter(options.values()), None) is not IMAGE:
        return None
    if sum(value is IMAGE for value in options.values()) != 1:
        return None
    layer = _MAKERS[kind](kind, operator, options)
    if layer is None:
        return None
    own = {value.name: value.tensor for value in options.values() if isinstance(value, Own)}
    if not _take(layer, own):
        return None
    layer.__class__ = called(type(layer), name)
    return layer.eval()


def _take(layer: nn.Module, own: Mapping[str, Tensor]) -> bool:
    """Give a layer its weights; whether they are all that it has and of the sizes it expects."""
    slots = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    slots.pop("num_batches_tracked", None)
    if slots.keys() != own.keys() or any(slots[name].shape != tensor.shape for name, tensor in own.items()):
        return False
    for name, tensor in own.items():
        if name in layer._parameters:  # noqa: SLF001 - no public way keeps the same tensor
            layer.register_parameter(name, tensor if isinstance(tensor, nn.Parameter) else as_parameter(tensor))
        else:
            layer.register_buffer(name, tensor)
    if "num_batches_tracked" in layer._buffers:  # noqa: SLF001
        layer.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))  # no operator reads it
    return True


def as_parameter(tensor: Tensor) -> nn.Parameter:
    """Return a parameter of its own that shares a tensor's values; constants become ones that could be trained."""
    trained = tensor.requires_grad if isinstance(tensor, nn.Parameter) else tensor.is_floating_point()
    return nn.Parameter(tensor.detach(), requires_grad=trained)


def _own(options: Options, *names: str) -> bool:
    """Whether those arguments are the module's own tensors of the same name, or not there."""
    return all(
        value is None or (isinstance(value, Own) and value.name == name)
        for name, value in ((name, options.get(name)) for name in names)
    )


def _shape(options: Options, name: str = "weight") -> tuple[int, ...]:
    value = options.get(name)
    return tuple(value.tensor.shape) if isinstance(value, Own) else ()


def _tuple(value: Any, length: int) -> tuple[int, ...]:
    return (value,) * length if isinstance(value, int) else tuple(value) * (length if len(value) == 1 else 1)


def _convolution(kind: str, operator: str, options: Options) -> nn.Module | None:
    shape, space = _shape(options), int(kind[-2])
    transposed = kind.startswith("ConvTranspose")
    known = {"_convolution", "convolution", f"conv_transpose{space}d" if transposed else f"conv{space}d"}
    if operator not in known or len(shape) != space + 2 or not _own(options, "weight", "bias"):
        return None
    if options.get("transposed", transposed) != transposed:
        return None
    groups, padding = options["groups"], options["padding"]
    common = {
        "kernel_size": shape[2:],
        "stride": _tuple(options["stride"], space),
        "padding": padding if isinstance(padding, str) else _tuple(padding, space),
        "dilation": _tuple(options["dilation"], space),
        "groups": groups,
        "bias": options["bias"] is not None,
        "device": "meta",
    }
    make = cast("Callable[..., nn.Module]", getattr(nn, kind))
    if transposed:
        common["output_padding"] = _tuple(options["output_padding"], space)
        return make(shape[0], shape[1] * groups, **common)
    return make(shape[1] * groups, shape[0], **common)


def _linear(_: str, operator: str, options: Options) -> nn.Module | None:
    shape = _shape(options)
    if operator != "linear" or len(shape) != 2 or not _own(options, "weight", "bias"):
        return None
    return nn.Linear(shape[1], shape[0], bias=options["bias"] is not None, device="meta")


def _batch_norm(kind: str, operator: str, options: Options) -> nn.Module | None:
    if operator not in {"batch_norm", "_native_batch_norm_legit_no_training"} or options.get("training"):
        return None
    shape = _shape(options, "running_mean")
    if not shape or not _own(options, "weight", "bias", "running_mean", "running_var"):
        return None
    make = cast("Callable[..., nn.Module]", getattr(nn, kind))
    affine = options["weight"] is not None
    return make(shape[0], options["eps"], options["momentum"], affine, device="meta")


def _layer_norm(_: str, operator: str, options: Options) -> nn.Module | None:
    if operator not in {"layer_norm", "native_layer_norm"} or not _own(options, "weight", "bias"):
        return None
    weight, bias = options["weight"] is not None, options["bias"] is not None
    return nn.LayerNorm(list(options["normalized_shape"]), options["eps"], weight, bias, device="meta")


def _group_norm(_: str, operator: str, options: Options) -> nn.Module | None:
    shape = _shape(options)
    if operator != "group_norm" or not shape or not _own(options, "weight", "bias"):
        return None
    return nn.GroupNorm(options["num_groups"], shape[0], options["eps"], device="meta")


def _prelu(_: str, operator: str, options: Options) -> nn.Module | None:
    shape = _shape(options)
    return nn.PReLU(shape[0], device="meta") if operator in {"prelu", "_prelu_kernel"} and len(shape) == 1 else None


def _pool(kind: str, operator: str, options: Options) -> nn.Module | None:
    space = kind[-2]
    if kind.startswith("Max") and operator in {f"max_pool{space}d", f"max_pool{space}d_with_indices"}:
        names = ["kernel_size", "stride", "padding", "dilation", "ceil_mode"]
    elif kind.startswith("Avg") and operator == f"avg_pool{space}d":
        names = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]
    else:
        return None
    given = {name: _plain(options[name]) for name in names if name in options}
    given["stride"] = given.get("stride") or given["kernel_size"]
    return cast("nn.Module", getattr(nn, kind)(**given))


def _plain(value: Any) -> Any:
    """Return a size as people write it: one number where all are the same."""
    if isinstance(value, list | tuple):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _adaptive(kind: str, operator: str, options: Options) -> nn.Module | None:
    make = cast("Callable[..., nn.Module]", getattr(nn, kind))
    if operator.removeprefix("_") == f"adaptive_avg_pool{kind[-2]}d":
        return make(_plain(options["output_size"]))
    space = int(kind[-2])
    whole = operator == "mean" and sorted(options.get("dim") or ()) == list(range(-space, 0)) and options["keepdim"]
    return make(1) if whole else None


def _dropout(kind: str, operator: str, options: Options) -> nn.Module | None:
    expected = "dropout" if kind == "Dropout" else "feature_dropout"
    if operator == "clone":  # all that is left of it in eval mode after decomposition; how much it dropped is lost
        return nn.Identity()
    if operator.rstrip("_") != expected or options.get("train"):
        return None
    return cast("nn.Module", getattr(nn, kind)(options["p"], inplace=operator.endswith("_")))


def _flatten(_: str, operator: str, options: Options) -> nn.Module | None:
    return nn.Flatten(options["start_dim"], options["end_dim"]) if operator == "flatten" else None


def _activation(kind: str, operator: str, options: Options) -> nn.Module | None:
    expected, names = _ACTIVATIONS[kind]
    if operator.rstrip("_") != expected:
        return None
    given = {theirs: options[ours] for ours, theirs in names.items()}
    if kind == "ReLU6":
        return nn.ReLU6(inplace=operator.endswith("_")) if given == {"min_val": 0, "max_val": 6} else None
    if kind == "ELU" and (options.get("scale", 1) != 1 or options.get("input_scale", 1) != 1):
        return None
    if operator.endswith("_"):
        given["inplace"] = True
    return cast("nn.Module", getattr(nn, kind)(**given))


_ACTIVATIONS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "ReLU": ("relu", {}),
    "ReLU6": ("hardtanh", {"min_val": "min_val", "max_val": "max_val"}),
    "Hardtanh": ("hardtanh", {"min_val": "min_val", "max_val": "max_val"}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": "negative_slope"}),
    "ELU": ("elu", {"alpha": "alpha"}),
    "GELU": ("gelu", {"approximate": "approximate"}),
    "SiLU": ("silu", {}),
    "Mish": ("mish", {}),
    "Hardswish": ("hardswish", {}),
    "Hardsigmoid": ("hardsigmoid", {}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Softplus": ("softplus", {"beta": "beta", "threshold": "threshold"}),
    "Softmax": ("softmax", {"dim": "dim"}),
    "LogSoftmax": ("log_softmax", {"dim": "dim"}),
    "PixelShuffle": ("pixel_shuffle", {"upscale_factor": "upscale_factor"}),
    "ChannelShuffle": ("channel_shuffle", {"groups": "groups"}),
}
"""Layers without weights: the operator, and what its arguments are called in the layer."""

_Maker = Callable[[str, str, Options], nn.Module | None]

_MAKERS: Final[Mapping[str, _Maker]] = {
    **{f"{kind}{space}d": _convolution for kind in ("Conv", "ConvTranspose") for space in (1, 2, 3)},
    **{f"BatchNorm{space}d": _batch_norm for space in (1, 2, 3)},
    **{f"{kind}Pool{space}d": _pool for kind in ("Max", "Avg") for space in (1, 2, 3)},
    **{f"AdaptiveAvgPool{space}d": _adaptive for space in (1, 2, 3)},
    **{f"Dropout{space}": _dropout for space in ("", "1d", "2d", "3d")},
    **dict.fromkeys(_ACTIVATIONS, _activation),
    "Flatten": _flatten,
    "GroupNorm": _group_norm,
    "LayerNorm": _layer_norm,
    "Linear": _linear,
    "PReLU": _prelu,
}

_WEIGHTED: Final[Mapping[str, str]] = {
    "conv1d": "Conv1d",
    "conv2d": "Conv2d",
    "conv3d": "Conv3d",
    "linear": "Linear",
}
"""What a module of the user's own is if it does nothing else, with weights of its own."""
