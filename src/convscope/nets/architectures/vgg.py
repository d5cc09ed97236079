"""The networks of Oxford's Visual Geometry Group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from torch import nn

from convscope.nets.architectures.wiring import named

CONVOLUTIONS: Final = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Weight layers of the network → convolutions before each of the five pools."""

_CHANNELS: Final = (64, 128, 256, 512, 512)


def vgg(depth: int, *, classifier: bool = True, classes: int = 1000) -> nn.Sequential:
    """Return VGG-11, -13, -16 or -19 (Simonyan and Zisserman 2015, Table 1: A, B, D, E), without its softmax.

    The layers have the names of the published prototxts: ``conv1_1``, ``relu1_1``, …, ``pool5``, ``fc6``, ``fc7``,
    ``fc8``; those without a prototxt (11, 13) are named alike.
    """
    return named(_layers(depth, classifier=classifier, classes=classes))


def _layers(depth: int, *, classifier: bool, classes: int) -> Iterator[tuple[str, nn.Module]]:
    channels = 3
    for block, (convolutions, wide) in enumerate(zip(CONVOLUTIONS[depth], _CHANNELS, strict=True), start=1):
        for number in range(1, convolutions + 1):
            yield f"conv{block}_{number}", nn.Conv2d(channels, wide, 3, padding=1)
            yield f"relu{block}_{number}", nn.ReLU()
            channels = wide
        yield f"pool{block}", nn.MaxPool2d(2, ceil_mode=True)
    if not classifier:
        return
    yield "flatten", nn.Flatten()
    features = channels * 7 * 7
    for number in (6, 7):
        yield f"fc{number}", nn.Linear(features, 4096)
        yield f"relu{number}", nn.ReLU()
        yield f"drop{number}", nn.Dropout(0.5)
        features = 4096
    yield "fc8", nn.Linear(features, classes)
