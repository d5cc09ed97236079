"""What the scores of a layer's channels say beyond the best of them: about classes, and which channels act alike.

Both states merge exactly like the tables of :mod:`convscope.inspect.topk` and do not grow with the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SAMPLE: Final = 512
"""Of so many images at most the scores are kept, to tell which channels act alike."""
SHOWN: Final = 8
"""So many classes and similar channels are named for each channel."""
MOST_SUMS: Final = 1 << 27
"""Where channels times classes are more, which would take 1 GiB, no sums of classes are kept."""

_AT_ONCE: Final = 1 << 22
"""So many correlations are held at a time."""


@dataclass(frozen=True)
class ClassSums:
    """Sums of the rectified scores of each class, for the classes that were seen.

    They cost 8 bytes a channel and class: with 1,000 classes 9 MB for the 1,152 channels of AlexNet's convolutions,
    34 MB for the 4,224 of VGG-16.

    Attributes
    ----------
    number
        The classes, ``(n,)``, ascending.
    images
        How many images each had, ``(n,)``.
    total
        The sums, ``(n, C)``, where a class is added fast; what is below 0 or NaN counts as 0.
    """

    number: npt.NDArray[np.int32]
    images: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, channels: int) -> ClassSums:
        """Return the state before the first image."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, channels)))

    @classmethod
    def of(cls, scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> ClassSums:
        """Return the sums of scores ``(C, n)`` of images with these classes, ``(n,)``; -1 is unknown."""
        known = np.flatnonzero(labels >= 0)
        if not len(known):
            return cls.empty(len(scores))
        order = known[np.argsort(labels[known], kind="stable")]
        number, starts, images = np.unique(labels[order], return_index=True, return_counts=True)
        rectified = np.fmax(scores.T[order], 0).astype(np.float64)
        return cls(number.astype(np.int32), images.astype(np.int64), np.add.reduceat(rectified, starts, axis=0))

    def merge(self, other: ClassSums) -> ClassSums:
        """Return the sums over the images of both."""
        if not len(other.number):
            return self
        whole = self._with(other.number)
        places = np.searchsorted(whole.number, other.number)
        whole.images[places] += other.images
        whole.total[places] += other.total
        return whole

    def _with(self, classes: npt.NDArray[np.int32]) -> ClassSums:
        """Return a copy with room for more classes."""
        number = np.union1d(self.number, classes)
        if len(number) == len(self.number):
            return ClassSums(self.number, self.images.copy(), self.total.copy())
        images, total = np.zeros(len(number), np.int64), np.zeros((len(number), self.total.shape[1]))
        places = np.searchsorted(number, self.number)
        images[places], total[places] = self.images, self.total
        return ClassSums(number, images, total)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """The mean rectified score of each class, ``(C, n)``."""
        return np.ascontiguousarray((self.total / self.images[:, None]).T)

    def best(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the classes with the largest means and these means, both ``(C, 8)``, best first.

        Equal means are ordered by class. Where fewer have a mean above 0, the class is -1 and the mean 0.
        """
        mean = self.mean
        order = np.argsort(-mean, axis=1, kind="stable")[:, :SHOWN]
        value = np.take_along_axis(mean, order, 1)
        return (
            _eight(np.where(value > 0, self.number[order], -1), -1).astype(np.int32),
            _eight(np.where(value > 0, value, 0), 0).astype(np.float32),
        )

    def selectivity(self) -> npt.NDArray[np.float32]:
        """Return how much each channel prefers one class, ``(C,)``: (best − rest) / (best + rest) of class means.

        *best* is the largest mean of a class, *rest* the mean of the other classes' means (Morcos et al. 2018,
        "On the importance of single directions for generalization", §2.3). 0 is no preference, 1 is one class only;
        a channel that is never above 0 has 0.
        """
        mean = self.mean
        best = mean.max(axis=1)
        with np.errstate(invalid="ignore"):  # infinite scores prefer nothing that could be told
            rest = (mean.sum(axis=1) - best) / (len(self.number) - 1)
            value = (best - rest) / np.where(best + rest > 0, best + rest, 1)
        return np.asarray(np.clip(np.nan_to_num(value), 0, 1), np.float32)


@dataclass(frozen=True)
class ScoreSample:
    """The scores of some images.

    They cost 4 bytes a channel and image: 2 kB a channel at most.

    Attributes
    ----------
    image
        Their indices in the data set, ``(s,)``, ascending.
    score
        Their scores, ``(C, s)``.
    """

    image: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, channels: int) -> ScoreSample:
        """Return the state before the first image."""
        return cls(np.empty(0, np.int64), np.empty((channels, 0), np.float32))

    def merge(self, other: ScoreSample) -> ScoreSample:
        """Return the sample of the images of both, which must be different ones."""
        if not len(other.image):
            return self
        image = np.concatenate([self.image, other.image])
        score = np.concatenate([self.score, other.score], axis=1)
        if len(self.image) and self.image[-1] > other.image[0]:  # mostly they come in order already
            order = np.argsort(image)
            image, score = image[order], score[:, order]
        return ScoreSample(image, score)

    def alike(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the channels whose scores go most with each one's, and their correlations, both ``(C, 8)``.

        Pearson's correlation over the sampled images; only above 0, and most alike first. Channels whose scores are all
        the same, or not finite, are like none: -1 and 0.
        """
        score = self.score.astype(np.float64)
        with np.errstate(invalid="ignore"):
            varies = score.max(axis=1) > score.min(axis=1)
            varies &= np.isfinite(score).all(axis=1)
        known = np.flatnonzero(varies)
        centred = score[known] - score[known].mean(axis=1, keepdims=True)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        found, value = _nearest(unit)
        similar = np.full((len(score), SHOWN), -1, np.int32)
        similarity = np.zeros((len(score), SHOWN), np.float32)
        similar[known] = np.where(value > 0, known[found], -1) if len(known) > 1 else -1
        similarity[known] = np.where(value > 0, value, 0)
        return similar, similarity


def sampled(total: int) -> npt.NDArray[np.int64]:
    """Return which of so many images are in the sample: spread evenly, whatever the shards are.

    >>> sampled(3).tolist(), len(sampled(100_000)), sampled(100_000)[:3].tolist()
    ([0, 1, 2], 512, [0, 195, 390])
    """
    count = min(total, SAMPLE)
    return np.arange(count, dtype=np.int64) * total // max(count, 1)


def _nearest(unit: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return for each row which other rows have the largest inner product, and these, both ``(rows, 8)``; 0 is none."""
    rows = len(unit)
    found = np.zeros((rows, SHOWN), np.intp)
    value = np.zeros((rows, SHOWN), np.float32)
    step = max(1, _AT_ONCE // max(rows, 1))
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        product = (unit[part] @ unit.T).clip(-1, 1).astype(np.float32)
        product[np.arange(len(product)), np.arange(part.start, part.stop)] = -np.inf
        count = min(SHOWN, rows - 1)
        nearest = np.argpartition(-product, count - 1, axis=1)[:, :count] if count else np.empty((rows, 0), np.intp)
        likeness = np.take_along_axis(product, nearest, 1)
        order = np.lexsort((nearest, -likeness), axis=1)
        found[part, :count] = np.take_along_axis(nearest, order, 1)
        value[part, :count] = np.take_along_axis(likeness, order, 1)
    return found, value


def _eight(values: npt.NDArray[Any], rest: float) -> npt.NDArray[Any]:
    """Return columns filled up to eight."""
    return np.pad(values, ((0, 0), (0, SHOWN - values.shape[1])), constant_values=rest)
