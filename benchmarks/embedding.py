"""What embeddings cost, against the same work done plainly.

    python benchmarks/embedding.py extraction [--data FOLDER] [--pictures 256] [--rounds 5]
    python benchmarks/embedding.py tsne [--vectors FILE.npy] [--rounds 5]
    python benchmarks/embedding.py neighbours [--count 1000000] [--dimensions 128] [--half]

``extraction``: ``model.embed`` against a loop that reads the same pictures from the same set, batch by batch, runs the
network up to the same layer, and keeps the mean of its maps. Thumbnails are only made by the former. ``FOLDER`` is one
of photographs; without it they are made. Wall time and, in brackets, CPU time; medians of the ratios of pairs.

``tsne``: ``project`` with all its frames (one in five iterations) against openTSNE called directly and scikit-learn,
all after the same PCA to 50 components, with the same parameters and one thread. CPU time, medians of interleaved
rounds. Vectors are those of the file, else 2,304 × 1,000 made ones.

``neighbours``: what a click costs among very many vectors, and how many of the ten nearest an index finds that may keep
only a fifth of its vectors in memory. Wall time, medians of 20 clicks.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands do

import numpy as np
import torch
from PIL import Image

import convscope as cs
from convscope.embed import Index, measure, pca, project
from convscope.jobs.embed import layer_of
from convscope.jobs.folder import whole_input
from convscope.nets.data import FirstImages, ImageSet
from convscope.nets.images import image_set


def photographs(folder: Path, count: int) -> Path:
    """Write photographs of 320 × 240 pixels, coarse noise as JPEG."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (15, 20, 3), np.uint8)
        Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg")
    return folder


def plain(model: cs.Model, images: ImageSet, layer: str, batch: int) -> np.ndarray:
    """Embed as one would by hand: a hook, a loop, a mean; the forward pass ends behind the layer, as ours does."""
    found: list[torch.Tensor] = []

    class Done(Exception):  # noqa: N818 - it is none
        pass

    def see(_: Any, __: Any, output: torch.Tensor) -> None:
        found.append(output.mean((2, 3)) if output.ndim == 4 else output)
        raise Done

    handle = dict(model.network.named_modules())[layer].register_forward_hook(see)
    model.network.eval()
    with torch.no_grad():
        for start in range(0, len(images), batch):
            try:
                model.network(torch.from_numpy(images.images(start, min(start + batch, len(images)))))
            except Done:
                continue
    handle.remove()
    return torch.cat(found).numpy()


def seconds(work: Callable[[], Any]) -> tuple[float, float]:
    """Return wall time and CPU time."""
    start, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def paired(name: str, model: cs.Model, images: ImageSet, rounds: int, batch: int) -> None:
    layer = layer_of(model, "penultimate")

    def by_hand() -> np.ndarray:
        return plain(model, images, layer, batch)

    def ours(**options: Any) -> np.ndarray:
        return model.embed(images, layer, batch_size=batch, **options).vectors

    difference = float(np.abs(by_hand() - ours()).max())  # also warms up
    with tempfile.TemporaryDirectory() as folder:
        times: list[list[tuple[float, float]]] = []
        for number in range(rounds):
            ways: list[Callable[[], Any]] = [
                by_hand,
                lambda: ours(thumbnails=0),
                ours,
                lambda at=f"{folder}/{number}": ours(resume=at),
            ]
            measured = [seconds(way) for way in (ways if number % 2 else ways[::-1])]
            times.append(measured if number % 2 else measured[::-1])
    base = statistics.median(time[0][0] for time in times)
    ratios = [
        [statistics.median(time[way][clock] / time[0][clock] for time in times) for clock in (0, 1)]
        for way in (1, 2, 3)
    ]
    cells = " | ".join(f"{wall:.2f} ({cpu:.2f})" for wall, cpu in ratios)
    print(f"| {name}, {layer} | {base / len(images) * 1e3:.2f} ms | {cells} | {difference:.1e} |", flush=True)


