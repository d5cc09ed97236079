"""The networks of the zoo, built layer by layer."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convscope.errors import InputError


def mnist(input_size: int = 28) -> nn.Sequential:
    """Return the MNIST network of conv-net-viz: two convolutions and two linear layers.

    conv 7×7×32 'SAME', ReLU, 2×2 max-pool, conv 5×5×64 'SAME', ReLU, 2×2 max-pool, linear 1024, ReLU, dropout 0.5,
    linear 10. The kernels and pools are the same for every size: with padding 'SAME' they also fit the 8×8 digits of
    scikit-learn, whose maps are 8×8 and 4×4; only the first linear layer is then smaller.

    Parameters
    ----------
    input_size
        Height and width of the images, a multiple of 4: 28 for MNIST, 8 for scikit-learn's digits.
    """
    if input_size < 4 or input_size % 4:
        raise InputError(f"two 2×2 pools need an input size that is a multiple of 4, got {input_size}")
    side = input_size // 4
    return nn.Sequential(
        OrderedDict[str, nn.Module](
            conv1=nn.Conv2d(1, 32, 7, padding=3),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(32, 64, 5, padding=2),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(64 * side * side, 1024),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(0.5),
            fc2=nn.Linear(1024, 10),
        )
    )


class AlexNet(nn.Module):
    """AlexNet as torchvision has it (Krizhevsky 2014, "one weird trick"), with or without its classifier."""

    def __init__(self, *, classifier: bool = True, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6)) if classifier else None
        self.classifier = _alexnet_classifier(classes) if classifier else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(N, classes)``, or the last feature maps ``(N, 256, 6, 6)`` without classifier."""
        maps: Tensor = self.features(images)
        if self.avgpool is None or self.classifier is None:
            return maps
        logits: Tensor = self.classifier(torch.flatten(self.avgpool(maps), 1))
        return logits


def _alexnet_classifier(classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Linear(4096, classes),
    )
