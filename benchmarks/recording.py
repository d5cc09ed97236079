"""Recording and reading, paired with torch.utils.tensorboard, tensorboardX and TensorBoard's EventAccumulator.

CPU time, medians over rounds; the cases of a round are interleaved, so that a busy machine hits all alike. "numpy only"
is without the optional isal and google-crc32c.

    python benchmarks/recording.py [--rounds 5] [--only scalar,histogram,image,embedding,reading,memory]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import memory
from convscope.formats import crc32c, png
from convscope.recording import SummaryWriter

warnings.filterwarnings("ignore", category=DeprecationWarning)

import tensorboardX  # noqa: E402
import torch  # noqa: E402
from torch.utils.tensorboard import SummaryWriter as TorchWriter  # noqa: E402

SCALARS = 100_000
MANY = [f"train/l{index}" for index in range(10)]


@dataclass(frozen=True)
class Cost:
    """CPU seconds of the caller and of the whole process, and the bytes on disk."""

    caller: float
    total: float
    size: float


@contextmanager
def numpy_only() -> Iterator[None]:
    with mock.patch.object(png, "_isal", None), mock.patch.object(crc32c, "_crc32c", crc32c.crc32c_numpy):
        yield


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def repeated(kind: Any, times: int, call: Callable[[Any, int], None], loop: float = 0.0) -> Cost:
    """Return what a call costs: the caller, the process until all is written, the disk."""
    with tempfile.TemporaryDirectory() as folder:
        opened = kind(folder)
        call(opened, 0)
        opened.flush()
        caller, total = time.thread_time(), time.process_time()
        for step in range(1, times + 1):
            call(opened, step)
        caller = time.thread_time() - caller
        opened.close()
        total = time.process_time() - total
        return Cost((caller - loop) / times, (total - loop) / times, size_of(Path(folder)) / (times + 1))


def scalars(kind: Any, tags: list[str]) -> Cost:
    values = np.random.default_rng(0).random(SCALARS + 1).tolist()
    count = len(tags)
    return repeated(
        kind, SCALARS, lambda opened, step: opened.add_scalar(tags[step % count], values[step], step), empty_loop()
    )


def empty_loop() -> float:
    def call(opened: Any, step: int) -> None:
        pass

    start = time.thread_time()
    for step in range(SCALARS):
        call(None, step)
    return time.thread_time() - start


def ten_at_once(kind: Any) -> Cost:
    """Ten values a step: with ``log`` where there is one, one ``add_scalar`` each elsewhere."""

    def call(opened: Any, step: int) -> None:
        if isinstance(opened, SummaryWriter):
            opened.log(dict.fromkeys(MANY, 0.5), step)
        else:
            for tag in MANY:
                opened.add_scalar(tag, 0.5, step)

    return repeated(kind, SCALARS // 10, call)


def histogram(kind: Any, size: int) -> Cost:
    values = np.random.default_rng(0).normal(0, 0.02, size).astype(np.float32)
    times = max(2, min(200, 2_000_000 // size))
    return repeated(kind, times, lambda opened, step: opened.add_histogram("grad", values, step))


def image(kind: Any) -> Cost:
    picture = natural(224)
    return repeated(kind, 20, lambda opened, step: opened.add_image("picture", picture, step))


def natural(size: int) -> Any:
    """Return a picture (3, size, size) with the 1/f spectrum of natural ones."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1
    shared = rng.normal(size=(size, size))
    planes = [np.fft.irfft2(np.fft.rfft2(shared + 0.3 * rng.normal(size=(size, size))) / frequency) for _ in range(3)]
    picture = np.stack(planes)
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return picture.astype(np.float32)


def embedding(kind: Any) -> Cost:
    """2304 vectors of 1000 numbers, labels, and thumbnails of noise, which is the worst that can be compressed."""
    rng = np.random.default_rng(0)
    vectors = torch.from_numpy(rng.normal(size=(2304, 1000)).astype(np.float32))
    thumbnails = torch.from_numpy(rng.random((2304, 3, 64, 64), np.float32))
    labels = [f"class {index % 10}" for index in range(2304)]
    with tempfile.TemporaryDirectory() as folder:
        opened = kind(folder)
        opened.add_embedding(vectors[:16], labels[:16], thumbnails[:16], 0)
        caller, total = time.thread_time(), time.process_time()
        opened.add_embedding(vectors, labels, thumbnails, 1)
        caller = time.thread_time() - caller
        opened.close()
        return Cost(caller, time.process_time() - total, size_of(Path(folder)))


