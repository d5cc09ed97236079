"""t-SNE [van der Maaten & Hinton 2008]: openTSNE's gradients where it is installed, dense numpy ones otherwise.

The descent itself is ours, one iteration at a time: so a layout can be watched, paused and changed on the way, and no
gradient is computed twice for that, as it would be if openTSNE's optimiser was called again and again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from convscope.embed.neighbours import nearest
from convscope.embed.pca import pca
from convscope.errors import InputError, missing_extra, not_found

Doubles = npt.NDArray[np.float64]
Callback = Callable[[int, float, npt.NDArray[np.float32]], None]
"""Called with (iteration, Kullback-Leibler divergence, points ``(N, d)``)."""

MAXIMUM_DENSE: Final = 3000
FEWEST: Final = 5
ITERATIONS: Final = 750
WARM_ITERATIONS: Final = 250
EXAGGERATION: Final = 12.0
EXAGGERATED: Final = 250
SLOWEST: Final = 50.0
"""The least learning rate: at less, exaggeration draws a few points together until nothing parts them again."""
_FASTEST_STEP: Final = 5.0
_MEASURED_EVERY: Final = 10
_DENSE_ROWS: Final = 128
_THREADS_FROM: Final = 5000
_EXACT_GRAPH: Final = 25_000
_FFT_FROM: Final = 10_000
_START_SPREAD: Final = 1e-4


@dataclass(frozen=True)
class Settings:
    """What t-SNE takes besides vectors; see :func:`tsne`."""

    perplexity: float = 30.0
    early_exaggeration: float = EXAGGERATION
    exaggeration: float = 1.0
    iterations: int | None = None
    dimensions: int = 2
    seed: int = 0
    engine: str = "auto"
    threads: int = -1

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Make settings of what a user gave, and refuse names that are none."""
        known = [item.name for item in fields(cls)]
        if wrong := sorted(set(given) - set(known)):
            raise not_found("parameter of t-SNE", wrong[0], known)
        return cls(**given)

    def __post_init__(self) -> None:
        if self.engine not in ("auto", "opentsne", "numpy"):
            raise InputError(f"unknown t-SNE engine {self.engine!r}; use auto, opentsne or numpy")
        if self.dimensions not in (2, 3):
            raise InputError(f"t-SNE lays out in 2 or 3 dimensions, not {self.dimensions}")
        for name in ("perplexity", "early_exaggeration", "exaggeration"):
            value = getattr(self, name)
            if not (isinstance(value, int | float | np.number) and np.isfinite(value) and value > 0):
                raise InputError(f"the {name} of t-SNE is a positive number, not {value!r:.40}")
        if self.perplexity < 1:
            raise InputError(f"the perplexity of t-SNE is at least 1, not {self.perplexity}")
        if self.iterations is not None and not (isinstance(self.iterations, int | np.integer) and self.iterations > 0):
            raise InputError(f"t-SNE needs at least 1 iteration, a whole number, not {self.iterations!r:.40}")
        if not (isinstance(self.seed, int | np.integer) and self.seed >= 0):
            raise InputError(f"the seed of t-SNE is a whole number from 0 on, not {self.seed!r:.40}")


def tsne(
    vectors: npt.NDArray[Any],
    *,
    start: npt.NDArray[Any] | None = None,
    callback: Callback | None = None,
    every: int = 10,
    **settings: Any,
) -> npt.NDArray[np.float32]:
    """Lay vectors out in the plane or in space so that near ones stay near.

    >>> tsne(np.random.default_rng(0).normal(size=(60, 5)), perplexity=10, iterations=50, engine="numpy").shape
    (60, 2)

    Parameters
    ----------
    vectors
        ``(N, D)``; reduce ``D`` to about 50 by PCA first.
    start
        ``(N, dimensions)``: an earlier layout to go on from, without early exaggeration.
    callback, every
        Called every so many iterations and after the last.
    **settings
        ``perplexity`` (30): the effective number of neighbours; at most ``(N - 1) / 3``, lowered to that where it is
        more. ``early_exaggeration`` (12), for the first 250 iterations (at most a third of all), then
        ``exaggeration`` (1). ``iterations`` (750; 250 from a ``start``), ``dimensions`` (2 or 3), ``seed``.
        ``engine``: ``opentsne``, ``numpy`` (dense, at most 3,000 vectors) or ``auto``. ``threads``
        (-1: one for fewer than 5,000 vectors, else all cores).

    Raises
    ------
    InputError
        For fewer than 5 vectors, vectors that are not finite, or settings that make no sense.
    MissingExtraError
        If openTSNE is asked for, or needed, and not installed.
    """
    descent = Descent(vectors, Settings.of(settings), start=start)
    while not descent.done:
        count = min(every - descent.iteration % every, descent.iterations - descent.iteration)
        descent.advance(count, measure=callback is not None)
        if callback:
            callback(descent.iteration, descent.kl, descent.points.astype(np.float32))
    return descent.points.astype(np.float32)


