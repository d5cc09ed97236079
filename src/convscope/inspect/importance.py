"""How much the filters of a layer matter to each class, by several measures (METHODS §7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convscope.errors import InputError, not_found
from convscope.inspect.groups import Group
from convscope.rich import Rich
from convscope.summary import Summary

MEASURES: Final = ("gradient_norm", "activation", "taylor")
"""The measures of importance.

``gradient_norm``
    The L2 norm of d(logit of the class) / d(weights of the filter), averaged over images.
``activation``
    The filter's activation, after batch normalisation and non-linearity, averaged over positions and images.
``taylor``
    |mean over positions of activation · d(loss) / d(activation)|, averaged over images: to first order the change of
    the loss when the filter's map becomes zero, for each position (Molchanov et al. 2017, Pruning Convolutional Neural
    Networks for Resource Efficient Inference, §2.2). The loss is the cross-entropy for the class.
"""


@dataclass(frozen=True)
class Importance(Rich):
    """The importance of every filter of a layer, for each class and measure.

    >>> rows = (Group("all classes", -1, "all classes", 10),)
    >>> found = Importance(np.array([[[0.5, 2.0, 1.0]]], np.float32), ("taylor",), rows, layer="conv1")
    >>> found.order("taylor"), found.order("taylor", first="most")
    (array([0, 2, 1], dtype=int32), array([1, 2, 0], dtype=int32))

    Attributes
    ----------
    importance
        ``(M, G, O)``: measures, groups, filters; NaN where a group has no images.
    measures
        Names of :data:`MEASURES`.
    groups
        What is averaged over: the images of a class, or all.
    layer, network, dataset
        Where the filters are, and over which images.
    images
        How many images were seen.
    """

    importance: npt.NDArray[np.float32]
    measures: tuple[str, ...]
    groups: tuple[Group, ...]
    layer: str = field(kw_only=True)
    network: str = field(default="", kw_only=True)
    dataset: str = field(default="", kw_only=True)
    images: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        expected = (len(self.measures), len(self.groups))
        if self.importance.ndim != 3 or self.importance.shape[:2] != expected:
            raise InputError(f"importance is (measures, groups, filters), here {expected}, got {self.importance.shape}")

    def of(self, measure: str, group: int | str = 0) -> npt.NDArray[np.float32]:
        """Return the filters' importance ``(O,)`` by a measure, for a group by its row or its name.

        Raises
        ------
        NotFoundError
            If there is no such measure or group.
        """
        if measure not in self.measures:
            raise not_found("measure of importance", measure, self.measures)
        names = [one.name for one in self.groups]
        if isinstance(group, str):
            if group not in names:
                raise not_found("group", group, names)
            group = names.index(group)
        if not 0 <= group < len(names):
            raise InputError(f"no group {group}; there are 0..{len(names) - 1}")
        return np.asarray(self.importance[self.measures.index(measure), group])

    def order(self, measure: str, group: int | str = 0, *, first: str = "least") -> npt.NDArray[np.int32]:
        """Return the filters from the least important on, or from the ``most``; equal ones by their number."""
        if first not in ("least", "most"):
            raise not_found("order", first, ("least", "most"))
        return ranked(self.of(measure, group), most=first == "most")

    def to_summary(self, tag: str = "", step: int = 0) -> Summary:
        """Return it as a summary of kind ``importance``; the tag is the layer's name unless given."""
        meta: dict[str, Any] = {
            "layer": self.layer,
            "network": self.network,
            "dataset": self.dataset,
            "images": self.images,
            "measures": list(self.measures),
            "groups": [group.to_json() for group in self.groups],
        }
        return Summary("importance", tag or self.layer, step, arrays={"importance": self.importance}, meta=meta)


def ranked(importance: npt.NDArray[Any], *, most: bool = False) -> npt.NDArray[np.int32]:
    """Return a permutation: ascending, or descending for ``most``; equal values by their number, NaN as the least.

    >>> ranked(np.array([1.0, np.nan, 3.0, 1.0])), ranked(np.array([1.0, 3.0, 1.0]), most=True)
    (array([1, 0, 3, 2], dtype=int32), array([1, 0, 2], dtype=int32))
    """
    values = np.where(np.isnan(importance), -np.inf, importance)
    return np.argsort(-values if most else values, kind="stable").astype(np.int32)
