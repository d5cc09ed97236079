"""A small network and noise to search, an exact oracle, and a search that is killed; run by test_topk_engines.py."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

from convscope.inspect.topk import TopK
from convscope.nets.data import ArrayImages
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.torch import Model

SHAPE = (1, 14, 13)


class Net(nn.Module):
    """ReLUs of every kind: a module, an in-place one, a functional one, none at all."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 5, 3, padding=1)
        self.relu = nn.ReLU()
        self.b = nn.Conv2d(5, 4, 3, stride=2)
        self.inplace = nn.ReLU(inplace=True)
        self.c = nn.Conv2d(4, 3, 3)
        self.d = nn.Conv2d(3, 3, 2)
        self.e = nn.Conv2d(3, 2, 1)
        self.fc = nn.Linear(2, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.inplace(self.b(self.relu(self.a(x))))
        x = fn.relu6(self.c(x) * 1)  # not directly consumed: a multiplication stands between
        return self.fc(self.e(fn.relu_(self.d(x))).mean((2, 3)))


def network() -> Net:
    torch.manual_seed(3)
    return Net()


def noise(count: int = 23) -> ArrayImages:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 14, 13), np.uint8)
    pixels[7] = pixels[3]  # equal scores
    labels = np.arange(count) % 5 - 1
    return ArrayImages(pixels, labels, label_names=["w", "x", "y", "z"], name="noise")


class Exact(nn.Module):
    """A network of whole numbers: what it computes has no rounding, and its many equal values show every order."""

    def __init__(self) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(5)
        self.first = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(6, 5, 3, padding=1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randint(-1, 2, parameter.shape, generator=rng))
            self.first.weight[4] = -1  # never above 0
            self.first.weight[5] = self.first.weight[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(self.relu(self.first(x))))

    def maps(self, images: ArrayImages) -> dict[tuple[str, str], np.ndarray]:
        """What each layer says at each tap, in float64."""
        x = torch.from_numpy(images.images(0, len(images))).double()
        with torch.no_grad():
            first = fn.conv2d(x, self.first.weight.double(), padding=1)
            second = fn.conv2d(first.relu(), self.second.weight.double(), self.second.bias.double(), padding=1)
        values = {"first": first, "second": second}
        before = {(name, "before"): value.numpy() for name, value in values.items()}
        return before | {(name, "after"): value.relu().numpy() for name, value in values.items()}


def whole_numbers(count: int = 37) -> ArrayImages:
    rng = np.random.default_rng(1)
    labels = np.arange(count) * 7 % 13 - 1
    return ArrayImages(
        rng.integers(0, 3, (count, 8, 8), np.uint8), labels, preprocessing=Preprocessing(scale=1, order="L")
    )


class Dying(ArrayImages):
    """Noise that kills the process that reads image 12 with SIGKILL, once."""

    def __init__(self, mark: Path) -> None:
        plain = noise()
        super().__init__(plain.pixels[..., 0], plain.labels, label_names=plain.label_names, name="noise")
        self.mark = mark

    def images(self, start: int, stop: int) -> np.ndarray:
        if start <= 12 < stop and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().images(start, stop)


def searched(images: ArrayImages, **options: object) -> dict[str, TopK]:
    asked = {"k": 4, "batch_size": 3, "shard_size": 6, "threads": 1, "layers": ["a", "b", "fc"], **options}
    return Model(network(), input_shape=SHAPE).top_k(images, **asked)


if __name__ == "__main__":
    searched(Dying(Path(sys.argv[1])), checkpoint=sys.argv[2], every=1)
