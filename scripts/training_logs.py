"""Real logs of the kinds that the demo does not log: a search over hyper-parameters, text, sound, a mesh, a graph."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_sample_image
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from convscope import SummaryWriter
from convscope.nets.torch import Model

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 12
RATE = 8000


def write_search(folder: Path) -> None:
    """Train linear classifiers of scikit-learn's digits with 24 settings, each a run."""
    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(pixels / 16, labels, test_size=0.3, random_state=0)
    settings = product((1e-4, 1e-3, 1e-2, 1e-1), ("hinge", "log_loss"), ("l1", "l2", "elasticnet"))
    for number, (rate, loss, penalty) in enumerate(settings):
        with SummaryWriter(folder / f"{loss}-{penalty}" / f"{number:02d}") as writer:
            accuracy = _train(writer, (rate, loss, penalty), parts)
            chosen = {"learning rate": rate, "loss": loss, "penalty": penalty}
            writer.add_hparams(chosen, {"accuracy": accuracy}, run_name=".")


def _train(writer: SummaryWriter, setting: tuple[float, str, str], parts: list[np.ndarray]) -> float:
    train, test, train_labels, test_labels = parts
    rate, loss, penalty = setting
    model = SGDClassifier(loss=loss, penalty=penalty, learning_rate="constant", eta0=rate, random_state=0, alpha=1e-4)
    found = 0.0
    for epoch in range(EPOCHS):
        model.partial_fit(train, train_labels, classes=np.arange(10))
        found = float(model.score(test, test_labels))
        writer.add_scalar("accuracy", found, epoch)
        writer.add_histogram("weights", model.coef_, epoch)
    return found


def write_media(folder: Path) -> None:
    """Log the changelog as text, chords, a photograph as a landscape, and AlexNet's graph."""
    import torch

    network = Model("alexnet").network.cpu()
    photograph = load_sample_image("flower.jpg")[::6, ::6]
    with SummaryWriter(folder) as writer:
        for step, line in enumerate((ROOT / "CHANGELOG.md").read_text("utf-8").split("\n- ")[1:6]):
            writer.add_text("changelog", f"### Added\n\n- {line}", step)
        seconds = np.arange(2 * RATE) / RATE
        for step, third in enumerate((5 / 4, 6 / 5)):
            chord = sum(np.sin(2 * np.pi * 220 * tone * seconds) for tone in (1, third, 3 / 2))
            writer.add_audio("chord", (chord * np.exp(-2 * seconds) / 3)[None].astype(np.float32), step, RATE)
        vertices, colours, faces = _landscape(photograph)
        writer.add_mesh("flower", vertices[None], colours[None], faces[None])
        writer.add_graph(network, torch.zeros(1, 3, 224, 224))


def _landscape(photograph: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture as a mesh: what is light is high."""
    height, width, _ = photograph.shape
    y, x = np.mgrid[:height, :width]
    up = photograph.mean(axis=2) / 8
    vertices = np.stack([x - width / 2, height / 2 - y, up], axis=2).reshape(-1, 3).astype(np.float32)
    corner = (y * width + x)[:-1, :-1].ravel()
    upper = np.stack([corner, corner + width, corner + 1], axis=1)
    lower = np.stack([corner + 1, corner + width, corner + width + 1], axis=1)
    return vertices, photograph.reshape(-1, 3), np.concatenate([upper, lower]).astype(np.int32)


def write_all(folder: Path) -> None:
    """Write all of it into a directory of runs."""
    write_search(folder / "digits")
    write_media(folder / "alexnet")
