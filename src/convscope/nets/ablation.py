"""Accuracy and loss while filters of one layer are put to zero, one after the other (METHODS §7).

No weight is touched: a filter is put to zero by putting its map to zero, behind the batch norm where one directly takes
it. Without one that is the same as zero weights and a zero bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as fn

from convscope.errors import InputError
from convscope.inspect.ablation import Ablation, Curve
from convscope.inspect.groups import class_name
from convscope.nets.backward import fixed_batch
from convscope.nets.batches import filled_up
from convscope.nets.behind import Behind, Cut, Runs, WholeRuns
from convscope.nets.data import ImageSet
from convscope.nets.frozen import frozen
from convscope.nets.search import to_tensor
from convscope.scale.local import InProcess, run_pass
from convscope.scale.plan import Arrays, Plan, Shard

WAYS: Final = ("behind", "whole")
"""What runs for each point: the part of the network behind the layer, or all of it."""

State = Arrays
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ablating:
    """What is done to one shard of images; a pure function of the shard.

    Attributes
    ----------
    cut
        The network and where the filters' maps are.
    dataset, labels
        The images and their classes, -1 where unknown: these are left out.
    classes
        How many classes the network tells apart.
    orders, removed
        ``(Q, C)`` and ``(P,)``: see :class:`~convscope.inspect.ablation.Ablation`.
    single
        Whether every filter is also put to zero by itself.
    squashed
        The kind of what the network ends in: ``Softmax``, ``LogSoftmax``, ``Sigmoid``, or nothing.
    batch
        How many images go through at once.
    behind
        The recorded network, if only what is behind the layer is to run.
    tell
        Called with how many images of a shard are as good as done: a share of each run counts.
    """

    cut: Cut
    dataset: ImageSet
    labels: Ints
    classes: int
    orders: npt.NDArray[np.int32]
    removed: npt.NDArray[np.int32]
    single: bool
    squashed: str
    batch: int
    behind: Behind | None = field(default=None, repr=False)
    tell: Callable[[Shard, int], None] | None = field(default=None, repr=False)

    def __call__(self, shard: Shard) -> State:
        """Return the counts of one shard, which is one batch."""
        start, stop = shard
        labels = self.labels[start:stop]
        known = np.flatnonzero(labels >= 0)
        state = self._empty()
        state["support"] += np.bincount(labels[known], minlength=self.classes)
        if not len(known):
            return state
        images = filled_up(self.dataset.images(start, stop), self.batch)
        with torch.no_grad(), frozen(self.cut.network):
            pixels = to_tensor(images, self.cut.network)
            runs: Runs = WholeRuns(self.cut, pixels) if self.behind is None else self.behind.runs(pixels)
            judge = _Judge(labels, known, self.classes, self.squashed, self._teller(shard))
            self._curves(runs, judge, state)
            if self.single:
                self._singles(runs, judge, state)
        return state

    def _teller(self, shard: Shard) -> Callable[[], None]:
        """Return what to call after each run of a shard."""
        curves, points = len(self.orders), len(self.removed)
        ends = 1 + (self.removed[-1] == self.orders.shape[1])  # all curves share these points
        runs = curves * (points - ends) + ends + (self.orders.shape[1] if self.single else 0)
        done = 0

        def tell() -> None:
            nonlocal done
            done += 1
            images = shard[1] - shard[0]
            if self.tell and images * done // runs > images * (done - 1) // runs and done < runs:
                self.tell(shard, images * done // runs)

        return tell

    def _empty(self) -> State:
        curves, points, filters = len(self.orders), len(self.removed), self.orders.shape[1]
        shapes = {"correct": (curves, points, self.classes), "support": (self.classes,)}
        if self.single:
            shapes["single"] = (filters, self.classes)
        return {name: np.zeros(shape, np.int64) for name, shape in shapes.items()} | {
            "loss": np.zeros((curves, points))
        }

    def _curves(self, runs: Runs, judge: _Judge, state: State) -> None:
        """Walk along each curve; without any filter removed, and without all, the curves are one."""
        ends: dict[int, tuple[Ints, float]] = {}
        filters = self.orders.shape[1]
        for curve, order in enumerate(self.orders):
            runs.begin()
            before = 0
            for point, count in enumerate(self.removed.tolist()):
                if count > before:
                    runs.without(_on(runs, order[before:count]))
                    before = count
                said = ends.get(count) or judge.of(runs.output())
                if count in (0, filters):
                    ends[count] = said
                state["correct"][curve, point] += said[0]
                state["loss"][curve, point] += said[1]

    def _singles(self, runs: Runs, judge: _Judge, state: State) -> None:
        for number in range(self.orders.shape[1]):
            runs.begin()
            runs.without(_on(runs, np.array([number])))
            state["single"][number] += judge.of(runs.output())[0]


def _on(runs: Runs, filters: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(filters.astype(np.int64)).to(runs.device)


@dataclass(frozen=True)
class _Judge:
    """Counts right answers by class, and adds up the cross-entropy."""

    labels: Ints
    known: npt.NDArray[np.intp]
    classes: int
    squashed: str
    tell: Callable[[], None]

    def of(self, output: Tensor) -> tuple[Ints, float]:
        """Return how many images of each class are right, and the sum of their losses."""
        rows = torch.from_numpy(self.known).to(output.device)
        logits = unsquashed(output.flatten(1)[rows], self.squashed).double()
        labels = self.labels[self.known]
        right = logits.argmax(1).cpu().numpy() == labels
        loss = fn.cross_entropy(logits, torch.from_numpy(labels).to(output.device), reduction="sum")
        self.tell()
        return np.bincount(labels[right], minlength=self.classes), float(loss)


def unsquashed(output: Tensor, kind: str) -> Tensor:
    """Return logits again of what a network that ends in a softmax or sigmoid says.

    >>> unsquashed(torch.tensor([[0.25, 0.75]]), "Softmax").softmax(1)
    tensor([[0.2500, 0.7500]])
    """
    if kind == "Softmax":
        return output.double().clamp_min(torch.finfo(torch.float64).tiny).log()
    return torch.logit(output.double(), eps=1e-12) if kind == "Sigmoid" else output


def prepared(work: Ablating, fast: bool) -> Ablating:
    """Return the work with what is behind the layer recorded, where that gives the same to the last bit.

    Tried on the first batch: with all filters, without every other one, and without any.
    """
    if not fast:
        return work
    first = min(work.batch, len(work.dataset))
    with torch.no_grad(), frozen(work.cut.network):
        pixels = to_tensor(filled_up(work.dataset.images(0, first), work.batch), work.cut.network)
        behind = Behind.of(work.cut, pixels)
        if behind is None or not _same(behind, work, pixels):
            return work
    return replace(work, behind=behind)


def _same(behind: Behind, work: Ablating, pixels: Tensor) -> bool:
    filters = work.orders.shape[1]
    runs, plain = behind.runs(pixels), WholeRuns(work.cut, pixels)
    for some in (range(0), range(0, filters, 2), range(filters)):
        zeros = torch.tensor(list(some), dtype=torch.long, device=pixels.device)
        for one in (runs, plain):
            one.begin()
            if len(zeros):
                one.without(zeros)
        if not torch.equal(runs.output(), plain.output()):
            return False
    return True


def batch_of(network: Any, wanted: int) -> int:
    """Return how many images go through at once: as many as a file says where it takes no other number."""
    return fixed_batch(network) or wanted


def ablation(
    work: Ablating,
    curves: Sequence[Curve],
    names: Sequence[str],
    about: dict[str, Any],
    *,
    layer: str,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    publish: Callable[[Ablation], None] | None = None,
) -> Ablation:
    """Return the curves over a data set, batch by batch; see :meth:`convscope.nets.torch.Model.ablation`."""
    if len(curves) != len(work.orders):
        raise InputError(f"{len(curves)} names for {len(work.orders)} orders; give one each")

    def result(state: State) -> Ablation:
        return _result(state, work, curves, names, layer)

    def tell(shard: Shard, images: int) -> None:
        if progress:
            progress(shard[0] + images, len(work.dataset))

    state = run_pass(
        Plan.of(len(work.dataset), work.batch, about),
        InProcess(replace(work, tell=tell)),
        _merge,
        to_arrays=dict,
        from_arrays=dict,
        checkpoint=Path(checkpoint) if checkpoint else None,
        every=1,
        progress=progress,
        publish=(lambda state, _: publish(result(state))) if publish else None,
    )
    return result(state)


def _merge(a: State, b: State) -> State:
    return {name: a[name] + b[name] for name in a}


def _result(state: State, work: Ablating, curves: Sequence[Curve], names: Sequence[str], layer: str) -> Ablation:
    support = state["support"]
    kept = np.flatnonzero(support)
    total = support.sum()
    with np.errstate(invalid="ignore"):
        single = state["single"].sum(axis=1) / total if work.single else None
        single_class = state["single"][:, kept] / support[kept] if work.single else None
        return Ablation(
            tuple(curves),
            work.orders,
            work.removed,
            state["correct"].sum(axis=2) / total,
            state["loss"] / total,
            state["correct"][:, :, kept] / support[kept],
            support[kept],
            tuple((int(number), class_name(names, int(number))) for number in kept),
            single,
            single_class,
            layer=layer,
            network=work.cut.name,
            dataset=work.dataset.name,
            about={
                "zeroed": [place.layer.name for place in work.cut.places],
                "runs": WAYS[0] if work.behind is not None else WAYS[1],
            },
        )
