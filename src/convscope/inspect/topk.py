"""The images that excite each channel most ([ZF14] Fig. 2): the result of a search, and the patches to show of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.inspect.receptive_field import ReceptiveField
from convscope.inspect.topk_state import EDGES, ChannelTopK
from convscope.rich import Rich
from convscope.summary import Summary

SCORES: Final = ("max", "mean")
"""What an image's score can be: the largest of a channel's activations in it, or their mean."""
TAPS: Final = ("after", "before")
"""Where a layer is read: after the ReLU that directly takes its output, or before."""


@dataclass(frozen=True)
class TopK(Rich):
    """The images that excite each channel of a layer most, and what the channel did over the whole data set.

    Attributes
    ----------
    layer, layer_kind
        The layer and what it is.
    value
        The scores ``(C, k)``: the activation at ``position``, or the mean over all (0 where there is no image).
    image
        The images' indices in the data set, ``(C, k)``; −1 where the data set has fewer than k.
    position
        Where the channel is strongest, ``(C, k, 2)`` as (y, x) of the feature map.
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
    score, tap, per_image
        What was searched for: see :meth:`convscope.nets.torch.Model.top_k`.
    activation
        The activation at ``position``, ``(C, k)``, where the score is the mean; ``None`` where it is ``value``.
    selectivity, class_top, class_mean
        How much each channel prefers one class, ``(C,)``, and the classes with the largest mean scores with these,
        ``(C, 8)``: see :class:`~convscope.inspect.scores.ClassSums`. ``None`` with fewer than two classes.
    similar, similarity
        The channels whose scores go most with each one's, and the correlations, ``(C, 8)``: see
        :meth:`~convscope.inspect.scores.ScoreSample.alike`. ``None`` with fewer than three images.
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
    score: str = "max"
    tap: str = "after"
    per_image: int = 1
    activation: npt.NDArray[np.float32] | None = None
    selectivity: npt.NDArray[np.float32] | None = None
    class_top: npt.NDArray[np.int32] | None = None
    class_mean: npt.NDArray[np.float32] | None = None
    similar: npt.NDArray[np.int32] | None = None
    similarity: npt.NDArray[np.float32] | None = None

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
            activation=state.activation,
            **_preferences(state),
            **about,
        )

    @property
    def activations(self) -> npt.NDArray[np.float32]:
        """The activation at each position, ``(C, k)``, whatever the score is."""
        return self.value if self.activation is None else self.activation

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
        labels: npt.NDArray[Any] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Summary:
        """Return the result as a summary of kind ``topk``.

        Parameters
        ----------
        tag
            The layer's name unless given.
        step
            The training step the network was at.
        patches
            Tiles ``(C, k, h, w, 3)`` or ``(..., 1)`` of :func:`patches`.
        labels
            The class of every image of the data set, ``(N,)``; -1 is unknown.
        meta
            More to say: ``label_names``, ``preprocessing``.
        """
        known = {name: getattr(self, name) for name in _WRITTEN}
        arrays: dict[str, npt.NDArray[Any]] = {name: array for name, array in known.items() if array is not None}
        if labels is not None:
            arrays["label"] = np.where(self.image < 0, -1, np.asarray(labels)[self.image]).astype(np.int32)
        shown = {} if patches is None else {"patch": patches}
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
            "score": self.score,
            "tap": self.tap,
            "per_image": self.per_image,
            "receptive_field": self.receptive_field.to_json(),
            "input_size": list(self.input_size),
        }


_WRITTEN: Final = (
    "value", "image", "position", "box", "mean", "max", "variance", "positive", "histogram", "edges", "activation",
    "selectivity", "class_top", "class_mean", "similar", "similarity",
)  # fmt: skip


def _preferences(state: ChannelTopK) -> dict[str, Any]:
    """Return what the scores say about classes and about like channels, as far as there is enough of them."""
    found: dict[str, Any] = {}
    if len(state.classes.number) > 1:
        found["selectivity"] = state.classes.selectivity()
        found["class_top"], found["class_mean"] = state.classes.best()
    if len(state.sample.image) > 2:
        found["similar"], found["similarity"] = state.sample.alike()
    return found


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
