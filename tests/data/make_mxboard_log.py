"""Make the folder ``mxboard``: a small log by MXBoard itself.

It was run with Python 3.11, mxboard 0.1.0, mxnet 1.9.1, numpy 1.23.5 and protobuf 3.20.3 (none of them a dependency of
the tests: the bytes are checked in):

    python tests/data/make_mxboard_log.py
"""

import shutil
from pathlib import Path

import numpy as np
from mxboard import SummaryWriter

OUT = Path(__file__).parent / "mxboard"


def main() -> None:
    """Write the log."""
    rng = np.random.default_rng(0)
    shutil.rmtree(OUT, ignore_errors=True)
    with SummaryWriter(logdir=str(OUT), flush_secs=1) as writer:
        for step in range(30):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalar("accuracy", {"train": step / 30, "valid": step / 60}, step)
        for step in range(2):
            writer.add_histogram("default bins", rng.normal(size=500), step)
            writer.add_histogram("ten bins", rng.normal(size=500), step, bins=10)
        writer.add_image("picture", rng.random((3, 4, 5)).astype(np.float32), 1)
        writer.add_audio("tone", np.sin(np.arange(100) / 5).astype(np.float32), 8000, 1)
        writer.add_text("first note", "hello", 0)
        writer.add_text("second note", "*world*", 0)
        writer.add_pr_curve("pr", rng.integers(0, 2, 50), rng.random(50).astype(np.float32), 20, 1)
    for path in list(OUT.rglob("events*")):
        path.rename(path.with_name("events.out.tfevents.0000000001.host"))


if __name__ == "__main__":
    main()
