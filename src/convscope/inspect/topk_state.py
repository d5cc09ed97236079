"""What a search knows of each channel after some of the images, as a state that can be merged.

The state of one layer knows the k best images of each channel, and the moments and a histogram of what the channel did.
Merging is associative and commutative for the tables, because entries are totally ordered: larger value first, then
smaller image index, then the position that comes first row by row. So the result does not depend on how the data set
was cut into shards (METHODS §3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.scores import ClassSums, ScoreSample

Table = dict[str, npt.NDArray[Any]]
"""``value``, ``image``, ``position`` and, where it is another number than the value, ``activation``."""

_DECADES: Final = np.logspace(-3, 4, 29)
EDGES: Final[npt.NDArray[np.float32]] = np.concatenate([-_DECADES[::-1], _DECADES]).astype(np.float32)
"""Edges of the histograms: four bins a decade from 0.001 to 10,000 on either side; the middle one holds zero."""


@dataclass(frozen=True)
class ChannelTopK:
    """What is known of the channels of one layer after some of the images.

    Attributes
    ----------
    value
        The best scores, ``(C, k)``, best first; −∞ where there were fewer images.
    image
        Their indices in the data set, ``(C, k)``; −1 where there were fewer.
    position
        Where in the map, ``(C, k, 2)`` as (y, x); −1 where there were fewer.
    images
        How many images were seen, ``()``.
    count
        How many positions of each channel were seen, ``()``.
    mean, m2
        Mean of all positions and the sum of squared deviations from it, ``(C,)``.
    max
        The largest value, ``(C,)``.
    positive
        How many positions were above 0, ``(C,)``.
    histogram
        How many images had their score in each bin of :data:`EDGES`, ``(C, 57)``; the outermost bins take the rest.
    classes
        The sums of the scores of each class; without any where the images have no labels.
    sample
        The scores of at most 512 images.
    activation
        The activation at each position, ``(C, k)``, where scores are means; else the score is that activation.
    """

    value: npt.NDArray[np.float32]
    image: npt.NDArray[np.int64]
    position: npt.NDArray[np.int32]
    images: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    m2: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    positive: npt.NDArray[np.int64]
    histogram: npt.NDArray[np.int64]
    classes: ClassSums
    sample: ScoreSample
    activation: npt.NDArray[np.float32] | None = None

    @property
    def table(self) -> Table:
        """The best entries of each channel."""
        entries: Table = {"value": self.value, "image": self.image, "position": self.position}
        return entries if self.activation is None else {**entries, "activation": self.activation}

    def merge(self, other: ChannelTopK) -> ChannelTopK:
        """Return the state after the images of both; see :func:`merge`."""
        return merge(self, other)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state as named arrays, for a checkpoint."""
        parts = {f"{name}.{key}": array for name in _PARTS for key, array in vars(getattr(self, name)).items()}
        own = {name: array for name, array in vars(self).items() if name not in _PARTS and array is not None}
        return {**own, **parts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ChannelTopK:
        """Return the state that :meth:`to_arrays` took apart."""
        own: dict[str, Any] = {name: array for name, array in arrays.items() if "." not in name}
        parts: dict[str, Any] = {}
        for name, kind in _PARTS.items():
            held = {key.partition(".")[2]: array for key, array in arrays.items() if key.startswith(f"{name}.")}
            parts[name] = kind(**held)
        return cls(**own, **parts)


_PARTS: Final[dict[str, Any]] = {"classes": ClassSums, "sample": ScoreSample}


def best(table: Table, k: int) -> Table:
    """Return the k best entries of each row: larger value first, then smaller image index.

    Entries of one image must stand in the order of their positions; as the sort is stable, they stay so.
    """
    order = np.lexsort((table["image"], -table["value"]), axis=1)[:, :k]
    return {
        name: np.take_along_axis(array, order.reshape(*order.shape, *[1] * (array.ndim - 2)), 1)
        for name, array in table.items()
    }


def joined(a: Table, b: Table) -> Table:
    """Return the entries of both, row by row."""
    return {name: np.concatenate([array, b[name]], axis=1) for name, array in a.items()}


def merge(a: ChannelTopK, b: ChannelTopK) -> ChannelTopK:
    """Return what is known after the images of both states, which must be different ones.

    The tables merge exactly and in any order; the moments by Chan, Golub & LeVeque 1979, to rounding.
    """
    if a.value.shape != b.value.shape:
        raise InputError(f"cannot merge states of shapes {a.value.shape} and {b.value.shape}; use the same layer and k")
    return combined(a, b, best(joined(a.table, b.table), a.value.shape[1]))


def combined(a: ChannelTopK, b: ChannelTopK, table: Table) -> ChannelTopK:
    """Return what is known after the images of both states, with the table that is given."""
    mean, m2 = _merge_moments(a, b)
    return ChannelTopK(
        images=a.images + b.images,
        count=a.count + b.count,
        mean=mean,
        m2=m2,
        max=np.maximum(a.max, b.max),
        positive=a.positive + b.positive,
        histogram=a.histogram + b.histogram,
        classes=a.classes.merge(b.classes),
        sample=a.sample.merge(b.sample),
        **table,
    )


def _merge_moments(a: ChannelTopK, b: ChannelTopK) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    total = int(a.count + b.count)
    if not total:
        return a.mean, a.m2
    share = int(b.count) / total
    gap = b.mean - a.mean
    return a.mean + gap * share, a.m2 + b.m2 + gap**2 * (int(a.count) * share)


def empty(channels: int, k: int, score: str = "max") -> ChannelTopK:
    """Return the state before the first image, the neutral element of :func:`merge`."""
    return ChannelTopK(
        value=np.full((channels, k), -np.inf, np.float32),
        image=np.full((channels, k), -1, np.int64),
        position=np.full((channels, k, 2), -1, np.int32),
        images=np.array(0, np.int64),
        count=np.array(0, np.int64),
        mean=np.zeros(channels),
        m2=np.zeros(channels),
        max=np.full(channels, -np.inf),
        positive=np.zeros(channels, np.int64),
        histogram=np.zeros((channels, len(EDGES) - 1), np.int64),
        classes=ClassSums.empty(channels),
        sample=ScoreSample.empty(channels),
        activation=None if score == "max" else np.zeros((channels, k), np.float32),
    )


def count_scores(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the histograms ``(C, bins)`` of scores ``(C, n)`` over :data:`EDGES`; a NaN is not counted."""
    channels, bins = scores.shape[0], len(EDGES) - 1
    at = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, bins - 1)
    at += bins * np.arange(channels)[:, None]
    return np.bincount(at[~np.isnan(scores)], minlength=channels * bins).reshape(channels, bins).astype(np.int64)