class Gradient(Protocol):
    """The slope of the divergence at a layout, without the factor 4 before it, which is one of the learning rate."""

    def __call__(self, points: Doubles, exaggeration: float, *, measure: bool) -> tuple[float, Doubles]:
        """Return the divergence (of use only if ``measure``) and its gradient ``(N, d)``."""
        ...


class Descent:
    """Gradient descent with momentum and gains [Jacobs 1988], as openTSNE does it, one iteration at a time.

    Attributes
    ----------
    points
        ``(N, d)``: the layout now.
    iteration, iterations
        How many iterations are done, and how many there are to be.
    kl
        The divergence last measured; NaN before that.
    perplexity
        The perplexity used: lower than the one asked for where there are few vectors.
    """

    def __init__(self, vectors: npt.NDArray[Any], settings: Settings, *, start: npt.NDArray[Any] | None = None) -> None:
        self._data = _checked(vectors)
        self._gradient: Gradient | None = None
        self.settings = settings
        self.engine = _engine(settings.engine, len(self._data))
        self.points = first_layout(self._data, settings) if start is None else _given(start, self._data, settings)
        self.iteration = 0
        self.iterations = settings.iterations or (ITERATIONS if start is None else WARM_ITERATIONS)
        self.kl = float("nan")
        self._measured = 0
        self._exaggerated = min(EXAGGERATED, self.iterations // 3) if start is None else 0
        self._rest()

    def _rest(self) -> None:
        self._velocity = np.zeros_like(self.points)
        self._gains = np.ones_like(self.points)

    @property
    def perplexity(self) -> float:
        """The perplexity used."""
        return min(self.settings.perplexity, (len(self._data) - 1) / 3)

    @property
    def done(self) -> bool:
        """Whether all iterations are done."""
        return self.iteration >= self.iterations

    @property
    def ready(self) -> bool:
        """Whether the affinities are known."""
        return self._gradient is not None

    def prepare(self) -> Gradient:
        """Find the affinities of the vectors, which the first iteration needs."""
        if self._gradient is None:
            make = _Dense if self.engine == "numpy" else _OpenTSNE
            self._gradient = make(self._data, self.perplexity, self.settings)
        return self._gradient

    def change(self, **settings: Any) -> None:
        """Go on from the layout as it is with other settings, for at least 250 more iterations if it was at its end."""
        changed = replace(self.settings, **settings)
        if changed.perplexity != self.settings.perplexity:
            self._gradient = None
        if changed.dimensions != self.settings.dimensions:
            raise InputError("a layout keeps its dimensions on the way; start another one")
        wanted = settings.get("iterations") or self.iterations
        self.settings = changed
        self.iterations = max(wanted, self.iteration + (0 if "iterations" in settings else WARM_ITERATIONS))
        if "exaggeration" in settings:
            self._exaggerated = min(self._exaggerated, self.iteration)
        self._rest()

    def advance(self, count: int, *, measure: bool = True) -> None:
        """Do ``count`` iterations and ``measure`` the divergence before the last of them (after it at the very end).

        That costs a quarter of an iteration and is not done again within ten of them.
        """
        gradient = self.prepare()
        for left in range(count - 1, -1, -1):
            early = self.iteration < self._exaggerated
            exaggeration = self.settings.early_exaggeration if early else self.settings.exaggeration
            due = measure and not left and self.iteration + 1 >= self._measured + _MEASURED_EVERY
            kl, slope = gradient(self.points, exaggeration, measure=due)
            if due:
                self.kl, self._measured = kl, self.iteration + 1
            self._move(slope, max(len(self.points) / exaggeration, SLOWEST))
            self.iteration += 1
        if self.done:
            self.kl, _ = gradient(self.points, 1.0, measure=True)

    def _move(self, slope: Doubles, rate: float) -> None:
        turned = (self._velocity > 0) == (slope > 0)  # the last step went uphill
        self._gains = np.where(turned, self._gains * 0.8 + 0.01, self._gains + 0.2)
        self._velocity = 0.8 * self._velocity - rate * self._gains * slope
        length = np.sqrt(np.einsum("nd,nd->n", self._velocity, self._velocity))[:, None]
        if length.max() > _FASTEST_STEP:
            self._velocity *= np.minimum(1, _FASTEST_STEP / np.maximum(length, _FASTEST_STEP))
        self.points += self._velocity
        self.points -= self.points.mean(0)


def _checked(vectors: npt.NDArray[Any]) -> Doubles:
    data = np.asarray(vectors, np.float64)
    if data.ndim != 2 or len(data) < FEWEST:
        raise InputError(f"t-SNE needs at least {FEWEST} vectors (N, D), got shape {data.shape}; PCA takes fewer")
    if bad := int((~np.isfinite(data).all(1)).sum()):
        raise InputError(f"{bad} of {len(data)} vectors hold NaN or infinite values; leave them out")
    data = data - data.mean(0)
    scaled: Doubles = data / (np.sqrt(np.vdot(data, data) / len(data)) or 1.0)  # neighbours know no unit
    return scaled


def _engine(asked: str, count: int) -> str:
    if asked == "opentsne" or (asked == "auto" and find_spec("openTSNE")):
        return "opentsne"
    if count > MAXIMUM_DENSE:
        raise missing_extra("openTSNE", "embed", f"t-SNE of {count:,} vectors (numpy alone does {MAXIMUM_DENSE:,})")
    return "numpy"


def first_layout(data: Doubles, settings: Settings) -> Doubles:
    """Start from the first principal components at a standard deviation of 1e-4, with a hundredth of that as noise.

    The noise parts equal vectors, as openTSNE does it.
    """
    points = np.zeros((len(data), settings.dimensions))
    components = pca(data, settings.dimensions)[0].astype(np.float64)
    points[:, : components.shape[1]] = components
    points *= _START_SPREAD / (points[:, 0].std() or 1.0)
    return points + np.random.default_rng(settings.seed).normal(scale=_START_SPREAD / 100, size=points.shape)


def _given(start: npt.NDArray[Any], data: Doubles, settings: Settings) -> Doubles:
    points = np.array(getattr(start, "points", start), np.float64)
    if points.shape != (len(data), settings.dimensions) or not np.isfinite(points).all():
        wanted = f"({len(data)}, {settings.dimensions})"
        raise InputError(f"a layout to start from is {wanted} and finite, got shape {points.shape}; leave out start=")
    centred: Doubles = points - points.mean(0)
    return centred


class _OpenTSNE:
    """Barnes-Hut or, for many points in the plane, interpolated gradients of openTSNE."""

    def __init__(self, data: Doubles, perplexity: float, settings: Settings) -> None:
        try:
            from openTSNE import affinity
            from openTSNE.tsne import kl_divergence_bh, kl_divergence_fft
        except ImportError as error:
            raise missing_extra("openTSNE", "embed", "t-SNE") from error
        self._threads = settings.threads if settings.threads > 0 else _cores(len(data))
        if len(data) > _EXACT_GRAPH:
            self._joint = affinity.PerplexityBasedNN(
                data, perplexity=perplexity, n_jobs=self._threads, random_state=settings.seed
            ).P
        else:
            index, distance = _graph(data, perplexity)
            self._joint = affinity.joint_probabilities_nn(index, distance, [perplexity], n_jobs=self._threads)
        self._probabilities = self._joint.data.copy()
        self._exaggeration = 1.0
        interpolated = len(data) > _FFT_FROM and settings.dimensions == 2
        self._slope = kl_divergence_fft if interpolated else kl_divergence_bh

    def __call__(self, points: Doubles, exaggeration: float, *, measure: bool) -> tuple[float, Doubles]:
        if exaggeration != self._exaggeration:
            np.multiply(self._probabilities, exaggeration, out=self._joint.data)
            self._exaggeration = exaggeration
        kl, slope = self._slope(
            points,
            self._joint,
            dof=1,
            bh_params={"theta": 0.5},
            fft_params={"n_interpolation_points": 3, "min_num_intervals": 50, "ints_in_interval": 1},
            should_eval_error=measure,
            n_jobs=self._threads,
        )
        return float(kl / exaggeration - np.log(exaggeration)), slope


def _cores(count: int) -> int:
    """Return how many threads are worth their waiting for each other."""
    return 1 if count < _THREADS_FROM else os.cpu_count() or 1


def _graph(data: Doubles, perplexity: float) -> tuple[npt.NDArray[np.int32], Doubles]:
    """Return the neighbours that the affinities of a perplexity reach to, and their distances."""
    index, distance = nearest(data, min(len(data) - 1, int(3 * perplexity)), metric="euclidean")
    return index, distance.astype(np.float64)


class _Dense:
    """Attraction along the affinities, repulsion of all pairs in blocks that stay in the processor's cache."""

    def __init__(self, data: Doubles, perplexity: float, _: Settings) -> None:
        count = len(data)
        index, distance = _graph(data, perplexity)
        one_way = conditional(distance, perplexity).ravel()
        row, column = np.repeat(np.arange(count), index.shape[1]), index.ravel().astype(np.int64)
        pairs = np.concatenate([row * count + column, column * count + row])
        edges, which = np.unique(pairs, return_inverse=True)
        self._joint = np.bincount(which, np.concatenate([one_way, one_way])) / (2 * count)
        self._from, self._to = edges // count, edges % count
        positive = self._joint[self._joint > 0]
        self._entropy = float((positive * np.log(positive)).sum())

    def __call__(self, points: Doubles, exaggeration: float, *, measure: bool) -> tuple[float, Doubles]:
        apart = points[self._from] - points[self._to]
        likeness = 1 / (1 + np.einsum("ed,ed->e", apart, apart))
        kl = float("nan")
        pull = (self._joint * likeness)[:, None] * apart
        attraction = np.stack([np.bincount(self._from, part, minlength=len(points)) for part in pull.T], axis=1)
        mass, repulsion = _repulsion(points)
        if measure:
            kl = self._entropy - float(self._joint @ np.log(likeness)) + float(np.log(max(mass, 1e-300)))
        return kl, exaggeration * attraction - repulsion / max(mass, 1e-300)


def _repulsion(points: Doubles) -> tuple[float, Doubles]:
    """Return the sum of all likenesses ``k = 1 / (1 + distance²)``, and the sums of ``k² · (own - other)``."""
    squares = (points * points).sum(1)
    ones = np.ones(len(points))
    left = np.column_stack([-2 * points, squares + 1, ones]).astype(np.float32)
    right = np.ascontiguousarray(np.column_stack([points, ones, squares]).T, np.float32)
    sums = np.column_stack([points, ones]).astype(np.float32)
    mass, force = 0.0, np.empty_like(points)
    for start in range(0, len(points), _DENSE_ROWS):
        rows = slice(start, min(start + _DENSE_ROWS, len(points)))
        kernel = left[rows] @ right
        np.maximum(kernel, 1, out=kernel)
        np.reciprocal(kernel, out=kernel)
        kernel[np.arange(rows.stop - start), np.arange(start, rows.stop)] = 0
        mass += float(kernel.sum())
        kernel *= kernel
        around = kernel @ sums
        force[rows] = around[:, -1:] * points[rows] - around[:, :-1]
    return mass, force


def conditional(distance: Doubles, perplexity: float) -> Doubles:
    """Return the probabilities ``(N, k)`` of a point's neighbours, each row's precision found by bisection.

    Parameters
    ----------
    distance
        ``(N, k)``: the distances to the nearest neighbours.
    perplexity
        The exponential of every row's entropy.
    """
    gaps = distance**2
    gaps -= gaps[:, :1]
    precision = 1 / np.maximum(gaps.mean(1), np.finfo(np.float64).tiny)
    low, high = np.zeros(len(gaps)), np.full(len(gaps), np.inf)
    for _ in range(64):
        with np.errstate(under="ignore", over="ignore"):
            weights = np.exp(-gaps * precision[:, None])
        total = weights.sum(1)
        entropy = np.log(total) + precision * (gaps * weights).sum(1) / total
        if np.abs(entropy - np.log(perplexity)).max() < 1e-8:
            break
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
        precision = np.minimum(np.where(np.isinf(high), precision * 2, (low + high) / 2), 1e300)
    found: Doubles = weights / total[:, None]
    return found