READ = """
import sys, time
start = time.process_time()
{imports}
imported = time.process_time()
{work}
spent = time.process_time() - imported
assert count == 1_000_000, count
print(spent)
"""
OURS = (
    "from convscope.store import Run",
    "run = Run(sys.argv[1], sidecar={sidecar}); count = sum(len(run.scalars(t)) for t in run.tags('scalar')['scalar'])",
)
THEIRS = (
    """
import warnings; warnings.simplefilter('ignore')
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
""",
    """
accumulator = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
accumulator.Reload()
count = sum(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()['scalars'])
""",
)


def reading(kind: tuple[str, str], folder: Path) -> Cost:
    """Read a million scalars in a fresh process."""
    code = READ.replace("{imports}", kind[0]).replace("{work}", kind[1])
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    spent = float(done.stdout)
    return Cost(spent, spent, size_of(folder))


def ours(*, sidecar: bool) -> tuple[str, str]:
    return OURS[0], OURS[1].replace("{sidecar}", str(sidecar))


def compare(name: str, rounds: int, mine: Callable[[], Cost], peers: dict[str, Callable[[], Cost]]) -> None:
    """Print one line for each peer: ratios are medians of the rounds' own ratios."""
    measured = [(mine(), {peer: measure() for peer, measure in peers.items()}) for _ in range(rounds)]
    for peer in peers:
        cells = [name, peer]
        for what in ("caller", "total"):
            one = statistics.median(getattr(own, what) for own, _ in measured)
            other = statistics.median(getattr(theirs[peer], what) for _, theirs in measured)
            ratio = statistics.median(getattr(theirs[peer], what) / getattr(own, what) for own, theirs in measured)
            cells += [f"{unit(one)} / {unit(other)}", f"{ratio:.1f}×"]
        own, theirs = measured[-1]
        cells.append(f"{own.size:,.0f} / {theirs[peer].size:,.0f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def unit(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def both(measure: Callable[..., Cost], *rest: Any) -> dict[str, Callable[[], Cost]]:
    return {
        "torch": lambda: measure(TorchWriter, *rest),
        "tensorboardX": lambda: measure(tensorboardX.SummaryWriter, *rest),
    }


def with_and_without(name: str, rounds: int, measure: Callable[[Any], Cost]) -> None:
    """Compare with the optional accelerators and without them."""
    for label, how in (("isal", nullcontext), ("numpy only", numpy_only)):

        def mine(how: Any = how) -> Cost:
            with how():
                return measure(SummaryWriter)

        compare(f"{name}, {label}", rounds, mine, both(measure))


def run_reading(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with SummaryWriter(folder) as opened:
            for step in range(100_000):
                for tag in MANY:
                    opened.add_scalar(tag, step / 7, step)
        peers = {"EventAccumulator": lambda: reading(THEIRS, path)}
        compare("reading 1M scalars", min(rounds, 3), lambda: reading(ours(sidecar=False), path), peers)
        reading(ours(sidecar=True), path)
        compare("reading them again", min(rounds, 3), lambda: reading(ours(sidecar=True), path), peers)


def run_memory() -> None:
    """Print how much a process that does nothing else grows while ten million scalars are logged."""
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as opened:
        for step in range(500_000):
            opened.add_scalar("loss", 0.5, step)
        opened.flush()
        before = memory.peak()
        for step in range(10_000_000):
            opened.add_scalar("loss", 0.5, step)
        opened.flush()
        after = memory.peak()
    print(f"\nPeak memory before and after 10M more scalars: {before / 1024:.1f} MB, {after / 1024:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="scalar,histogram,image,embedding,reading,memory")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak:
        run_memory()
        return
    rounds, only = chosen.rounds, chosen.only.split(",")
    print("| what | peer | caller: ours / theirs | ratio | total CPU: ours / theirs | ratio | bytes: ours / theirs |")
    print("|---|---|---|---|---|---|---|")
    if "scalar" in only:
        for name, tags in (("add_scalar", ["train/loss"]), ("add_scalar, 10 tags", MANY)):
            compare(name, rounds, lambda t=tags: scalars(SummaryWriter, t), both(scalars, tags))
        compare("log() of 10 values", rounds, lambda: ten_at_once(SummaryWriter), both(ten_at_once))
    if "histogram" in only:
        for size in (1000, 10_000, 1_000_000, 25_000_000):
            name = f"add_histogram of {size:,} float32"
            compare(name, rounds, lambda n=size: histogram(SummaryWriter, n), both(histogram, size))
    if "image" in only:
        with_and_without("add_image 224 × 224 × 3", rounds, image)
    if "embedding" in only:
        with_and_without("add_embedding 2304 × 1000 + 64 × 64 thumbnails", rounds, embedding)
    if "reading" in only:
        run_reading(rounds)
    if "memory" in only:
        subprocess.run([sys.executable, __file__, "--peak"], check=True)


if __name__ == "__main__":
    main()
