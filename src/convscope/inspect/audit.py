"""Audit of a data set by what a network's channels found in it: dominating images, class purity, near-duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.patches import Pixel, shrink
from convscope.inspect.topk import TopK
from convscope.rich import Rich
from convscope.summary import Summary

GRID: Final = 16
"""Pixels a side of the grey pictures by which near-duplicates are found."""
LIKENESS: Final = 0.95
"""Among 1,000 photographs of ImageNet no two different ones are as alike (the nearest: 0.94), while 99 % of copies are
whose edges were cut off by 5 % in all, and 95 % of those that lost 10 % around the middle."""
CUT: Final = 0.07
MOST_PAIRS: Final = 2000
MOST_IMAGES: Final = 10_000
COLUMNS: Final = 8
_BLOCK: Final = 1024
_ROUNDING: Final = 1e-6


@dataclass(frozen=True)
class Audit(Rich):
    """Which images are among the top images of a network's channels, and which of them look alike.

    Attributes
    ----------
    network, dataset
        Names of what was searched.
    layers
        The searched layers.
    index
        The images among the top k of any channel, ``(N,)``: those of most channels first, at most
        :data:`MOST_IMAGES`.
    channels, first
        How many channels of all layers have the image among their top k, and as the strongest, ``(N,)``.
    layer_channels
        The same by layer, ``(N, L)``; its rows add up to ``channels``.
    k, images_total, images_among
        Images kept for each channel; how many were searched; how many are among the top k of any channel.
    input_size
        Height and width of the network's input.
    duplicate, likeness
        Rows of ``index`` whose pictures look alike, ``(P, 2)``, most alike first, and their correlation, ``(P,)``.
    duplicates_total, threshold
        How many pairs there are (at most :data:`MOST_PAIRS` are kept), and from which correlation on.
    """

    network: str
    dataset: str
    layers: tuple[str, ...]
    index: npt.NDArray[np.int64]
    channels: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    layer_channels: npt.NDArray[np.int32]
    k: int
    images_total: int
    images_among: int
    input_size: tuple[int, int]
    duplicate: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    likeness: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    duplicates_total: int = 0
    threshold: float = LIKENESS

    def to_summary(
        self,
        tag: str | None = None,
        step: int = 0,
        *,
        thumbnails: npt.NDArray[np.uint8] | None = None,
        labels: npt.NDArray[Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Summary:
        """Return the audit as a summary of kind ``audit``.

        Parameters
        ----------
        tag
            The network's name unless given.
        step
            The training step the network was at.
        thumbnails
            The images of ``index`` in small, ``(N, h, w, 3)`` or ``(N, h, w, 1)``.
        labels
            The class of every image of the data set; -1 is unknown.
        meta
            More to say: ``names`` of the images of ``index``, ``label_names``.
        """
        known = np.full(len(self.index), -1) if labels is None else np.asarray(labels)[self.index]
        arrays = {name: getattr(self, name) for name in _ARRAYS} | {"label": known.astype(np.int32)}
        pictures = {} if thumbnails is None or not len(thumbnails) else {"thumbnail": in_rows(thumbnails)}
        about = {
            "network": self.network,
            "dataset": self.dataset,
            "layers": list(self.layers),
            "k": self.k,
            "images_total": self.images_total,
            "images_among": self.images_among,
            "input_size": list(self.input_size),
            "duplicates_total": self.duplicates_total,
            "threshold": self.threshold,
        }
        return Summary(
            "audit", tag or self.network, step, arrays=arrays, pictures=pictures, meta={**about, **(meta or {})}
        )


_ARRAYS: Final = ("index", "channels", "first", "layer_channels", "duplicate", "likeness")


def audit(tops: Mapping[str, TopK]) -> Audit:
    """Count for each image how many channels have it among their top images.

    Parameters
    ----------
    tops
        What ``Model.top_k`` found, by layer; all of one network and data set.

    Raises
    ------
    InputError
        If there is no layer.
    """
    if not tops:
        raise InputError("an audit needs the top images of at least one layer")
    index = np.unique(np.concatenate([top.image[top.image >= 0] for top in tops.values()]))
    by_layer = np.stack([_counts(index, top.image) for top in tops.values()], axis=1)
    first = np.sum([_counts(index, top.image[:, :1]) for top in tops.values()], axis=0)
    channels = by_layer.sum(axis=1)
    order = np.lexsort((index, -first, -channels))[:MOST_IMAGES]
    any_top = next(iter(tops.values()))
    return Audit(
        network=any_top.network,
        dataset=any_top.dataset,
        layers=tuple(tops),
        index=index[order].astype(np.int64),
        channels=channels[order].astype(np.int32),
        first=first[order].astype(np.int32),
        layer_channels=by_layer[order].astype(np.int32),
        k=max(top.k for top in tops.values()),
        images_total=any_top.images_total,
        images_among=len(index),
        input_size=any_top.input_size,
    )


def _counts(index: npt.NDArray[np.int64], image: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return in how many rows of ``image`` each of the sorted numbers ``index`` is."""
    places = np.sort(image, axis=1)
    again = np.diff(places, axis=1, prepend=-1) == 0  # once a row, however often it is there
    return np.bincount(np.searchsorted(index, places[(places >= 0) & ~again]), minlength=len(index))


