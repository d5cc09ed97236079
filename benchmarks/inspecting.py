"""Searching for the strongest images: time against plain inference over the same files, and memory.

Every figure is a ratio of the two sides in the same run, the median of pairs measured in turn. Both sides decode the
same JPEG files with the same code and run the same network in batches of the same size; the plain side keeps nothing.

(Not called inspect.py: torch would take that for the standard library's.)

    python benchmarks/inspecting.py IMAGES [--networks alexnet,vgg16] [--images 300] [--pairs 5] [--device cpu]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import memory
from convscope.nets.batches import filled_up
from convscope.nets.data import FirstImages, FolderImages, ImageSet
from convscope.nets.torch import Model


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Return wall time and CPU time of all threads of this process."""
    gc.collect()
    cpu, start = time.process_time(), time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - cpu


def plain_inference(model: Model, images: ImageSet, batch: int) -> None:
    """Show all images to the network, as everyone writes it."""
    device = next(model.network.parameters()).device
    model.network.eval()
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = filled_up(images.images(start, min(start + batch, len(images))), batch)
            model.network(torch.from_numpy(pixels).to(device))


def opened(name: str, folder: str, count: int, device: str) -> tuple[Model, ImageSet]:
    """Return a network, with its real weights where they can be had, and the first pictures of a folder."""
    model = Model(name, device=device)
    model.layers  # noqa: B018 - traced before anything is measured
    return model, FirstImages(FolderImages(folder, model.preprocessing, check="quick"), count)


def search_time(name: str, folder: str, count: int, pairs: int, device: str) -> None:
    """Top 9 of all channels of all convolutions against plain inference: whole network, decoding included."""
    model, images = opened(name, folder, count, device)
    batch = 32
    sides = (lambda: model.top_k(images, k=9, batch_size=batch), lambda: plain_inference(model, images, batch))
    for side in sides:
        side()
    times = [tuple(seconds(side) for side in sides) for _ in range(pairs)]
    wall, cpu = (statistics.median(ours[i] / plain[i] for ours, plain in times) for i in (0, 1))
    rate = statistics.median(len(images) / ours[0] for ours, _ in times)
    channels = sum(model.layer(layer).shape[0] for layer in model._trace.convolutions)  # noqa: SLF001
    print(
        f"| top 9 of {channels:,} channels of {name} over {len(images)} images "
        f"| wall {wall:.3f}, CPU {cpu:.3f} of plain | {rate:.1f} images/s |",
        flush=True,
    )


def search_memory(name: str, folder: str, sizes: tuple[int, int]) -> None:
    """Measure the highest resident memory of a whole process that searches, for two sizes of a data set."""
    peaks = []
    for count in sizes:
        command = [sys.executable, __file__, folder, "--networks", name, "--images", str(count), "--peak"]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    shown = " and ".join(f"{peak / 1024:.0f} MB for {count:,}" for peak, count in zip(peaks, sizes, strict=True))
    print(f"| peak memory of a search of {name} | {shown} images |", flush=True)


def peak(name: str, folder: str, count: int) -> None:
    model, images = opened(name, folder, count, "cpu")
    model.top_k(images, k=9)
    print(memory.peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="IMAGES", help="a folder of JPEG files")
    parser.add_argument("--networks", default="alexnet,vgg16")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.networks.split(",")
    if options.peak:
        peak(names[0], options.folder, options.images)
        return
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.device}, {Path(options.folder).name}"
    )
    for name in names:
        search_time(name, options.folder, options.images, options.pairs, options.device)
    search_memory(names[0], options.folder, (options.images, 4 * options.images))


if __name__ == "__main__":
    main()
