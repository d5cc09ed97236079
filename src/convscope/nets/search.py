"""The search for the top images: reductions inside the forward hooks, and the work on one shard (METHODS §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convscope.inspect import topk_state
from convscope.inspect.scores import MOST_SUMS, ClassSums, ScoreSample, sampled
from convscope.inspect.topk_state import ChannelTopK, Table
from convscope.nets.batches import filled_up
from convscope.nets.data import ImageSet
from convscope.nets.frozen import frozen
from convscope.nets.observe import Call, Reached, forward, observed
from convscope.nets.trace import Tap
from convscope.scale.local import ahead
from convscope.scale.plan import Arrays, Shard

States = dict[str, ChannelTopK]

_CANCELS = 20.0
"""Where the sum of squares is so many times that of the deviations, float32 leaves too few digits of the latter."""
_GATHERED: Final = 1 << 22
"""So many values of maps are copied at a time to look up where their maxima are."""


@dataclass(frozen=True)
class Batch:
    """Which images a batch holds.

    Attributes
    ----------
    first
        The index of the first in the data set.
    labels
        Their classes, -1 where unknown; ``None`` without classes.
    sampled
        Which of them are in the sample of scores, as indices in the data set.
    """

    first: int
    labels: npt.NDArray[np.int32] | None = None
    sampled: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Search:
    """What is done to one shard: a pure function of the shard, whatever was done before.

    It comes in two stages, so that an engine can read ahead: :meth:`read` a batch, which needs no network, and
    :meth:`look` at the batches of a shard.

    Attributes
    ----------
    network, dataset
        Who looks at what.
    taps
        Where each layer is read, by the layer's name.
    k
        How many images are kept for each channel.
    batch_size
        How many images go through the network at once.
    score
        ``max`` or ``mean``.
    per_image
        How many positions of one image are kept at most.
    """

    network: nn.Module
    dataset: ImageSet
    taps: Mapping[str, Tap]
    k: int
    batch_size: int
    score: str = "max"
    per_image: int = 1

    def __call__(self, shard: Shard) -> States:
        """Return the state after the images of one shard; a short last batch counts like any other."""
        pieces = self.pieces(shard)
        if not self.reads_ahead:
            return self.look(shard, map(self.read, pieces))
        with closing(ahead(self.read, pieces)) as parts:
            return self.look(shard, parts)

    @property
    def reads_ahead(self) -> bool:
        """Whether the images may be read by one thread while another shows some of them."""
        return bool(getattr(self.dataset, "concurrent", False))

    def pieces(self, shard: Shard) -> list[Shard]:
        """Return the batches of a shard."""
        start, stop = shard
        return [(first, min(first + self.batch_size, stop)) for first in range(start, stop, self.batch_size)]

    def read(self, piece: Shard) -> npt.NDArray[np.float32]:
        """Return the images of a batch, filled up to its full size."""
        return filled_up(self.dataset.images(*piece), self.batch_size)

    def look(self, shard: Shard, parts: Iterable[npt.NDArray[np.float32]]) -> States:
        """Return the state after the batches of one shard."""
        states = {name: topk_state.empty(tap.layer.maps[0], self.k, self.score) for name, tap in self.taps.items()}
        for (start, stop), images in zip(self.pieces(shard), parts, strict=True):
            self._batch(images, stop - start, self._about(start, stop), states)
        return states

    def _about(self, start: int, stop: int) -> Batch:
        labels = self._labels
        low, high = np.searchsorted(self._sample, (start, stop))
        return Batch(start, None if labels is None else labels[start:stop], self._sample[low:high])

    @cached_property
    def _labels(self) -> npt.NDArray[np.int32] | None:
        """The classes of the images, unless there are so many of them that their sums would not fit into memory."""
        if self.dataset.labels is None:
            return None
        labels = np.asarray(self.dataset.labels)
        channels = sum(tap.layer.maps[0] for tap in self.taps.values())
        return labels if channels * len(np.unique(labels[labels >= 0])) <= MOST_SUMS else None

    @cached_property
    def _sample(self) -> npt.NDArray[np.int64]:
        return sampled(len(self.dataset))

    def _batch(self, images: npt.NDArray[np.float32], count: int, batch: Batch, states: States) -> None:
        """Add the first ``count`` images of a batch to the states."""
        left = set(self.taps)
        by_call: dict[Call, list[str]] = {}
        for name, tap in self.taps.items():
            by_call.setdefault(tap.call, []).append(name)

        def see(call: Call, _: object, output: Any) -> None:
            for name in by_call.get(call, ()):
                # reduced here and now: an in-place ReLU that comes later changes the tensor
                values = self.taps[name].read(output[:count])
                states[name] = reduced(values, batch, states[name], self.score, self.per_image)
                left.discard(name)
            if not left:
                raise Reached

        names = {name for name, _ in by_call}
        functions = any(tap.function for tap in self.taps.values())
        watching = observed(self.network, names, see, functions=functions)
        with torch.no_grad(), frozen(self.network), watching:
            forward(self.network, to_tensor(images, self.network, fresh=getattr(self.dataset, "fresh", False)))


def to_tensor(images: npt.NDArray[Any], network: nn.Module, *, fresh: bool = False) -> Tensor:
    """Return images as a tensor of the dtype and on the device of the network's parameters.

    They are copied into memory of torch's own: from the strides of a single channel torch may conclude that memory is
    channels-last, and a convolution of another memory format gives other last bits. Images ``(N, C, H, W)`` that are
    ``fresh``, nobody else's, are taken as they are where their strides are beyond doubt.
    """
    first = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
    native = np.ascontiguousarray(images, images.dtype.newbyteorder("="))
    if fresh and images.flags.writeable and images.ndim == 4 and min(images.shape[1:]) > 1:
        return torch.from_numpy(native).to(first.device, first.dtype)
    pixels = torch.empty(images.shape, dtype=first.dtype, device=first.device)
    return pixels.copy_(torch.from_numpy(native if native.flags.writeable else native.copy()))


def reduced(values: Tensor, batch: Batch, state: ChannelTopK, score: str = "max", per_image: int = 1) -> ChannelTopK:
    """Return a layer's state after a batch of values ``(N, C, H, W)``.

    All positions are read for their maximum; where it is, is looked up only for the few images that enter the table.
    """
    flat = values.flatten(2)
    flat = flat.float() if flat.dtype in (torch.float16, torch.bfloat16) else flat  # which cannot hold their own sums
    peaks, totals = _peaks_and_totals(flat)
    scores = _scores(peaks if score == "max" else totals / flat.shape[2])
    table = _entered(flat, batch.first, scores, state, per_image, values.shape[-1])
    highest = (scores if score == "max" else _scores(peaks)).max(1).astype(np.float64)
    return topk_state.combined(state, _with_statistics(flat, totals, batch, scores, highest), table)


def _peaks_and_totals(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum and the sum of each map.

    On a CPU by numpy's one thread: the images are being read by others, and torch's threads would wait for each other.
    """
    if flat.device.type != "cpu" or flat.dtype not in (torch.float32, torch.float64):
        return flat.amax(2), flat.sum(2)
    values = flat.numpy()
    return torch.from_numpy(values.max(axis=2)), torch.from_numpy(values.sum(axis=2))


