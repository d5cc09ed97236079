"""Non-linearities and normalisations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from convscope.nets.onnx.node import Built, Node, Operator, Unsupported, empty, filled, numbers

BATCH_NORMS: Final = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
INSTANCE_NORMS: Final = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}


def _module(kind: Callable[..., nn.Module], **options: tuple[str, Any]) -> Operator:
    """Return the operator that is a torch module; ``options`` names attribute and default of each argument."""

    def build(node: Node) -> Built:
        return Built(kind(**{name: node.get(*attribute) for name, attribute in options.items()}), (0,))

    return build


def _clip(node: Node) -> Built:
    if not node.known(1, 2):
        return Built(_clamp, takes=(0, 1, 2))
    low, high = (_limit(node, position, name) for position, name in ((1, "min"), (2, "max")))
    if low == 0 and high is None:
        return Built(nn.ReLU(), (0,))
    if low == 0 and high == 6:
        return Built(nn.ReLU6(), (0,))
    if low is not None and high is not None and low < high:
        return Built(nn.Hardtanh(low, high), (0,))
    return Built(partial(_clamp, low=low, high=high), (0,))


def _limit(node: Node, position: int, name: str) -> float | None:
    """Return a limit; the largest number of a type means that there is none."""
    value = node.constant(position)
    limit = node.get(name, None) if value is None else value.item()
    return None if limit is None or abs(limit) >= torch.finfo(torch.float32).max else limit


def _clamp(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    if low is None and high is None:
        return x
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        x = x if low is None else torch.maximum(x, torch.as_tensor(low).to(x))
        return x if high is None else torch.minimum(x, torch.as_tensor(high).to(x))
    return torch.clamp(x, low, high)


def _prelu(node: Node) -> Built:
    slope = node.constant(1)
    rank = node.rank()
    if slope is None or rank is None:
        return Built(_leaky)
    by_channel = (slope.ndim == rank - 1 and slope.numel() == slope.shape[0]) or slope.numel() == 1
    if rank < 2 or not by_channel:
        return Built(_leaky)
    return Built(filled(empty(nn.PReLU, slope.numel()), weight=slope.flatten()), (0,))


def _leaky(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


def _hard_sigmoid(node: Node) -> Built:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
        return Built(nn.Hardsigmoid(), (0,))
    return Built(partial(_affine_sigmoid, alpha=alpha, beta=beta), (0,))


def _affine_sigmoid(x: Tensor, alpha: float, beta: float) -> Tensor:
    return torch.clamp(alpha * x + beta, 0, 1)


def _selu(node: Node) -> Built:
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    if abs(alpha - 1.6732632) < 1e-6 and abs(gamma - 1.0507010) < 1e-6:
        return Built(nn.SELU(), (0,))
    return Built(partial(_scaled_elu, alpha=alpha, gamma=gamma), (0,))


def _scaled_elu(x: Tensor, alpha: float, gamma: float) -> Tensor:
    return gamma * functional.elu(x, alpha)


def _swish(node: Node) -> Built:
    alpha = node.get("alpha", 1.0)
    return Built(nn.SiLU() if alpha == 1 else partial(_sigmoid_times, alpha=alpha), (0,))


def _sigmoid_times(x: Tensor, alpha: float) -> Tensor:
    return x * torch.sigmoid(alpha * x)


def _shrink(node: Node) -> Built:
    return Built(partial(_shrunk, bias=node.get("bias", 0.0), limit=node.get("lambd", 0.5)), (0,))


def _shrunk(x: Tensor, bias: float, limit: float) -> Tensor:
    return torch.where(x < -limit, x + bias, torch.where(x > limit, x - bias, torch.zeros_like(x)))


def _over_classes(kind: Callable[..., nn.Module], call: Callable[..., Tensor]) -> Operator:
    """Return softmax or its like: over one axis, and before version 13 over all axes from one on."""

    def build(node: Node) -> Built:
        axis, rank = node.get("axis", -1 if node.opset >= 13 else 1), node.rank()
        if node.opset >= 13:
            return Built(kind(dim=axis), (0,))
        if rank is not None:
            after = node.shapes[0][axis % rank + 1 :] if 0 in node.shapes else (None,)
            if axis % rank == rank - 1 or prod(size or 0 for size in after) == 1:
                return Built(kind(dim=axis), (0,))
        return Built(partial(_over_rest, axis=axis, call=call), (0,))

    return build


def _over_rest(x: Tensor, axis: int, call: Callable[..., Tensor]) -> Tensor:
    axis %= x.ndim
    return call(x.reshape(prod(x.shape[:axis]), -1), dim=1).reshape(x.shape)


def _hardmax(x: Tensor, dim: int) -> Tensor:
    return torch.zeros_like(x).scatter(dim, x.argmax(dim, keepdim=True), 1)


class Hardmax(nn.Module):
    """1 for the first largest value along an axis, else 0."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return the marks, of the shape of ``x``."""
        return _hardmax(x, self.dim)