def class_purity(top: TopK, labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the share of the most frequent class among each channel's top images, ``(C,)``; NaN without any label.

    Parameters
    ----------
    top
        The top images of a layer.
    labels
        The class of every image of the data set; -1 is unknown, and not counted.
    """
    known = np.where(top.image < 0, -1, np.asarray(labels)[top.image])
    classes = max(int(known.max(initial=-1)) + 1, 1)
    rows, columns = np.nonzero(known >= 0)
    counts = np.zeros((top.channels, classes), np.int64)
    np.add.at(counts, (rows, known[rows, columns]), 1)
    total = counts.sum(axis=1)
    share: npt.NDArray[np.float32] = np.full(top.channels, np.nan, np.float32)
    np.divide(counts.max(axis=1), total, out=share, where=total > 0, casting="unsafe")
    return share


def in_rows(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pictures ``(N, h, w, c)`` as a sheet's tiles, ``(ceil(N / 8), 8, h, w, c)``; the last row ends in grey."""
    missing = -len(thumbnails) % COLUMNS
    fill = np.full((missing, *thumbnails.shape[1:]), 128, np.uint8)
    return np.concatenate([thumbnails, fill]).reshape(-1, COLUMNS, *thumbnails.shape[1:])


def grey_prints(pictures: npt.NDArray[Pixel], grid: int = GRID) -> npt.NDArray[np.float32]:
    """Return pictures ``(N, h, w, c)`` as small grey ones of mean 0 and length 1, ``(N, grid²)``.

    A picture without contrast is all zeros, so that it is like nothing.
    """
    grey = pictures.mean(axis=-1, keepdims=True, dtype=np.float32)
    small = shrink(grey, (grid, grid)).reshape(len(pictures), grid * grid)
    small -= small.mean(axis=1, keepdims=True)
    length = np.linalg.norm(small, axis=1, keepdims=True)
    flat = length <= grid  # less than a grey level of deviation
    prints: npt.NDArray[np.float32] = np.where(flat, 0, small / np.where(flat, 1, length)).astype(np.float32)
    return prints


@dataclass(frozen=True)
class Duplicates:
    """Pairs of pictures that look alike: ``pair`` (P, 2), ``likeness`` (P,), and how many there are in all."""

    pair: npt.NDArray[np.int32]
    likeness: npt.NDArray[np.float32]
    total: int


def near_duplicates(pictures: npt.NDArray[np.uint8], threshold: float = LIKENESS, most: int = MOST_PAIRS) -> Duplicates:
    """Find the pairs of pictures that look alike, most alike first.

    Two pictures are compared as wholes, and each with five parts of the other, which are 7 % smaller: the middle and
    the corners. Their likeness is the largest correlation of the small grey pictures. So a copy is found that was
    encoded anew, made smaller or brighter, or cut off a little.

    Parameters
    ----------
    pictures
        Pictures of one size, ``(N, h, w, c)``.
    threshold
        The least likeness, above 0 and at most 1.
    most
        How many pairs are kept.

    Raises
    ------
    InputError
        If the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"a likeness is above 0 and at most 1, got {threshold}")
    grey = pictures.mean(axis=-1, keepdims=True, dtype=np.float32)
    whole = grey_prints(grey)
    parts = [grey_prints(part) for part in _parts(grey)]
    pair, likeness, total = np.zeros((0, 2), np.int32), np.zeros(0, np.float32), 0
    for start in range(0, len(whole), _BLOCK):
        rows = slice(start, start + _BLOCK)
        alike = whole[rows] @ whole[start:].T
        for part in parts:
            np.maximum(alike, part[rows] @ whole[start:].T, out=alike)
            np.maximum(alike, whole[rows] @ part[start:].T, out=alike)
        found = np.argwhere(np.triu(alike >= threshold - _ROUNDING, 1))
        total += len(found)
        pair = np.concatenate([pair, (found + start).astype(np.int32)])
        likeness = np.concatenate([likeness, np.minimum(alike[tuple(found.T)], 1)])
        kept = np.lexsort((pair[:, 1], pair[:, 0], -likeness))[:most]
        pair, likeness = pair[kept], likeness[kept]
    return Duplicates(pair, likeness, total)


def _parts(pictures: npt.NDArray[Pixel]) -> Iterator[npt.NDArray[Pixel]]:
    """Yield the middle and the four corners of pictures, 7 % smaller each way."""
    height, width = pictures.shape[1:3]
    rows, columns = round(height * (1 - CUT)), round(width * (1 - CUT))
    for down, right in ((0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)):
        y, x = round((height - rows) * down), round((width - columns) * right)
        yield pictures[:, y : y + rows, x : x + columns]


def layer_purity(tops: Mapping[str, TopK], labels: npt.NDArray[Any]) -> dict[str, Sequence[float]]:
    """Return the quartiles of the channels' class purity, by layer; layers without a labelled image are left out."""
    found: dict[str, Sequence[float]] = {}
    for name, top in tops.items():
        purity = class_purity(top, labels)
        if not np.isnan(purity).all():
            found[name] = [float(q) for q in np.nanpercentile(purity, (25, 50, 75))]
    return found
