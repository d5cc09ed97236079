"""Projecting the top nine of every channel back to the pixels: time against Captum's, and equality with it.

Captum is used as its documentation has it: ``NeuronDeconvolution`` on the module after the convolution, one unit of one
image at a time. It takes hours for a whole network, so some units of each layer, drawn at random, are measured, and
each layer's median is multiplied by its number of projections; ours are all made. Times are CPU seconds of this
process with one thread (``--threads`` for more), measured in turn layer by layer, so that both sides meet the same
machine. Both include nothing but projecting: the search is over, and the images are decoded.

    python benchmarks/projecting.py IMAGES [--networks alexnet] [--images 1000] [--units 12] [--no-peer]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from convscope.inspect.attribution import Finished
from convscope.inspect.topk import TopK, paste
from convscope.nets.data import FirstImages, FolderImages, ImageSet, KeptImages
from convscope.nets.torch import Model

Clock = Callable[[], float]


@dataclass
class Kept:
    """Projections of the units that the peer makes as well; of the others only that they were made."""

    wanted: set[tuple[int, int]]
    tiles: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    count: int = 0

    def __call__(self, batch: Finished) -> None:
        """Keep what is wanted of a batch."""
        self.count += len(batch.tiles)
        for slot, tile in zip(map(tuple, batch.slots.tolist()), batch.tiles, strict=True):
            if slot in self.wanted:
                self.tiles[slot] = tile.copy()


def peer(
    model: Model,
    top: TopK,
    images: ImageSet,
    units: list[tuple[int, int]],
    ours: dict[tuple[int, int], Any],
    clock: Clock,
) -> Any:
    """Return Captum's seconds for one unit, the median, and the largest relative difference from ours."""
    from captum.attr import NeuronDeconvolution

    layer = model.network.get_submodule(model._trace.map_tap(top.layer, model.name).call[0])  # noqa: SLF001
    method, device = NeuronDeconvolution(model.network, layer), next(model.network.parameters()).device
    seconds, worst = [], 0.0
    for channel, rank in units:
        number, (y, x) = int(top.image[channel, rank]), (int(v) for v in top.position[channel, rank])
        pixels = torch.from_numpy(images.images(number, number + 1)).to(device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = clock()
            theirs = method.attribute(pixels, (channel, y, x))
            seconds.append(clock() - start)
        tile = np.zeros(ours[channel, rank].shape, np.float32)
        value = float(top.value[channel, rank])  # Captum sends back 1, Zeiler and Fergus the activation
        paste(tile, value * theirs[0].permute(1, 2, 0).detach().cpu().numpy(), top.tile_box[channel, rank])
        largest = float(np.abs(tile).max()) or 1.0
        worst = max(worst, float(np.abs(tile - ours[channel, rank]).max()) / largest)
    return statistics.median(seconds), worst


def measure(name: str, options: argparse.Namespace) -> None:
    model = Model(name, device=options.device)
    files = FirstImages(FolderImages(options.folder, model.preprocessing, check="quick"), options.images)
    images = KeptImages(files, 1 << 34)
    on_gpu = options.device.startswith("cuda")

    def clock() -> float:
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() if on_gpu else time.process_time()

    start = time.perf_counter()
    tops = model.top_k(images)
    print(f"{name}: searched {len(images)} images in {time.perf_counter() - start:.1f} s", flush=True)
    model.attribute(next(iter(tops.values())), images, channels=[0])  # whatever is loaded once
    draw = np.random.default_rng(0)
    ours_total = peer_total = wall_total = 0.0
    made = worst = 0
    wanted = options.layers.split(",") if options.layers else list(tops)
    for layer, found in ((layer, tops[layer]) for layer in wanted):
        # of some images all projections: as many share a forward pass as when all images are taken
        top = replace(found, image=np.where(found.image % options.every == 0, found.image, -1))
        there = [(int(c), int(r)) for c, r in np.argwhere(top.image >= 0)]
        units = [there[i] for i in draw.choice(len(there), options.units, replace=False)]
        kept = Kept(set(units))
        wall, start = time.perf_counter(), clock()
        report = model.attribute_each(top, images, keep=kept)
        ours, wall = clock() - start, time.perf_counter() - wall
        ours_total, wall_total, made = ours_total + ours, wall_total + wall, made + kept.count
        line = f"| {name} {layer} | {kept.count:,} | {1e3 * ours / kept.count:.2f} ms |"
        if options.peer:
            theirs, error = peer(model, top, images, units, kept.tiles, clock)
            peer_total, worst = peer_total + theirs * kept.count, max(worst, error)
            line += f" {1e3 * theirs:.1f} ms | {theirs * kept.count / ours:.1f}x | {error:.1e} |"
        print(f"{line} {report.engine}, {report.mismatches} mismatches |", flush=True)
    ratio = f", Captum {peer_total:.0f} s: {peer_total / ours_total:.1f}x, largest difference {worst:.1e}"
    print(
        f"{name}: {made:,} projections in {ours_total:.0f} s (wall {wall_total:.0f} s){ratio if options.peer else ''}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="IMAGES", help="a folder of JPEG files")
    parser.add_argument("--networks", default="alexnet")
    parser.add_argument("--layers", default="", help="only these layers, separated by commas")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--units", type=int, default=12, help="units of each layer that Captum projects")
    parser.add_argument("--every", type=int, default=1, help="project what was found in every so-manieth image only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads, {options.device}")
    for name in options.networks.split(","):
        measure(name, options)


if __name__ == "__main__":
    main()
