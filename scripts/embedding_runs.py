"""Real runs with embeddings that the demo does not make: small photographs by two layers, and digits by epochs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from convscope import Model, SummaryWriter
from convscope.jobs.folder import whole_input
from convscope.jobs.projections import record_projection
from convscope.nets.architectures import mnist
from convscope.nets.cifar10 import load_cifar10
from convscope.nets.mnist import load_mnist

COUNT = 48 * 48
LAYERS = ("features.5", "features.12")
EPOCHS = 6


def write_photographs(folder: Path) -> None:
    """Embed 2,304 of CIFAR-10's test pictures by an early and the last layer of AlexNet."""
    model = Model("alexnet")
    images = load_cifar10(whole_input(model)).part(0, COUNT)
    with SummaryWriter(folder) as writer:
        for layer, embedding in model.embed(images, list(LAYERS)).items():
            identity = writer.add(embedding, layer)
            record_projection(embedding, identity, writer, layer, "tsne")
            record_projection(embedding, identity, writer, layer, "tsne", dimensions=3)


def write_epochs(folder: Path) -> None:
    """Train the MNIST ConvNet, embed the same digits after every epoch, and lay the epochs out as a timeline."""
    torch.manual_seed(0)
    train, test = load_mnist()
    net = mnist(28)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    order = np.random.default_rng(0)
    with SummaryWriter(folder) as writer:
        for epoch in range(1, EPOCHS + 1):
            for batch in np.split(order.permutation(10_000), 100):
                logits = net(torch.from_numpy(train.preprocessing.normalise(train.pixels[batch])))
                target = torch.from_numpy(np.asarray(train.labels)[batch].astype(np.int64))
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(logits, target).backward()
                optimizer.step()
            model = Model(net, input_shape=(1, 28, 28), name="MNIST ConvNet")
            writer.add(model.embed(test.part(0, COUNT), "fc1"), "fc1", epoch)
    command = ["project", str(folder), "--method", "tsne", "--timeline"]
    subprocess.run([sys.executable, "-m", "convscope.cli", *command], check=True)


def write_all(folder: Path) -> None:
    """Write both runs."""
    write_photographs(folder / "photographs")
    write_epochs(folder / "epochs")
