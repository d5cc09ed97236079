"""Train the MNIST ConvNet and record it as any training loop would: with a :class:`SummaryWriter`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convscope.demo.digits import Digits
from convscope.errors import InputError
from convscope.inspect.filters import Filters, examine_filters
from convscope.nets.data import ArrayImages
from convscope.nets.watch import watch
from convscope.recording import SummaryWriter


@dataclass(frozen=True)
class Recipe:
    """How the network is trained.

    Attributes
    ----------
    epochs
        Times the training pictures are seen.
    pictures
        How many training pictures an epoch has at most; each epoch sees others, in turn.
    batch
        Pictures in one step.
    rate
        Adam's learning rate.
    tested, judged
        How many test pictures the figures after each epoch, and the last accuracy, are of at most.
    """

    epochs: int
    pictures: int
    batch: int = 100
    rate: float = 1e-3
    tested: int = 2_000
    judged: int = 10_000

    def steps(self, available: int) -> int:
        """Return how many steps the training has."""
        return self.epochs * -(-min(self.pictures, available) // self.batch)


def train(
    net: nn.Module,
    digits: Digits,
    recipe: Recipe,
    writer: SummaryWriter,
    *,
    seed: int,
    network: str,
    progress: Callable[[int, int], None],
) -> float:
    """Train ``net`` in place and return its accuracy on the test pictures.

    Recorded: loss and accuracy at every step; once an epoch accuracy, confusion matrix and curves of the test pictures,
    the first batch as a picture and the first layer's filters; twelve times in all what :func:`convscope.watch` logs.
    """
    order = np.random.default_rng(seed)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's annotations
    optimizer = torch.optim.Adam(net.parameters(), lr=recipe.rate)
    total, step = recipe.steps(len(digits.train)), 0
    writer.add(_first_filters(net, network), "conv1", 0)
    writer.add_scalar("test/accuracy", evaluate(net, digits, recipe.tested), 0)
    with watch(net, writer, every=max(1, total // 12), step=lambda: step):
        for epoch in range(recipe.epochs):
            chosen = _epoch_indices(order, len(digits.train), recipe, epoch)
            for start in range(0, len(chosen), recipe.batch):
                batch = chosen[start : start + recipe.batch]
                loss, accuracy = _gradients(net, optimizer, digits.train, batch)
                step += 1
                writer.add_scalar("train/loss", loss, step)
                writer.add_scalar("train/accuracy", accuracy, step)
                if start == 0:
                    _record_batch(digits, writer, batch, step)
                optimizer.step()
                progress(step, total)
            _record_epoch(net, digits, writer, step, network, recipe.tested)
    return evaluate(net, digits, recipe.judged)


def _epoch_indices(order: np.random.Generator, available: int, recipe: Recipe, epoch: int) -> npt.NDArray[np.intp]:
    """Return the pictures of an epoch: a window that moves on through the training set, shuffled."""
    count = min(recipe.pictures, available)
    window = (np.arange(count) + epoch * count) % available
    return order.permutation(window)


def _record_batch(digits: Digits, writer: SummaryWriter, batch: npt.NDArray[np.intp], step: int) -> None:
    writer.add_image("train/first batch", _grid(digits.train.pixels[batch, :, :, 0]), step, dataformats="HW")


def _gradients(
    net: nn.Module, optimizer: torch.optim.Optimizer, images: ArrayImages, batch: npt.NDArray[np.intp]
) -> tuple[float, float]:
    """Compute the gradients for one step and return loss and accuracy of the batch."""
    net.train()
    target = torch.from_numpy(labels_of(images)[batch].astype(np.int64))
    logits = net(torch.from_numpy(images.preprocessing.normalise(images.pixels[batch])))
    loss = nn.functional.cross_entropy(logits, target)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    return float(loss.detach()), float((logits.argmax(1) == target).float().mean())


def labels_of(images: ArrayImages) -> npt.NDArray[np.int32]:
    """Return the labels of a labelled set."""
    if images.labels is None:
        raise InputError(f"{images.name} has no labels; training needs one for each picture")
    return images.labels


def _record_epoch(net: nn.Module, digits: Digits, writer: SummaryWriter, step: int, network: str, count: int) -> None:
    writer.add(_first_filters(net, network), "conv1", step)
    _record_test(net, digits, writer, step, count)
    writer.flush()


def _record_test(net: nn.Module, digits: Digits, writer: SummaryWriter, step: int, count: int) -> None:
    """Record how well the first ``count`` test pictures are told apart."""
    scores = predict(net, digits, count)
    labels = labels_of(digits.test)[: len(scores)]
    writer.add_scalar("test/accuracy", (scores.argmax(1) == labels).mean(), step)
    writer.add_confusion_matrix("test", labels, scores, global_step=step)
    writer.add_pr_curves("test", labels, scores, global_step=step)


def _first_filters(net: nn.Module, network: str) -> Filters:
    weight = dict(net.named_parameters())["conv1.weight"]
    return examine_filters(weight.detach().cpu().numpy().copy(), layer="conv1", network=network)


def evaluate(net: nn.Module, digits: Digits, count: int) -> float:
    """Return the share of the first ``count`` test pictures the network names rightly."""
    scores = predict(net, digits, count)
    return float((scores.argmax(1) == labels_of(digits.test)[: len(scores)]).mean())


@torch.inference_mode()
def predict(net: nn.Module, digits: Digits, count: int) -> npt.NDArray[np.float32]:
    """Return how likely each class is for the first ``count`` test pictures, ``(N, C)``."""
    net.eval()
    parts = []
    for start in range(0, min(count, len(digits.test)), 500):
        logits = net(torch.from_numpy(digits.test.images(start, min(start + 500, count, len(digits.test)))))
        parts.append(logits.softmax(1).numpy())
    return np.concatenate(parts)


def _grid(pictures: npt.NDArray[np.uint8], columns: int = 10) -> npt.NDArray[np.uint8]:
    """Lay a batch out as one picture."""
    rows = len(pictures) // columns
    height, width = pictures.shape[1:]
    kept = pictures[: rows * columns].reshape(rows, columns, height, width)
    return kept.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def save_weights(net: nn.Module, file: Path) -> None:
    """Write a network's weights so that they are there whole or not at all."""
    from safetensors.torch import save_file

    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, temporary)
    temporary.replace(file)
