"""GoogLeNet as BVLC published it."""

from __future__ import annotations

from typing import Final

from torch import nn

from convscope.nets.architectures.wiring import Concat, Wired

_MODULES: Final = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
"""Szegedy et al. 2015, Table 1: channels of 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection."""


def googlenet(*, classifier: bool = True, classes: int = 1000) -> Wired:
    """Return BVLC's GoogLeNet (``models/bvlc_googlenet/deploy.prototxt``), without its softmax and training branches.

    Szegedy et al. 2015, *Going deeper with convolutions*: local response normalisation, 5×5 branches, no batch
    normalisation (torchvision's ``googlenet`` has it, and 3×3 in place of 5×5: another network). The layers have
    Caffe's names, ``conv1/7x7_s2``, ``inception_3a/1x1``, ``inception_3a/output``, ``loss3/classifier``.
    """
    network = Wired()
    _convolve(network, "conv1", "7x7_s2", 3, 64, 7, stride=2)
    network.wire("pool1/3x3_s2", _pool())
    network.wire("pool1/norm1", _norm())
    _convolve(network, "conv2", "3x3_reduce", 64, 64, 1)
    _convolve(network, "conv2", "3x3", 64, 192, 3)
    network.wire("conv2/norm2", _norm())
    network.wire("pool2/3x3_s2", _pool())
    channels = 192
    for name in _MODULES:
        channels = _inception(network, name, channels)
        if name in ("inception_3b", "inception_4e"):
            network.wire(f"pool{name[10]}/3x3_s2", _pool())
    if classifier:
        network.wire("pool5/7x7_s1", nn.AvgPool2d(7, stride=1))
        network.wire("pool5/drop_7x7_s1", nn.Dropout(0.4))
        network.wire("flatten", nn.Flatten())
        network.wire("loss3/classifier", nn.Linear(channels, classes))
    return network


def _norm() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5, 1e-4, 0.75, k=1.0)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _convolve(
    network: Wired, block: str, name: str, inputs: int, outputs: int, kernel: int, *bottoms: str, stride: int = 1
) -> str:
    """Add a convolution that keeps the size, but for its stride, and its ReLU; return the ReLU's name."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    network.wire(f"{block}/{name}", convolution, *bottoms)
    return network.wire(f"{block}/relu_{name.removesuffix('_s2')}", nn.ReLU())


def _inception(network: Wired, name: str, channels: int) -> int:
    one, three_reduce, three, five_reduce, five, projection = _MODULES[name]
    below = next(reversed(network.bottoms))
    branches = [_convolve(network, name, "1x1", channels, one, 1, below)]
    _convolve(network, name, "3x3_reduce", channels, three_reduce, 1, below)
    branches.append(_convolve(network, name, "3x3", three_reduce, three, 3))
    _convolve(network, name, "5x5_reduce", channels, five_reduce, 1, below)
    branches.append(_convolve(network, name, "5x5", five_reduce, five, 5))
    network.wire(f"{name}/pool", nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), below)
    branches.append(_convolve(network, name, "pool_proj", channels, projection, 1))
    network.wire(f"{name}/output", Concat(), *branches)
    return one + three + five + projection
