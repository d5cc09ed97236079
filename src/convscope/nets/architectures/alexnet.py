"""AlexNet and its kin: torchvision's, Caffe's two, and Zeiler and Fergus' network."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convscope.nets.architectures.wiring import named


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


def caffenet(*, classifier: bool = True, classes: int = 1000) -> nn.Sequential:
    """Return BVLC's reference CaffeNet (``models/bvlc_reference_caffenet/deploy.prototxt``), without its softmax.

    AlexNet (Krizhevsky, Sutskever and Hinton 2012) with two groups in conv2, conv4 and conv5, where each pool comes
    *before* the local response normalisation.
    """
    return named(_caffe_layers(("pool", "norm"), classifier=classifier, classes=classes))


def bvlc_alexnet(*, classifier: bool = True, classes: int = 1000) -> nn.Sequential:
    """Return BVLC's AlexNet (``models/bvlc_alexnet/deploy.prototxt``), without its softmax.

    As :func:`caffenet`, but with the paper's order: the normalisation comes before the pool.
    """
    return named(_caffe_layers(("norm", "pool"), classifier=classifier, classes=classes))


def _caffe_layers(order: tuple[str, str], *, classifier: bool, classes: int) -> Iterator[tuple[str, nn.Module]]:
    def after(number: int) -> Iterator[tuple[str, nn.Module]]:
        for kind in order:
            yield f"{kind}{number}", _pool() if kind == "pool" else nn.LocalResponseNorm(5, 1e-4, 0.75, k=1.0)

    yield "conv1", nn.Conv2d(3, 96, 11, stride=4)
    yield "relu1", nn.ReLU()
    yield from after(1)
    yield "conv2", nn.Conv2d(96, 256, 5, padding=2, groups=2)
    yield "relu2", nn.ReLU()
    yield from after(2)
    yield from _three_convolutions(groups=2)
    if classifier:
        yield from _fully_connected(256 * 6 * 6, classes)


def zfnet(*, classifier: bool = True, classes: int = 1000) -> nn.Sequential:
    """Return the network of Zeiler and Fergus 2014 (Fig. 3), with the layer names of :func:`bvlc_alexnet`.

    conv1 7×7/2, conv2 5×5/2, then 3×3; each of the first two is followed by a ReLU, a 3×3/2 max-pool and the contrast
    normalisation across maps. The paper gives the maps' sizes (110, 55, 26, 13, 6), from which padding (1 in conv1, 0
    in conv2) and the rounding up of the pools follow. It does not give the normalisation's numbers; these are those of
    the paper it cites (Krizhevsky 2012, §3.3): n = 5, k = 2, α = 1e-4, β = 0.75, with α times the *sum* of the squares.
    """
    return named(_zf_layers(classifier=classifier, classes=classes))


def _zf_layers(*, classifier: bool, classes: int) -> Iterator[tuple[str, nn.Module]]:
    for number, conv in enumerate((nn.Conv2d(3, 96, 7, stride=2, padding=1), nn.Conv2d(96, 256, 5, stride=2)), start=1):
        yield f"conv{number}", conv
        yield f"relu{number}", nn.ReLU()
        yield f"pool{number}", _pool()
        yield f"norm{number}", nn.LocalResponseNorm(5, 5 * 1e-4, 0.75, k=2.0)  # torch divides alpha by n
    yield from _three_convolutions(groups=1)
    if classifier:
        yield from _fully_connected(256 * 6 * 6, classes)


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _three_convolutions(*, groups: int) -> Iterator[tuple[str, nn.Module]]:
    yield "conv3", nn.Conv2d(256, 384, 3, padding=1)
    yield "relu3", nn.ReLU()
    yield "conv4", nn.Conv2d(384, 384, 3, padding=1, groups=groups)
    yield "relu4", nn.ReLU()
    yield "conv5", nn.Conv2d(384, 256, 3, padding=1, groups=groups)
    yield "relu5", nn.ReLU()
    yield "pool5", _pool()


def _fully_connected(features: int, classes: int) -> Iterator[tuple[str, nn.Module]]:
    yield "flatten", nn.Flatten()
    yield "fc6", nn.Linear(features, 4096)
    yield "relu6", nn.ReLU()
    yield "drop6", nn.Dropout(0.5)
    yield "fc7", nn.Linear(4096, 4096)
    yield "relu7", nn.ReLU()
    yield "drop7", nn.Dropout(0.5)
    yield "fc8", nn.Linear(4096, classes)
