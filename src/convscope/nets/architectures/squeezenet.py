"""SqueezeNet as its authors published it."""

from __future__ import annotations

from typing import Final

from torch import nn

from convscope.errors import not_found
from convscope.nets.architectures.wiring import Concat, Wired

FIRES: Final = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}
"""Fire module → channels of its squeeze layer, and of each of its two expand layers."""

_VERSIONS: Final = {"1.0": (96, 7, (4, 8), 1), "1.1": (64, 3, (3, 5), 0)}
"""Version → filters and size of conv1, the fire modules followed by a pool, the padding of conv10."""


def squeezenet(
    version: str, *, classifier: bool = True, classes: int = 1000, conv10_padding: int | None = None
) -> Wired:
    """Return SqueezeNet 1.0 or 1.1 (``SqueezeNet_v1.0/deploy.prototxt`` of its authors), without its softmax.

    Iandola et al. 2016. The layers have Caffe's names: ``fire2/squeeze1x1``, ``fire2/expand3x3``, ``fire2/concat``,
    ``conv10``. The logits are the means of the maps of ``relu_conv10``.

    Parameters
    ----------
    version
        ``1.0`` or ``1.1``.
    classifier, classes
        Whether conv10 and what follows it are there, and how many filters it has.
    conv10_padding
        Of the last convolution: 1 in the authors' version 1.0, 0 in 1.1; torchvision's version 1.0 has 0.
    """
    if version not in _VERSIONS:
        raise not_found("version", version, _VERSIONS, "SqueezeNet")
    filters, kernel, pools, padding = _VERSIONS[version]
    padding = padding if conv10_padding is None else conv10_padding
    network = Wired()
    network.wire("conv1", nn.Conv2d(3, filters, kernel, stride=2))
    network.wire("relu_conv1", nn.ReLU())
    network.wire("pool1", _pool())
    channels = filters
    for number, (squeezed, expanded) in FIRES.items():
        channels = _fire(network, f"fire{number}", channels, squeezed, expanded)
        if number in pools:
            network.wire(f"pool{number}", _pool())
    if classifier:
        network.wire("drop9", nn.Dropout(0.5))
        network.wire("conv10", nn.Conv2d(channels, classes, 1, padding=padding))
        network.wire("relu_conv10", nn.ReLU())
        network.wire("pool10", nn.AdaptiveAvgPool2d(1))
        network.wire("flatten", nn.Flatten())
    return network


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _fire(network: Wired, name: str, channels: int, squeezed: int, expanded: int) -> int:
    network.wire(f"{name}/squeeze1x1", nn.Conv2d(channels, squeezed, 1))
    below = network.wire(f"{name}/relu_squeeze1x1", nn.ReLU())
    branches = []
    for kernel in (1, 3):
        expand = f"expand{kernel}x{kernel}"
        network.wire(f"{name}/{expand}", nn.Conv2d(squeezed, expanded, kernel, padding=kernel // 2), below)
        branches.append(network.wire(f"{name}/relu_{expand}", nn.ReLU()))
    network.wire(f"{name}/concat", Concat(), *branches)
    return 2 * expanded
