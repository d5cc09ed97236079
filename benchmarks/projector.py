"""Logging an embedding with thumbnails, paired with tensorboardX and torch.utils.tensorboard in the same run.

CPU time of the whole process, medians over rounds; random noise as thumbnails is the worst case for PNG.

    python benchmarks/projector.py [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from convscope.formats import png
from convscope.recording import SummaryWriter

warnings.filterwarnings("ignore", category=DeprecationWarning)

import torch  # noqa: E402
from tensorboardX import SummaryWriter as XWriter  # noqa: E402
from torch.utils.tensorboard import SummaryWriter as TorchWriter  # noqa: E402

POINTS, SIZE, SIDE = 2304, 1000, 64


def cost(kind: Any, mat: Any, labels: list[str], pictures: Any) -> tuple[float, dict[str, int]]:
    """Return the seconds of CPU one embedding costs, and the bytes of its files."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        writer = kind(folder)
        start = time.process_time()
        writer.add_embedding(mat, labels, pictures, 0)
        spent = time.process_time() - start
        writer.close()
        files = [path for path in Path(folder).rglob("*") if path.is_file() and "tfevents" not in path.name]
        return spent, {path.stem: path.stat().st_size for path in files}


def without_isal(kind: Any, *arguments: Any) -> tuple[float, dict[str, int]]:
    fast, png._isal = png._isal, None  # type: ignore[misc]  # noqa: SLF001
    try:
        return cost(kind, *arguments)
    finally:
        png._isal = fast  # type: ignore[misc]  # noqa: SLF001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    mat = rng.normal(size=(POINTS, SIZE)).astype(np.float32)
    pictures = rng.random((POINTS, 3, SIDE, SIDE), np.float32)
    labels = [f"class {index % 10}" for index in range(POINTS)]
    arguments = (mat, labels, pictures)
    cost(SummaryWriter, *arguments)
    results = [
        (
            cost(SummaryWriter, *arguments),
            without_isal(SummaryWriter, *arguments),
            cost(XWriter, *arguments),
            cost(TorchWriter, mat, labels, torch.from_numpy(pictures)),
        )
        for _ in range(rounds)
    ]
    print("| writer | CPU | tensorboardX / it | torch / it | tensors | sprite |\n|---|---|---|---|---|---|")
    for index, name in enumerate(("convscope, isal", "convscope, numpy", "tensorboardX", "torch")):
        spent = statistics.median(row[index][0] for row in results)
        ratios = [statistics.median(row[peer][0] / row[index][0] for row in results) for peer in (2, 3)]
        sizes = results[0][index][1]
        print(
            f"| {name} | {spent:.2f} s | {ratios[0]:.1f}× | {ratios[1]:.1f}× "
            f"| {sizes['tensors'] / 1e6:.1f} MB | {sizes['sprite'] / 1e6:.1f} MB |"
        )


if __name__ == "__main__":
    main()
