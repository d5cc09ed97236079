"""The images that excite each channel most ([ZF14] Fig. 2), as a state that can be merged, and as a result.

The state of one layer knows the k best images of each channel, and the moments and a histogram of what the channel did.
Merging is associative and commutative for the tables, because entries are totally ordered: larger value first, then
smaller image index. So the result does not depend on how the data set was cut into shards (METHODS §3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.inspect.receptive_field import ReceptiveField
from convscope.summary import Summary

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

    def merge(self, other: ChannelTopK) -> ChannelTopK:
        """Return the state after the images of both; see :func:`merge`."""
        return merge(self, other)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state as named arrays, for a checkpoint."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ChannelTopK:
        """Return the state that :meth:`to_arrays` took apart."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def best(
    value: npt.NDArray[np.float32],
    image: npt.NDArray[np.int64],
    k: int,
) -> npt.NDArray[np.intp]:
    """Return where the k best entries of each row of ``(C, n)`` stand: larger value first, then smaller image index."""
    order: npt.NDArray[np.intp] = np.lexsort((image, -value), axis=1)[:, :k]
    return order


def merge(a: ChannelTopK, b: ChannelTopK) -> ChannelTopK:
    """Return what is known after the images of both states.

    The tables merge exactly and in any order; the moments by Chan, Golub & LeVeque 1979, to rounding.
    """
    if a.value.shape != b.value.shape:
        raise InputError(f"cannot merge states of shapes {a.value.shape} and {b.value.shape}; use the same layer and k")
    value = np.concatenate([a.value, b.value], axis=1)
    image = np.concatenate([a.image, b.image], axis=1)
    position = np.concatenate([a.position, b.position], axis=1)
    order = best(value, image, a.value.shape[1])
    mean, m2 = _merge_moments(a, b)
    return ChannelTopK(
        value=np.take_along_axis(value, order, 1),
        image=np.take_along_axis(image, order, 1),
        position=np.take_along_axis(position, order[:, :, None], 1),
        images=a.images + b.images,
        count=a.count + b.count,
        mean=mean,
        m2=m2,
        max=np.maximum(a.max, b.max),
        positive=a.positive + b.positive,
        histogram=a.histogram + b.histogram,
    )


def _merge_moments(a: ChannelTopK, b: ChannelTopK) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    total = int(a.count + b.count)
    if not total:
        return a.mean, a.m2
    share = int(b.count) / total
    gap = b.mean - a.mean
    return a.mean + gap * share, a.m2 + b.m2 + gap**2 * (int(a.count) * share)


def empty(channels: int, k: int) -> ChannelTopK:
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
    )


