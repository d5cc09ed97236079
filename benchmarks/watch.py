"""What ``cs.watch`` costs a training loop, paired with the same steps without it.

CPU time of the process, medians over rounds; what is paired is interleaved. Two costs are measured: that of a step that
is logged, from whole training steps, and that of a step that is only looked at (the alarm), from the optimiser's steps
alone, because it is smaller than the noise of a forward pass. At ``every=n`` a loop pays one of the first and n - 1 of
the second kind.

    python benchmarks/watch.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin are no work

import torch
from torch import nn

import convscope as cs
from convscope.nets.architectures import mnist

LOGGED = 4
QUIET = 50
NEVER = 10**9


def small() -> nn.Sequential:
    """Return a CNN as beginners' examples have it: 21,000 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 49, 10),
    )


Step = Callable[[], Any]


def steppers(make: Callable[[], nn.Module], batch: int) -> tuple[nn.Module, Step, Step]:
    """Return a network, a whole training step of it, and one of its optimiser alone."""
    torch.manual_seed(0)
    net = make()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    x, y = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))

    def whole() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(net(x), y))
        optimizer.step()

    whole()
    return net, whole, optimizer.step


def seconds(step: Step, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        step()
    return (time.process_time() - start) / times


def compare(name: str, rounds: int, make: Callable[[], nn.Module], batch: int, **options: Any) -> None:
    net, whole, alone = steppers(make, batch)
    plain, logged, quiet = [], [], []
    with tempfile.TemporaryDirectory() as folder, cs.SummaryWriter(folder) as writer:
        for _ in range(rounds):
            plain.append(seconds(whole, LOGGED))
            with cs.watch(net, writer, every=1, **options):
                logged.append(seconds(whole, LOGGED) - plain[-1])
            before = seconds(alone, QUIET)
            with cs.watch(net, writer, every=NEVER, **options):
                alone()  # the first is always logged
                quiet.append(seconds(alone, QUIET) - before)
    step, more, less = (statistics.median(found) * 1e3 for found in (plain, logged, quiet))
    share = (more + 99 * less) / 100 / step
    print(f"| {name} | {step:.1f} ms | {less:.3f} ms | {more:.1f} ms | {share:.2%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print("| network | a step | watched: more | and logged: more | every=100 |\n|---|---|---|---|---|")
    compare("small CNN, batch 64", rounds, small, 64)
    compare("small CNN, batch 64, alarm=False", rounds, small, 64, alarm=False)
    compare("MNIST ConvNet, batch 100", rounds, mnist, 100)


if __name__ == "__main__":
    main()
