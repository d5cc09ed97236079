"""The residual networks under torchvision's names."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from convscope.errors import not_found

_BLOCKS: Final = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_BOTTLENECKS_FROM: Final = 50


class ResNet(nn.Module):
    """ResNet-18, -34, -50, -101 or -152 (He et al. 2016, *Deep residual learning*, Table 1), with torchvision's names.

    As torchvision has it, the stride of a bottleneck is in its 3×3 convolution ("version 1.5"; the paper has it in the
    first 1×1).
    """

    def __init__(self, depth: int, *, classifier: bool = True, classes: int = 1000) -> None:
        super().__init__()
        if depth not in _BLOCKS:
            raise not_found("depth", str(depth), map(str, _BLOCKS), "the residual networks")
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        kind = BasicBlock if depth < _BOTTLENECKS_FROM else Bottleneck
        channels = 64
        for stage, blocks in enumerate(_BLOCKS[depth], start=1):
            layer = nn.Sequential()
            for number in range(blocks):
                stride = 2 if number == 0 and stage > 1 else 1
                layer.append(kind(channels, 32 << stage, stride))
                channels = (32 << stage) * kind.widening
            self.add_module(f"layer{stage}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d(1) if classifier else None
        self.fc = nn.Linear(channels, classes) if classifier else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(N, classes)``, or the last feature maps without classifier."""
        maps: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            maps = self.get_submodule(f"layer{stage}")(maps)
        if self.avgpool is None or self.fc is None:
            return maps
        logits: Tensor = self.fc(torch.flatten(self.avgpool(maps), 1))
        return logits


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    widening: Final = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _projection(inputs, channels, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the activated sum of the block and its shortcut."""
        out = self.relu(self.bn1(self.conv1(maps)))
        out = self.bn2(self.conv2(out))
        total: Tensor = self.relu(out + (maps if self.downsample is None else self.downsample(maps)))
        return total


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions beside a shortcut."""

    widening: Final = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.widening
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the activated sum of the block and its shortcut."""
        out = self.relu(self.bn1(self.conv1(maps)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        total: Tensor = self.relu(out + (maps if self.downsample is None else self.downsample(maps)))
        return total


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
