"""Pruning curves of a residual network: only what is behind the layer, against a full forward pass for each point.

    python benchmarks/ablation.py [--layer layer3.0.conv1] [--images 32]

Both give the same counts; the script says so, or ends with an error. Random weights: they cost what learned ones do.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn

from convscope import Model
from convscope.nets.data import InputImages


class Block(nn.Module):
    """Two convolutions and a way past them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        same = stride == 1 and before == after
        self.past = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of the block."""
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.past(x)).relu()


def network(widths: tuple[int, ...] = (16, 32, 64, 128)) -> nn.Module:
    """Return a residual network of eight blocks for pictures of 64×64, ten classes."""
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {"stem": nn.Conv2d(3, widths[0], 3, 1, 1)}
    for number, (before, after) in enumerate(zip((widths[0], *widths), widths, strict=False), 1):
        layers[f"layer{number}"] = nn.Sequential(Block(before, after, 1 + (number > 1)), Block(after, after, 1))
    ends = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "head": nn.Linear(widths[-1], 10)}
    return nn.Sequential(OrderedDict({**layers, **ends})).eval()


def main() -> None:
    """Measure, in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="layer3.0.conv1")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    pixels = np.random.default_rng(0).normal(size=(asked.images, 3, 64, 64)).astype(np.float32)
    images = InputImages(pixels, labels=np.arange(asked.images) % 10)
    model = Model(network(), input_shape=(3, 64, 64), name="residual")
    importance = model.importance(images, asked.layer, measures=["activation"])
    took: dict[bool, list[float]] = {True: [], False: []}
    found = {}
    for _ in range(asked.rounds):
        for fast, times in took.items():
            start = time.perf_counter()
            found[fast] = model.ablation(
                images, asked.layer, "least", importance=importance, points=17, fast=fast, batch_size=8
            )
            times.append(time.perf_counter() - start)
    if not np.array_equal(found[True].loss, found[False].loss):
        raise SystemExit("the two ways differ")
    behind, whole = (statistics.median(took[fast]) for fast in (True, False))
    print(f"{asked.layer}, {asked.images} images, {len(found[True].removed)} points, {found[True].about['runs']}")
    print(
        f"behind the layer {behind:.2f} s, whole network {whole:.2f} s: {whole / behind:.1f} times as fast, same bits"
    )


if __name__ == "__main__":
    main()
