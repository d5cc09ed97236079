"""Signed derivatives of logits by a layer's weights, for single images or their mean (METHODS §7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convscope.arrays import as_numpy
from convscope.errors import InputError, not_found
from convscope.inspect.gradients import WeightGradients
from convscope.inspect.groups import Group, class_name
from convscope.nets.backward import fixed_batch
from convscope.nets.batches import filled_up
from convscope.nets.data import ImageSet
from convscope.nets.search import to_tensor
from convscope.nets.slopes import Pass, Slopes
from convscope.nets.targets import Targets

OWN: Final = ("predicted", "label")
"""The classes an image can bring itself: the one the network gives it, and its own."""
MOST_BYTES: Final = 1 << 32
"""Results larger than this are refused: a dense layer's weights for many images."""

Classes = str | int | Sequence[int] | None


@dataclass(frozen=True)
class Asked:
    """Of which images and classes derivatives are taken.

    Attributes
    ----------
    dataset
        The images.
    classes
        Numbers that count for every image; empty where each image has a class of its own.
    own
        ``predicted`` or ``label`` in that case.
    targets
        The images' own classes, and what the classes are called.
    batch
        How many images go through at once.
    """

    dataset: ImageSet
    classes: tuple[int, ...]
    own: str
    targets: Targets
    batch: int

    @classmethod
    def of(cls, dataset: ImageSet, classes: Classes, targets: Targets, batch: int) -> Asked:
        """Return what is asked for; what makes no sense is said here."""
        if classes is None or isinstance(classes, str):
            own = classes or "predicted"
            if own not in OWN:
                raise not_found("choice of classes", own, OWN)
            if own == "label" and (targets.labels is None or (targets.labels < 0).any()):
                raise InputError(f"not every image of {dataset.name!r} has a label; give classes as numbers")
            return cls(dataset, (), own, targets, batch)
        numbers = [classes] if isinstance(classes, int | np.integer) else [*classes]
        if not numbers:
            raise InputError("no class was given; name at least one by its number")
        targets.check(numbers)
        return cls(dataset, tuple(int(number) for number in dict.fromkeys(numbers)), "", targets, batch)

    def of_images(self, start: int, logits: Tensor) -> list[Tensor]:
        """Return the classes of a batch that begins at an image: one tensor ``(N,)`` for each pass back."""
        if self.classes:
            return [torch.full((len(logits),), number, device=logits.device) for number in self.classes]
        if self.own == "predicted":
            return [logits.argmax(1)]
        labels = self.targets.needed(self.dataset)[start : start + len(logits)]
        return [torch.from_numpy(labels).to(logits.device)]


def image_name(dataset: ImageSet, index: int) -> str:
    """Return what an image is called: its file, else its number."""
    names = getattr(dataset, "names", ())
    return str(names[index]) if len(names) else f"{dataset.name} {index}"


def weight_gradients(slopes: Slopes, asked: Asked, *, mean: bool) -> WeightGradients:
    """Return the gradients of every image and class, image by image; or of every class the mean over the images."""
    work = _Mean(slopes, asked) if mean else _Single(slopes, asked)
    gradient, groups = work.run()
    pictures = None if mean else _pictures(asked, groups)
    preprocessing = asked.dataset.preprocessing
    return WeightGradients(
        gradient,
        tuple(groups),
        layer=slopes.layer,
        network=slopes.name,
        order=preprocessing.order,
        preprocessing=preprocessing.to_json(),
        pictures=pictures,
    )


def batches(slopes: Slopes, asked: Asked) -> Iterator[tuple[int, Pass]]:
    """Yield the first image of each batch, and the batch gone through the network."""
    size = fixed_batch(slopes.network) or asked.batch
    for start in range(0, len(asked.dataset), size):
        pixels = asked.dataset.images(start, min(start + size, len(asked.dataset)))
        whole = filled_up(pixels, fixed_batch(slopes.network) or len(pixels))
        with slopes.through(to_tensor(whole, slopes.network), len(pixels)) as passed:
            yield start, passed


