"""The importance of a layer's filters over a data set, in one pass (METHODS §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.errors import InputError, not_found
from convscope.inspect.groups import ALL, Group, class_name
from convscope.inspect.importance import MEASURES, Importance
from convscope.nets.backward import fixed_batch
from convscope.nets.batches import filled_up
from convscope.nets.data import ImageSet
from convscope.nets.search import to_tensor
from convscope.nets.slopes import Pass, Slopes
from convscope.scale.local import InProcess, run_pass
from convscope.scale.plan import Arrays, Plan, Shard

State = Arrays
"""``sums (M, G, O)`` float64 and ``images (G,)`` int64."""


@dataclass(frozen=True)
class Measuring:
    """What is done to one shard of images; a pure function of the shard.

    Attributes
    ----------
    slopes
        Who takes the derivatives.
    dataset
        The images.
    measures
        Names of :data:`convscope.inspect.importance.MEASURES`.
    classes
        The groups' classes, the first of them :data:`~convscope.inspect.groups.ALL`.
    labels
        The images' classes, -1 where unknown; ``None`` without labels: then each image counts for every class, and
        among all for the class the network gives it.
    filters
        How many filters the layer has.
    batch
        How many images go through at once.
    """

    slopes: Slopes
    dataset: ImageSet
    measures: tuple[str, ...]
    classes: tuple[int, ...]
    labels: npt.NDArray[np.int64] | None
    filters: int
    batch: int

    def __call__(self, shard: Shard) -> State:
        """Return the sums over the images of one shard."""
        state = self._empty()
        start, stop = shard
        for first in range(start, stop, self.batch):
            pixels = self.dataset.images(first, min(first + self.batch, stop))
            whole = filled_up(pixels, fixed_batch(self.slopes.network) or len(pixels))
            with self.slopes.through(to_tensor(whole, self.slopes.network), len(pixels)) as passed:
                self._batch(passed, first, state)
        return state

    def _empty(self) -> State:
        sums = np.zeros((len(self.measures), len(self.classes), self.filters))
        return {"sums": sums, "images": np.zeros(len(self.classes), np.int64)}

    def _batch(self, passed: Pass, first: int, state: State) -> None:
        count = len(passed.logits)
        if self.labels is None:
            rows = np.arange(count)
            self._add(passed, rows, passed.logits.argmax(1), 0, state)
            for group, number in enumerate(self.classes[1:], 1):
                self._add(passed, rows, torch.full_like(passed.logits[:, 0], number).long(), group, state)
            return
        labels = self.labels[first : first + count]
        safe = torch.from_numpy(np.maximum(labels, 0)).to(passed.logits.device)
        values = self._values(passed, safe)
        for group, number in enumerate(self.classes):
            own = labels >= 0 if number == ALL else labels == number
            state["sums"][:, group] += values[:, own].sum(axis=1)
            state["images"][group] += own.sum()

    def _add(self, passed: Pass, rows: npt.NDArray[Any], classes: Tensor, group: int, state: State) -> None:
        state["sums"][:, group] += self._values(passed, classes)[:, rows].sum(axis=1)
        state["images"][group] += len(rows)

    def _values(self, passed: Pass, classes: Tensor) -> npt.NDArray[np.float64]:
        """Return each measure of each image, ``(M, N, O)``."""
        found = [_MEASURES[name](passed, classes) for name in self.measures]
        return torch.stack([part.double() for part in found]).cpu().numpy()


def _gradient_norm(passed: Pass, classes: Tensor) -> Tensor:
    return torch.stack([part.flatten(1).double().norm(dim=1) for part in passed.by_image(classes)]).detach()


def _activation(passed: Pass, classes: Tensor) -> Tensor:
    maps = passed.maps
    if maps is None:
        raise RuntimeError("this pass was made without maps")
    return maps.detach()[: len(classes)].reshape(len(classes), maps.shape[1], -1).double().mean(2)


def _taylor(passed: Pass, classes: Tensor) -> Tensor:
    return passed.taylor(classes)


_MEASURES: dict[str, Callable[[Pass, Tensor], Tensor]] = {
    "gradient_norm": _gradient_norm,
    "activation": _activation,
    "taylor": _taylor,
}


def check_measures(measures: Sequence[str] | str) -> tuple[str, ...]:
    """Return names of measures, each once."""
    names = tuple(dict.fromkeys([measures] if isinstance(measures, str) else measures))
    if not names:
        raise InputError(f"no measure was given; there are {', '.join(MEASURES)}")
    for name in names:
        if name not in MEASURES:
            raise not_found("measure of importance", name, MEASURES)
    return names


def importance(
    work: Measuring,
    about: dict[str, Any],
    *,
    names: Sequence[str],
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Importance:
    """Return the means over the images of each class and of all, streaming over the data set."""
    state = run_pass(
        Plan.of(len(work.dataset), work.batch, about),
        InProcess(work),
        _merge,
        to_arrays=dict,
        from_arrays=dict,
        checkpoint=Path(checkpoint) if checkpoint else None,
        every=1,
        progress=progress,
    )
    images = state["images"]
    with np.errstate(invalid="ignore"):
        means = state["sums"] / images[None, :, None]
    groups = [
        Group(class_name(names, number), number, class_name(names, number), int(count))
        for number, count in zip(work.classes, images, strict=True)
    ]
    return Importance(
        means.astype(np.float32),
        work.measures,
        tuple(groups),
        layer=work.slopes.layer,
        network=work.slopes.name,
        dataset=work.dataset.name,
        images=int(images[0]),
    )


def _merge(a: State, b: State) -> State:
    return {name: a[name] + b[name] for name in a}
