"""Recording and reading, paired with torch.utils.tensorboard and TensorBoard's EventAccumulator in the same run.

CPU time, medians over rounds; the cases of a round are interleaved, so that a busy machine hits both alike.

    python benchmarks/recording.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from convscope.recording import SummaryWriter
from convscope.store import Run

warnings.filterwarnings("ignore", category=DeprecationWarning)

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from torch.utils.tensorboard import SummaryWriter as TorchWriter  # noqa: E402

SCALARS = 100_000
Cost = tuple[float, float]  # CPU seconds of the caller, of the whole process


@contextmanager
def writer(kind: Any) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        opened = kind(folder)
        try:
            yield opened
        finally:
            opened.close()


def cost(opened: Any, work: Callable[[], None]) -> Cost:
    """Return what some calls cost the caller, and the process until all is written."""
    caller, process = time.thread_time(), time.process_time()
    work()
    caller = time.thread_time() - caller
    opened.flush()
    return caller, time.process_time() - process


def empty_loop() -> float:
    start = time.thread_time()
    for step in range(SCALARS):
        _nothing("train/loss", 0.5, step)
    return time.thread_time() - start


def _nothing(tag: str, value: float, step: int) -> None:
    pass


def scalars(kind: Any, tags: list[str]) -> Cost:
    values = np.random.default_rng(0).random(SCALARS).tolist()
    with writer(kind) as opened:
        for step in range(1000):
            opened.add_scalar(tags[step % len(tags)], 0.5, step)
        opened.flush()

        def work() -> None:
            for step, value in enumerate(values):
                opened.add_scalar(tags[step % len(tags)], value, step)

        loop = empty_loop()
        caller, total = cost(opened, work)
    return (caller - loop) / SCALARS, (total - loop) / SCALARS


def repeated(kind: Any, times: int, call: Callable[[Any, int], None]) -> Cost:
    with writer(kind) as opened:
        call(opened, 0)
        opened.flush()

        def work() -> None:
            for step in range(1, times + 1):
                call(opened, step)

        caller, total = cost(opened, work)
    return caller / times, total / times


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


def reading(kind: str, folder: Path) -> Cost:
    start = time.process_time()
    if kind == "ours":
        run = Run(folder)
        count = sum(len(run.scalars(tag)) for tag in run.tags("scalar")["scalar"])
    else:
        accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        accumulator.Reload()
        count = sum(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()["scalars"])
    spent = time.process_time() - start
    if count != 1_000_000:
        raise RuntimeError(f"{kind} has read {count} scalars")
    return spent, spent


def compare(name: str, rounds: int, ours: Callable[[], Cost], theirs: Callable[[], Cost]) -> None:
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    for index, what in enumerate(("caller", "total")):
        mine = statistics.median(pair[0][index] for pair in pairs)
        peer = statistics.median(pair[1][index] for pair in pairs)
        ratio = statistics.median(pair[1][index] / pair[0][index] for pair in pairs)
        print(f"| {name} | {what} | {unit(mine)} | {unit(peer)} | {ratio:.1f}× |", flush=True)


def unit(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("| what | CPU of | convscope | torch / EventAccumulator | ratio |\n|---|---|---|---|---|")
    many = [f"train/l{index}" for index in range(10)]
    for name, tags in (("add_scalar", ["train/loss"]), ("add_scalar, 10 tags", many)):
        compare(name, rounds, lambda t=tags: scalars(SummaryWriter, t), lambda t=tags: scalars(TorchWriter, t))
    for size in (10_000, 1_000_000, 25_000_000):
        name = f"add_histogram of {size:,} float32"
        compare(name, rounds, lambda n=size: histogram(SummaryWriter, n), lambda n=size: histogram(TorchWriter, n))
    compare("add_image 224 × 224 × 3", rounds, lambda: image(SummaryWriter), lambda: image(TorchWriter))
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as opened:
            for step in range(100_000):
                for tag in many:
                    opened.add_scalar(tag, step / 7, step)
        path = Path(folder)
        compare("reading 1M scalars", min(rounds, 3), lambda: reading("ours", path), lambda: reading("theirs", path))


if __name__ == "__main__":
    main()