@dataclass
class _Single:
    """One gradient for each image and class."""

    slopes: Slopes
    asked: Asked

    def run(self) -> tuple[npt.NDArray[Any], list[Group]]:
        rows: list[npt.NDArray[Any]] = []
        groups: list[Group] = []
        for start, passed in batches(self.slopes, self.asked):
            chosen = self.asked.of_images(start, passed.logits)
            count = len(self.asked.dataset) * len(chosen)
            found: list[list[npt.NDArray[Any]]] = []
            for classes in chosen:
                part = []
                for gradient in passed.by_image(classes):
                    _check_size(count, gradient, self.slopes.layer)
                    part.append(array_of(gradient))
                found.append(part)
            predicted = passed.logits.argmax(1).tolist()
            for i, best in enumerate(predicted):  # the classes of an image stand together
                rows.extend(part[i] for part in found)
                groups.extend(self._group(start + i, int(classes[i]), best) for classes in chosen)
        return np.stack(rows), groups

    def _group(self, index: int, number: int, best: int) -> Group:
        asked, names, labels = self.asked, self.asked.targets.names, self.asked.targets.labels
        image, called = image_name(asked.dataset, index), class_name(self.asked.targets.names, number)
        correct = None if labels is None or labels[index] < 0 else bool(labels[index] == best)
        name = f"{image}: {called}" if len(asked.classes) > 1 else image
        return Group(name, number, called, 1, image, best, class_name(names, best), correct)


@dataclass
class _Mean:
    """The mean gradient of each class, by one backward pass a batch and class."""

    slopes: Slopes
    asked: Asked

    def run(self) -> tuple[npt.NDArray[Any], list[Group]]:
        sums: dict[int, tuple[npt.NDArray[np.float64], int]] = {}
        kind: Any = np.float32
        for start, passed in batches(self.slopes, self.asked):
            for classes in self.asked.of_images(start, passed.logits):
                for number in sorted(set(classes.tolist())):
                    own = classes == number
                    part = Pass(passed.logits[own], passed.weights)
                    total = array_of(part.of_sum(classes[own]))
                    kind = total.dtype
                    before, seen = sums.get(number, (np.zeros(total.shape), 0))
                    sums[number] = before + total, seen + int(own.sum())
        numbers = [*self.asked.classes] or sorted(sums)
        names = self.asked.targets.names
        called = [(number, class_name(names, number), sums[number][1]) for number in numbers]
        groups = [Group(f"mean for {name}", number, name, images) for number, name, images in called]
        return np.stack([sums[number][0] / sums[number][1] for number in numbers]).astype(kind), groups


def array_of(gradient: Tensor) -> npt.NDArray[Any]:
    """Return a tensor as float64 where it is that, else as float32."""
    wide = gradient.detach() if gradient.dtype == torch.float64 else gradient.detach().float()
    return np.asarray(as_numpy(wide.cpu()))


def _check_size(count: int, gradient: Tensor, layer: str) -> None:
    size = count * gradient.numel() * 4
    if size > MOST_BYTES:
        raise InputError(f"the weight gradients of layer {layer!r} for {count:,} images and classes take "
                         f"{size / 1e9:.0f} GB; ask for fewer, or with mean=True")  # fmt: skip


def _pictures(asked: Asked, groups: Sequence[Group]) -> npt.NDArray[np.uint8] | None:
    """Return what the network looked at, one a group, where it can be shown."""
    each = len(groups) // len(asked.dataset)
    shown = [asked.dataset.display(index) for index in range(len(asked.dataset))]
    if any(one.ndim != 3 or one.shape != shown[0].shape or one.shape[2] not in (1, 3) for one in shown):
        return None
    return np.repeat(np.stack(shown), each, axis=0)
