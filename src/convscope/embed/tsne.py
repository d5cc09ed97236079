"""t-SNE [van der Maaten & Hinton 2008]: openTSNE where it is installed, a dense numpy version otherwise.

Both report their layout every few iterations through a callback, so that convergence can be watched.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.embed.pca import pca
from convscope.errors import InputError, missing_extra

Callback = Callable[[int, float, npt.NDArray[np.float32]], None]
"""Called with (iteration, Kullback-Leibler divergence, points ``(N, 2)``)."""

MAXIMUM_DENSE: Final = 3000
EXAGGERATION: Final = 12.0
EXAGGERATED: Final = 250
SLOWEST: Final = 50.0
"""The least learning rate: at less, exaggeration draws a few points together until nothing parts them again."""


def tsne(
    vectors: npt.NDArray[Any],
    *,
    perplexity: float = 30.0,
    iterations: int = 750,
    seed: int = 0,
    callback: Callback | None = None,
    every: int = 10,
    engine: str = "auto",
) -> npt.NDArray[np.float32]:
    """Lay vectors out in the plane so that near ones stay near.

    >>> tsne(np.random.default_rng(0).normal(size=(60, 5)), perplexity=10, iterations=50, engine="numpy").shape
    (60, 2)

    Parameters
    ----------
    vectors
        ``(N, D)``; reduce ``D`` to about 50 by PCA first.
    perplexity
        The effective number of neighbours; at most ``(N - 1) / 3``, lowered to that where it is more.
    iterations
        All iterations; the first 250 (at most a third of all) are exaggerated.
    callback, every
        Called every so many iterations.
    engine
        ``opentsne``, ``numpy`` (dense, at most 3,000 vectors) or ``auto``.

    Raises
    ------
    InputError
        For fewer than 5 vectors, or too many for the numpy engine.
    MissingExtraError
        If openTSNE is asked for, or needed, and not installed.
    """
    data = np.asarray(vectors, np.float64)
    if data.ndim != 2 or len(data) < 5:
        raise InputError(f"t-SNE needs at least 5 vectors (N, D), got shape {data.shape}")
    if engine not in ("auto", "opentsne", "numpy"):
        raise InputError(f"unknown t-SNE engine {engine!r}; use auto, opentsne or numpy")
    perplexity = min(perplexity, (len(data) - 1) / 3)
    start = _start(data)
    if engine == "opentsne" or (engine == "auto" and find_spec("openTSNE")):
        return _opentsne(data, start, perplexity, iterations, seed, callback, every)
    if len(data) > MAXIMUM_DENSE:
        raise missing_extra("openTSNE", "embed", f"t-SNE of {len(data):,} vectors (numpy alone does {MAXIMUM_DENSE:,})")
    return _dense(data, start, perplexity, iterations, callback, every)


def _start(data: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Start from the first two principal components, scaled to a standard deviation of 1e-4."""
    points = np.zeros((len(data), 2))
    components = pca(data, 2)[0].astype(np.float64)
    points[:, : components.shape[1]] = components
    return points / (points[:, 0].std() or 1.0) * 1e-4


