"""The small networks of the seeds: two for MNIST, and CNN Explainer's."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from convscope.errors import InputError
from convscope.nets.architectures.wiring import named


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
    return named(
        (
            ("conv1", nn.Conv2d(1, 32, 7, padding=3)),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),
            ("conv2", nn.Conv2d(32, 64, 5, padding=2)),
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(64 * side * side, 1024)),
            ("relu3", nn.ReLU()),
            ("dropout", nn.Dropout(0.5)),
            ("fc2", nn.Linear(1024, 10)),
        )
    )


def mnist_mlp(input_size: int = 28) -> nn.Sequential:
    """Return the perceptron of MXBoard's MNIST tutorial: linear 128, ReLU, linear 64, ReLU, linear 10."""
    return named(
        (
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(input_size * input_size, 128)),
            ("relu1", nn.ReLU()),
            ("fc2", nn.Linear(128, 64)),
            ("relu2", nn.ReLU()),
            ("fc3", nn.Linear(64, 10)),
        )
    )


def tinyvgg(*, classifier: bool = True, classes: int = 10) -> nn.Sequential:
    """Return CNN Explainer's Tiny VGG (Wang et al. 2020), without its softmax, under its own layers' names.

    Four 3×3 convolutions of 10 filters without padding, a 2×2 max-pool after each two, a linear layer on 13·13·10.
    """
    return named(_tinyvgg_layers(classifier=classifier, classes=classes))


def _tinyvgg_layers(*, classifier: bool, classes: int) -> Iterator[tuple[str, nn.Module]]:
    channels = 3
    for block in (1, 2):
        for number in (1, 2):
            yield f"conv_{block}_{number}", nn.Conv2d(channels, 10, 3)
            yield f"relu_{block}_{number}", nn.ReLU()
            channels = 10
        yield f"max_pool_{block}", nn.MaxPool2d(2)
    if classifier:
        yield "flatten", nn.Flatten()
        yield "output", nn.Linear(13 * 13 * 10, classes)
