"""Runs with a series of every kind that a training logs, by any writer that has TensorBoard's methods."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from torch import nn, zeros

VIEWS: Final = (
    "scalars",
    "histograms",
    "images",
    "audio",
    "text",
    "mesh",
    "hparams",
    "confusion",
    "curves",
    "network",
    "graph",
    "filters",
    "maps",
    "layer",
    "audit",
    "embedding",
    "gradients",
    "importance",
    "ablation",
    "volume",
)
"""The names of all views in the address."""
STEPS: Final = (0, 10, 20)
VERTICES: Final = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], np.float32)
FACES: Final = np.array([[[0, 1, 2], [0, 1, 3], [0, 2, 3]]], np.int32)
MARKDOWN: Final = "# A heading\n\nSome **strong** words, `code`, and a table:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"


def picture(seed: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, size, size)).astype(np.uint8)


def loss(step: int) -> float:
    return float(np.float32(1 / (step + 1)))


def tone(step: int) -> np.ndarray:
    """A sound ``(1, frames)``, as torch's writer takes it."""
    return np.sin(np.arange(800) * 0.1 * (1 + step)).astype(np.float32)[None]


def scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 80)
    return labels, np.clip(labels * 0.4 + rng.uniform(0, 0.6, 80), 0, 1)


def write_series(writer: Any, *, sounds: bool = True, graph: bool = True) -> None:
    """Log three steps of every kind that TensorBoard knows; the methods are those of all writers."""
    rng = np.random.default_rng(0)
    labels, scored = scores()
    for step in STEPS:
        writer.add_scalar("train/loss", loss(step), step)
        writer.add_scalar("train/accuracy", 1 - loss(step), step)
        writer.add_scalar("lr", 0.1, step)
        writer.add_histogram("weights/conv1", rng.normal(0, 1 + step, 500), step)
        writer.add_image("samples/picture", picture(step), step)
        writer.add_text("notes", f"{MARKDOWN}\nStep {step}.", step)
        writer.add_pr_curve("pr/class", labels, scored, step, num_thresholds=21)
        writer.add_mesh("shape", vertices=VERTICES * (1 + step), faces=FACES, global_step=step)
        if sounds:
            writer.add_audio("tone", tone(step), step, sample_rate=8000)
    writer.add_custom_scalars({"losses": {"both": ["Multiline", ["train/.*"]]}})
    if graph:
        writer.add_graph(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), zeros(1, 3, 8, 8))
    writer.add_hparams({"lr": 0.1, "optimiser": "sgd", "augment": True}, {"hparam/accuracy": 0.75})


def write_ours(writer: Any) -> None:
    """Log what only our writer has, besides :func:`write_series`."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 60)
    found = np.where(rng.random(60) < 0.7, labels, rng.integers(0, 3, 60))
    chances = np.full((60, 3), 0.2)
    chances[np.arange(60), found] = 0.6
    writer.add_confusion_matrix("confusion", labels, found, ["cat", "dog", "boat"], 20)
    writer.add_pr_curves("curves", labels, chances, ["cat", "dog", "boat"], 20)
    writer.add_video("film", np.stack([picture(seed) for seed in range(3)])[None], 20)