def _scores(values: Tensor) -> npt.NDArray[np.float32]:
    """Return a number for each image and channel, ``(N, C)``, as an array ``(C, N)``."""
    return np.ascontiguousarray(values.to(torch.float32).cpu().numpy().T)


def _entered(
    flat: Tensor, first: int, scores: npt.NDArray[np.float32], state: ChannelTopK, per_image: int, width: int
) -> Table:
    """Return the table after a batch; of most channels nothing changes once many images were seen."""
    ranked = np.where(np.isnan(scores), -np.inf, scores)  # an image with a NaN in its map never enters
    k = state.value.shape[1]
    changed = np.flatnonzero((ranked > state.value[:, -1:]).any(1))
    if not len(changed):
        return state.table
    # k entries are of k images at most: of the k best, for all positions of the others come after their maxima
    order = np.argsort(-ranked[changed], axis=1, kind="stable")[:, :k]
    value = np.take_along_axis(ranked[changed], order, 1)
    rows, ranks = np.nonzero(value > state.value[changed, -1:])
    images = order[rows, ranks]
    positions, activations = _strongest(flat, images, changed[rows], per_image)
    new = topk_state.empty(len(changed), order.shape[1] * per_image, "mean").table
    for nth in range(positions.shape[1]):
        columns = ranks * per_image + nth
        new["value"][rows, columns] = value[rows, ranks] if state.activation is not None else activations[:, nth]
        new["image"][rows, columns] = first + images
        new["position"][rows, columns] = np.stack(np.divmod(positions[:, nth], width), axis=1)
        new["activation"][rows, columns] = activations[:, nth]
    before = {name: array[changed] for name, array in state.table.items()}
    after = topk_state.best(topk_state.joined(before, new), k)
    table = {name: array.copy() for name, array in state.table.items()}
    for name, array in table.items():
        array[changed] = after[name]
    return table