def extraction(args: argparse.Namespace) -> None:
    print("| network | plain, a picture | ours, no thumbnails | ours | ours, resumable | largest difference |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        folder = args.data or photographs(Path(made), args.pictures)
        for name in ("squeezenet1_0", "alexnet"):
            model = cs.Model(name, weights="random", input_shape=(3, 224, 224))
            found = image_set(folder, whole_input(model), check="quick")
            paired(f"{name}, photographs", model, FirstImages(found, args.pictures), args.rounds, 32)
    model = cs.Model("mnist", weights="random")
    digits = image_set(np.random.default_rng(0).integers(0, 256, (args.digits, 28, 28), np.uint8), model.preprocessing)
    paired("the demo's digits", model, digits, args.rounds, 500)


def projected(args: argparse.Namespace) -> None:
    """Lay the same vectors out by ours and by others."""
    from openTSNE import TSNE
    from sklearn import manifold

    vectors = np.load(args.vectors) if args.vectors else clustered(2304, 1000)

    def reduced() -> np.ndarray:
        return pca(vectors, 50)[0].astype(np.float64)

    def ours(**options: Any) -> np.ndarray:
        frames: list[Any] = []
        return project(vectors, "tsne", quality=False, callback=frames.append, threads=1, **options).points

    ways: dict[str, Callable[[], np.ndarray]] = {
        "openTSNE": lambda: np.asarray(TSNE(n_jobs=1, random_state=0).fit(reduced())),
        "ours, 150 frames": ours,
        "ours, numpy alone": lambda: ours(engine="numpy"),
        "scikit-learn": lambda: manifold.TSNE(n_jobs=1, random_state=0, max_iter=750).fit_transform(reduced()),
    }
    project(vectors[:200], "tsne", iterations=10)  # imports
    times: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for number in range(args.rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            if number == 0 or name in list(ways)[:2]:
                start = time.process_time()
                found[name] = ways[name]()
                times[name].append(time.process_time() - start)
    print(f"{vectors.shape[0]:,} vectors of {vectors.shape[1]:,} dimensions")
    print("| | CPU s | of openTSNE, medians of pairs | 10 neighbours kept | trustworthiness |")
    print("|---|---|---|---|---|")
    for name, points in found.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times["openTSNE"], strict=False))
        scores, _ = measure(vectors, points)
        quality = f"{scores['neighbours_kept']:.4f} | {scores['trustworthiness']:.4f}"
        print(f"| {name} | {statistics.median(times[name]):.2f} | {ratio:.3f} | {quality} |")


def clustered(count: int, dimensions: int, kind: type = np.float32) -> np.ndarray:
    """Return vectors of 1,000 classes with a spectrum that falls as those of networks do."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, dimensions + 1, dtype=np.float32) ** -0.5
    centres = rng.standard_normal((1000, dimensions), np.float32) * scale
    vectors = np.empty((count, dimensions), kind)
    for start in range(0, count, 1 << 16):
        part = vectors[start : start + (1 << 16)]
        labels = rng.integers(0, 1000, len(part))
        part[:] = centres[labels] + rng.standard_normal(part.shape, np.float32) * scale
    return vectors


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return wall time and the answer."""
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def clicked(args: argparse.Namespace) -> None:
    """Ask for the neighbours of one among many."""
    vectors = clustered(args.count, args.dimensions, np.float16 if args.half else np.float32)
    clicks = np.random.default_rng(1).integers(0, args.count, 20)
    print("| metric | kept in memory | made in | a click, median | slowest | of the ten nearest |")
    print("|---|---|---|---|---|---|")
    for metric in ("cosine", "euclidean"):
        exact: list[set[int]] = []
        for budget in (4 * vectors.size, 4 * vectors.size // 5):
            made, index = timed(lambda m=metric, b=budget: Index(vectors, m, budget=b))
            index.nearest(0)
            answers = [timed(lambda i=index, c=int(click): i.nearest(c)) for click in clicks]
            sets = [set(near.tolist()) for _, (near, _) in answers]
            exact = exact or sets
            kept = statistics.mean(len(a & b) for a, b in zip(sets, exact, strict=True)) / 10
            took = [1e3 * time for time, _ in answers]
            size = f"{min(budget, 4 * vectors.size) / 2**20:.0f} MiB"
            click = f"{statistics.median(took):.0f} ms | {max(took):.0f} ms"
            print(f"| {metric} | {size} | {made:.1f} s | {click} | {kept:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("extraction", help="model.embed against a plain loop")
    part.add_argument("--data", type=Path, help="a folder of photographs")
    part.add_argument("--pictures", type=int, default=256)
    part.add_argument("--digits", type=int, default=10_000)
    part.add_argument("--rounds", type=int, default=5)
    part.set_defaults(run=extraction)
    part = parts.add_parser("tsne", help="t-SNE against openTSNE and scikit-learn")
    part.add_argument("--vectors", type=Path, help="an .npy file (N, D)")
    part.add_argument("--rounds", type=int, default=5)
    part.set_defaults(run=projected)
    part = parts.add_parser("neighbours", help="a click among very many vectors")
    part.add_argument("--count", type=int, default=1_000_000)
    part.add_argument("--dimensions", type=int, default=128)
    part.add_argument("--half", action="store_true", help="vectors of float16")
    part.set_defaults(run=clicked)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
