"""The residual networks as MXNet published them: with activations before the convolutions."""

from __future__ import annotations

from typing import Final

from torch import nn

from convscope.errors import not_found
from convscope.nets.architectures.wiring import Add, Wired

_UNITS: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_EPS: Final = 2e-5


def resnet_mxnet(depth: int, *, classifier: bool = True, classes: int = 1000) -> Wired:
    """Return MXNet's ``imagenet1k-resnet-50``, ``-101`` or ``-152``, without its softmax.

    He et al. 2016, *Identity mappings in deep residual networks*, as ``resnet-152-symbol.json`` has it: the input is
    batch-normalised (``bn_data``, its γ fixed at 1, so pictures go in as 0..255), batch normalisation and ReLU precede
    each convolution, the stride is in the 3×3 convolution. The layers have MXNet's names: ``conv0``,
    ``stage1_unit1_conv1``, ``stage1_unit1_sc``, ``_plus0``, ``fc1``.
    """
    if depth not in _UNITS:
        raise not_found("depth", str(depth), map(str, _UNITS), "MXNet's residual networks of bottlenecks")
    network = Wired()
    network.wire("bn_data", nn.BatchNorm2d(3, eps=_EPS))
    network.wire("conv0", nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False))
    network.wire("bn0", nn.BatchNorm2d(64, eps=_EPS))
    network.wire("relu0", nn.ReLU())
    network.wire("pooling0", nn.MaxPool2d(3, stride=2, padding=1))
    channels, total = 64, 0
    for stage, units in enumerate(_UNITS[depth], start=1):
        for unit in range(1, units + 1):
            stride = 2 if unit == 1 and stage > 1 else 1
            _unit(network, f"stage{stage}_unit{unit}", channels, 128 << stage, stride, total)
            channels, total = 128 << stage, total + 1
    network.wire("bn1", nn.BatchNorm2d(channels, eps=_EPS))
    network.wire("relu1", nn.ReLU())
    if classifier:
        network.wire("pool1", nn.AdaptiveAvgPool2d(1))
        network.wire("flatten", nn.Flatten())
        network.wire("fc1", nn.Linear(channels, classes))
    return network


def _unit(network: Wired, name: str, inputs: int, outputs: int, stride: int, number: int) -> None:
    """Add a bottleneck; its shortcut is the input itself, or a 1×1 convolution of the activated input."""
    below, narrow = next(reversed(network.bottoms)), outputs // 4
    activated = _activate(network, f"{name}_bn1", f"{name}_relu1", inputs)
    network.wire(f"{name}_conv1", nn.Conv2d(inputs, narrow, 1, bias=False))
    _activate(network, f"{name}_bn2", f"{name}_relu2", narrow)
    network.wire(f"{name}_conv2", nn.Conv2d(narrow, narrow, 3, stride=stride, padding=1, bias=False))
    _activate(network, f"{name}_bn3", f"{name}_relu3", narrow)
    last = network.wire(f"{name}_conv3", nn.Conv2d(narrow, outputs, 1, bias=False))
    if inputs != outputs:
        below = network.wire(f"{name}_sc", nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), activated)
    network.wire(f"_plus{number}", Add(), last, below)


def _activate(network: Wired, norm: str, relu: str, channels: int) -> str:
    network.wire(norm, nn.BatchNorm2d(channels, eps=_EPS))
    return network.wire(relu, nn.ReLU())
