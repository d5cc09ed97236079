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
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

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


def copied(network: nn.Module, names: set[str], images: torch.Tensor) -> dict[str, np.ndarray]:
    """Return what a user's own hooks would: the forward pass, and a copy of what each layer gives."""
    found = {}
    handles = []

    def hook(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def see(_: nn.Module, __: Any, output: torch.Tensor) -> None:
            found[name] = output.cpu().numpy().copy()

        return see

    for name, module in network.named_modules():
        if name in names:
            handles.append(module.register_forward_hook(hook(name)))
    with torch.inference_mode():
        network(images)
    for handle in handles:
        handle.remove()
    return found


def activations(name: str, pairs: int, device: str) -> None:
    model = Model(name, weights="random", device=device)
    images = np.random.default_rng(0).normal(size=(BATCH, *model.input_shape)).astype(np.float32)
    modules = {module for module, _ in model.network.named_modules()}
    layers = [layer.name for layer in model.layers if layer.name in modules]
    everything = [layer.name for layer in model.layers]
    tensor = torch.from_numpy(images).to(device)
    work = {
        "hooks and copies": lambda: copied(model.network, set(layers), tensor),
        "modules": lambda: model.activations(images, layers),
        "modules and functions": lambda: model.activations(images, everything),
    }
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(pairs + 1):
        for key, call in work.items():
            times[key].append(seconds(call))
    base = times["hooks and copies"][1:]
    for key in ("modules", "modules and functions"):
        ratio = statistics.median(a / b for a, b in zip(times[key][1:], base, strict=True))
        print(f"| activations of all {key} of {name}, {len(layers)} of {len(everything)} layers | {ratio:.3f} |")


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
