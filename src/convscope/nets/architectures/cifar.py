"""Two small residual networks for the 32×32 pictures of CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from convscope.nets.architectures.wiring import Add, Wired


class CifarResNet(nn.Module):
    """A residual network for CIFAR-10 (He et al. 2016, §4.2), with the names of akamaster/pytorch_resnet_cifar10.

    Its shortcuts have no parameters (the paper's option A): every second pixel, and channels of zeros.

    Parameters
    ----------
    depth
        6n + 2: 20, 32, 44, 56, 110.
    classifier, classes
        Whether there is a classifier, and for how many classes.
    """

    def __init__(self, depth: int = 20, *, classifier: bool = True, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        blocks = (depth - 2) // 6
        for stage, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), start=1):
            first = CifarBlock(inputs, outputs)
            self.add_module(
                f"layer{stage}", nn.Sequential(first, *(CifarBlock(outputs, outputs) for _ in range(blocks - 1)))
            )
        self.avgpool = nn.AdaptiveAvgPool2d(1) if classifier else None
        self.linear = nn.Linear(64, classes) if classifier else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(N, classes)``, or the last feature maps without classifier."""
        maps: Tensor = self.relu(self.bn1(self.conv1(images)))
        for stage in range(1, 4):
            maps = self.get_submodule(f"layer{stage}")(maps)
        if self.avgpool is None or self.linear is None:
            return maps
        logits: Tensor = self.linear(torch.flatten(self.avgpool(maps), 1))
        return logits


class CifarBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; where the channels double, the size halves."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if inputs == outputs else EverySecondPixel(outputs - inputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the activated sum of the block and its shortcut."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(maps)))))
        total: Tensor = self.relu(out + self.shortcut(maps))
        return total


class EverySecondPixel(nn.Module):
    """Every second row and column, with channels of zeros put before and after the others, half of them each."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(N, C + more, H / 2, W / 2)``."""
        return nn.functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))


def resnet8(*, classifier: bool = True, classes: int = 10) -> Wired:
    """Return the residual network of MLPerf Tiny's image classification benchmark, without its softmax.

    ``resnet_v1_eembc`` of mlcommons/tiny, under the names Keras gave its layers (``conv2d``, ``conv2d_1``, …). Where
    TensorFlow pads a 3×3/2 convolution "same" it adds a row and a column behind only; here a layer of its own does.
    """
    network = Wired()
    network.wire("conv2d", nn.Conv2d(3, 16, 3, padding=1))
    network.wire("batch_normalization", nn.BatchNorm2d(16, eps=1e-3))
    network.wire("activation", nn.ReLU())
    _keras_block(network, (1, 2), 16, 16, (1, 2), (1, 2), "add")
    _keras_block(network, (3, 4, 5), 16, 32, (3, 4), (3, 4), "add_1")
    _keras_block(network, (6, 7, 8), 32, 64, (5, 6), (5, 6), "add_2")
    if classifier:
        network.wire("average_pooling2d", nn.AvgPool2d(8))
        network.wire("flatten", nn.Flatten())
        network.wire("dense", nn.Linear(64, classes))
    return network


def _keras_block(
    network: Wired,
    convolutions: tuple[int, ...],
    inputs: int,
    outputs: int,
    norms: tuple[int, int],
    activations: tuple[int, int],
    total: str,
) -> None:
    """Add a block by the numbers Keras gave its layers; a third convolution is that of the shortcut."""
    below = next(reversed(network.bottoms))
    stride = 1 if inputs == outputs else 2
    first, second, *rest = convolutions
    if stride == 2:
        network.wire(f"conv2d_{first}_pad", nn.ZeroPad2d((0, 1, 0, 1)))
    network.wire(f"conv2d_{first}", nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1 if stride == 1 else 0))
    network.wire(f"batch_normalization_{norms[0]}", nn.BatchNorm2d(outputs, eps=1e-3))
    network.wire(f"activation_{activations[0]}", nn.ReLU())
    network.wire(f"conv2d_{second}", nn.Conv2d(outputs, outputs, 3, padding=1))
    last = network.wire(f"batch_normalization_{norms[1]}", nn.BatchNorm2d(outputs, eps=1e-3))
    if rest:
        below = network.wire(f"conv2d_{rest[0]}", nn.Conv2d(inputs, outputs, 1, stride=stride), below)
    network.wire(total, Add(), below, last)
    network.wire(f"activation_{activations[1]}", nn.ReLU())