def _strongest(
    flat: Tensor, images: npt.NDArray[np.intp], channels: npt.NDArray[np.intp], count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return where the largest values of these (image, channel) pairs are, ``(n, count)``, and what they are.

    Best first; of several equal ones, those that come first.
    """
    places = flat.shape[2]
    found: list[tuple[Tensor, Tensor]] = []
    step = max(1, _GATHERED // places)
    for start in range(0, len(images), step):
        part = (torch.from_numpy(index[start : start + step]).to(flat.device) for index in (images, channels))
        chosen = flat[tuple(part)].to(torch.float32)
        if count == 1:
            # on a CPU numpy is four times as fast
            one = torch.from_numpy(chosen.numpy().argmax(1)) if chosen.device.type == "cpu" else chosen.argmax(1)
            position = one[:, None]
            found.append((position, chosen.gather(1, position)))
        else:
            value, position = chosen.sort(stable=True, dim=1, descending=True)
            found.append((position[:, :count], value[:, :count]))
    positions, values = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return positions, values


def _with_statistics(
    flat: Tensor, totals: Tensor, batch: Batch, scores: npt.NDArray[np.float32], highest: npt.NDArray[np.float64]
) -> ChannelTopK:
    """Return a batch's state but for the table: sums of each map in the network's precision, over images in float64."""
    images, channels, places = flat.shape
    total = totals.double().sum(0).cpu().numpy()
    squares, positive = _squares_and_positive(flat)
    with np.errstate(invalid="ignore"):  # infinite maps have no moments
        mean = total / (images * places)
        m2 = np.maximum(squares - total * mean, 0)
    _around_the_mean(flat, mean, m2, np.flatnonzero(squares > _CANCELS * m2))
    chosen = np.empty(0, np.int64) if batch.sampled is None else batch.sampled
    return replace(
        topk_state.empty(channels, 0),
        images=np.array(images, np.int64),
        count=np.array(images * places, np.int64),
        mean=mean,
        m2=m2,
        max=highest,
        positive=positive.astype(np.int64),
        histogram=topk_state.count_scores(scores),
        classes=ClassSums.empty(channels) if batch.labels is None else ClassSums.of(scores, batch.labels),
        sample=ScoreSample(chosen, scores[:, chosen - batch.first]),
    )


def _around_the_mean(
    flat: Tensor, mean: npt.NDArray[np.float64], m2: npt.NDArray[np.float64], channels: npt.NDArray[np.intp]
) -> None:
    """Replace the moments of channels whose mean is large against their spread: there the squares cancel."""
    for part in np.array_split(channels, -(-len(channels) // 16)) if len(channels) else ():
        values = flat[:, torch.from_numpy(part).to(flat.device)].double()
        centre = values.mean((0, 2), keepdim=True)
        mean[part] = centre.flatten().cpu().numpy()
        m2[part] = (values - centre).square().sum((0, 2)).cpu().numpy()


def _squares_and_positive(flat: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the sum of squares of each channel, and how many of its values are above 0.

    On a CPU numpy is several times faster than torch: its ``einsum`` does not mind channels-last memory, and bytes are
    added up over at most 255 images, before they can overflow.
    """
    if flat.device.type != "cpu" or flat.dtype not in (torch.float32, torch.float64):
        squares = torch.linalg.vector_norm(flat, dim=2).double().square().sum(0).cpu().numpy()
        return squares, (flat > 0).sum((0, 2)).cpu().numpy()
    values = flat.numpy()
    counts = np.zeros(values.shape[1], np.int64)
    for start in range(0, len(values), 255):
        above = (values[start : start + 255] > 0).view(np.uint8)
        counts += above.sum(axis=0, dtype=np.uint8).sum(axis=1, dtype=np.int64)
    return np.einsum("ncp,ncp->nc", values, values).sum(axis=0, dtype=np.float64), counts


def merge(a: States, b: States) -> States:
    """Return the states of all layers after the images of both."""
    return {name: topk_state.merge(a[name], b[name]) for name in a}


def to_arrays(states: States) -> Arrays:
    """Return the states of all layers as one flat dictionary, for a checkpoint."""
    return {f"{name}/{key}": array for name, state in states.items() for key, array in state.to_arrays().items()}


def from_arrays(arrays: Arrays) -> States:
    """Return the states that :func:`to_arrays` took apart."""
    grouped: dict[str, Arrays] = {}
    for path, array in arrays.items():
        name, key = path.rsplit("/", 1)
        grouped.setdefault(name, {})[key] = array
    return {name: ChannelTopK.from_arrays(part) for name, part in grouped.items()}