def _batch_norm(node: Node) -> Built:
    if not node.get("spatial", 1):
        raise Unsupported("BatchNormalization with spatial=0")
    if node.get("training_mode", 0):
        options = {"epsilon": node.get("epsilon", 1e-5), "momentum": node.get("momentum", 0.9)}
        return Built(partial(_by_batch, **options))
    epsilon, kind = node.get("epsilon", 1e-5), BATCH_NORMS.get(node.rank() or 0)
    weight, bias, mean, variance = (node.constant(position) for position in range(1, 5))
    if kind is None or weight is None or bias is None or mean is None or variance is None:
        return Built(partial(_normalised, epsilon=epsilon), takes=(0, 1, 2, 3, 4))
    module = empty(kind, weight.numel(), eps=epsilon)
    count = torch.zeros((), dtype=torch.long)
    filled(module, weight=weight, bias=bias, running_mean=mean, running_var=variance, num_batches_tracked=count)
    return Built(module, (0,))


def _normalised(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    return functional.batch_norm(x, mean, variance, weight, bias, eps=epsilon)


def _by_batch(
    x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, *, epsilon: float, momentum: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise by the values' own statistics, as exporters write standardised weights."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    own, spread = x.mean(axes), x.var(axes, unbiased=False)
    result = functional.batch_norm(x, own, spread, weight, bias, eps=epsilon)
    return result, momentum * mean + (1 - momentum) * own, momentum * variance + (1 - momentum) * spread


def _instance_norm(node: Node) -> Built:
    weight, bias, kind = node.constant(1), node.constant(2), INSTANCE_NORMS.get(node.rank() or 0)
    epsilon = node.get("epsilon", 1e-5)
    if kind is None or weight is None or bias is None:
        return Built(partial(_by_instance, epsilon=epsilon))
    return Built(filled(empty(kind, weight.numel(), eps=epsilon, affine=True), weight=weight, bias=bias), (0,))


def _by_instance(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    return functional.instance_norm(x, weight=weight, bias=bias, eps=epsilon)


def _layer_norm(node: Node) -> Built:
    weight, bias, rank = node.constant(1), node.constant(2), node.rank()
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)
    over = -axis if axis < 0 else rank - axis if rank is not None else None
    if weight is None or not node.known(2) or weight.ndim != over or node.makes(1) or node.makes(2):
        return Built(partial(_by_layer, axis=axis, epsilon=epsilon))
    if node.shapes.get(0, ())[-weight.ndim :] != tuple(weight.shape) or (
        bias is not None and bias.shape != weight.shape
    ):
        return Built(partial(_by_layer, axis=axis, epsilon=epsilon))
    module = empty(nn.LayerNorm, tuple(weight.shape), eps=epsilon, bias=bias is not None)
    return Built(filled(module, weight=weight, bias=bias), (0,))


def _by_layer(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    axes = tuple(range(axis % x.ndim, x.ndim))
    mean = x.mean(axes, keepdim=True)
    inverse = torch.rsqrt(((x - mean) ** 2).mean(axes, keepdim=True) + epsilon)
    scaled = (x - mean) * inverse * weight
    return scaled if bias is None else scaled + bias, mean, inverse


def _rms_norm(node: Node) -> Built:
    return Built(partial(_by_square, axis=node.get("axis", -1), epsilon=node.get("epsilon", 1e-5)))


def _by_square(x: Tensor, weight: Tensor, *, axis: int, epsilon: float) -> Tensor:
    axes = tuple(range(axis % x.ndim, x.ndim))
    return x * torch.rsqrt((x**2).mean(axes, keepdim=True) + epsilon) * weight


def _group_norm(node: Node) -> Built:
    weight, bias, groups = node.constant(1), node.constant(2), node.attributes["num_groups"]
    if weight is None or bias is None:
        return Built(partial(_by_group, groups=groups, epsilon=node.get("epsilon", 1e-5)))
    if node.opset < 21:  # one number for a group
        channels = node.shapes.get(0, (None, None))[1]
        if channels is None:
            return Built(partial(_by_group, groups=groups, epsilon=node.get("epsilon", 1e-5)))
        weight, bias = (t.repeat_interleave(channels // groups) for t in (weight, bias))
    module = empty(nn.GroupNorm, groups, weight.numel(), eps=node.get("epsilon", 1e-5))
    return Built(filled(module, weight=weight, bias=bias), (0,))


def _by_group(x: Tensor, weight: Tensor, bias: Tensor, *, groups: int, epsilon: float) -> Tensor:
    weight, bias = (t.repeat_interleave(x.shape[1] // t.numel()) for t in (weight, bias))
    return functional.group_norm(x, groups, weight, bias, epsilon)


def _lrn(node: Node) -> Built:
    size, alpha, beta, bias = (
        node.attributes["size"],
        node.get("alpha", 1e-4),
        node.get("beta", 0.75),
        node.get("bias", 1.0),
    )
    if size % 2:
        return Built(nn.LocalResponseNorm(size, alpha, beta, bias), (0,))
    return Built(partial(_local_response, size=size, alpha=alpha, beta=beta, bias=bias), (0,))


def _local_response(x: Tensor, size: int, alpha: float, beta: float, bias: float) -> Tensor:
    """Normalise by an even number of channels: one more behind than before."""
    flat = functional.pad((x**2).flatten(2).transpose(1, 2), ((size - 1) // 2, size // 2))
    mean = functional.avg_pool1d(flat, size, stride=1).transpose(1, 2).reshape(x.shape)
    return x / (bias + alpha * mean) ** beta


def _mean_variance(node: Node) -> Built:
    return Built(partial(_standardised, axes=node.get("axes", [0, 2, 3])), (0,))


def _standardised(x: Tensor, axes: list[int]) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / ((centred**2).mean(axes, keepdim=True).sqrt() + 1e-9)


def _lp_normalisation(node: Node) -> Built:
    return Built(partial(_unit, axis=node.get("axis", -1), p=node.get("p", 2)), (0,))


def _unit(x: Tensor, axis: int, p: int) -> Tensor:
    norm = x.norm(p, axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


def _dropout(node: Node) -> Built:
    ratio = numbers(node.constant(1))[0] if node.constant(1) is not None else node.get("ratio", 0.5)
    training = node.constant(2)
    if node.has(2) and (training is None or bool(training)):
        raise Unsupported("Dropout in training mode")
    return Built(_kept if node.makes(1) else nn.Dropout(ratio), (0,))


def _kept(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, torch.ones_like(x, dtype=torch.bool)


OPERATORS: Final[dict[str, Operator]] = {
    "Relu": _module(nn.ReLU),
    "Clip": _clip,
    "LeakyRelu": _module(nn.LeakyReLU, negative_slope=("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": _module(nn.ELU, alpha=("alpha", 1.0)),
    "Celu": _module(nn.CELU, alpha=("alpha", 1.0)),
    "Selu": _selu,
    "ThresholdedRelu": lambda node: Built(nn.Threshold(node.get("alpha", 1.0), 0.0), (0,)),
    "Sigmoid": _module(nn.Sigmoid),
    "Tanh": _module(nn.Tanh),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _module(nn.Hardswish),
    "Swish": _swish,
    "Mish": _module(nn.Mish),
    "Gelu": _module(nn.GELU, approximate=("approximate", "none")),
    "Softplus": _module(nn.Softplus),
    "Softsign": _module(nn.Softsign),
    "Shrink": _shrink,
    "Softmax": _over_classes(nn.Softmax, torch.softmax),
    "LogSoftmax": _over_classes(nn.LogSoftmax, torch.log_softmax),
    "Hardmax": _over_classes(Hardmax, _hardmax),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "GroupNormalization": _group_norm,
    "LRN": _lrn,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _lp_normalisation,
    "Dropout": _dropout,
    "Identity": _module(nn.Identity),
}
