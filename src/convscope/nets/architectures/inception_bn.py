"""Inception with batch normalisation as MXNet published it."""

from __future__ import annotations

from typing import Final

from torch import nn

from convscope.nets.architectures.wiring import Concat, Wired

_KEEPING: Final = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96, 128, 192, 160, 192, "avg", 128),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}
"""Modules that keep the size: channels of 1×1, 3×3 reduce, 3×3, double 3×3 reduce, double 3×3; pool, projection."""

_HALVING: Final = {"3c": (128, 160, 64, 96), "4e": (128, 192, 192, 256)}
"""Modules that halve it: channels of 3×3 reduce, 3×3, double 3×3 reduce, double 3×3."""

_EPS: Final = 1e-5 + 1e-10


def inception_bn(*, classifier: bool = True, classes: int = 1000) -> Wired:
    """Return MXNet's ``imagenet1k-inception-bn``, without its softmax.

    Ioffe and Szegedy 2015, *Batch normalization*, as MXNet's image classification example defines it: no local
    response normalisation, double 3×3 branches, convolutions with bias before each batch normalisation, pools that
    round down. The layers have MXNet's names: ``conv_1``, ``bn_1``, ``relu_1``, ``conv_3a_double_3x3_0``,
    ``ch_concat_3a_chconcat``, ``global_pool``, ``fc1``.
    """
    network = Wired()
    _convolve(network, "1", 3, 64, 7, stride=2)
    network.wire("pool_1", nn.MaxPool2d(3, stride=2))
    _convolve(network, "2_red", 64, 64, 1)
    _convolve(network, "2", 64, 192, 3)
    network.wire("pool_2", nn.MaxPool2d(3, stride=2))
    channels = 192
    for name in sorted(_KEEPING | _HALVING):
        channels = _keeping(network, name, channels) if name in _KEEPING else _halving(network, name, channels)
    if classifier:
        network.wire("global_pool", nn.AvgPool2d(7, stride=1))
        network.wire("flatten", nn.Flatten())
        network.wire("fc1", nn.Linear(channels, classes))
    return network


def _convolve(network: Wired, name: str, inputs: int, outputs: int, kernel: int, *bottoms: str, stride: int = 1) -> str:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    network.wire(f"conv_{name}", convolution, *bottoms)
    network.wire(f"bn_{name}", nn.BatchNorm2d(outputs, eps=_EPS))
    return network.wire(f"relu_{name}", nn.ReLU())


def _keeping(network: Wired, name: str, channels: int) -> int:
    one, three_reduce, three, double_reduce, double, pool, projection = _KEEPING[name]
    below = next(reversed(network.bottoms))
    branches = [_convolve(network, f"{name}_1x1", channels, one, 1, below)]
    branches += _three_by_three(network, name, below, (channels, three_reduce, three, double_reduce, double), stride=1)
    pooling = nn.AvgPool2d(3, stride=1, padding=1) if pool == "avg" else nn.MaxPool2d(3, stride=1, padding=1)
    network.wire(f"{pool}_pool_{name}_pool", pooling, below)
    branches.append(_convolve(network, f"{name}_proj", channels, projection, 1))
    network.wire(f"ch_concat_{name}_chconcat", Concat(), *branches)
    return one + three + double + projection


def _halving(network: Wired, name: str, channels: int) -> int:
    three_reduce, three, double_reduce, double = _HALVING[name]
    below = next(reversed(network.bottoms))
    branches = _three_by_three(network, name, below, (channels, three_reduce, three, double_reduce, double), stride=2)
    pooled = network.wire(f"max_pool_{name}_pool", nn.MaxPool2d(3, stride=2, padding=1), below)
    network.wire(f"ch_concat_{name}_chconcat", Concat(), *branches, pooled)
    return three + double + channels


def _three_by_three(
    network: Wired, name: str, below: str, channels: tuple[int, int, int, int, int], *, stride: int
) -> list[str]:
    """Add the branches with one and with two 3×3 convolutions; return the names of their ends."""
    inputs, three_reduce, three, double_reduce, double = channels
    _convolve(network, f"{name}_3x3_reduce", inputs, three_reduce, 1, below)
    single = _convolve(network, f"{name}_3x3", three_reduce, three, 3, stride=stride)
    _convolve(network, f"{name}_double_3x3_reduce", inputs, double_reduce, 1, below)
    _convolve(network, f"{name}_double_3x3_0", double_reduce, double, 3)
    return [single, _convolve(network, f"{name}_double_3x3_1", double, double, 3, stride=stride)]