def count_scores(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the histograms ``(C, bins)`` of scores ``(C, n)`` over :data:`EDGES`; a NaN is not counted."""
    channels, bins = scores.shape[0], len(EDGES) - 1
    at = np.clip(np.searchsorted(EDGES, scores, side="right") - 1, 0, bins - 1)
    at += bins * np.arange(channels)[:, None]
    return np.bincount(at[~np.isnan(scores)], minlength=channels * bins).reshape(channels, bins).astype(np.int64)


@dataclass(frozen=True)
class TopK:
    """The images that excite each channel of a layer most, and what the channel did over the whole data set.

    Attributes
    ----------
    layer, layer_kind
        The layer and what it is.
    value
        The scores ``(C, k)``: the largest activation of the channel in that image (0 where there is no image).
    image
        The images' indices in the data set, ``(C, k)``; −1 where the data set has fewer than k.
    position
        Where the activation is, ``(C, k, 2)`` as (y, x) of the feature map.
    mean, max, variance, positive
        Over all positions of all images, ``(C,)``; ``positive`` is the share of positions above 0.
    histogram, edges
        How many images had their score in each bin, ``(C, bins)`` and ``(bins + 1,)``.
    receptive_field
        What a position sees.
    input_size
        Height and width of the network's input.
    network, dataset
        Names of what was searched.
    images_seen, images_total
        How far the search has come.
    """

    layer: str
    layer_kind: str
    value: npt.NDArray[np.float32]
    image: npt.NDArray[np.int64]
    position: npt.NDArray[np.int32]
    mean: npt.NDArray[np.float64]
    max: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    positive: npt.NDArray[np.float64]
    histogram: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float32]
    receptive_field: ReceptiveField
    input_size: tuple[int, int]
    network: str
    dataset: str
    images_seen: int
    images_total: int

    @classmethod
    def from_state(cls, state: ChannelTopK, **about: Any) -> TopK:
        """Return the result that a state stands for; ``about`` are the other attributes of this class."""
        count = max(int(state.count), 1)
        return cls(
            value=np.where(state.image < 0, np.float32(0), state.value),
            image=state.image,
            position=state.position,
            mean=state.mean,
            max=state.max,
            variance=state.m2 / count,
            positive=state.positive / count,
            histogram=state.histogram,
            edges=EDGES,
            images_seen=int(state.images),
            **about,
        )

    @property
    def channels(self) -> int:
        """How many channels the layer has."""
        return int(self.value.shape[0])

    @property
    def k(self) -> int:
        """How many images are kept for each channel."""
        return int(self.value.shape[1])

    @cached_property
    def box(self) -> npt.NDArray[np.int32]:
        """The receptive fields ``(C, k, 4)``: y0, x0, y1, x1 in input pixels, half-open, not cut; 0 without image."""
        return np.where(self.image[:, :, None] < 0, np.int32(0), self.receptive_field.boxes(self.position))

    @property
    def shows_whole_image(self) -> bool:
        """Whether the field covers the image, so that the whole image is shown instead of a patch."""
        size = self.receptive_field.size
        return self.receptive_field.is_global or size[0] >= self.input_size[0] or size[1] >= self.input_size[1]

    @cached_property
    def tile_box(self) -> npt.NDArray[np.int32]:
        """What to cut out for display, ``(C, k, 4)``: all of one size, the receptive field or the whole image."""
        if not self.shows_whole_image:
            return self.box
        whole = np.array([0, 0, *self.input_size], np.int32)
        return np.where(self.image[:, :, None] < 0, np.int32(0), whole)

    @property
    def tile_size(self) -> tuple[int, int]:
        """Height and width of what :attr:`tile_box` cuts out."""
        return self.input_size if self.shows_whole_image else self.receptive_field.size

    def to_summary(
        self,
        tag: str | None = None,
        step: int = 0,
        *,
        patches: npt.NDArray[np.uint8] | None = None,
        projections: npt.NDArray[np.uint8] | None = None,
        labels: npt.NDArray[Any] | None = None,
        projection_scale: npt.NDArray[np.float32] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Summary:
        """Return the result as a summary of kind ``topk``.

        Parameters
        ----------
        tag
            The layer's name unless given.
        step
            The training step the network was at.
        patches, projections
            Tiles ``(C, k, h, w, 3)`` or ``(..., 1)`` of :func:`patches` and ``Projections.pictures``.
        labels
            The class of every image of the data set, ``(N,)``; -1 is unknown.
        projection_scale
            The absolute value that full contrast stands for in each projection, ``(C, k)``.
        meta
            More to say: ``label_names``, ``rule``, ``rule_report``, ``proof``.
        """
        names = ("value", "image", "position", "box", "mean", "max", "variance", "positive", "histogram", "edges")
        arrays: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in names}
        if labels is not None:
            arrays["label"] = np.where(self.image < 0, -1, np.asarray(labels)[self.image]).astype(np.int32)
        if projection_scale is not None:
            arrays["projection_scale"] = projection_scale
        pictures = {"patch": patches, "projection": projections}
        shown = {name: picture for name, picture in pictures.items() if picture is not None}
        about = {**self._meta(), **(meta or {})}
        return Summary("topk", tag or self.layer, step, arrays=arrays, pictures=shown, meta=about)

    def _meta(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "layer_kind": self.layer_kind,
            "network": self.network,
            "dataset": self.dataset,
            "images_seen": self.images_seen,
            "images_total": self.images_total,
            "complete": self.images_seen >= self.images_total,
            "k": self.k,
            "receptive_field": self.receptive_field.to_json(),
            "input_size": list(self.input_size),
        }


def patches(top: TopK, display: Callable[[int], npt.NDArray[np.uint8]], fill: int = 128) -> npt.NDArray[np.uint8]:
    """Cut out of the top images what the channels saw there: ``(C, k, h, w, 3)`` or ``(..., 1)``.

    Parameters
    ----------
    top
        The images and positions.
    display
        Gives image number i as ``(H, W, 3)`` or ``(H, W, 1)``, aligned with the network's input: ``ImageSet.display``.
    fill
        The grey of what lies outside the image, and of missing images.
    """
    height, width = top.tile_size
    wanted: dict[int, list[tuple[int, int]]] = {}
    for channel, rank in np.argwhere(top.image >= 0):
        wanted.setdefault(int(top.image[channel, rank]), []).append((int(channel), int(rank)))
    depth = display(next(iter(wanted))).shape[2] if wanted else 1
    tiles = np.full((top.channels, top.k, height, width, depth), fill, np.uint8)
    for image, places in sorted(wanted.items()):
        picture = display(image)
        for channel, rank in places:
            paste(tiles[channel, rank], picture, top.tile_box[channel, rank])
    return tiles


def paste(tile: npt.NDArray[Any], picture: npt.NDArray[Any], box: npt.NDArray[np.int32]) -> None:
    """Copy the part of ``picture`` ``(H, W, c)`` inside ``box`` into ``tile``; what lies outside is left alone."""
    y0, x0, y1, x1 = (int(edge) for edge in box)
    top, left = max(0, y0), max(0, x0)
    bottom, right = min(picture.shape[0], y1), min(picture.shape[1], x1)
    if top < bottom and left < right:
        tile[top - y0 : bottom - y0, left - x0 : right - x0] = picture[top:bottom, left:right]
