"""MobileNet version 2 under torchvision's names."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

_STAGES: Final = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Sandler et al. 2018, Table 2: expansion, channels, blocks, stride of the first."""

_LAST: Final = 1280


class MobileNetV2(nn.Module):
    """MobileNetV2 at width 1 (Sandler et al. 2018, *Inverted residuals and linear bottlenecks*)."""

    def __init__(self, *, classifier: bool = True, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(_convolve(3, 32, 3, stride=2))
        channels = 32
        for expansion, outputs, blocks, first_stride in _STAGES:
            for number in range(blocks):
                self.features.append(InvertedResidual(channels, outputs, expansion, first_stride if number == 0 else 1))
                channels = outputs
        self.features.append(_convolve(channels, _LAST, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_LAST, classes)) if classifier else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(N, classes)``, or the last feature maps without classifier."""
        maps: Tensor = self.features(images)
        if self.classifier is None:
            return maps
        pooled = torch.flatten(nn.functional.adaptive_avg_pool2d(maps, 1), 1)
        logits: Tensor = self.classifier(pooled)
        return logits


class InvertedResidual(nn.Module):
    """Widen by a 1×1 convolution, filter each channel by a 3×3 one, narrow again; a shortcut where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.conv = nn.Sequential()
        if expansion != 1:
            self.conv.append(_convolve(inputs, wide, 1))
        self.conv.append(_convolve(wide, wide, 3, stride=stride, groups=wide))
        self.conv.append(nn.Conv2d(wide, outputs, 1, bias=False))
        self.conv.append(nn.BatchNorm2d(outputs))
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Return the narrowed maps, added to the input where there is a shortcut."""
        out: Tensor = self.conv(maps)
        return maps + out if self.has_shortcut else out


def _convolve(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())
