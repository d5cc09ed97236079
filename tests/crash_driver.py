"""Kill writers at random moments and hold what they had acknowledged against what is left; run by test_crash.py."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

from convscope.recording import SummaryWriter
from convscope.store import Run


def victim(folder: Path, acknowledge: int, seed: int) -> None:
    """Log until killed; after each call say on a pipe what is safe now."""
    rng = random.Random(seed)
    writer = SummaryWriter(folder, flush_secs=rng.choice([0.01, 0.1, 1]))
    many = rng.choice([1, 20, 3000])
    pixels = np.zeros((8, 8, 3), np.uint8)
    step = 0
    while True:
        for _ in range(many):
            step += 1
            writer.add_scalar("x", step, step)
            writer.log({"y": step, "z": -step}, step)
        os.write(acknowledge, b"s%d " % step)
        writer.add_image("i", pixels, step, dataformats="HWC")
        os.write(acknowledge, b"i%d " % step)


def kill_one(folder: Path, seed: int) -> bytes:
    """Start a victim, kill it after a random while, and return what it has acknowledged."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        victim(folder, write, seed)
        os._exit(1)
    os.close(write)
    told = os.read(read, 1 << 16) if seed % 2 else b""  # half of them live until there is something to be lost
    time.sleep(random.Random(-seed).uniform(0, 0.04))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(read, 1 << 16):
        told += part
    os.close(read)
    return told


def check(run: Run, told: bytes) -> int:
    """Hold a run against what was acknowledged; return how many scalars it has."""
    words = [word.decode() for word in told.split()]
    steps = max((int(word[1:]) for word in words if word[0] == "s"), default=0)
    images = [int(word[1:]) for word in words if word[0] == "i"]
    tags = run.tags()
    curves = {tag: run.scalars(tag).step.tolist() if tag in tags.get("scalar", []) else [] for tag in "xyz"}
    for tag, found in curves.items():
        assert found == list(range(1, len(found) + 1)), f"{tag} has holes"
        assert len(found) >= steps, f"{tag}: {len(found)} of {steps}"
    assert 0 <= len(curves["x"]) - len(curves["z"]) <= 1
    found = [picture.step for picture in run.images("i")] if "image" in tags else []
    assert found[: len(images)] == images
    assert all(picture.png.startswith(b"\x89PNG") for picture in run.images("i")) if found else True
    assert run.problems == []
    return len(curves["x"])


def main(folder: Path, kills: int) -> None:
    """Kill ``kills`` writers, one directory each; print how many scalars were acknowledged and how many are there."""
    acknowledged = kept = 0
    for seed in range(kills):
        run = folder / f"{seed:03d}"
        told = kill_one(run, seed)
        left = check(Run(run), told) if run.exists() else 0  # as the dead writer has left it
        SummaryWriter(run).close()  # finishes what is left over
        assert check(Run(run), told) == left
        assert not list(run.glob("*.journal"))
        acknowledged += max((int(word[1:]) for word in told.split() if word[:1] == b"s"), default=0)
        kept += left
        if seed % 20:  # the others are read by TensorBoard's reader too
            shutil.rmtree(run)
    print(kills, acknowledged, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
