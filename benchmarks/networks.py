"""Looking into networks: all activations against the plain forward pass, and how long a dropped picture takes.

Every figure is a ratio of the two sides in the same run, the median of pairs measured in turn.

    python benchmarks/networks.py [--pairs 9] [--device cpu]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from convscope.jobs.live import LiveModel
from convscope.nets import zoo
from convscope.nets.torch import Model

BATCH = 8


def seconds(work: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def activations(name: str, pairs: int, device: str) -> None:
    """Compare with the plain forward pass, and copies of arrays as large as those that are asked for."""
    model = Model(name, weights="random", device=device)
    images = np.random.default_rng(0).normal(size=(BATCH, *model.input_shape)).astype(np.float32)
    modules = {module for module, _ in model.network.named_modules()}
    asked = {
        "modules": [layer.name for layer in model.layers if layer.name.partition(":")[0] in modules],
        "modules and functions": [layer.name for layer in model.layers],
    }
    tensor = torch.from_numpy(images).to(device)
    for what, layers in asked.items():
        outputs = [torch.from_numpy(array).to(device) for array in model.activations(images, layers).values()]

        def plain(outputs: list[torch.Tensor] = outputs) -> list[np.ndarray]:
            with torch.inference_mode():
                model.network(tensor)
            return [output.cpu().numpy().copy() for output in outputs]

        looked = partial(model.activations, images, layers)
        times = [(seconds(looked), seconds(plain)) for _ in range(pairs + 1)][1:]
        ratio = statistics.median(ours / theirs for ours, theirs in times)
        print(f"| activations of all {what} of {name}, {len(layers)} layers | {ratio:.3f} |")


def live(name: str, pairs: int, device: str) -> None:
    model = LiveModel(Model(name, weights="random", device=device))
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    model.look(buffer.getvalue(), "first.jpg")
    taken = statistics.median(seconds(lambda: model.look(buffer.getvalue(), "again.jpg")) for _ in range(pairs))
    print(f"| a dropped picture through {name}, everything computed | {taken:.3f} s |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.device}")
    for name in ("alexnet", "vgg16", "resnet18", "googlenet"):
        if name in zoo.ZOO:
            activations(name, options.pairs, options.device)
    for name in ("alexnet", "vgg16"):
        live(name, options.pairs, options.device)


if __name__ == "__main__":
    main()
