"""What a network still knows without some filters of a layer: pruning curves and single ablations (METHODS §7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError
from convscope.rich import Rich
from convscope.summary import Summary

Ints = npt.NDArray[np.integer[Any]]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """How the filters of one curve are ordered: its name, by what measure, and the seed of a random one."""

    name: str
    measure: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Ablation(Rich):
    """Accuracy and loss of a network while filters of one layer are put to zero, one after the other.

    Attributes
    ----------
    curves
        What each curve is.
    order
        ``(Q, C)``: the filters of each curve in the order in which they are put to zero.
    removed
        ``(P,)``: how many are zero where it was measured, ascending from 0.
    accuracy, loss
        ``(Q, P)``: the share of images whose largest logit is that of their class, and the mean cross-entropy.
    class_accuracy
        ``(Q, P, K)``: accuracy over the images of each class that has any.
    support
        ``(K,)``: images of each class.
    classes
        The classes' numbers and names.
    single, single_class
        ``(C,)`` and ``(C, K)``: accuracy with only that filter zero; ``None`` where it was not asked for.
    layer, network, dataset
        Where the filters are, and over which images.
    about
        What else a record should say: where the zeros are put, what ran.
    """

    curves: tuple[Curve, ...]
    order: Ints
    removed: Ints
    accuracy: Doubles
    loss: Doubles
    class_accuracy: Doubles
    support: Ints
    classes: tuple[tuple[int, str], ...]
    single: Doubles | None = None
    single_class: Doubles | None = None
    layer: str = field(default="", kw_only=True)
    network: str = field(default="", kw_only=True)
    dataset: str = field(default="", kw_only=True)
    about: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def images(self) -> int:
        """How many images were counted."""
        return int(self.support.sum())

    @property
    def baseline(self) -> float:
        """The accuracy with all filters."""
        return float(self.accuracy[0, 0])

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return it as a summary of kind ``ablation``; the tag is the layer's name unless given."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "order": self.order.astype(np.int32),
            "removed": self.removed.astype(np.int32),
            "accuracy": self.accuracy,
            "class_accuracy": self.class_accuracy,
            "loss": self.loss,
            "support": self.support.astype(np.int64),
        }
        if self.single is not None and self.single_class is not None:
            arrays |= {"single": self.single, "single_class": self.single_class}
        meta = {
            "layer": self.layer,
            "network": self.network,
            "dataset": self.dataset,
            "images": self.images,
            "curves": [asdict(curve) for curve in self.curves],
            "classes": [{"class": number, "name": name} for number, name in self.classes],
            **self.about,
        }
        return Summary("ablation", tag or self.layer, step, arrays=arrays, meta=meta)


def measuring_points(filters: int, points: int | Sequence[int]) -> npt.NDArray[np.int32]:
    """Return at how many zeroed filters is measured: evenly spaced from none to all, or where it is asked.

    >>> measuring_points(4, 65), measuring_points(100, 5), measuring_points(9, [3, 1])
    (array([0, 1, 2, 3, 4], dtype=int32), array([  0,  25,  50,  75, 100], dtype=int32), array([0, 1, 3], dtype=int32))
    """
    if isinstance(points, int | np.integer):
        if points < 2:
            raise InputError(f"a curve has at least 2 points, without any filter removed and without all, got {points}")
        return np.unique(np.round(np.linspace(0, filters, points))).astype(np.int32)
    if wrong := [point for point in points if point != int(point) or not 0 <= point <= filters]:
        raise InputError(f"cannot put {wrong[0]} filters to zero; the layer has {filters}, and they are counted")
    return np.unique([0, *points]).astype(np.int32)


def check_order(order: npt.NDArray[Any], filters: int, name: str) -> npt.NDArray[np.int32]:
    """Return an order of filters if it is one: each of them once."""
    if order.shape != (filters,) or not np.array_equal(np.sort(order), np.arange(filters)):
        raise InputError(f"the order {name!r} is not a permutation of the layer's {filters} filters")
    return order.astype(np.int32)