def _opentsne(
    data: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    perplexity: float,
    iterations: int,
    seed: int,
    callback: Callback | None,
    every: int,
) -> npt.NDArray[np.float32]:
    try:
        import openTSNE
    except ImportError as error:
        raise missing_extra("openTSNE", "embed", "t-SNE") from error
    method = "exact" if len(data) < 1000 else "auto"
    affinities = openTSNE.affinity.PerplexityBasedNN(
        data, perplexity=perplexity, method=method, metric="euclidean", n_jobs=-1, random_state=seed
    )
    gradient = "fft" if len(data) > 10_000 else "bh"
    embedding = openTSNE.TSNEEmbedding(
        start, affinities, negative_gradient_method=gradient, n_jobs=-1, random_state=seed
    )
    exaggerated = min(EXAGGERATED, iterations // 3)
    for first, count, exaggeration, momentum in (
        (0, exaggerated, EXAGGERATION, 0.5),
        (exaggerated, iterations - exaggerated, None, 0.8),
    ):
        report = None if callback is None else _Report(callback, first)
        embedding = embedding.optimize(
            n_iter=count,
            exaggeration=exaggeration,
            momentum=momentum,
            learning_rate=max(len(data) / (exaggeration or 1), SLOWEST),
            callbacks=None if report is None else [report],
            callbacks_every_iters=every,
        )
    return np.asarray(embedding, np.float32)


class _Report:
    """openTSNE's callback, told where the iterations of its phase begin."""

    def __init__(self, callback: Callback, first: int) -> None:
        self._callback = callback
        self._first = first

    def __call__(self, iteration: int, error: float, embedding: npt.NDArray[Any]) -> bool:
        self._callback(self._first + iteration, float(error), np.array(embedding, np.float32))
        return False


def _affinities(data: npt.NDArray[np.float64], perplexity: float) -> npt.NDArray[np.float64]:
    """Return the symmetric joint probabilities; each row's precision found by bisection, all rows at once."""
    squares = (data * data).sum(1)
    gaps = np.maximum(squares[:, None] + squares - 2 * data @ data.T, 0)
    np.fill_diagonal(gaps, np.inf)
    gaps -= gaps.min(1, keepdims=True)
    off = np.isfinite(gaps)
    finite_gaps = np.where(off, gaps, 0)
    precision = np.full(len(data), 1 / (finite_gaps.mean() or 1.0))
    low, high = np.zeros(len(data)), np.full(len(data), np.inf)
    for _ in range(64):
        weights = np.where(off, np.exp(-finite_gaps * precision[:, None]), 0)
        total = weights.sum(1)
        entropy = np.log(total) + precision * (finite_gaps * weights).sum(1) / total
        if np.abs(entropy - np.log(perplexity)).max() < 1e-5:
            break
        too_wide = entropy > np.log(perplexity)
        low = np.where(too_wide, precision, low)
        high = np.where(too_wide, high, precision)
        precision = np.where(np.isinf(high), precision * 2, (low + high) / 2)
    joint = weights / total[:, None]
    symmetric: npt.NDArray[np.float64] = (joint + joint.T) / (2 * len(data))
    return symmetric


def _dense(
    data: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    perplexity: float,
    iterations: int,
    callback: Callback | None,
    every: int,
) -> npt.NDArray[np.float32]:
    """Gradient descent with momentum and gains (delta-bar-delta), all pairs."""
    joint = np.maximum(_affinities(data, perplexity), 1e-300)
    entropy = float((joint * np.log(joint)).sum())
    rate = max(len(data) / EXAGGERATION, SLOWEST)
    exaggerated = min(EXAGGERATED, iterations // 3)
    velocity, gains = np.zeros_like(points), np.ones_like(points)
    for iteration in range(1, iterations + 1):
        early = iteration <= exaggerated
        squares = (points * points).sum(1)
        kernel = 1 / (1 + np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))
        np.fill_diagonal(kernel, 0)
        mass = kernel.sum()
        forces = ((EXAGGERATION if early else 1.0) * joint - kernel / mass) * kernel
        gradient = 4 * (forces.sum(1)[:, None] * points - forces @ points)
        gains = np.where(np.sign(gradient) != np.sign(velocity), gains + 0.2, gains * 0.8).clip(0.01)
        velocity = (0.5 if early else 0.8) * velocity - rate * gains * gradient
        points = points + velocity
        points -= points.mean(0)
        if callback and (iteration % every == 0 or iteration == iterations):
            divergence = entropy - float((joint * np.log(np.maximum(kernel / mass, 1e-300))).sum())
            callback(iteration, divergence, points.astype(np.float32))
    return points.astype(np.float32)
